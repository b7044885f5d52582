"""Controls: the oracle is perfect, random atoms are at chance, a mirror image gains what a rule allows."""

import math

import numpy as np
import pytest
from ase import Atoms

from benchmarks.controls import CONTROLS, Region
from benchmarks.metrics import score
from benchmarks.metrics.scoring import Scoring

CUTOFF = 1.0
SPACING = 2.1  # more than twice the cutoff: the balls around the atoms are disjoint


@pytest.fixture(scope="module")
def glass() -> Atoms:
    """A random packing of spheres in a ball, 0.06 atoms per Å³ at its core: amorphous, and of one hand."""
    rng = np.random.default_rng(11)
    placed: list[np.ndarray] = []
    for point in rng.uniform(-11, 11, (40_000, 3)):
        if np.linalg.norm(point) < 11 and (
            not placed or ((np.array(placed) - point) ** 2).sum(1).min() > SPACING**2
        ):
            placed.append(point)
    return Atoms(rng.permutation(np.arange(len(placed)) % 3).choose([27, 46, 78]), positions=placed)


def test_oracle_is_perfect(glass: Atoms) -> None:
    scores = score(CONTROLS["oracle"].answer(glass, np.random.default_rng(0)), glass)
    assert (scores["recall"], scores["precision"], scores["classification"]) == (1, 1, 1)
    assert (scores["rmsd"], scores["tracing_error"], scores["translation"]) == (0, 0, 0)
    assert scores["published_identified"] == 1


def expected_recall(truth: Atoms, cutoff: float) -> float:
    """Chance: each ball holds at least one of n uniform atoms with probability 1 − (1 − v/V)ⁿ, where v is
    its volume inside the region. Exact without a translation as long as the balls are disjoint.
    """
    region, rng = Region.of(truth.positions), np.random.default_rng(0)
    ball = rng.normal(size=(500, 3))
    ball *= cutoff * rng.uniform(size=(500, 1)) ** (1 / 3) / np.linalg.norm(ball, axis=1, keepdims=True)
    inside = np.array([region.contains(centre + ball).mean() for centre in truth.positions])
    share = inside * 4 / 3 * math.pi * cutoff**3 / region.volume
    return float(np.mean(1 - (1 - share) ** len(truth)))


@pytest.fixture(scope="module")
def chance(glass: Atoms) -> float:
    """The recall of random atoms, from theory."""
    return expected_recall(glass, CUTOFF)


def test_random_is_at_chance(glass: Atoms, chance: float) -> None:
    rule = Scoring(CUTOFF, max_translation=0)
    draws = [CONTROLS["random"].answer(glass, np.random.default_rng(seed)) for seed in range(30)]
    found = np.array([score(draw, glass, scoring=rule)["recall"] for draw in draws])
    error = found.std(ddof=1) / math.sqrt(len(found))
    assert abs(found.mean() - chance) < 4 * error
    assert error < 0.02


def test_a_translation_gives_little_away(glass: Atoms, chance: float) -> None:
    """The best of all translations within the bound finds a few standard deviations more, no more."""
    spread = math.sqrt(chance * (1 - chance) / len(glass))
    for seed in range(5):
        scores = score(CONTROLS["random"].answer(glass, np.random.default_rng(seed)), glass, CUTOFF)
        assert scores["recall"] < chance + 6 * spread
        assert scores["precision"] == scores["recall"]
        assert scores["classification"] < 0.5 * scores["recall"]


def test_random_has_the_density_and_the_species_of_the_truth(glass: Atoms) -> None:
    answer = CONTROLS["random"].answer(glass, np.random.default_rng(3))
    assert sorted(answer.numbers) == sorted(glass.numbers)
    assert Region.of(glass.positions).contains(answer.positions).all()
    assert not np.array_equal(answer.numbers, glass.numbers)


def test_a_lenient_rule_gives_most_to_a_mirror_image(glass: Atoms) -> None:
    """The published rule at 1.5 Å without species finds more than half of the wrong hand; one to one within
    0.5 Å finds next to none of it.
    """
    anonymous = Atoms(np.full(len(glass), 29), positions=glass.positions)
    mirrored = CONTROLS["mirrored"].answer(anonymous, np.random.default_rng(0))
    strict, ours, loose = (score(mirrored, anonymous, cutoff=c) for c in (0.5, 1.0, 1.5))
    assert loose["published_identified"] > loose["recall"] > ours["recall"] > strict["recall"]
    assert loose["published_identified"] > 0.5
    assert strict["recall"] < 0.1
    chance = score(CONTROLS["random"].answer(anonymous, np.random.default_rng(0)), anonymous)
    assert ours["recall"] < chance["recall"] + 0.15


def test_mirroring_twice_is_the_truth(glass: Atoms) -> None:
    mirror, rng = CONTROLS["mirrored"], np.random.default_rng(0)
    np.testing.assert_array_equal(mirror.answer(mirror.answer(glass, rng), rng).positions, glass.positions)


def test_broken_raises(glass: Atoms) -> None:
    with pytest.raises(RuntimeError, match="raises on purpose"):
        CONTROLS["broken"].answer(glass, np.random.default_rng(0))


def test_a_sheet_has_a_region_too() -> None:
    """Graphene spans no volume: its padded box takes the place of the hull."""
    sheet = np.stack(np.meshgrid(np.arange(5.0), np.arange(5.0), [0.0]), -1).reshape(-1, 3)
    region = Region.of(sheet, padding=0.5)
    assert region.volume == pytest.approx(5 * 5 * 1)
    assert region.contains(region.draw(50, np.random.default_rng(0))).all()


def test_a_region_is_filled_evenly() -> None:
    """Half of the draws lie in the half of a box that is cut off by a plane."""
    corners = np.array(np.meshgrid([0.0, 2.0], [0.0, 2.0], [0.0, 2.0])).reshape(3, -1).T
    region = Region.of(corners)
    drawn = region.draw(4000, np.random.default_rng(0))
    assert region.volume == pytest.approx(8)
    assert abs((drawn[:, 0] < 1).mean() - 0.5) < 4 * 0.5 / math.sqrt(4000)
