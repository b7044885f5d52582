"""The forward operator of atoms: images of Gaussian atoms, how they change, and the adjoint of that.

In image t atom a is f_t G(r − u_ta), with u_ta its projected position and

    G(d) = exp(−|d|²/2v)/(2πv),   v_ta = σ_a² + b_t,

within a window of ± `reach` √v. All that a small change does to an image, by whatever moves, dims or blurs
atoms, is a sum of G, its gradient and ∂G/∂v with one weight each per atom, or per image and atom: `render`.
Its adjoint is `moments`. All lengths are in pixels.

Cost: both directions visit n_tilt · n windows of w² pixels, w ≈ 2 `reach` √v, with two multiply-adds at each
pixel and three in the adjoint: for w = 8 with vectors of eight 8 and 12 ns of one core, beside which the two
profiles of a window take 50. Measured are 65 and 135.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numba
import numpy as np
import numpy.typing as npt
import torch

REACH = 3.2
"""Half the window in units of √v: beyond it lie 0.6 % of an atom's intensity."""

FloatArray = npt.NDArray[np.float64]
Images = npt.NDArray[np.float32]

_CHUNK = 256
"""Atoms whose sums are collected together, image after image, so that an image stays in the cache."""

_LANE = 4
"""Columns that are summed side by side: as many single-precision numbers as a vector register holds."""


