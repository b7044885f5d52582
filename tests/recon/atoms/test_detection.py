"""What is stated of false and missed atoms against counting them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from recon.atoms.detection import ODDS, Detection, false_maxima, places, stands_apart
from recon.atoms.selection import Evidence, Species, candidates

PIXEL, WIDTH = 0.4, 0.6
ROWS = Rotation.from_euler("Y", np.arange(-90, 90, 6.0)[:, None], degrees=True).as_matrix()[:, :2]


def one_species(significance: float) -> Species:
    """Atoms of so many standard deviations, which are one."""
    return Species(np.array([significance]), np.array([0.1 * significance]), np.array([1.0]))


def detection(significance: float, n_atoms: float = 200, volume: float = 2000.0) -> Detection:
    return Detection.of(one_species(significance), np.ones(50), n_atoms, np.ones(50), volume, WIDTH, ROWS)


def test_noise_has_as_many_maxima_as_stated(evidence_of_noise) -> None:
    counted, volume, level = 0, 0.0, 2.8
    for seed in range(6):
        found, inner = evidence_of_noise(2.0, seed)
        z = np.where(inner, found.score / np.sqrt(found.information), 0)
        middle = z[1:-1, 1:-1, 1:-1]
        highest = middle > level
        for axis in range(3):
            for shift in (-1, 1):
                highest &= middle >= np.roll(z, shift, axis)[1:-1, 1:-1, 1:-1]
        counted += highest.sum()
        volume += inner.sum() * PIXEL**3
    assert counted == pytest.approx(volume * false_maxima(np.array([level]), WIDTH, ROWS)[0], rel=0.35)


def test_noise_has_as_many_false_atoms_as_allowed(evidence_of_noise) -> None:
    found, inner = evidence_of_noise(2.0, 0)
    sigma = 1 / np.sqrt(found.information[inner].mean())
    species, wanted, got = one_species(3 * sigma), 3.0, 0
    for seed in range(1, 7):
        found, inner = evidence_of_noise(2.0, seed)
        points = np.stack([found.geometry.x[i] for i in np.nonzero(inner)[::-1]], axis=1)
        known = found.variances(points)
        told = Detection.of(species, known, 100, known, inner.sum() * PIXEL**3, WIDTH, ROWS)
        cost = told.cost(wanted)
        assert told.expected(cost)[0] == pytest.approx(wanted, rel=0.05)
        masked = Evidence(np.where(inner, found.score, 0), found.information, found.geometry)
        got += len(candidates(masked, species, np.empty((0, 3)), least=cost, min_distance=0.8).heights)
    assert 0.4 * 6 * wanted < got < 1.7 * 6 * wanted


def test_missed_and_confidence_are_those_of_a_draw() -> None:
    """Atoms and maxima of noise drawn from what they are said to be, judged by what is said of them."""
    rng, significance, n = np.random.default_rng(0), 4.0, 200_000
    told = detection(significance, n_atoms=n, volume=20.0 * n)
    species = one_species(significance)
    atoms = species.log_odds(rng.normal(significance, np.hypot(1, 0.4), n), np.ones(n))[0]
    cost = told.cost(np.inf)
    assert np.sum(atoms < cost) == pytest.approx(told.expected(cost)[1], rel=0.03)
    levels = np.linspace(np.sqrt(3), 8, 4001)
    above = 20.0 * n * false_maxima(levels, WIDTH, ROWS)
    drawn = np.interp(rng.uniform(0, above[0], rng.poisson(above[0])), above[::-1], levels[::-1])
    false = species.log_odds(drawn, np.ones(len(drawn)))[0]
    for low in (2.0, 3.0, 4.0):
        inside = (np.sum((x > low) & (x < low + 0.2)) for x in (atoms, false))
        right, wrong = inside
        confidence = float(told.confidence(np.array([low + 0.1]))[0])
        assert confidence == pytest.approx(right / (right + wrong), abs=0.03)


def test_the_cost_is_where_an_atom_is_as_likely_as_not() -> None:
    told = detection(5.0)
    cost = told.cost(np.inf)
    assert told.confidence(np.array([cost]))[0] == pytest.approx(0.5, abs=0.05)
    wrong = [sum(told.expected(cost + change)) for change in (-1.0, 0.0, 1.0)]
    assert wrong[1] == min(wrong)


@settings(max_examples=30, deadline=None)
@given(st.floats(2.0, 12.0), st.floats(0.1, 30.0))
def test_fewer_false_atoms_cost_more(significance: float, allowed: float) -> None:
    told = detection(significance)
    assert told.cost(allowed / 10) >= told.cost(allowed) >= 0
    assert told.expected(told.cost(allowed))[0] <= 1.01 * allowed
    confidence = told.confidence(ODDS)
    assert np.all(np.diff(confidence) >= 0)
    assert confidence[0] >= 0
    assert confidence[-1] <= 1


@pytest.mark.parametrize("significance", [4.0, 8.0, 30.0])
def test_odds_that_only_atoms_have_are_those_of_atoms(significance: float) -> None:
    told = detection(significance)
    typical = one_species(significance).log_odds(np.array([significance]), np.ones(1))[0]
    assert told.confidence(typical)[0] > 0.9
    assert told.confidence(np.array([1e3]))[0] >= told.confidence(typical)[0]


@pytest.mark.parametrize("significance", [20.0, 100.0, 1000.0])
def test_with_many_electrons_nothing_is_missed(significance: float) -> None:
    told = detection(significance)
    false, missed = told.expected(told.cost(1.0))
    assert false < 1e-3
    assert missed < 0.02
    assert told.confidence(np.array([0.5 * (significance / np.hypot(1, 0.1 * significance)) ** 2]))[0] > 0.9


def test_without_atoms_nothing_is_said() -> None:
    told = Detection.of(one_species(5.0), np.empty(0), 0, np.empty(0), 0.0, WIDTH, ROWS)
    assert told.expected(told.cost(1.0)) == (0.0, 0.0)


def test_places_are_among_atoms_but_not_too_near() -> None:
    pair = np.array([[0.0, 0.0, -1.2], [0.0, 0.0, 1.2]])
    points, volume = places(pair, 2.4, 1.8)
    distance = np.linalg.norm(points[:, None] - pair, axis=-1)
    assert distance.min() >= 1.8
    assert distance.max() <= 3.6
    box = np.random.default_rng(0).uniform(-5, 5, (100_000, 3))
    far = np.linalg.norm(box[:, None] - pair, axis=-1)
    inside = np.all((far >= 1.8) & (far <= 3.6), axis=1).mean() * 1000
    assert len(points) * volume == pytest.approx(inside, rel=0.15)


def test_who_stands_apart() -> None:
    row = np.array([[0.0, 0, 0], [2.4, 0, 0], [4.8, 0, 0], [15, 0, 0], [17, 0, 0]])
    assert stands_apart(row, row, 2.4).tolist() == [True, False, True, True, True]
    assert stands_apart(np.array([[1.2, 1.0, 0]]), row, 2.4).tolist() == [False]
