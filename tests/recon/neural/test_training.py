"""Training: the corpus comes back, a stopped run ends where a whole one does, and learning helps."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from datasets.corpus.families import split_of
from datasets.errors import InputError
from recon.neural.grid import gaussian_volume
from recon.neural.res_unet import COARSE
from recon.neural.training import corpus
from recon.neural.training.corpus import EDGE, Sample, make_corpus, make_empty, make_sample, read_corpus
from recon.neural.training.descent import Settings, train
from recon.neural.training.losses import augmentation_loss
from recon.neural.training.patches import draw_patches, whole_sample
from recon.neural.training.volumes import Augmentation
from recon.neural.unet import UNet3D

SETTINGS = Settings(n_steps=6, batch=2, edge=16, check_every=2, rate=3e-3, device="cpu")


def toy(seed: int) -> Sample:
    """Blurred, noisy atoms on the networks' grid."""
    rng = np.random.default_rng(seed)
    index = rng.uniform(24, 48, (40, 3))
    heights = np.full(40, 2.0)
    clean = gaussian_volume(index, heights, (EDGE, EDGE, EDGE))
    noisy = clean * 0.6 + 0.2 * rng.random(clean.shape)
    return Sample(noisy.astype(np.float16), index, heights, np.full(40, 79), "packing", "fista", {})


def empty(number: int) -> Sample:
    """Noise."""
    noise = np.random.default_rng(number).random((EDGE,) * 3).astype(np.float16)
    return Sample(noise, np.empty((0, 3)), np.empty(0), np.empty(0, dtype=int), corpus.EMPTY, "mlem", {})


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return [toy(seed) for seed in range(4)]


def test_a_sample_is_in_the_middle_and_in_its_units() -> None:
    sample = make_sample(3, 1)
    again = make_sample(3, 1)
    np.testing.assert_array_equal(sample.volume, again.volume)
    assert sample.volume.shape == (EDGE, EDGE, EDGE)
    assert np.abs(sample.index.mean(axis=0) - EDGE / 2).max() < 1.5
    assert split_of(sample.family) in ("train", "validation", "test")
    volume = sample.volume.astype(np.float64)
    truth = gaussian_volume(sample.index, sample.heights, (EDGE, EDGE, EDGE))
    # a reconstruction keeps electrons, beside what positivity makes of the background's noise
    assert 0.8 * truth.sum() < volume.sum() < 20 * truth.sum()
    assert np.corrcoef(volume.ravel(), truth.ravel())[0, 1] > 0.1


def test_the_corpus_comes_back_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "PER_SHARD", 2)
    monkeypatch.setattr(corpus, "make_sample", lambda seed, number: toy(number))
    monkeypatch.setattr(corpus, "make_empty", lambda seed, number: empty(number))
    url = str(tmp_path)
    corpus.make_shard(url, 0, ("particles", 0))
    with pytest.raises(InputError, match="has not been made"):
        list(read_corpus(url, 4))
    corpus.make_shard(url, 0, ("particles", 1))
    corpus.make_shard(url, 0, ("empty", 0))
    found = list(read_corpus(url, 4))
    assert [sample.family for sample in found] == ["packing"] * 4 + [corpus.EMPTY] * 2
    for number, sample in enumerate(found[:4]):
        expected = toy(number)
        np.testing.assert_array_equal(sample.volume, expected.volume)
        np.testing.assert_allclose(sample.index, expected.index, atol=1e-5)
        assert sample.family == expected.family
    with pytest.raises(InputError, match="at least 2"):
        make_corpus(url, 1)


def test_an_empty_sample_holds_noise_and_no_atoms() -> None:
    sample = make_empty(3, 0)
    assert len(sample.index) == len(sample.heights) == len(sample.numbers) == 0
    assert sample.volume.any()
    batch = draw_patches([sample], 2, 24, np.random.default_rng(0))
    assert not batch.density.any()
    assert not batch.occupancy.any()


def test_patches_show_the_truth_that_they_cut(samples: list[Sample]) -> None:
    batch = draw_patches(samples, 6, 24, np.random.default_rng(0))
    assert batch.volume.shape == batch.density.shape == batch.occupancy.shape == (6, 1, 24, 24, 24)
    for k, corner in enumerate(batch.corner.numpy()):
        assert not (corner % COARSE).any()
        z, y, x = (slice(c, c + 24) for c in corner)
        torch.testing.assert_close(batch.whole[k, :, z, y, x], batch.volume[k])
        seen = np.corrcoef(batch.volume[k].ravel(), batch.density[k].ravel())[0, 1]
        assert seen > 0.6 or batch.density[k].max() < 0.5
    again = draw_patches(samples, 6, 24, np.random.default_rng(0))
    torch.testing.assert_close(again.volume, batch.volume)


def test_a_stopped_training_ends_where_a_whole_one_does(samples: list[Sample], tmp_path: Path) -> None:
    def network() -> UNet3D:
        torch.manual_seed(0)
        return UNet3D(base=2)

    whole, stopped = network(), network()
    told = {"checkpoint": tmp_path / "whole", "progress": False}
    curve = train(whole, Augmentation(augmentation_loss, samples[:3], samples[3:]), SETTINGS, **told)
    calls = 0

    def interrupting(*parts: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == 6:  # in step 5, after two steps, a check, two steps and a check
            raise KeyboardInterrupt
        return augmentation_loss(*parts)

    told["checkpoint"] = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        train(stopped, Augmentation(interrupting, samples[:3], samples[3:]), SETTINGS, **told)
    resumed = network()
    found = train(resumed, Augmentation(augmentation_loss, samples[:3], samples[3:]), SETTINGS, **told)
    assert found.steps == curve.steps == [2, 4, 6]
    np.testing.assert_allclose(found.validation, curve.validation, rtol=1e-5)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value)
    with pytest.raises(InputError, match="other settings"):
        train(network(), Augmentation(augmentation_loss, samples, samples), replace(SETTINGS, seed=1), **told)


def test_learning_helps(samples: list[Sample], tmp_path: Path) -> None:
    """A few dozen steps on blurred, noisy atoms beat the volume itself, on a particle not trained on."""
    torch.manual_seed(0)
    network = UNet3D(base=4)
    settings = replace(SETTINGS, n_steps=90, check_every=45, rate=1e-2, batch=4)
    problem = Augmentation(augmentation_loss, samples[:3], samples[3:])
    train(network, problem, settings, checkpoint=tmp_path / "c", progress=False)
    held = whole_sample(toy(99))
    with torch.inference_mode():
        after = float(augmentation_loss(network(held.volume), held.density, held.occupancy))
    before = float(augmentation_loss(held.volume, held.density, held.occupancy))
    assert after < 0.5 * before
