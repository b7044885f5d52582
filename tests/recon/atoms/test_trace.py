"""Tracing on analytic Gaussian volumes, where every centre is known."""

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.errors import InputError
from datasets.schema import pixel_axis
from recon.atoms.spline import find_maxima
from recon.atoms.trace import _spline_coefficients, sphere_sums, trace

Volume = Callable[..., xr.DataArray]


def volume_of(
    positions: np.ndarray,
    heights: np.ndarray | float = 1.0,
    *,
    n: int = 30,
    sigma: float = 0.7,
    shift: float = 0.0,
) -> xr.DataArray:
    """Gaussians of width `sigma` [Å] on n × (n + 2) × (n + 4) voxels of 0.4 Å; all axes differ."""
    axes = {"z": pixel_axis(n, 0.4) + shift, "y": pixel_axis(n + 2, 0.4), "x": pixel_axis(n + 4, 0.4) - shift}
    parts = [
        np.exp(-0.5 * ((axes[a] - positions[:, i : i + 1]) / sigma) ** 2)
        for i, a in enumerate(("x", "y", "z"))
    ]
    parts[0] *= np.broadcast_to(heights, len(positions))[:, None]
    return xr.DataArray(
        np.einsum("ax,ay,az->zyx", *parts).astype(np.float32), coords=axes, dims=("z", "y", "x")
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-3.0, 3.0), min_size=3, max_size=3), st.floats(-1, 1))
def test_one_atom_is_found_anywhere_to_a_picometre(position: list[float], shift: float) -> None:
    volume = volume_of(np.array([position]), shift=shift)
    peaks = trace(volume, min_distance=1.0, threshold=0.01)
    assert peaks.positions.shape == (1, 3)
    assert np.abs(peaks.positions[0] - position).max() < 0.01
    assert peaks.heights[0] == pytest.approx(1.0, abs=0.03)


def test_many_atoms_brightest_first() -> None:
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*[np.arange(-4, 5, 2.7)] * 3), axis=-1).reshape(-1, 3)
    positions = grid + rng.uniform(-0.2, 0.2, grid.shape)
    heights = rng.uniform(0.3, 1.0, len(grid))
    peaks = trace(volume_of(positions, heights, sigma=0.5), min_distance=1.5, threshold=0.05)
    assert len(peaks.heights) == len(grid)
    assert np.all(np.diff(peaks.heights) <= 0)
    distance = np.linalg.norm(peaks.positions[:, None] - positions, axis=2)
    assert sorted(distance.argmin(axis=1)) == list(range(len(grid)))
    assert distance.min(axis=1).max() < 0.02


def test_the_brighter_of_two_near_maxima_stays() -> None:
    positions = np.array([[0.0, 0.0, 0.0], [1.8, 0.0, 0.0]])
    volume = volume_of(positions, np.array([0.5, 1.0]), sigma=0.45)
    assert len(trace(volume, min_distance=1.5, threshold=0.05).heights) == 2
    one = trace(volume, min_distance=2.0, threshold=0.05)
    np.testing.assert_allclose(one.positions, [[1.8, 0.0, 0.0]], atol=0.02)


def test_max_peaks_keeps_the_brightest() -> None:
    positions = np.array([[-3.0, 0, 0], [0, 0, 0], [3.0, 0, 0]])
    volume = volume_of(positions, np.array([0.6, 1.0, 0.8]))
    peaks = trace(volume, min_distance=1.0, threshold=0.05, max_peaks=2)
    np.testing.assert_allclose(peaks.positions[:, 0], [0.0, 3.0], atol=0.02)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.5, 3.0))
def test_no_two_atoms_are_nearer_than_the_minimum(seed: int, min_distance: float) -> None:
    values = np.random.default_rng(seed).random((12, 12, 12)).astype(np.float32)
    axes = {a: pixel_axis(12, 0.4) for a in "zyx"}
    peaks = trace(xr.DataArray(values, coords=axes, dims=("z", "y", "x")), min_distance=min_distance)
    distances = np.linalg.norm(peaks.positions[:, None] - peaks.positions, axis=2)
    assert (distances[~np.eye(len(distances), dtype=bool)] >= min_distance).all()
    reach = pixel_axis(12, 0.4)
    assert np.all((peaks.positions >= reach[0]) & (peaks.positions <= reach[-1]))


def test_maxima_are_those_of_scipy_on_the_fine_grid() -> None:
    """The streamed plane-by-plane spline is the one that scipy evaluates."""
    import scipy.ndimage

    values = np.random.default_rng(1).random((7, 8, 9)).astype(np.float32)
    volume = xr.DataArray(values, coords={"z": np.arange(7.0), "y": np.arange(8.0), "x": np.arange(9.0)})
    grid = np.meshgrid(*(np.arange(3 * (n - 1) + 1) / 3 for n in values.shape), indexing="ij")
    fine = scipy.ndimage.map_coordinates(values.astype(float), grid, order=3, mode="mirror")
    largest = (fine == scipy.ndimage.maximum_filter(fine, 3)) & (fine > 0.5)
    inner = np.zeros_like(largest)
    inner[1:-1, 1:-1, 1:-1] = largest[1:-1, 1:-1, 1:-1]
    index, height = find_maxima(_spline_coefficients(volume), 0.5)
    np.testing.assert_array_equal(index, np.argwhere(inner))
    np.testing.assert_allclose(height, fine[inner], atol=1e-4)


def test_sphere_sums_of_a_constant_count_points() -> None:
    axes = {a: pixel_axis(12, 0.4) for a in "zyx"}
    volume = xr.DataArray(np.full((12, 12, 12), 2.0, dtype=np.float32), coords=axes, dims=("z", "y", "x"))
    sums = sphere_sums(volume, np.array([[0.1, 0.2, -0.3], [0.0, 0.0, 0.0]]), 3)
    np.testing.assert_allclose(sums, 2.0 * 123, rtol=1e-5)  # 123 points of Z³ lie within 3


def test_an_empty_volume_has_no_peaks() -> None:
    axes = {a: pixel_axis(8, 0.4) for a in "zyx"}
    volume = xr.DataArray(np.zeros((8, 8, 8)), coords=axes, dims=("z", "y", "x"))
    assert trace(volume, min_distance=1.0).positions.shape == (0, 3)


def test_a_volume_too_small_is_refused() -> None:
    axes = {a: pixel_axis(3, 0.4) for a in "zyx"}
    with pytest.raises(InputError, match="at least 4 voxels"):
        trace(xr.DataArray(np.zeros((3, 3, 3)), coords=axes, dims=("z", "y", "x")), min_distance=1.0)


def test_smoothing_by_less_than_a_voxel_is_exact() -> None:
    """A Gaussian atom smoothed by σ keeps its place and becomes that much wider and lower."""
    position = np.array([[0.13, -0.22, 0.31]])
    volume = volume_of(position, np.ones(1), sigma=0.5)
    plain, smooth = (trace(volume, min_distance=1.0, threshold=0.05, sigma=sigma) for sigma in (0.0, 3.0))
    np.testing.assert_allclose(smooth.positions, plain.positions, atol=0.01)
    step = float(volume["x"].values[1] - volume["x"].values[0])
    lower = (0.5**2 / (0.5**2 + step**2)) ** 1.5
    assert smooth.heights[0] / plain.heights[0] == pytest.approx(lower, rel=0.05)
