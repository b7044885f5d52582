"""Rings of Si and O with known answers: perfect crystals, swapped, missing, moved and false atoms."""

import math

import numpy as np
import pytest
from ase import Atoms
from ase.spacegroup import crystal
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.metrics import score
from benchmarks.metrics.cards import get_metric
from benchmarks.metrics.match import match_positions
from benchmarks.metrics.rings import (
    homopolar_bonds,
    is_network,
    network_bonds,
    network_rings,
    ordered,
    ring_scores,
    ring_sizes,
    rings_found,
)
from benchmarks.metrics.scoring import failure_scores
from datasets.catalog import load_structure
from datasets.structures import make_structure

KEYS = ("heteroatomic_rings", "rings_found", "homopolar_bonds")


@pytest.fixture(scope="module")
def truth() -> Atoms:
    """A ball of ideal β-cristobalite: rings of six Si and six O, two for every Si."""
    block = crystal(
        ("Si", "O"), [(1 / 8,) * 3, (0, 0, 0)], spacegroup=227, setting=2, cellpar=[7.16] * 3 + [90] * 3
    ) * (3, 3, 3)
    radius = np.linalg.norm(block.positions - block.positions.mean(axis=0), axis=1)
    ball = block[radius < 10.5]
    return Atoms(ball.numbers, ball.positions - ball.positions.mean(axis=0))


def rings_through(truth: Atoms, atoms: list[int]) -> np.ndarray:
    return np.isin(network_rings(truth).members, atoms).any(axis=1)


def scores_of(answer: Atoms, truth: Atoms) -> dict[str, float]:
    match = match_positions(answer.positions, truth.positions)
    return ring_scores(match, answer, truth)


def test_a_perfect_crystal_is_in_order(truth: Atoms) -> None:
    scores = score(truth, truth)
    assert [scores[key] for key in KEYS] == [1, 1, 0]
    assert set(ring_sizes(network_rings(truth))) == {6}


def test_two_atoms_that_swap_names_break_the_rings_through_them(truth: Atoms) -> None:
    """Exactly those: rings are found by where the atoms lie."""
    inside = np.argsort(np.linalg.norm(truth.positions, axis=1))
    silicon = next(i for i in inside if truth.symbols[i] == "Si")
    oxygen = next(i for i in inside if truth.symbols[i] == "O" and truth.get_distance(i, silicon) > 5)
    answer = truth.copy()
    answer.symbols[silicon], answer.symbols[oxygen] = "O", "Si"
    through = rings_through(truth, [silicon, oxygen])
    assert 0 < through.sum() < len(through)
    np.testing.assert_array_equal(~ordered(network_rings(answer), answer), through)
    scores = score(answer, truth)
    assert scores["heteroatomic_rings"] == pytest.approx(1 - through.mean())
    assert scores["rings_found"] == pytest.approx(1 - through.mean())
    # four bonds of the silicon and two of the oxygen join atoms of a name
    assert scores["homopolar_bonds"] == pytest.approx(6 / (len(network_bonds(truth).first) / 2))


def test_neighbours_that_swap_names_keep_the_bond_between_them(truth: Atoms) -> None:
    bonds = network_bonds(truth)
    first = int(np.flatnonzero(truth.numbers[bonds.first] == 14)[0])
    silicon, oxygen = int(bonds.first[first]), int(bonds.second[first])
    answer = truth.copy()
    answer.symbols[silicon], answer.symbols[oxygen] = "O", "Si"
    partners = np.bincount(bonds.first, minlength=len(truth))
    broken = int(partners[silicon] - 1 + partners[oxygen] - 1)
    assert homopolar_bonds(answer) == pytest.approx(broken / (len(bonds.first) / 2))


def test_missing_atoms_lose_rings_but_not_their_order(truth: Atoms) -> None:
    middle = int(np.argmin(np.linalg.norm(truth.positions, axis=1)))
    answer = truth.copy()
    del answer[middle]
    scores = score(answer, truth)
    assert scores["heteroatomic_rings"] == 1
    assert scores["homopolar_bonds"] == 0
    assert scores["rings_found"] == pytest.approx(1 - rings_through(truth, [middle]).mean())


