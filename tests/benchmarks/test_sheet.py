"""Scores of sheets with known errors."""

import math

import numpy as np
import pytest
from ase import Atoms
from ase.build import graphene
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.metrics import score
from benchmarks.metrics.cards import get_metric
from benchmarks.metrics.sheet import is_sheet, sheet_scores


def ripple(amplitude: float = 1.2) -> Atoms:
    cell = graphene(a=2.46, vacuum=5.0).repeat((12, 12, 1))
    atoms = Atoms("C288", cell.positions - cell.positions.mean(axis=0))
    atoms.positions[:, 2] = amplitude * np.sin(2 * np.pi * atoms.positions[:, 0] / 15)
    return atoms


def test_known_errors() -> None:
    rng = np.random.default_rng(0)
    truth, answer = ripple(), ripple()
    answer.positions += rng.normal(scale=(0.08, 0.1, 0.45), size=(288, 3))
    scores = sheet_scores(answer, truth)
    assert scores["sheet_recall"] == scores["sheet_precision"] == 1
    assert scores["x_rmsd"] == pytest.approx(8, rel=0.15)
    assert scores["y_rmsd"] == pytest.approx(10, rel=0.15)
    assert scores["z_rmsd"] == pytest.approx(45, rel=0.15)
    assert scores["z_rmsd_levelled"] == pytest.approx(scores["z_rmsd"], rel=0.02)


@settings(max_examples=20, deadline=None)
@given(lift=st.floats(-9, 9), slope=st.tuples(st.floats(-0.2, 0.2), st.floats(-0.2, 0.2)))
def test_mean_and_tilt_cost_nothing_once_levelled(lift: float, slope: tuple[float, float]) -> None:
    truth, answer = ripple(), ripple()
    answer.positions[:, 2] += lift + answer.positions[:, :2] @ np.array(slope)
    scores = sheet_scores(answer, truth)
    assert scores["z_rmsd_levelled"] == pytest.approx(0, abs=1e-6)
    tilt = answer.positions[:, 2] - truth.positions[:, 2]
    assert scores["z_rmsd"] == pytest.approx(100 * np.sqrt(np.mean(tilt**2)))
    assert scores["sheet_recall"] == 1


def test_a_flat_guess_scores_the_height_of_the_ripples() -> None:
    truth, flat = ripple(), ripple(0.0)
    assert sheet_scores(flat, truth)["z_rmsd"] == pytest.approx(100 * truth.positions[:, 2].std(), rel=1e-3)


def test_missing_and_false_atoms_count() -> None:
    truth = ripple()
    answer = truth[28:] + Atoms("C10", positions=np.random.default_rng(1).uniform(40, 50, (10, 3)))
    scores = sheet_scores(answer, truth)
    assert scores["sheet_recall"] == pytest.approx(260 / 288)
    assert scores["sheet_precision"] == pytest.approx(260 / 270)
    assert scores["z_rmsd"] == pytest.approx(0, abs=1e-9)


def test_a_translation_in_the_plane_is_removed_but_no_lattice_vector() -> None:
    truth = ripple()
    near, far = truth.copy(), truth.copy()
    near.positions[:, :2] += [0.3, -0.2]
    far.positions[:, :2] += [2.46, 0.0]
    assert sheet_scores(near, truth)["x_rmsd"] == pytest.approx(0, abs=1e-6)
    assert sheet_scores(far, truth)["sheet_recall"] < 1


def test_only_sheets_have_these_scores_and_failures_those_of_no_atoms() -> None:
    truth = ripple()
    assert is_sheet(truth)
    ball = Atoms("C30", positions=np.random.default_rng(2).normal(size=(30, 3)) * 5)
    assert not is_sheet(ball)
    assert not is_sheet(truth[:2])
    assert "z_rmsd" not in score(ball, ball)
    assert score(truth, truth)["z_rmsd"] == pytest.approx(0, abs=1e-9)
    failed = score(Atoms(), truth)
    assert math.isnan(failed["z_rmsd"])
    for variable, value in failed.items():
        if variable != "n_truth":
            np.testing.assert_equal(value, get_metric(variable).failure_value, err_msg=variable)
