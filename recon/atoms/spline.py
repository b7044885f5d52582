"""Numba kernels on a cubic spline read three times finer than its voxels, never held as a whole.

A fine index f lies at voxel f / 3. `coefficients` are those of `scipy.ndimage.spline_filter` with mirrored
edges, dims (z, y, x).
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

OVERSAMPLE = 3
"""Fine voxels per voxel along each axis (paper 003)."""


def _weights() -> npt.NDArray[np.float32]:
    t = np.arange(OVERSAMPLE) / OVERSAMPLE
    taps = [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]
    return (np.stack(taps, axis=1) / 6).astype(np.float32)


WEIGHTS = _weights()
"""Cubic B-spline weights (phase, tap) of the voxels -1, 0, 1, 2 about a fine index."""


@numba.njit(cache=True, nogil=True)
def _mirrored(index: int, n: int) -> int:
    if index < 0:
        index = -index
    if index >= n:
        index = 2 * n - 2 - index
    return min(max(index, 0), n - 1)


@numba.njit(cache=True, nogil=True, fastmath=True)
def _fine_plane(coefficients, weights, fine_z, coarse, rows, out):  # type: ignore[no-untyped-def]
    """Fill `out` (fine y, fine x) with the spline at `fine_z`; `coarse` and `rows` are work space."""
    n_z, n_y, n_x = coefficients.shape
    base, phase = fine_z // 3, fine_z % 3
    coarse[:] = 0.0
    for tap in range(4):
        weight, z = weights[phase, tap], _mirrored(base - 1 + tap, n_z)
        for y in range(n_y):
            for x in range(n_x):
                coarse[y, x] += weight * coefficients[z, y, x]
    for fine_y in range(out.shape[0]):
        base, phase = fine_y // 3, fine_y % 3
        rows[:] = 0.0
        for tap in range(4):
            weight, y = weights[phase, tap], _mirrored(base - 1 + tap, n_y)
            for x in range(n_x):
                rows[x + 1] += weight * coarse[y, x]
        rows[0], rows[n_x + 1], rows[n_x + 2] = rows[2], rows[n_x - 1], rows[n_x - 2]
        for x in range(n_x):
            for phase in range(3):
                fine_x = 3 * x + phase
                if fine_x < out.shape[1]:
                    out[fine_y, fine_x] = (
                        weights[phase, 0] * rows[x]
                        + weights[phase, 1] * rows[x + 1]
                        + weights[phase, 2] * rows[x + 2]
                        + weights[phase, 3] * rows[x + 3]
                    )


@numba.njit(cache=True, nogil=True)
def _scan(coefficients, weights, threshold):  # type: ignore[no-untyped-def]
    n_z, n_y, n_x = coefficients.shape
    fine_y, fine_x = 3 * (n_y - 1) + 1, 3 * (n_x - 1) + 1
    planes = np.zeros((3, fine_y, fine_x), dtype=np.float32)
    coarse = np.zeros((n_y, n_x), dtype=np.float32)
    rows = np.zeros(n_x + 3, dtype=np.float32)
    index = np.empty((1024, 3), dtype=np.int64)
    value = np.empty(1024, dtype=np.float32)
    n = 0
    for z in range(3 * (n_z - 1) + 1):
        _fine_plane(coefficients, weights, z, coarse, rows, planes[z % 3])
        if z < 2:
            continue
        below, here, above = planes[(z - 2) % 3], planes[(z - 1) % 3], planes[z % 3]
        for y in range(1, fine_y - 1):
            for x in range(1, fine_x - 1):
                v = here[y, x]
                if v <= threshold or v < here[y, x + 1] or v <= here[y, x - 1]:
                    continue
                largest = True
                for dy in range(-1, 2):
                    for dx in range(-1, 2):
                        beside = here[y + dy, x + dx]
                        earlier = dy < 0 or (dy == 0 and dx < 0)
                        if v <= below[y + dy, x + dx] or v < above[y + dy, x + dx]:
                            largest = False
                        if v < beside or (earlier and v <= beside):
                            largest = False
                if largest:
                    if n == len(value):
                        index = np.concatenate((index, np.empty_like(index)))
                        value = np.concatenate((value, np.empty_like(value)))
                    index[n, 0], index[n, 1], index[n, 2], value[n] = z - 1, y, x, v
                    n += 1
    return index[:n].copy(), value[:n].copy()


def find_maxima(
    coefficients: npt.NDArray[np.float32], threshold: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Fine indices (n, 3) as z, y, x of the maxima in 3³ above `threshold`, and their values (n,).

    Of equal neighbours the first in memory counts; the outermost fine voxels hold no maximum.
    """
    index, value = _scan(coefficients, WEIGHTS, threshold)
    return index, value


