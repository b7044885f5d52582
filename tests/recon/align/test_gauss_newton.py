"""Derivative images held against projections that were really moved."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from ase import Atoms
from scipy.spatial.transform import Rotation

from datasets.schema import pixel_axis
from recon.align.gauss_newton import SCALE, SHIFT, TURN, derivative_images, step
from recon.project.geometry import Geometry

FloatArray = npt.NDArray[np.float64]
SIGMA = 0.6


def gaussians(positions: FloatArray, axis: FloatArray, weights: FloatArray | None = None) -> FloatArray:
    along_x = np.exp(-0.5 * ((axis - positions[:, :1]) / SIGMA) ** 2)
    along_y = np.exp(-0.5 * ((axis - positions[:, 1:2]) / SIGMA) ** 2)
    return np.einsum("a,ay,ax->yx", np.ones(len(positions)) if weights is None else weights, along_y, along_x)


@pytest.fixture
def problem(cluster: Callable[..., Atoms]) -> tuple[FloatArray, Geometry, FloatArray]:
    """Positions (40, 3) [Å], a geometry, and the six derivative images at its one rotation."""
    axis = pixel_axis(48, 0.4)
    turn = Rotation.from_euler("ZYX", [[10, 30, -5]], degrees=True)
    positions = turn[0].apply(cluster(40).positions)
    geometry = Geometry(turn, axis, axis, axis, 0.4)
    images, moments = gaussians(positions, axis), gaussians(positions, axis, positions[:, 2])
    # within a Gaussian atom x, y and z are spread alike, so its moments are exact about its centre
    return positions, geometry, derivative_images(images[None], geometry, moments[None])[0]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_rotations(problem: tuple[FloatArray, Geometry, FloatArray], axis: int) -> None:
    positions, geometry, derivatives = problem
    h = 1e-4
    omega = np.eye(3)[axis] * h
    there, back = (
        gaussians(Rotation.from_rotvec(sign * omega).apply(positions), geometry.x) for sign in (1, -1)
    )
    expected = (there - back) / (2 * h)
    np.testing.assert_allclose(derivatives[TURN][axis], expected, atol=2e-3 * np.abs(expected).max())


def test_shifts_and_scale(problem: tuple[FloatArray, Geometry, FloatArray]) -> None:
    positions, geometry, derivatives = problem
    h = 1e-4
    for axis in range(2):
        move = np.eye(3)[axis] * h
        expected = (gaussians(positions + move, geometry.x) - gaussians(positions - move, geometry.x)) / (
            2 * h
        )
        np.testing.assert_allclose(derivatives[SHIFT][axis], expected, atol=2e-3 * np.abs(expected).max())
    np.testing.assert_array_equal(derivatives[SCALE][0], gaussians(positions, geometry.x))


def test_one_step_finds_a_small_error(problem: tuple[FloatArray, Geometry, FloatArray]) -> None:
    """All six at once, to second order in their size."""
    positions, geometry, derivatives = problem
    true = np.array([0.01, 0.02, -0.03, 0.004, -0.003, 0.005])
    moved = Rotation.from_rotvec(true[TURN]).apply(positions) + np.array([*true[SHIFT], 0.0])
    image = (1 + true[0]) * gaussians(moved, geometry.x)
    residual = (image - gaussians(positions, geometry.x))[None]
    np.testing.assert_allclose(step(residual, derivatives[None])[0], true, atol=6e-4)


def test_a_linear_problem_is_solved_exactly() -> None:
    rng = np.random.default_rng(0)
    derivatives, true = rng.normal(size=(3, 4, 6, 5)), rng.normal(size=(3, 4))
    residuals = np.einsum("tp,tpyx->tyx", true, derivatives)
    np.testing.assert_allclose(step(residuals, derivatives), true, atol=1e-12)


def test_what_changes_nothing_stays() -> None:
    derivatives = np.zeros((1, 2, 3, 3))
    derivatives[0, 0] = 1.0
    found = step(np.full((1, 3, 3), 2.0), derivatives)
    assert found[0].tolist() == pytest.approx([2.0, 0.0])


def test_a_prior_holds_back() -> None:
    """The answer is the weighted mean of what the data say and of where the prior is centred."""
    derivatives = np.ones((1, 1, 2, 2))
    residuals = np.full((1, 2, 2), 3.0)
    prior = {"precision": np.array([[4.0]]), "departure": np.array([[1.0]])}
    assert step(residuals, derivatives, **prior)[0, 0] == pytest.approx((3.0 - 1.0) / 2)
    assert step(residuals, derivatives, precision=prior["precision"])[0, 0] == pytest.approx(3.0 / 2)