def test_an_atom_that_left_its_bonds_loses_the_rings_through_it(truth: Atoms) -> None:
    """An O between two Si, found within 1 Å of its place, but too far along the bond from one of them."""
    bonds = network_bonds(truth)
    bridging = np.flatnonzero((truth.numbers == 8) & (np.bincount(bonds.first, minlength=len(truth)) == 2))
    oxygen = next(i for i in bridging if rings_through(truth, [i]).any())
    answer = truth.copy()
    along = bonds.vector[bonds.first == oxygen][0]
    answer.positions[oxygen] += 0.9 * along / np.linalg.norm(along)
    match = match_positions(answer.positions, truth.positions)
    assert match.n == len(truth)
    np.testing.assert_array_equal(rings_found(match, answer, truth), ~rings_through(truth, [oxygen]))


def test_a_false_atom_makes_homopolar_bonds(truth: Atoms) -> None:
    bonds = network_bonds(truth)
    at = truth.positions[bonds.first[0]] + 0.6 * bonds.vector[0] + [0.6, 0.6, -0.6]
    assert homopolar_bonds(truth + Atoms("O", [at])) > 0


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), share=st.floats(0.02, 0.3))
def test_rings_found_are_those_of_atoms_found(truth: Atoms, seed: int, share: float) -> None:
    """By another way: a true ring stands when none of its atoms is lost or misnamed, for small errors."""
    rng = np.random.default_rng(seed)
    wrong = rng.random(len(truth)) < share / 2
    lost = rng.random(len(truth)) < share / 2
    answer = truth.copy()
    answer.numbers[wrong] = np.where(truth.numbers[wrong] == 14, 8, 14)
    answer.positions += rng.normal(0, 0.03, answer.positions.shape)
    answer = answer[~lost]
    expected = 1 - rings_through(truth, np.flatnonzero(wrong | lost).tolist()).mean()
    scores = scores_of(answer[rng.permutation(len(answer))], truth)
    assert scores["rings_found"] == pytest.approx(expected)
    assert 0 <= scores["heteroatomic_rings"] <= 1


def test_glass_of_the_catalog_is_in_order_and_has_rings_of_many_sizes() -> None:
    glass = make_structure(load_structure("sio2-300").recipe)
    scores = score(glass, glass)
    assert [scores[key] for key in KEYS] == [1, 1, 0]
    sizes = np.bincount(ring_sizes(network_rings(glass)))
    assert sizes.argmax() == 6
    assert sizes[:3].sum() == 0


def test_only_networks_are_scored(truth: Atoms) -> None:
    for other in (truth[truth.numbers == 14], truth[:2], truth + Atoms("Au", [[30, 0, 0]])):
        assert not is_network(other)
        assert not set(KEYS) & set(score(other, other))


def test_no_answer_and_answers_without_bonds(truth: Atoms) -> None:
    failed = failure_scores(truth)
    for key in KEYS:
        np.testing.assert_equal(failed[key], get_metric(key).failure_value)
    single = score(truth[:1], truth)
    assert (single["heteroatomic_rings"], single["rings_found"]) == (0, 0)
    assert math.isnan(single["homopolar_bonds"])


def test_a_dense_crowd_of_false_atoms_is_scored_too(truth: Atoms) -> None:
    """Ten times as many atoms as there are: few bonds each, and soon done."""
    rng = np.random.default_rng(1)
    crowd = Atoms(rng.choice([8, 14], 10 * len(truth)), rng.uniform(-8, 8, (10 * len(truth), 3)))
    assert np.bincount(network_bonds(crowd).first).max() <= 4
    scores = scores_of(crowd, truth)
    assert scores["heteroatomic_rings"] < 0.2
    assert scores["rings_found"] < 0.2
