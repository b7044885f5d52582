"""Gaussians that are Gaussians come back; priors do what they say."""

import numpy as np
import numpy.typing as npt
import pytest

from recon.graphene.gaussian_fit import common_width, fit_atoms

FloatArray = npt.NDArray[np.float64]
PIXEL, BOND, WIDTH = 0.16, 1.42, 0.45
AXIS = (np.arange(120) - 60) * PIXEL


def sites() -> FloatArray:
    cell = np.array([[1.5, np.sqrt(3) / 2], [1.5, -np.sqrt(3) / 2]]) * BOND
    n = np.arange(-12, 13)
    corners = np.stack(np.meshgrid(n, n, indexing="ij"), axis=-1).reshape(-1, 2) @ cell
    plane = np.concatenate([corners + np.array([s * BOND / 2, 0]) for s in (1, -1)])
    return plane[np.hypot(*plane.T) < 7.0]


def image(positions: FloatArray, heights: FloatArray, level: float = 0.97) -> FloatArray:
    along_x = np.exp(-0.5 * ((AXIS - positions[:, :1]) / WIDTH) ** 2)
    along_y = np.exp(-0.5 * ((AXIS - positions[:, 1:]) / WIDTH) ** 2)
    return np.asarray(level + (along_y * heights[:, None]).T @ along_x)


@pytest.mark.parametrize("height", [0.1, -0.06])
def test_overlapping_gaussians_come_back(height: float) -> None:
    rng = np.random.default_rng(0)
    lattice = sites()
    true = lattice + rng.normal(scale=0.05, size=lattice.shape)
    heights = height * (1 + 0.1 * rng.normal(size=len(lattice)))
    found = fit_atoms(image(true, heights), lattice, AXIS, AXIS, noise=1e-4, prior=10.0, n_rounds=25)
    assert found.width == pytest.approx(WIDTH, abs=0.03)
    assert np.sqrt(np.mean((found.positions - true) ** 2)) < 0.01
    np.testing.assert_allclose(found.heights, heights, atol=0.08 * abs(height))


def test_noise_and_prior_share_the_position_as_their_variances() -> None:
    """At a low dose atoms stay on their lattice, at a high one they go towards where the frame has them."""
    rng = np.random.default_rng(1)
    lattice = sites()
    true = lattice + rng.normal(scale=0.1, size=lattice.shape)
    clean = image(true, np.full(len(lattice), 0.1))
    errors = []
    for noise in (0.3, 0.05, 0.01):
        frame = clean + rng.normal(scale=noise, size=clean.shape)
        found = fit_atoms(frame, lattice, AXIS, AXIS, noise=noise, prior=0.1)
        errors.append(np.sqrt(np.mean((found.positions - true) ** 2)))
    free = fit_atoms(
        frame * 0 + clean + rng.normal(scale=0.05, size=clean.shape),
        lattice,
        AXIS,
        AXIS,
        noise=0.05,
        prior=5.0,
    )
    assert errors[0] == pytest.approx(0.1, rel=0.25)
    assert errors[2] < 0.75 * errors[0]  # what is off its site counts as misfit
    assert errors[1] < np.sqrt(np.mean((free.positions - true) ** 2))


def test_heights_are_unbiased_and_know_their_error() -> None:
    rng = np.random.default_rng(2)
    lattice = sites()
    clean = image(lattice, np.full(len(lattice), 0.1))
    pulls = []
    for _ in range(6):
        frame = clean + rng.normal(scale=0.06, size=clean.shape)
        found = fit_atoms(frame, lattice, AXIS, AXIS, noise=0.06, prior=0.08)
        pulls.append((found.heights - 0.1) / found.height_errors)
    assert abs(np.mean(pulls)) < 0.35
    assert 0.75 < np.std(pulls) < 1.35


def test_the_common_width_is_found() -> None:
    lattice = sites()
    width, height, level, misfit = common_width(
        image(lattice, np.full(len(lattice), 0.1)), lattice, AXIS, AXIS
    )
    assert (width, height, level) == pytest.approx((WIDTH, 0.1, 0.97), abs=1e-6)
    assert misfit < 1e-9
