"""Images of Gaussian atoms with one width per tilt, their derivatives, and the adjoint of these.

At tilt t atom a is g(r − u_ta)/(2πσ_t²), g(d) = exp(−|d|²/2σ_t²), at the projected position u_ta [pixel],
within a window of ± `REACH` σ_t. Every derivative of a model of such atoms, by whatever moves, dims or blurs
them, is a sum of g, d_x g, d_y g and |d|² g with one weight per tilt and atom: `render`. Its adjoint are the
four moments of an image around every atom: `moments`. Everything else is algebra on arrays (n_tilt, n, 4).

Cost: both pass over n_tilt · n · w² pixels, w = 2 `REACH` σ, with about eight operations at each.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

REACH = 3.5
"""Half the window in units of σ: beyond it lie 0.2 % of an atom."""

CONSTANT, ALONG_X, ALONG_Y, SQUARE = range(4)
"""Where the weights of g, d_x g, d_y g and |d|² g are."""


def render(u: FloatArray, sigma: FloatArray, weights: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """The images (n_tilt, *`shape`) of Σ over atoms of g · (weights · (1, d_x, d_y, |d|²)).

    `u` (n_tilt, n, 2) are the places (column, row) [pixel], `sigma` (n_tilt,) the widths [pixel], `weights`
    (n_tilt, n, 4).
    """
    images = np.zeros((len(u), *shape))
    _render(u, sigma, weights, images)
    return images


def moments(u: FloatArray, sigma: FloatArray, images: FloatArray) -> FloatArray:
    """Σ over pixels of image · g · (1, d_x, d_y, |d|²) around every atom, (n_tilt, n, 4)."""
    sums = np.zeros((*u.shape[:2], 4))
    _moments(u, sigma, images, sums)
    return sums


@numba.njit(cache=True, nogil=True)
def _profile(centre, sigma, n, g, d):  # type: ignore[no-untyped-def]
    """Fill g and d at the pixels of an axis of `n` that are in reach; the first of them and their number."""
    first = max(int(np.ceil(centre - REACH * sigma)), 0)
    last = min(int(np.floor(centre + REACH * sigma)), n - 1)
    for i in range(first, last + 1):
        d[i - first] = i - centre
        g[i - first] = np.exp(-0.5 * ((i - centre) / sigma) ** 2)
    return first, max(last - first + 1, 0)


@numba.njit(cache=True, nogil=True, fastmath=True)
def _render(u, sigma, weights, images):  # type: ignore[no-untyped-def]
    n_tilt, n_y, n_x = images.shape
    size = int(2 * REACH * sigma.max()) + 2
    gx, dx, gy, dy = np.empty(size), np.empty(size), np.empty(size), np.empty(size)
    for t in range(n_tilt):
        for a in range(u.shape[1]):
            x0, width = _profile(u[t, a, 0], sigma[t], n_x, gx, dx)
            y0, height = _profile(u[t, a, 1], sigma[t], n_y, gy, dy)
            w = weights[t, a]
            for j in range(height):
                constant = w[0] + (w[2] + w[3] * dy[j]) * dy[j]
                for i in range(width):
                    images[t, y0 + j, x0 + i] += gy[j] * gx[i] * (constant + (w[1] + w[3] * dx[i]) * dx[i])


@numba.njit(cache=True, nogil=True, fastmath=True)
def _moments(u, sigma, images, sums):  # type: ignore[no-untyped-def]
    n_tilt, n_y, n_x = images.shape
    size = int(2 * REACH * sigma.max()) + 2
    gx, dx, gy, dy = np.empty(size), np.empty(size), np.empty(size), np.empty(size)
    for t in range(n_tilt):
        for a in range(u.shape[1]):
            x0, width = _profile(u[t, a, 0], sigma[t], n_x, gx, dx)
            y0, height = _profile(u[t, a, 1], sigma[t], n_y, gy, dy)
            m0, mx, my, m2 = 0.0, 0.0, 0.0, 0.0
            for j in range(height):
                s0, s1, s2 = 0.0, 0.0, 0.0
                for i in range(width):
                    value = images[t, y0 + j, x0 + i] * gx[i]
                    s0 += value
                    s1 += value * dx[i]
                    s2 += value * dx[i] * dx[i]
                m0 += gy[j] * s0
                mx += gy[j] * s1
                my += gy[j] * dy[j] * s0
                m2 += gy[j] * (s2 + dy[j] * dy[j] * s0)
            sums[t, a, 0], sums[t, a, 1], sums[t, a, 2], sums[t, a, 3] = m0, mx, my, m2
