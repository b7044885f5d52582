"""Atom tracing: local maxima of a finely interpolated volume, each refined by a polynomial fit."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.ndimage
import scipy.spatial
import xarray as xr

from datasets.errors import InputError
from recon.atoms.spline import OVERSAMPLE, find_maxima, fit_peaks, sum_spheres

FIT_RADIUS = 3.5
"""Radius [fine voxel] of the sphere that the polynomial is fitted to (public code of paper 003)."""
FIT_WEIGHT = 9.0
"""The polynomial fit weighs a point at r [fine voxel] by exp(-r² / FIT_WEIGHT) (public code of paper 003)."""
FIT_DEGREE = 4
"""Total degree of the polynomial: 35 terms (Rogers et al., Phys. Biol. 4, 220 (2007))."""
MAX_STEPS = 14
"""Re-centred fits after which a maximum is given up (public code of paper 003)."""
SETTLED = 0.02
"""A step [fine voxel] below which a fit has come to rest: a five-hundredth of an ångström."""


@dataclass(frozen=True)
class Peaks:
    """Traced maxima, brightest first: `positions` (n, 3) as x, y, z [Å], and `heights` (n,)."""

    positions: npt.NDArray[np.float64]
    heights: npt.NDArray[np.float64]


def trace(
    volume: xr.DataArray,
    *,
    min_distance: float,
    threshold: float = 0.0,
    max_peaks: int = 500_000,
    sigma: float = 0.0,
) -> Peaks:
    """The maxima of `volume`, dims (z, y, x) with even coordinates [Å], refined below the voxel.

    Cubic splines oversample the volume threefold; the `max_peaks` brightest local maxima above `threshold`
    are each fitted by a 35-term polynomial, whose Newton step moves the centre by up to half a fine voxel
    per axis until it rests. Then, in order of brightness, a maximum within
    `min_distance` [Å] of one already kept is dropped. Time grows in proportion to voxels and maxima; no
    oversampled volume is held. A `sigma` [fine voxel] smooths the fine volume by a Gaussian first (1 for
    si-208 in the code of paper 003). Raises `InputError` for a volume of fewer than 4 voxels along an axis.

    Methods of paper 003 and the constants of its public code, which repeats a fit until seven steps in a row
    are below half a fine voxel: the same place, for steps shrink fast once they are that small.
    """
    if sigma > 0:
        volume = volume.copy(data=_smoothed(volume.values, sigma / OVERSAMPLE))
    coefficients = _spline_coefficients(volume)
    found, values = find_maxima(coefficients, threshold)
    brightest = np.argsort(-values, kind="stable")[:max_peaks]
    fitted, good = fit_peaks(
        coefficients, found[brightest], _fit_rows(), max_steps=MAX_STEPS, settled=SETTLED
    )
    heights = values[brightest][good].astype(np.float64)
    positions = _to_angstrom(volume, fitted[good])
    kept = _thin(positions, min_distance)
    return Peaks(positions[kept], heights[kept])


def sphere_sums(
    volume: xr.DataArray, positions: npt.NDArray[np.float64], radius: int
) -> npt.NDArray[np.float64]:
    """The sum of the threefold oversampled volume in a sphere of `radius` [fine voxel] about each position.

    `positions` are (n, 3) as x, y, z [Å].
    """
    return sum_spheres(_spline_coefficients(volume), _to_fine(volume, positions), radius)


def _smoothed(values: npt.NDArray[np.floating], sigma: float) -> npt.NDArray[np.float32]:
    """Convolved with a Gaussian of `sigma` [voxel], which may be narrower than a voxel: in Fourier space."""
    filtered = scipy.ndimage.fourier_gaussian(scipy.fft.fftn(values), sigma)
    return np.asarray(scipy.fft.ifftn(filtered).real, dtype=np.float32)


def _spline_coefficients(volume: xr.DataArray) -> npt.NDArray[np.float32]:
    if volume.dims != ("z", "y", "x") or min(volume.shape) < 4:
        raise InputError(
            f"tracing needs a volume with dims (z, y, x) of at least 4 voxels each, "
            f"got {volume.dims} with shape {volume.shape}"
        )
    values = volume.values.astype(np.float32, copy=False)
    return np.asarray(scipy.ndimage.spline_filter(values, order=3, output=np.float32, mode="mirror"))


def _axes(volume: xr.DataArray) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """First coordinate and step of x, y, z [Å]."""
    axes = [volume[name].values for name in ("x", "y", "z")]
    return np.array([axis[0] for axis in axes]), np.array(
        [(axis[-1] - axis[0]) / (len(axis) - 1) for axis in axes]
    )


def _to_angstrom(volume: xr.DataArray, fine: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Positions x, y, z [Å] of fine indices (z, y, x)."""
    start, step = _axes(volume)
    return np.asarray(start + fine[:, ::-1] / OVERSAMPLE * step)


def _to_fine(volume: xr.DataArray, positions: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    start, step = _axes(volume)
    return np.ascontiguousarray(((positions - start) / step * OVERSAMPLE)[:, ::-1])


def _fit_rows() -> npt.NDArray[np.float32]:
    """The 3 linear and 6 quadratic coefficients of the fit as sums over a cube: (9, side, side, side)."""
    reach = math.floor(FIT_RADIUS)
    cube = np.array(list(itertools.product(range(-reach, reach + 1), repeat=3)))
    inside = (cube**2).sum(axis=1) <= FIT_RADIUS**2
    points = cube[inside].astype(np.float64)
    powers = [p for p in itertools.product(range(FIT_DEGREE + 1), repeat=3) if sum(p) <= FIT_DEGREE]
    design = np.stack([np.prod(points**p, axis=1) for p in powers], axis=1)
    root_weight = np.exp(-(points**2).sum(axis=1) / FIT_WEIGHT / 2)
    solve = np.linalg.pinv(design * root_weight[:, None]) * root_weight
    linear = [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
    quadratic = [(2, 0, 0), (0, 2, 0), (0, 0, 2), (1, 1, 0), (1, 0, 1), (0, 1, 1)]
    rows = np.zeros((9, len(cube)), dtype=np.float32)
    rows[:, inside] = solve[[powers.index(p) for p in linear + quadratic]]
    return rows.reshape(9, *(3 * (2 * reach + 1,)))


def _thin(positions: npt.NDArray[np.float64], min_distance: float) -> npt.NDArray[np.bool_]:
    """Which rows to keep, taken in order, so that none is within `min_distance` of an earlier kept one."""
    kept = np.ones(len(positions), dtype=bool)
    if len(positions) < 2:
        return kept
    pairs = scipy.spatial.cKDTree(positions).query_pairs(min_distance, output_type="ndarray")
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]  # each pair is (earlier, later)
    starts = np.searchsorted(pairs[:, 0], np.arange(len(positions) + 1))
    for row, (start, stop) in enumerate(itertools.pairwise(starts)):
        if kept[row] and stop > start:
            kept[pairs[start:stop, 1]] = False
    return kept
