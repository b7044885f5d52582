"""Training on particles whose intensities alone do not tell the species; stops and restarts."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from datasets.errors import InputError
from recon.atoms.classify import by_atomic_number, k_means
from recon.neural.species import SpeciesSizes, name_atoms
from recon.neural.training.species import (
    SpeciesSample,
    SpeciesTrained,
    SpeciesTraining,
    score_species,
    train_species,
)

SIZES = SpeciesSizes(n_descriptors=2, width=24, n_heads=2, n_layers=2, n_radial=6, n_neighbours=12)
TINY = SpeciesSizes(n_descriptors=2, width=8, n_heads=2, n_layers=1, n_radial=4)
QUICK = SpeciesTraining(epochs=4, batch_size=4, learning_rate=3e-3)
SEEN = [("Cu", "Ag"), ("W", "Mo"), ("Ni", "Pd"), ("Pt", "Rh")]
UNSEEN = [("Au", "Pd"), ("Zr", "Fe")]


def halves(seed: int, elements: tuple[str, str], spread: float, n: int = 70) -> SpeciesSample:
    """An fcc particle, half of it of each of `elements`; intensities scatter by `spread` [their difference].

    Descriptors are the same intensities, told twice with more noise.
    """
    rng = np.random.default_rng(seed)
    a = rng.uniform(3.6, 4.2)
    cell = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    corners = np.stack(np.meshgrid(*[np.arange(-3, 4)] * 3), axis=-1).reshape(-1, 1, 3)
    positions = a * (corners + cell).reshape(-1, 3) + rng.uniform(-1, 1, 3)
    positions = positions[np.argsort((positions**2).sum(axis=1))[:n]]
    positions = Rotation.random(random_state=seed).apply(positions) + rng.normal(scale=0.1, size=(n, 3))
    bright = int(by_atomic_number(elements)[1] == elements[1])
    target = (positions[:, 0] > rng.uniform(-1.5, 1.5)).astype(np.int64)
    intensities = 1.0 + 0.8 * ((target == bright) + rng.normal(scale=spread, size=n))
    descriptors = np.abs(intensities[:, None] + rng.normal(scale=spread, size=(n, 2)))
    return SpeciesSample(positions, intensities, descriptors, target, elements, "halves")


def particles(
    first: int, count: int, pairs: list[tuple[str, str]], spread: float | None
) -> list[SpeciesSample]:
    """`spread` None: of every kind, from clear to ambiguous."""
    spreads = np.exp(np.random.default_rng(first).uniform(np.log(0.05), np.log(0.9), count))
    return [
        halves(first + i, pairs[i % len(pairs)], spreads[i] if spread is None else spread)
        for i in range(count)
    ]


def by_k_means(samples: list[SpeciesSample]) -> float:
    """The accuracy of clusters of the intensities, the brighter the heavier."""
    right = []
    for sample in samples:
        species = np.array(by_atomic_number(sample.elements))[k_means(sample.intensities, 2)]
        right.append(np.mean(species == np.array(sample.elements)[sample.target]))
    return float(np.mean(right))


@pytest.fixture(scope="module")
def trained() -> SpeciesTrained:
    return train_species(
        particles(0, 48, SEEN, None),
        particles(1000, 8, SEEN, None),
        sizes=SIZES,
        training=SpeciesTraining(epochs=12, batch_size=2, learning_rate=3e-3),
        device="cpu",
    )


def test_neighbours_tell_what_intensities_do_not(trained: SpeciesTrained) -> None:
    """On unseen particles of unseen elements."""
    unseen = particles(2000, 16, UNSEEN, 0.7)
    alone = by_k_means(unseen)
    assert 0.7 < alone < 0.8
    assert score_species(trained.network(), unseen).accuracy > alone + 0.08


def test_clear_intensities_are_named_right(trained: SpeciesTrained) -> None:
    clear = particles(3000, 16, UNSEEN, 0.08)
    assert by_k_means(clear) > 0.999
    assert score_species(trained.network(), clear).accuracy >= 0.99


def test_probabilities_mean_what_they_say(trained: SpeciesTrained) -> None:
    """Of atoms named with a probability around p, about a part p is right."""
    sure, right = [], []
    for sample in particles(4000, 16, UNSEEN, None):
        _, found = name_atoms(
            trained.network(), sample.positions, sample.intensities, sample.descriptors, sample.elements
        )
        sure.append(found.max(axis=1))
        right.append(found.argmax(axis=1) == sample.target)
    assert np.mean(np.concatenate(sure)) == pytest.approx(np.mean(np.concatenate(right)), abs=0.05)


def test_curves_are_recorded(trained: SpeciesTrained) -> None:
    assert len(trained.curves) <= 12
    assert trained.curves[-1]["train_loss"] < trained.curves[0]["train_loss"]
    losses = [figures["validation_loss"] for figures in trained.curves]
    assert trained.best_epoch == 1 + int(np.argmin(losses))
    assert trained.curves[0]["learning_rate"] > trained.curves[-1]["learning_rate"] > 0
    score = score_species(trained.network(), particles(1000, 8, SEEN, None))
    assert score.loss == pytest.approx(min(losses), rel=1e-4)
    assert list(score.by_family) == ["halves"]
    assert score.n_particles == 8


def short(
    *,
    sizes: SpeciesSizes = TINY,
    training: SpeciesTraining = QUICK,
    checkpoint: Path | None = None,
    stop: int | None = None,
    learn: list[SpeciesSample] | None = None,
) -> SpeciesTrained:
    """A few epochs on the CPU, ended by the callback after `stop`."""

    def callback(epoch: int, figures: Mapping[str, float]) -> None:
        if epoch == stop:
            raise StopIteration

    return train_species(
        particles(0, 8, SEEN, None) if learn is None else learn,
        particles(1000, 3, SEEN, None),
        sizes=sizes,
        training=training,
        device="cpu",
        checkpoint=checkpoint,
        callback=callback,
    )


def same(one: SpeciesTrained, two: SpeciesTrained) -> bool:
    return all(torch.equal(value, two.state[key]) for key, value in one.state.items())


def test_seed_decides() -> None:
    assert same(short(), short())
    assert not same(short(), short(training=dataclasses.replace(QUICK, seed=1)))


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_stop_and_go_on_is_the_same(tmp_path: Path, dropout: float) -> None:
    """4 epochs = 1 + 2 + 1, through a checkpoint file."""
    sizes = dataclasses.replace(TINY, dropout=dropout)
    whole = short(sizes=sizes)
    for stop in (1, 3, None):
        pieces = short(sizes=sizes, checkpoint=tmp_path / "state.pt", stop=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["state.pt"]
    assert same(whole, pieces)
    figures = ("train_loss", "validation_loss", "validation_accuracy", "learning_rate")
    assert [[c[f] for f in figures] for c in whole.curves] == [[c[f] for f in figures] for c in pieces.curves]
    torch.load(tmp_path / "state.pt", weights_only=True)


def test_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    short(checkpoint=path, stop=1)
    with pytest.raises(InputError, match="other training"):
        short(checkpoint=path, training=dataclasses.replace(QUICK, epochs=9))
    with pytest.raises(InputError, match="other sizes"):
        short(checkpoint=path, sizes=dataclasses.replace(TINY, width=16))


def test_patience_ends_training() -> None:
    still = dataclasses.replace(QUICK, learning_rate=0.0, patience=2)
    found = short(training=still)
    assert found.best_epoch == 1
    assert len(found.curves) == 3


def test_atoms_of_no_weight_teach_nothing() -> None:
    """False atoms are seen, but what they are called does not matter."""
    learn = particles(0, 8, SEEN, None)
    weights = (np.arange(70) % 3 > 0).astype(float)
    known = [dataclasses.replace(s, weights=weights) for s in learn]
    other = [
        dataclasses.replace(s, weights=weights, target=np.where(weights > 0, s.target, -1)) for s in learn
    ]
    assert same(short(learn=known), short(learn=other))
    assert not same(short(learn=known), short(learn=learn))


def test_weights_scale_does_not_matter() -> None:
    """Every particle counts alike."""
    learn = particles(0, 8, SEEN, None)
    scaled = [dataclasses.replace(s, weights=np.full(70, 4.0)) for s in learn]
    one, two = short(learn=learn), short(learn=scaled)
    assert one.curves[-1]["train_loss"] == pytest.approx(two.curves[-1]["train_loss"], rel=1e-3)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"target": np.zeros(3, dtype=np.int64)}, "a target and a weight"),
        ({"target": np.full(70, 2)}, "outside its 2 elements"),
        ({"weights": np.full(70, -1.0)}, "negative"),
        ({"descriptors": np.ones((70, 7))}, "descriptors"),
        ({"weights": np.zeros(70)}, "known atoms"),
    ],
)
def test_bad_samples_get_one_sentence(change: dict[str, object], sentence: str) -> None:
    bad = [dataclasses.replace(s, **change) for s in particles(0, 2, SEEN, None)]  # type: ignore[arg-type]
    with pytest.raises(InputError, match=sentence):
        short(learn=bad)
