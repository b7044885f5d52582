"""Defects of sheets that are known: those there are, those an answer has, and those it makes up."""

import math

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.metrics import score
from benchmarks.metrics.cards import get_metric
from benchmarks.metrics.defects import defect_scores, find_defects
from datasets.catalog import load_structure
from datasets.structures import make_structure
from recon.graphene.defects import turned_bond

BOND = 1.42
GOOD = {"false_vacancies": 0.0, "false_stone_wales": 0.0}


def flake(radius: float = 13.0) -> Atoms:
    cell = np.array([[1.5, np.sqrt(3) / 2], [1.5, -np.sqrt(3) / 2]]) * BOND
    n = np.arange(-12, 13)
    corners = np.stack(np.meshgrid(n, n, indexing="ij"), axis=-1).reshape(-1, 2) @ cell
    half = np.array([BOND / 2, 0])
    plane = np.concatenate([corners - half, corners + half])
    plane = plane[np.hypot(*plane.T) < radius]
    return Atoms(f"C{len(plane)}", np.column_stack([plane, np.zeros(len(plane))]))


def nearest(atoms: Atoms, place: tuple[float, float], n: int = 1) -> list[int]:
    return np.argsort(np.hypot(*(atoms.positions[:, :2] - place).T))[:n].tolist()


def holed(n: int, place: tuple[float, float] = (0.0, 0.0)) -> Atoms:
    """A flake without the `n` atoms nearest to a place, the middle of a bond."""
    atoms = flake()
    del atoms[nearest(atoms, place, n)]
    return atoms


def turned() -> Atoms:
    """A flake whose bond in the middle is turned."""
    atoms, template = flake(), turned_bond()
    distance = np.linalg.norm(atoms.positions[:, None, :2] - template.places, axis=-1)
    inside = distance.min(axis=1) < 0.1
    atoms.positions[inside, :2] += template.moved[distance[inside].argmin(axis=1)]
    return atoms


def test_defects_are_counted_as_what_they_are() -> None:
    assert not find_defects(flake()).any
    one, two, bond = find_defects(holed(1)), find_defects(holed(2)), find_defects(turned())
    assert (one.missing.tolist(), two.missing.tolist()) == ([1], [2])
    assert (len(one.turned), len(two.turned), len(bond.holes)) == (0, 0, 0)
    assert bond.turned.shape == (1, 2)
    ends = turned().positions[bond.turned[0], :2]
    np.testing.assert_allclose(ends.mean(axis=0), 0, atol=1e-3)
    assert abs(ends[1, 0] - ends[0, 0]) < 0.01  # it lay along x
    assert not find_defects(holed(1, (11.0, 0.0))).any  # at the rim it is the outline


def test_relaxed_sheets_of_the_catalog_have_their_defects() -> None:
    """After 20 ps at 1000 K, their cells cut open: a defect that lay across the edge is lost."""
    for name, lacking in (("graphene-640-vacancy", 1), ("graphene-640-stone-wales", 0)):
        found = find_defects(make_structure(load_structure(name).recipe))
        assert found.missing.tolist() in ([], [lacking])
        assert len(found.turned) <= (lacking == 0)
    assert not find_defects(make_structure(load_structure("graphene-640").recipe)).any


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), turn=st.floats(0, 360))
def test_they_are_found_in_what_is_nearly_the_truth(seed: int, turn: float) -> None:
    rng = np.random.default_rng(seed)
    for truth, key in (
        (holed(1), "vacancy_recall"),
        (holed(2), "divacancy_recall"),
        (turned(), "stone_wales_recall"),
    ):
        truth.rotate(turn, "z")
        answer = truth[rng.permutation(len(truth))]
        answer.positions += rng.normal((0.2, -0.1, 3.0), (0.06, 0.06, 0.5), (len(truth), 3))
        scores = defect_scores(answer, truth)
        assert scores[key] == 1
        assert {k: scores[k] for k in GOOD} == GOOD
        assert sum(math.isnan(value) for value in scores.values()) == 2


def test_a_perfect_lattice_finds_none_and_makes_none_up() -> None:
    for truth, key in (
        (holed(1), "vacancy_recall"),
        (holed(2), "divacancy_recall"),
        (turned(), "stone_wales_recall"),
    ):
        scores = defect_scores(flake(), truth)
        assert scores[key] == 0
        assert scores["false_stone_wales"] == 0
        assert scores["false_vacancies"] == 0


def test_defects_that_are_not_there_are_counted() -> None:
    truth = holed(1, (-4.0, 1.0))
    answer = truth.copy()
    del answer[nearest(answer, (5.0, 0.0))]
    scores = defect_scores(answer, truth)
    assert (scores["vacancy_recall"], scores["false_vacancies"]) == (1, 1)
    both = defect_scores(turned(), holed(1, (-4.0, 1.0)))
    assert both["false_stone_wales"] == 1
    assert both["vacancy_recall"] == 0


def test_only_sheets_with_defects_have_these_scores_and_failures_those_of_no_atoms() -> None:
    assert "vacancy_recall" not in score(flake(), flake())
    scores = score(Atoms(), holed(1))
    assert scores["vacancy_recall"] == get_metric("vacancy_recall").failure_value == 0
    assert math.isnan(scores["false_vacancies"])
    assert score(holed(1), holed(1))["vacancy_recall"] == pytest.approx(1)
