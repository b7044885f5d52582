"""Numba kernels: images of atoms with a radial kernel per species, their derivatives, adjoints and products.

The image of atom a at distance r (a point p of the image minus the projected atom) is K(r) of its species,
zero from `reach` on. Two tables, at even steps of r², hold K and D = −K'/r: then with d = p − (u, v)

    ∂K/∂u = D dx,   ∂K/∂v = D dy,   ∂K(r/w)/w²/∂w at w = 1 is D r² − 2 K.

Positions `u`, `v` (n_tilt, n) are in pixels of an image (n_y, n_x), d, r and `reach` in Å. With w² the pixels
of a window `differentiate` and `moments` visit n_tilt · n · w² pixels, about 15 operations each; `products`
makes 9 multiply-adds per common pixel of every pair of windows that overlap.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

AMPLITUDE, U, V, WIDTH = range(4)
"""The last axis of coefficients and moments: ∂/∂ of the amplitude, of u and v [1/Å], and of ln(width)."""


@numba.njit(cache=True, nogil=True, fastmath=True)
def differentiate(start, stop, u, v, labels, tables, reach, pixel, coefficients, images):  # type: ignore[no-untyped-def]
    """Add Σ coefficients · (K, ∂K/∂u, ∂K/∂v, ∂K/∂ln w) of every atom to the images of these tilts."""
    n_y, n_x = images.shape[1:]
    per_step = (tables.shape[2] - 1) / (reach * reach)
    half, square = reach / pixel, reach * reach
    for tilt in range(start, stop):
        for atom in range(len(labels)):
            ca, cu, cv, cw = coefficients[tilt, atom]
            if ca == 0.0 and cu == 0.0 and cv == 0.0 and cw == 0.0:
                continue
            table = tables[labels[atom]]
            x0, y0 = u[tilt, atom], v[tilt, atom]
            for j in range(max(int(np.ceil(y0 - half)), 0), min(int(np.floor(y0 + half)), n_y - 1) + 1):
                dy = (j - y0) * pixel
                for i in range(max(int(np.ceil(x0 - half)), 0), min(int(np.floor(x0 + half)), n_x - 1) + 1):
                    dx = (i - x0) * pixel
                    r2 = dx * dx + dy * dy
                    if r2 < square:
                        at = r2 * per_step
                        k = int(at)
                        f = at - k
                        value = table[0, k] + f * (table[0, k + 1] - table[0, k])
                        slope = table[1, k] + f * (table[1, k + 1] - table[1, k])
                        images[tilt, j, i] += (ca - 2 * cw) * value + slope * (cu * dx + cv * dy + cw * r2)


@numba.njit(cache=True, nogil=True, fastmath=True)
def moments(start, stop, u, v, labels, tables, reach, pixel, images, sums):  # type: ignore[no-untyped-def]
    """Add Σ over pixels of image · (K, ∂K/∂u, ∂K/∂v, ∂K/∂ln w) around every atom: the adjoint."""
    n_y, n_x = images.shape[1:]
    per_step = (tables.shape[2] - 1) / (reach * reach)
    half, square = reach / pixel, reach * reach
    for tilt in range(start, stop):
        for atom in range(len(labels)):
            table = tables[labels[atom]]
            x0, y0 = u[tilt, atom], v[tilt, atom]
            m0 = mu = mv = m2 = 0.0
            for j in range(max(int(np.ceil(y0 - half)), 0), min(int(np.floor(y0 + half)), n_y - 1) + 1):
                dy = (j - y0) * pixel
                for i in range(max(int(np.ceil(x0 - half)), 0), min(int(np.floor(x0 + half)), n_x - 1) + 1):
                    dx = (i - x0) * pixel
                    r2 = dx * dx + dy * dy
                    if r2 < square:
                        at = r2 * per_step
                        k = int(at)
                        f = at - k
                        image = images[tilt, j, i]
                        slope = image * (table[1, k] + f * (table[1, k + 1] - table[1, k]))
                        m0 += image * (table[0, k] + f * (table[0, k + 1] - table[0, k]))
                        mu += slope * dx
                        mv += slope * dy
                        m2 += slope * r2
            sums[tilt, atom, 0], sums[tilt, atom, 1], sums[tilt, atom, 2] = m0, mu, mv
            sums[tilt, atom, 3] = m2 - 2 * m0


@numba.njit(cache=True, nogil=True, fastmath=True)
def squares(start, stop, u, v, labels, tables, reach, pixel, images, sums):  # type: ignore[no-untyped-def]
    """Add Σ over pixels of image · g gᵀ, g = (K, ∂K/∂u, ∂K/∂v), for every atom alone, (3, 3)."""
    n_y, n_x = images.shape[1:]
    per_step = (tables.shape[2] - 1) / (reach * reach)
    half, square = reach / pixel, reach * reach
    g = np.empty(3)
    for tilt in range(start, stop):
        for atom in range(len(labels)):
            table = tables[labels[atom]]
            x0, y0 = u[tilt, atom], v[tilt, atom]
            for j in range(max(int(np.ceil(y0 - half)), 0), min(int(np.floor(y0 + half)), n_y - 1) + 1):
                dy = (j - y0) * pixel
                for i in range(max(int(np.ceil(x0 - half)), 0), min(int(np.floor(x0 + half)), n_x - 1) + 1):
                    dx = (i - x0) * pixel
                    r2 = dx * dx + dy * dy
                    if r2 < square:
                        at = r2 * per_step
                        k = int(at)
                        f = at - k
                        slope = table[1, k] + f * (table[1, k + 1] - table[1, k])
                        g[0] = table[0, k] + f * (table[0, k + 1] - table[0, k])
                        g[1], g[2] = slope * dx, slope * dy
                        for p in range(3):
                            for q in range(3):
                                sums[tilt, atom, p, q] += images[tilt, j, i] * g[p] * g[q]


@numba.njit(cache=True, nogil=True, fastmath=True)
def products(u, v, labels, tables, reach, pixel, weights, scale, rows, positions, amplitudes, information):  # type: ignore[no-untyped-def]
    """Add to `information` the blocks of one tilt: `u`, `v` (n,), `weights` (n_y, n_x), `rows` (2, 3)."""
    n, (n_y, n_x) = len(labels), weights.shape
    per_step = (tables.shape[2] - 1) / (reach * reach)
    half, square = reach / pixel, reach * reach
    side = int(2 * half) + 2
    windows = np.zeros((n, 3, side, side), dtype=np.float32)
    box = np.zeros((n, 4), dtype=np.int64)
    for a in range(n):
        table = tables[labels[a]]
        x_first, x_last = max(int(np.ceil(u[a] - half)), 0), min(int(np.floor(u[a] + half)), n_x - 1)
        y_first, y_last = max(int(np.ceil(v[a] - half)), 0), min(int(np.floor(v[a] + half)), n_y - 1)
        box[a, 0], box[a, 1], box[a, 2], box[a, 3] = x_first, x_last, y_first, y_last
        for j in range(y_first, y_last + 1):
            dy = (j - v[a]) * pixel
            for i in range(x_first, x_last + 1):
                dx = (i - u[a]) * pixel
                r2 = dx * dx + dy * dy
                if r2 < square:
                    at = r2 * per_step
                    k = int(at)
                    f = at - k
                    slope = scale[a] * (table[1, k] + f * (table[1, k + 1] - table[1, k]))
                    windows[a, 0, j - y_first, i - x_first] = table[0, k] + f * (
                        table[0, k + 1] - table[0, k]
                    )
                    windows[a, 1, j - y_first, i - x_first] = slope * dx
                    windows[a, 2, j - y_first, i - x_first] = slope * dy
    weighted = np.zeros((3, side, side), dtype=np.float32)
    local = np.zeros((3, 3))
    for a in range(n):
        for j in range(box[a, 2], box[a, 3] + 1):
            for i in range(box[a, 0], box[a, 1] + 1):
                for p in range(3):
                    value = windows[a, p, j - box[a, 2], i - box[a, 0]]
                    weighted[p, j - box[a, 2], i - box[a, 0]] = weights[j, i] * value
        for b in range(a, n):
            x_first, x_last = max(box[a, 0], box[b, 0]), min(box[a, 1], box[b, 1])
            y_first, y_last = max(box[a, 2], box[b, 2]), min(box[a, 3], box[b, 3])
            if x_first > x_last or y_first > y_last:
                continue
            far = (u[a] - u[b]) ** 2 + (v[a] - v[b]) ** 2
            if far >= 4 * half * half:
                continue
            width = x_last - x_first + 1
            for p in range(3):
                for q in range(3):
                    local[p, q] = 0.0
                    for j in range(y_first, y_last + 1):
                        one, other = weighted[p, j - box[a, 2]], windows[b, q, j - box[b, 2]]
                        row = np.float32(0)
                        for i in range(width):
                            row += one[i + x_first - box[a, 0]] * other[i + x_first - box[b, 0]]
                        local[p, q] += row
            for x in range(3):
                for y in range(3):
                    value = 0.0
                    for p in range(2):
                        for q in range(2):
                            value += rows[p, x] * local[p + 1, q + 1] * rows[q, y]
                    information[positions[a] + x, positions[b] + y] += value
                if amplitudes[b] >= 0:
                    information[positions[a] + x, amplitudes[b]] += (
                        rows[0, x] * local[1, 0] + rows[1, x] * local[2, 0]
                    )
                    if a != b:
                        information[positions[b] + x, amplitudes[a]] += (
                            rows[0, x] * local[0, 1] + rows[1, x] * local[0, 2]
                        )
            if amplitudes[a] >= 0:
                information[amplitudes[a], amplitudes[b]] += local[0, 0]


def over(kernel, n, threads, arrays):  # type: ignore[no-untyped-def]
    """Call `kernel` on ranges of `n` tilts, in `threads` threads."""
    if threads == 1 or n == 1:
        kernel(0, n, *arrays)
        return
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(kernel, i, i + 1, *arrays) for i in range(n)]:
            done.result()
