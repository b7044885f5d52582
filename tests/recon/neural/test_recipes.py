"""From a corpus to weights to atoms: a tiny network, trained for seconds, used as a reconstructor."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from ase import Atoms

from datasets.errors import InputError
from recon import registry
from recon.base import Status
from recon.neural.grid import gaussian_volume
from recon.neural.training import corpus, recipes
from recon.neural.training.corpus import EDGE, Sample
from recon.neural.training.descent import Settings
from recon.neural.training.recipes import RECIPES, train_volumes
from recon.neural.weights import load_weights


def blurred(number: int) -> Sample:
    """Well-spaced atoms, a little blurred and noisy; every fifth sample validates."""
    rng = np.random.default_rng(number)
    lattice = np.stack(np.meshgrid(*[np.arange(22, 52, 8.0)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    index = lattice + rng.normal(scale=0.8, size=lattice.shape)
    heights = np.full(len(index), 2.0)
    volume = 0.7 * gaussian_volume(index, heights, (EDGE,) * 3) + 0.05 * rng.random((EDGE,) * 3)
    family = "core-shell" if number % 5 == 4 else "packing"
    return Sample(volume.astype(np.float16), index, heights, np.full(len(index), 79), family, "fista", {})


def empty(number: int) -> Sample:
    """Noise."""
    noise = (0.05 * np.random.default_rng(number).random((EDGE,) * 3)).astype(np.float16)
    return Sample(noise, np.empty((0, 3)), np.empty(0), np.empty(0, dtype=int), corpus.EMPTY, "mlem", {})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a small U-Net, after some seconds."""
    folder = tmp_path_factory.mktemp("trained")
    patch = pytest.MonkeyPatch()
    patch.setattr(corpus, "PER_SHARD", 5)
    patch.setattr(corpus, "make_sample", lambda seed, number: blurred(number))
    patch.setattr(corpus, "make_empty", lambda seed, number: empty(number))
    patch.setitem(RECIPES, "unet", replace(RECIPES["unet"], sizes={"base": 4}))
    corpus.make_shard(str(folder), 0, ("particles", 0))
    corpus.make_shard(str(folder), 0, ("empty", 0))
    settings = Settings(n_steps=120, batch=4, edge=24, rate=1e-2, check_every=60, device="cpu")
    path = train_volumes(
        "unet", str(folder), 5, settings, out=folder / "out", provenance={"packages": {}}, progress=False
    )
    patch.undo()
    return path


def test_the_card_says_what_was_done(trained: Path) -> None:
    weights, card = load_weights(str(trained))
    assert card["corpus"]["trained_on"] == {"nothing": 5, "packing": 4}
    assert card["corpus"]["validated_on"] == {"core-shell": 1}
    assert card["settings"]["n_steps"] == 120
    assert card["curve"]["steps"] == [60, 120]
    assert card["validation_loss"] == pytest.approx(min(card["curve"]["validation"]), abs=1e-5)
    assert card["network"] == {"class": "UNet3D", "base": 4}
    assert card["n_weights"] == sum(v.numel() for v in weights.values())
    assert not trained.with_suffix(".checkpoint").exists()


def test_a_trained_network_is_a_reconstructor(trained: Path, measure, cluster) -> None:  # type: ignore[no-untyped-def]
    atoms: Atoms = cluster(43, ("Au",))
    data: xr.Dataset = measure(atoms, tuple(np.arange(-90.0, 90.0, 6.0)))
    method = registry.get(f"unet[start=fista,weights={trained}]")
    assert registry.get(method.label) == method
    answer = method.reconstruct(data, rng=np.random.default_rng(0))
    assert answer.status is Status.OK
    distance = np.linalg.norm(answer.atoms.positions[:, None] - atoms.positions, axis=2)
    assert (distance.min(axis=0) < 0.5).mean() > 0.9
    assert answer.volume is not None
    assert answer.volume.dims == ("z", "y", "x")
    assert answer.stats["seconds"] > 0


def test_a_network_without_weights_says_how_to_make_them(measure, cluster) -> None:  # type: ignore[no-untyped-def]
    data = measure(cluster(13, ("Au",)), (0.0, 30.0, 60.0))
    answer = registry.get("unet[weights=nowhere.pt]").reconstruct(data, rng=np.random.default_rng(0))
    assert answer.status is Status.SKIPPED
    assert "dosebench train" in answer.message


def test_a_network_needs_a_volume_to_start_from(measure, cluster) -> None:  # type: ignore[no-untyped-def]
    data = measure(cluster(13, ("Au",)), (0.0, 30.0, 60.0))
    with pytest.raises(InputError, match="starts from a tomographic reconstructor"):
        registry.get("unet[start=poisson-ml]").supports(data)


def test_a_corpus_without_validation_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "PER_SHARD", 2)
    monkeypatch.setattr(corpus, "make_sample", lambda seed, number: blurred(number))
    monkeypatch.setattr(corpus, "make_empty", lambda seed, number: empty(number))
    corpus.make_shard(str(tmp_path), 0, ("particles", 0))
    corpus.make_shard(str(tmp_path), 0, ("empty", 0))
    with pytest.raises(InputError, match="none to train or none to validate with"):
        train_volumes("unet", str(tmp_path), 2, Settings(), out=tmp_path, provenance={}, progress=False)
    assert recipes.N_VALIDATION > 0