@dataclass(frozen=True)
class GaussianAtoms:
    """Gaussian atoms on images: `u`, `v` (n_tilt, n) are projected positions, `sigma` (n,) widths σ.

    `rows` (n_tilt, 2, k) say how u and v move with the k numbers that place an atom: for x, y and z they are
    the first two rows of each rotation. `blur` (n_tilt,) are the variances b that images add to all atoms,
    `scales` (n_tilt,) the factors f of their intensities; none and one by default. Images are rendered in
    single precision, or else as `precision` says.
    """

    u: FloatArray
    v: FloatArray
    sigma: FloatArray
    rows: FloatArray
    shape: tuple[int, int]
    blur: FloatArray | None = None
    scales: FloatArray | None = None
    reach: float = REACH
    precision: npt.DTypeLike = np.float32

    @classmethod
    def at(
        cls,
        positions: FloatArray,
        sigma: FloatArray,
        rows: FloatArray,
        origin: FloatArray,
        shape: tuple[int, int],
        *,
        shifts: FloatArray | None = None,
        blur: FloatArray | None = None,
        scales: FloatArray | None = None,
    ) -> GaussianAtoms:
        """Atoms at `positions` (n, 3), where pixel (0, 0) is at `origin` (2,), all in pixels.

        `shifts` (n_tilt, 2) displace the images along (x, y).
        """
        start = np.tile(-origin, (len(rows), 1)) if shifts is None else shifts - origin
        u, v = (np.ascontiguousarray((rows[:, i] @ positions.T) + start[:, i, None]) for i in range(2))
        return cls(u, v, np.ascontiguousarray(sigma), rows, shape, blur, scales)

    @property
    def variances(self) -> FloatArray:
        """v, (n_tilt, n), or (1, n) where it is the same in all images."""
        own = self.sigma[None] ** 2
        return own if self.blur is None else own + self.blur[:, None]

    @property
    def norm(self) -> FloatArray:
        """f/2πv, the height of an atom of unit intensity; as `variances`, or (n_tilt, n)."""
        unit = 1 / (2 * np.pi * self.variances)
        return unit if self.scales is None else unit * self.scales[:, None]

    def project(self, heights: FloatArray) -> Images:
        """The images (n_tilt, n_y, n_x) of atoms of integrated intensity `heights` (n,)."""
        weights = np.zeros((len(heights), 2 + self.rows.shape[2]))
        weights[:, 0] = heights
        return self.render(weights)

    def render(self, weights: FloatArray) -> Images:
        """The images (n_tilt, n_y, n_x) of Σ w₀ G + (w₁ … w_k)·∂G/∂place + w_{k+1} ∂G/∂v, each times f.

        `weights` are (n, k + 2), or (n_tilt, n, k + 2). An atom of height h whose height, place and variance
        change by dh, dx and dv changes the images by the weights (dh, h dx, h dv).
        """
        images = np.zeros((len(self.u), *self.shape), dtype=self.precision)
        weights = np.ascontiguousarray(weights if weights.ndim == 3 else weights[None])
        _over(_render, len(images), 1, (*self._arrays(), weights, images))
        return images

    def moments(self, images: npt.NDArray[np.floating], *, by_tilt: bool = False) -> FloatArray:
        """The adjoint of `render`: (n, k + 2), or not summed over the images (n_tilt, n, k + 2)."""
        n_sums = len(images) if by_tilt else 1
        sums = np.zeros((n_sums, len(self.sigma), 2 + self.rows.shape[2]))
        if margin := self._margin():
            images = np.pad(images, ((0, 0), (0, 0), (0, margin)))
        _over(_moments, len(self.sigma), _CHUNK, (*self._arrays(), np.ascontiguousarray(images), sums))
        return sums if by_tilt else sums[0]

    def overlaps(self, images: npt.NDArray[np.floating]) -> FloatArray:
        """Σ over pixels of image · f² exp(−|d|²/v) for every tilt and atom, (n_tilt, n)."""
        # the square of a Gaussian is one of half the variance
        square = replace(self.squared(), rows=self.rows[:, :, :0], reach=np.sqrt(2) * self.reach)
        unit = 2 * np.pi * square.variances
        if self.scales is not None:
            unit = unit * self.scales[:, None]
        return GaussianAtoms.moments(square, images, by_tilt=True)[..., 0] * unit

    def squared(self) -> GaussianAtoms:
        """Atoms whose images are, but for a factor, the squares of those of these."""
        blur = None if self.blur is None else self.blur / 2
        return replace(self, sigma=self.sigma / np.sqrt(2), blur=blur)

    def _margin(self) -> int:
        """Columns that an image is short of for the widest window, in whole lanes, to fit into it."""
        widest = 2 * self.reach * float(np.sqrt(self.variances.max(initial=0))) + 1
        return max((int(widest) // _LANE + 1) * _LANE - self.shape[1], 0)

    def _arrays(self) -> tuple[object, ...]:
        blur = np.zeros(len(self.u)) if self.blur is None else self.blur
        scales = np.ones(len(self.u)) if self.scales is None else self.scales
        return self.u, self.v, self.sigma**2, blur, scales, self.rows, float(self.reach)


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
def _work_space(variances, blur, reach, like):  # type: ignore[no-untyped-def]
    longest = 2 * reach * np.sqrt(variances.max() + blur.max())
    line = np.empty((4, int(longest) + 2 + _LANE), dtype=like.dtype)
    return line[0], line[1], line[2], line[3]


@numba.njit(cache=True, nogil=True, fastmath=True)
def _profile(centre, inverse, shrink, half, n, lane, g, d):  # type: ignore[no-untyped-def]
    """Fill exp(−d²/2v) and d at the pixels of an axis of `n` within `half` of `centre`; their first index and
    number, with zeros around them so that it is a multiple of `lane`. An axis has room for that.

    exp(−(d + 1)²/2v) follows from exp(−d²/2v) by a factor that itself shrinks by the constant `shrink`.
    """
    first = max(int(np.ceil(centre - half)), 0)
    last = min(int(np.floor(centre + half)), n - 1)
    count = last - first + 1
    if count <= 0:
        return 0, 0
    width = (count + lane - 1) // lane * lane
    start = min(first, n - width)
    before = first - start
    distance = first - centre
    value = np.exp(-0.5 * inverse * distance * distance)
    factor = np.exp(-inverse * (distance + 0.5))
    for i in range(before):
        g[i] = d[i] = 0
    for i in range(count):
        g[before + i] = value
        d[before + i] = distance + i
        value *= factor
        factor *= shrink
    for i in range(before + count, width):
        g[i] = d[i] = 0
    return start, width


@numba.njit(cache=True, nogil=True, fastmath=True)
def _render(start, stop, u, v, variances, blur, scales, rows, reach, weights, images):  # type: ignore[no-untyped-def]
    n_y, n_x = images.shape[1:]
    n_place = rows.shape[2]
    gx, dx, gy, dy = _work_space(variances, blur, reach, scales)
    for tilt in range(start, stop):
        known, inverse, shrink, half, norm = -1.0, 0.0, 0.0, 0.0, 0.0
        of = weights[tilt] if len(weights) > 1 else weights[0]
        for atom in range(len(variances)):
            if variances[atom] + blur[tilt] != known:
                known = variances[atom] + blur[tilt]
                inverse, half = 1 / known, reach * np.sqrt(known)
                shrink, norm = np.exp(-inverse), scales[tilt] / (2 * np.pi * known)
            x0, width = _profile(u[tilt, atom], inverse, shrink, half, n_x, 1, gx, dx)
            y0, height = _profile(v[tilt, atom], inverse, shrink, half, n_y, 1, gy, dy)
            along_x = along_y = 0.0
            for axis in range(n_place):
                along_x += rows[tilt, 0, axis] * of[atom, 1 + axis]
                along_y += rows[tilt, 1, axis] * of[atom, 1 + axis]
            along_x, along_y = along_x * inverse * norm, along_y * inverse * norm
            wider = of[atom, 1 + n_place] * inverse * norm
            constant, quadratic = of[atom, 0] * norm - wider, 0.5 * wider * inverse
            for i in range(width):
                dx[i] *= gx[i] * (along_x + quadratic * dx[i])
            for j in range(height):
                plain, slope = gy[j] * (constant + dy[j] * (along_y + quadratic * dy[j])), gy[j]
                row = images[tilt, y0 + j, x0 : x0 + width]
                for i in range(width):
                    row[i] += plain * gx[i] + slope * dx[i]


@numba.njit(cache=True, nogil=True, fastmath=True)
def _moments(start, stop, u, v, variances, blur, scales, rows, reach, images, sums):  # type: ignore[no-untyped-def]
    n_y, n_x = images.shape[1:]
    n_place = rows.shape[2]
    gx, dx, gy, dy = _work_space(variances, blur, reach, images)
    for tilt in range(len(images)):
        known, inverse, shrink, half, norm = -1.0, 0.0, 0.0, 0.0, 0.0
        of = sums[tilt] if len(sums) > 1 else sums[0]
        for atom in range(start, stop):
            if variances[atom] + blur[tilt] != known:
                known = variances[atom] + blur[tilt]
                inverse, half = 1 / known, reach * np.sqrt(known)
                shrink, norm = np.exp(-inverse), scales[tilt] / (2 * np.pi * known)
            x0, width = _profile(u[tilt, atom], inverse, shrink, half, n_x, _LANE, gx, dx)
            y0, height = _profile(v[tilt, atom], inverse, shrink, half, n_y, 1, gy, dy)
            zero = images.dtype.type(0)
            m0 = mx = my = m2 = zero
            for left in range(0, width, _LANE):
                block = images[tilt, y0 : y0 + height, x0 + left : x0 + left + _LANE]
                for i in range(_LANE):
                    t0 = t1 = t2 = zero
                    for j in range(height):
                        value = gy[j] * block[j, i]
                        t0 += value
                        t1 += value * dy[j]
                        t2 += value * dy[j] * dy[j]
                    g, d = gx[left + i], dx[left + i]
                    m0 += g * t0
                    mx += g * d * t0
                    my += g * t1
                    m2 += g * (t2 + d * d * t0)
            of[atom, 0] += norm * m0
            for axis in range(n_place):
                along = rows[tilt, 0, axis] * mx + rows[tilt, 1, axis] * my
                of[atom, 1 + axis] += norm * inverse * along
            of[atom, 1 + n_place] += norm * inverse * (0.5 * inverse * m2 - m0)
