"""Alignments undo what was done, and Euler angles come out on the branch that was meant."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from datasets.schema import EULER_SEQUENCE
from recon.align.alignment import Alignment, euler_angles

ANGLE = st.floats(-170, 170)


def test_correction_restores_the_clean_series(misaligned: Callable[..., Any]) -> None:
    clean, series = misaligned(), misaligned(shift=1.25, scale=0.05)
    found = dataclasses.replace(Alignment.identity(series.turns), shifts=series.shifts, scales=series.scales)
    np.testing.assert_allclose(
        found.correct(series.images, 0.4), clean.images, atol=1e-3 * clean.images.max()
    )


def test_no_error_changes_nothing(misaligned: Callable[..., Any]) -> None:
    series = misaligned()
    found = Alignment.identity(series.turns)
    np.testing.assert_array_equal(found.correct(series.images, 0.4), series.images)
    np.testing.assert_allclose(found.angles[:, 1], np.linspace(-75, 75, 16), atol=1e-9)


@given(ANGLE, ANGLE, ANGLE)
@settings(max_examples=50, deadline=None)
def test_euler_angles_describe_the_rotation(phi: float, theta: float, psi: float) -> None:
    turns = Rotation.from_euler(EULER_SEQUENCE, [[phi, theta, psi]], degrees=True)
    for near in (None, np.array([[phi + 5, theta + 2, psi - 3]])):
        again = Rotation.from_euler(EULER_SEQUENCE, euler_angles(turns, near), degrees=True)
        assert (turns * again.inv()).magnitude()[0] < 1e-6


@given(ANGLE, ANGLE, ANGLE)
@settings(max_examples=50, deadline=None)
def test_the_branch_that_is_near(phi: float, theta: float, psi: float) -> None:
    angles = np.array([[phi, theta, psi]])
    if abs(abs(theta) - 90) < 1:
        return
    turns = Rotation.from_euler(EULER_SEQUENCE, angles, degrees=True)
    np.testing.assert_allclose(
        euler_angles(turns, near=angles + np.array([20.0, 0.3, -20.0])), angles, atol=1e-6
    )


@pytest.mark.parametrize("theta", [-90.0, 90.0])
def test_at_a_right_angle_psi_is_the_one_that_is_near(theta: float) -> None:
    angles = np.array([[3.0, theta, -2.0]])
    turns = Rotation.from_euler(EULER_SEQUENCE, angles, degrees=True)
    np.testing.assert_allclose(euler_angles(turns, near=angles), angles, atol=1e-5)


def test_tilts_past_a_right_angle_stay_past_it() -> None:
    angles = np.array([[0.1, -90.4, 0.2], [0.0, 95.0, 0.0]])
    turns = Rotation.from_euler(EULER_SEQUENCE, angles, degrees=True)
    nominal = np.array([[0.0, -90.0, 0.0], [0.0, 95.0, 0.0]])
    np.testing.assert_allclose(euler_angles(turns, near=nominal), angles, atol=1e-9)
