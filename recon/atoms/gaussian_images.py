"""Numba kernels: images of Gaussian atoms, their derivatives, and the adjoint of these, in windows.

Atom a adds H g(x − u) g(y − v) / (2πσ²) to an image, where g(d) = exp(−d²/2σ²) and (u, v) is the projected
position. All lengths are in pixels. A window reaches `REACH` σ. Both directions visit n_tilt · n · w² pixels,
w ≈ 2 `REACH` σ: a projection makes one multiply-add at each, a derivative or an adjoint three.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
import torch

REACH = 3.2
"""Half the window in units of σ: beyond it lie 0.6 % of an atom's intensity."""

FloatArray = npt.NDArray[np.float64]
Images = npt.NDArray[np.float32]

_CHUNK = 256
"""Atoms whose sums are collected together, image after image, so that an image stays in the cache."""


@dataclass(frozen=True)
class GaussianAtoms:
    """Gaussian atoms on images: `u`, `v` (n_tilt, n) are projected positions, `sigma` (n,) widths.

    `rows` (n_tilt, 2, 3) are the first two rows of each rotation: how u and v move with x, y and z.
    """

    u: FloatArray
    v: FloatArray
    sigma: FloatArray
    rows: FloatArray
    shape: tuple[int, int]

    @classmethod
    def at(
        cls,
        positions: FloatArray,
        sigma: FloatArray,
        rows: FloatArray,
        origin: FloatArray,
        shape: tuple[int, int],
    ) -> GaussianAtoms:
        """Atoms at `positions` (n, 3), where pixel (0, 0) is at `origin` (2,), all in pixels."""
        u, v = (np.ascontiguousarray((rows[:, i] @ positions.T) - origin[i]) for i in range(2))
        return cls(u, v, np.ascontiguousarray(sigma), rows, shape)

    def project(self, heights: FloatArray) -> Images:
        """The images (n_tilt, n_y, n_x) of atoms of integrated intensity `heights` (n,)."""
        values = heights / (2 * np.pi * self.sigma**2)
        images = np.zeros((len(self.u), *self.shape), dtype=np.float32)
        _over(_project, len(images), 1, (self.u, self.v, self.sigma, values, images))
        return images

    def differentiate(self, constant: FloatArray, linear: FloatArray, quadratic: FloatArray) -> Images:
        """The images of Σ (constant + linear · (R⁻¹ d) + quadratic |d|²) g(d), d the distance to an atom.

        `constant` and `quadratic` are (n,), `linear` (n, 3) as x, y, z: what `moments` is the adjoint of.
        """
        images = np.zeros((len(self.u), *self.shape), dtype=np.float32)
        arrays = (self.u, self.v, self.sigma, self.rows, constant, linear, quadratic, images)
        _over(_differentiate, len(images), 1, arrays)
        return images

    def moments(self, images: Images) -> FloatArray:
        """Σ over tilts and pixels of image · g(d) · (1, R⁻¹ d, |d|²) for every atom, (n, 5)."""
        sums = np.zeros((len(self.sigma), 5))
        _over(_moments, len(sums), _CHUNK, (self.u, self.v, self.sigma, self.rows, images, sums))
        return sums

    def overlaps(self, images: Images) -> FloatArray:
        """Σ over pixels of image · g(d)² for every tilt and atom, (n_tilt, n)."""
        sums = np.zeros_like(self.u)
        _over(_overlaps, len(sums), 1, (self.u, self.v, self.sigma, images, sums))
        return sums


def _over(kernel, n, step, arrays):  # type: ignore[no-untyped-def]
    """Call `kernel` on ranges of `n` items, in as many threads as PyTorch would use."""
    threads = torch.get_num_threads()
    if threads == 1 or n <= step:
        kernel(0, n, *arrays)
        return
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(kernel, i, min(i + step, n), *arrays) for i in range(0, n, step)]:
            done.result()


@numba.njit(cache=True, nogil=True)
def _work_space(sigma):  # type: ignore[no-untyped-def]
    size = int(2 * REACH * sigma.max()) + 2
    line = np.empty((4, size), dtype=np.float32)
    return line[0], line[1], line[2], line[3]


