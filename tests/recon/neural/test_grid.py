"""The networks' grid: positions and heights survive the way there."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import center_of_mass

from datasets.schema import pixel_axis
from recon.neural.grid import SIGMA, TYPICAL, VOXEL, gaussian_volume, to_grid


def gaussian_on(axis: np.ndarray, position: np.ndarray, sigma: float) -> xr.DataArray:
    """One atom of one electron on voxels of its own, (z, y, x)."""
    step = axis[1] - axis[0]
    x, y, z = (np.exp(-0.5 * ((axis - p) / sigma) ** 2) for p in position)
    values = np.einsum("i,j,k->ijk", z, y, x) * step**3 / (2 * np.pi * sigma**2) ** 1.5
    return xr.DataArray(values, dims=("z", "y", "x"), coords=dict.fromkeys("zyx", axis))


@pytest.mark.parametrize("step", [0.195, 0.3, 0.347, 0.4])
def test_an_atom_stays_where_it_is(step: float) -> None:
    position = np.array([1.13, -0.71, 2.02])
    volume = gaussian_on(pixel_axis(round(16 / step), step), position, 0.45)
    laid, frame = to_grid(volume)
    found = frame.positions(np.array([center_of_mass(laid.clip(min=0))]))[0]
    np.testing.assert_allclose(found, position, atol=0.01)
    np.testing.assert_allclose(frame.index(position[None])[0], center_of_mass(laid.clip(min=0)), atol=0.03)
    # as many electrons as before, in the units of the grid
    np.testing.assert_allclose(laid.sum() * VOXEL**3 / frame.scale, 1, rtol=0.02)


def test_atoms_of_a_close_packed_metal_have_a_height_of_about_one() -> None:
    """Inside a large body of `TYPICAL` atoms per Å³ whatever the electrons of each."""
    electrons, step = 37.0, 0.4
    axis = pixel_axis(100, step)
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    body = np.where(x**2 + y**2 + z**2 < 15**2, electrons * TYPICAL * step**3, 0.0)
    _, frame = to_grid(xr.DataArray(body, dims=("z", "y", "x"), coords=dict.fromkeys("zyx", axis)))
    peak = electrons * frame.scale / (2 * np.pi * SIGMA**2) ** 1.5
    assert 1.0 < peak < 1.35  # the density of the surface is less, and counts too


def test_an_empty_volume_stays_empty() -> None:
    axis = pixel_axis(20, 0.4)
    empty = xr.DataArray(np.zeros((20, 20, 20)), dims=("z", "y", "x"), coords=dict.fromkeys("zyx", axis))
    laid, frame = to_grid(empty)
    assert not laid.any()
    assert np.isfinite(frame.scale)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(*[st.floats(-3, 23)] * 3), min_size=1, max_size=5), st.integers(0, 100))
def test_gaussians_are_those_of_the_formula(index: list[tuple[float, float, float]], seed: int) -> None:
    points = np.array(index)
    heights = np.random.default_rng(seed).uniform(0.2, 3, len(points))
    grid = np.stack(np.meshgrid(*[np.arange(20)] * 3, indexing="ij"), axis=-1)
    distance = np.sum((grid[..., None, :] - points) ** 2, axis=-1)
    exact = (heights * np.exp(-0.5 * distance * (VOXEL / SIGMA) ** 2)).sum(axis=-1)
    np.testing.assert_allclose(gaussian_volume(points, heights, (20, 20, 20)), exact, atol=2e-3)