@numba.njit(cache=True, nogil=True)
def _taps(centre, radius, first, weights):  # type: ignore[no-untyped-def]
    """For each of 2 radius + 1 fine points about `centre` the first of its voxels, and their weights."""
    for i in range(2 * radius + 1):
        at = (centre - radius + i) / 3.0
        base = np.floor(at)
        t = at - base
        first[i] = int(base) - 1
        weights[i, 0] = (1 - t) ** 3 / 6
        weights[i, 1] = (3 * t**3 - 6 * t**2 + 4) / 6
        weights[i, 2] = (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6
        weights[i, 3] = t**3 / 6


@numba.njit(cache=True, nogil=True, fastmath=True)
def _cube(coefficients, centre, first, taps, near, plane, line, out):  # type: ignore[no-untyped-def]
    """Fill `out` (side³) with the spline about the real fine index `centre`; the others are work space."""
    side, span = out.shape[0], near.shape[0]
    for axis in range(3):
        _taps(centre[axis], side // 2, first[axis], taps[axis])
    for i in range(span):
        z = _mirrored(first[0, 0] + i, coefficients.shape[0])
        for j in range(span):
            y = _mirrored(first[1, 0] + j, coefficients.shape[1])
            for k in range(span):
                near[i, j, k] = coefficients[z, y, _mirrored(first[2, 0] + k, coefficients.shape[2])]
    for i in range(side):
        base, weight = first[0, i] - first[0, 0], taps[0, i]
        for j in range(span):
            for k in range(span):
                plane[j, k] = (
                    weight[0] * near[base, j, k]
                    + weight[1] * near[base + 1, j, k]
                    + weight[2] * near[base + 2, j, k]
                    + weight[3] * near[base + 3, j, k]
                )
        for j in range(side):
            base, weight = first[1, j] - first[1, 0], taps[1, j]
            for k in range(span):
                line[k] = (
                    weight[0] * plane[base, k]
                    + weight[1] * plane[base + 1, k]
                    + weight[2] * plane[base + 2, k]
                    + weight[3] * plane[base + 3, k]
                )
            for k in range(side):
                base, weight = first[2, k] - first[2, 0], taps[2, k]
                out[i, j, k] = (
                    weight[0] * line[base]
                    + weight[1] * line[base + 1]
                    + weight[2] * line[base + 2]
                    + weight[3] * line[base + 3]
                )


@numba.njit(cache=True, nogil=True)
def _work_space(side):  # type: ignore[no-untyped-def]
    span = (side - 1) // 3 + 5
    return (
        np.empty((3, side), dtype=np.int64),
        np.empty((3, side, 4), dtype=np.float32),
        np.empty((span, span, span), dtype=np.float32),
        np.empty((span, span), dtype=np.float32),
        np.empty(span, dtype=np.float32),
        np.empty((side, side, side), dtype=np.float32),
    )


@numba.njit(cache=True, nogil=True)
def _fit(coefficients, maxima, rows, max_steps, settled):  # type: ignore[no-untyped-def]
    side = rows.shape[1]
    first, taps, near, plane, line, cube = _work_space(side)
    fitted = np.empty((len(maxima), 3))
    good = np.zeros(len(maxima), dtype=np.bool_)
    terms = np.empty(9)
    hessian = np.empty((3, 3))
    for peak in range(len(maxima)):
        centre = maxima[peak].astype(np.float64)
        for _ in range(max_steps):
            _cube(coefficients, centre, first, taps, near, plane, line, cube)
            for t in range(9):
                total = 0.0
                for i in range(side):
                    for j in range(side):
                        for k in range(side):
                            total += rows[t, i, j, k] * cube[i, j, k]
                terms[t] = total
            hessian[0, 0], hessian[1, 1], hessian[2, 2] = 2 * terms[3], 2 * terms[4], 2 * terms[5]
            hessian[0, 1] = hessian[1, 0] = terms[6]
            hessian[0, 2] = hessian[2, 0] = terms[7]
            hessian[1, 2] = hessian[2, 1] = terms[8]
            scale = np.max(np.abs(hessian))
            if scale == 0.0 or abs(np.linalg.det(hessian / scale)) < 1e-9:
                break
            shift = np.linalg.solve(hessian, -terms[:3])
            for axis in range(3):
                centre[axis] += min(max(shift[axis], -0.5), 0.5)
            if np.max(np.abs(shift)) < settled:
                good[peak] = True
                break
        fitted[peak] = centre
        for axis in range(3):
            if not 0 <= centre[axis] <= 3 * (coefficients.shape[axis] - 1):
                good[peak] = False
    return fitted, good


def fit_peaks(
    coefficients: npt.NDArray[np.float32],
    maxima: npt.NDArray[np.int64],
    rows: npt.NDArray[np.float32],
    *,
    max_steps: int,
    settled: float,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Refine `maxima` (n, 3) by the linear fit `rows` (9, side, side, side) of a cube, all in fine voxels.

    Rows give the linear (z, y, x) and quadratic (zz, yy, xx, zy, zx, yx) coefficients. Each step refits about
    the last centre and moves it by at most half a fine voxel per axis. Returned are the refined fine indices
    (n, 3) and whether the last of at most `max_steps` steps was below `settled`.
    """
    fitted, good = _fit(coefficients, maxima, rows, max_steps, settled)
    return fitted, good


@numba.njit(cache=True, nogil=True)
def _sums(coefficients, centres, radius):  # type: ignore[no-untyped-def]
    first, taps, near, plane, line, cube = _work_space(2 * radius + 1)
    total = np.zeros(len(centres))
    for peak in range(len(centres)):
        _cube(coefficients, centres[peak], first, taps, near, plane, line, cube)
        for z in range(-radius, radius + 1):
            for y in range(-radius, radius + 1):
                for x in range(-radius, radius + 1):
                    if z * z + y * y + x * x <= radius * radius:
                        total[peak] += cube[z + radius, y + radius, x + radius]
    return total


def sum_spheres(
    coefficients: npt.NDArray[np.float32], centres: npt.NDArray[np.float64], radius: int
) -> npt.NDArray[np.float64]:
    """The sum of the spline over fine points within `radius` of each of `centres` (n, 3)."""
    sums: npt.NDArray[np.float64] = _sums(coefficients, centres, radius)
    return sums