@numba.njit(cache=True, nogil=True, fastmath=True)
def _profile(centre, sigma, n, g, d):  # type: ignore[no-untyped-def]
    """Fill g(d) and d at the pixels of an axis of `n` within reach of `centre`; their first index and number.

    exp(−(d + 1)²/2σ²) follows from exp(−d²/2σ²) by a factor that itself shrinks by a constant one.
    """
    first = max(int(np.ceil(centre - REACH * sigma)), 0)
    last = min(int(np.floor(centre + REACH * sigma)), n - 1)
    count = last - first + 1
    if count <= 0:
        return 0, 0
    inverse = 1.0 / (sigma * sigma)
    distance = first - centre
    value = np.exp(-0.5 * inverse * distance * distance)
    factor = np.exp(-inverse * (distance + 0.5))
    shrink = np.exp(-inverse)
    for i in range(count):
        g[i] = value
        d[i] = distance + i
        value *= factor
        factor *= shrink
    return first, count


@numba.njit(cache=True, nogil=True, fastmath=True)
def _project(start, stop, u, v, sigma, values, images):  # type: ignore[no-untyped-def]
    n_y, n_x = images.shape[1:]
    gx, dx, gy, dy = _work_space(sigma)
    for tilt in range(start, stop):
        for atom in range(len(sigma)):
            x0, w = _profile(u[tilt, atom], sigma[atom], n_x, gx, dx)
            y0, h = _profile(v[tilt, atom], sigma[atom], n_y, gy, dy)
            for j in range(h):
                value = np.float32(values[atom]) * gy[j]
                for i in range(w):
                    images[tilt, y0 + j, x0 + i] += value * gx[i]


@numba.njit(cache=True, nogil=True, fastmath=True)
def _differentiate(start, stop, u, v, sigma, rows, constant, linear, quadratic, images):  # type: ignore[no-untyped-def]
    n_y, n_x = images.shape[1:]
    gx, dx, gy, dy = _work_space(sigma)
    for tilt in range(start, stop):
        for atom in range(len(sigma)):
            x0, w = _profile(u[tilt, atom], sigma[atom], n_x, gx, dx)
            y0, h = _profile(v[tilt, atom], sigma[atom], n_y, gy, dy)
            along_x = along_y = 0.0
            for axis in range(3):
                along_x += rows[tilt, 0, axis] * linear[atom, axis]
                along_y += rows[tilt, 1, axis] * linear[atom, axis]
            for j in range(h):
                c0 = np.float32(gy[j] * (constant[atom] + along_y * dy[j] + quadratic[atom] * dy[j] * dy[j]))
                c1 = np.float32(gy[j] * along_x)
                c2 = np.float32(gy[j] * quadratic[atom])
                for i in range(w):
                    images[tilt, y0 + j, x0 + i] += gx[i] * (c0 + dx[i] * (c1 + c2 * dx[i]))


@numba.njit(cache=True, nogil=True, fastmath=True)
def _moments(start, stop, u, v, sigma, rows, images, sums):  # type: ignore[no-untyped-def]
    n_y, n_x = images.shape[1:]
    gx, dx, gy, dy = _work_space(sigma)
    for tilt in range(len(u)):
        for atom in range(start, stop):
            x0, w = _profile(u[tilt, atom], sigma[atom], n_x, gx, dx)
            y0, h = _profile(v[tilt, atom], sigma[atom], n_y, gy, dy)
            m0 = mx = my = m2 = 0.0
            for j in range(h):
                s0 = s1 = s2 = np.float32(0.0)
                for i in range(w):
                    value = images[tilt, y0 + j, x0 + i] * gx[i]
                    s0 += value
                    s1 += value * dx[i]
                    s2 += value * dx[i] * dx[i]
                m0 += gy[j] * s0
                mx += gy[j] * s1
                my += gy[j] * dy[j] * s0
                m2 += gy[j] * (s2 + dy[j] * dy[j] * s0)
            sums[atom, 0] += m0
            for axis in range(3):
                sums[atom, 1 + axis] += mx * rows[tilt, 0, axis] + my * rows[tilt, 1, axis]
            sums[atom, 4] += m2


@numba.njit(cache=True, nogil=True, fastmath=True)
def _overlaps(start, stop, u, v, sigma, images, sums):  # type: ignore[no-untyped-def]
    n_y, n_x = images.shape[1:]
    gx, dx, gy, dy = _work_space(sigma)
    for tilt in range(start, stop):
        for atom in range(len(sigma)):
            x0, w = _profile(u[tilt, atom], sigma[atom], n_x, gx, dx)
            y0, h = _profile(v[tilt, atom], sigma[atom], n_y, gy, dy)
            total = 0.0
            for j in range(h):
                row = np.float32(0.0)
                for i in range(w):
                    row += images[tilt, y0 + j, x0 + i] * gx[i] * gx[i]
                total += gy[j] * gy[j] * row
            sums[tilt, atom] = total
