"""What no tilt series can tell is taken out, and nothing else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from recon.align.gauge import with_mean_one, without_rotation, without_translation

COORDINATE = st.floats(-5, 5)


def tilts(n: int = 12) -> Rotation:
    return Rotation.from_rotvec(np.deg2rad(np.linspace(-70, 70, n))[:, None] * [0.0, 1.0, 0.0])


@given(st.tuples(COORDINATE, COORDINATE, COORDINATE), st.integers(0, 100))
@settings(max_examples=30, deadline=None)
def test_a_moved_specimen_is_no_misalignment(move: tuple[float, float, float], seed: int) -> None:
    shifts = np.random.default_rng(seed).normal(size=(12, 2))
    moved = shifts + tilts().apply(move)[:, :2]
    np.testing.assert_allclose(
        without_translation(moved, tilts()), without_translation(shifts, tilts()), atol=1e-9
    )


def test_the_rest_of_the_shifts_stays() -> None:
    rest = without_translation(np.random.default_rng(0).normal(size=(12, 2)), tilts())
    assert np.abs(rest).max() > 0.5
    np.testing.assert_allclose(without_translation(rest, tilts()), rest, atol=1e-12)


def test_a_single_tilt_has_no_misalignment() -> None:
    """Not all three components are determined by it; none of the shift is left."""
    np.testing.assert_allclose(
        without_translation(np.array([[0.3, -0.2]]), Rotation.identity(1)), 0, atol=1e-12
    )


@given(st.tuples(COORDINATE, COORDINATE, COORDINATE))
@settings(max_examples=30, deadline=None)
def test_a_turned_specimen_is_no_error_of_angle(turn: tuple[float, float, float]) -> None:
    common = Rotation.from_rotvec(turn, degrees=True)
    found = without_rotation(tilts() * common, tilts())
    assert (found * tilts().inv()).magnitude().max() < 1e-9


def test_the_rest_of_the_rotations_stays() -> None:
    """Errors whose mean in the specimen's frame vanishes are not touched."""
    errors = np.random.default_rng(1).normal(scale=0.01, size=(6, 3))
    turned = tilts() * Rotation.from_rotvec(np.concatenate([errors, -errors]))
    found = without_rotation(turned, tilts())
    assert (found * turned.inv()).magnitude().max() < 1e-5


def test_intensities() -> None:
    scales = with_mean_one(np.array([1.0, 3.0]))
    assert scales.tolist() == pytest.approx([0.5, 1.5])
