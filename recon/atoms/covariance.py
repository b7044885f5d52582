"""How well the counts determine each fitted atom: Fisher information of neighbours, inverted around every
atom.

    F_ab = Σ_t Σ_p (∂λ/∂θ_a)(∂λ/∂θ_b)ᵀ / var(p),   θ = (intensity, x, y, z)

The coupling of two atoms fades with their distance, because they overlap in few of the images: on silicon at
60 tilts, neighbours within 2.6, 4.0 and 5.5 Å give a mean position error within 0.5 % of each other. So the
covariance of an atom is its block of the inverse of the information of the atoms around it.

Cost: five multiply-adds per common pixel of every pair of windows, pairs up to twice the radius apart, then
one solution of (4 m)³ operations per atom with m neighbours: linear in atoms and tilts.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numba
import numpy as np
import numpy.typing as npt
import torch
from scipy.spatial import KDTree

from recon.project.gaussian_atoms import REACH, GaussianAtoms, Images

FloatArray = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

RADIUS = 3.2
"""Å: atoms nearer than this are unknown together."""


def local_covariance(
    positions: FloatArray,
    heights: FloatArray,
    atoms: GaussianAtoms,
    weights: Images,
    near: FloatArray | float = 1.0,
    *,
    precision: FloatArray | float = 0.0,
    radius: float = RADIUS,
    of: Indices | None = None,
) -> FloatArray:
    """The covariance (n, 4, 4) of (intensity [electron], x, y, z [pixel]) of every atom, its neighbours
    unknown; with the indices `of` (m,), that (m, 4, 4) of these alone, at their cost.

    `positions` (n, 3) are in Å; `weights` (n_tilt, n_y, n_x) are inverse variances; `near` (n_tilt, 1) is the
    part of an intensity that lies in its core; `precision` (n,) is what is known of each intensity
    beforehand, an inverse variance. An atom that the counts do not determine has infinite variances.
    """
    if of is not None:
        return _of_some(positions, heights, atoms, weights, near, precision, radius, of)
    n = len(positions)
    if not n:
        return np.empty((0, 4, 4))
    tree = KDTree(positions)
    pairs = tree.query_pairs(2 * radius, output_type="ndarray")
    pairs = np.concatenate([np.repeat(np.arange(n)[:, None], 2, axis=1), pairs]).astype(np.int64)
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    part = np.array(np.broadcast_to(np.asarray(near, dtype=np.float64), (len(atoms.u), 1))[:, 0])
    value = 1 / (2 * np.pi * atoms.sigma**2)
    slope = heights * value / atoms.sigma**2
    blocks = np.zeros((len(pairs), 4, 4))
    arrays = (atoms.u, atoms.v, atoms.sigma, atoms.rows, value, slope, part, weights, pairs, blocks)
    _over(_information, len(pairs), arrays)
    known = np.array(np.broadcast_to(np.asarray(precision, dtype=np.float64), (n,)))
    blocks[pairs[:, 0] == pairs[:, 1], 0, 0] += known
    groups = np.atleast_1d(tree.query_ball_point(positions, radius)).tolist()
    around = [[a, *(b for b in group if b != a)] for a, group in enumerate(groups)]
    ends = np.cumsum([0, *map(len, around)])
    covariance = np.full((n, 4, 4), np.inf)
    starts = np.searchsorted(pairs[:, 0], np.arange(n + 1))
    members = np.concatenate([np.asarray(group, dtype=np.int64) for group in around])
    _over(_invert, n, (ends, members, starts, np.ascontiguousarray(pairs[:, 1]), blocks, covariance))
    return covariance


def _of_some(
    positions: FloatArray,
    heights: FloatArray,
    atoms: GaussianAtoms,
    weights: Images,
    near: FloatArray | float,
    precision: FloatArray | float,
    radius: float,
    of: Indices,
) -> FloatArray:
    """The covariance of the atoms `of`, from those that are within `radius` of them."""
    if not len(of):
        return np.empty((0, 4, 4))
    around = np.atleast_1d(KDTree(positions).query_ball_point(positions[of], radius)).tolist()
    some = np.unique(np.concatenate([of, *around]).astype(np.int64))
    u, v = (np.ascontiguousarray(at[:, some]) for at in (atoms.u, atoms.v))
    part = replace(atoms, u=u, v=v, sigma=atoms.sigma[some])
    known = np.broadcast_to(np.asarray(precision, dtype=np.float64), heights.shape)[some]
    found = local_covariance(
        positions[some], heights[some], part, weights, near, precision=known, radius=radius
    )
    return np.asarray(found[np.searchsorted(some, of)])


def _over(kernel: Callable[..., None], n: int, arrays: tuple[object, ...]) -> None:
    """Call `kernel` on ranges of `n` items, in as many threads as PyTorch would use."""
    threads = torch.get_num_threads()
    bounds = np.linspace(0, n, 4 * threads + 1).astype(int).tolist()
    with ThreadPoolExecutor(threads) as pool:
        tasks = [pool.submit(kernel, low, high, *arrays) for low, high in itertools.pairwise(bounds)]
        for task in tasks:
            task.result()


@numba.njit(cache=True, nogil=True)
def _invert(start, stop, ends, members, starts, seconds, blocks, covariance):  # type: ignore[no-untyped-def]
    for a in range(start, stop):
        around = members[ends[a] : ends[a + 1]]
        m = 4 * len(around)
        information = np.zeros((m, m))
        for i in range(len(around)):
            for j in range(len(around)):
                b, c = around[i], around[j]
                if b > c:
                    continue
                k = starts[b] + np.searchsorted(seconds[starts[b] : starts[b + 1]], c)
                for p in range(4):
                    for q in range(4):
                        information[4 * i + p, 4 * j + q] = blocks[k, p, q]
                        information[4 * j + q, 4 * i + p] = blocks[k, p, q]
        scale = np.sqrt(np.diag(information))
        if not np.all(scale > 0):
            continue
        for p in range(m):
            information[p] /= scale[p] * scale
            information[p, p] += 1e-9
        own = np.zeros((m, 4))
        for p in range(4):
            own[p, p] = 1.0
        found = np.linalg.solve(information, own)
        for p in range(4):
            for q in range(4):
                covariance[a, p, q] = found[p, q] / (scale[p] * scale[q])


@numba.njit(cache=True, nogil=True, fastmath=True)
def _information(start, stop, u, v, sigma, rows, value, slope, near, weights, pairs, blocks):  # type: ignore[no-untyped-def]
    n_tilt, n_y, n_x = weights.shape
    gx = np.empty(int(2 * REACH * sigma.max()) + 2, dtype=np.float32)
    s = np.empty((3, 3))
    for k in range(start, stop):
        a, b = pairs[k, 0], pairs[k, 1]
        reach_a, reach_b = REACH * sigma[a], REACH * sigma[b]
        narrow_a, narrow_b = 0.5 / sigma[a] ** 2, 0.5 / sigma[b] ** 2
        for t in range(n_tilt):
            left = int(np.ceil(max(u[t, a] - reach_a, u[t, b] - reach_b, 0.0)))
            right = int(np.floor(min(u[t, a] + reach_a, u[t, b] + reach_b, n_x - 1.0)))
            top = int(np.ceil(max(v[t, a] - reach_a, v[t, b] - reach_b, 0.0)))
            bottom = int(np.floor(min(v[t, a] + reach_a, v[t, b] + reach_b, n_y - 1.0)))
            if right < left or bottom < top:
                continue
            for i in range(left, right + 1):
                gx[i - left] = np.exp(-narrow_a * (i - u[t, a]) ** 2 - narrow_b * (i - u[t, b]) ** 2)
            s[:] = 0.0
            apart = np.float32(u[t, a] - u[t, b])  # x − u_b is x − u_a and this
            for j in range(top, bottom + 1):
                m0 = m1 = m2 = np.float32(0.0)
                for i in range(left, right + 1):
                    g = weights[t, j, i] * gx[i - left]
                    x = np.float32(i - u[t, a])
                    m0 += g
                    m1 += g * x
                    m2 += g * x * x
                ya, yb = j - v[t, a], j - v[t, b]
                g = np.exp(-narrow_a * ya * ya - narrow_b * yb * yb)
                mb = m1 + apart * m0
                s[0, 0] += g * m0
                s[0, 1] += g * mb
                s[0, 2] += g * m0 * yb
                s[1, 0] += g * m1
                s[1, 1] += g * (m2 + apart * m1)
                s[1, 2] += g * m1 * yb
                s[2, 0] += g * m0 * ya
                s[2, 1] += g * mb * ya
                s[2, 2] += g * m0 * ya * yb
            both = near[t] * near[t]
            blocks[k, 0, 0] += both * value[a] * value[b] * s[0, 0]
            for p in range(3):
                along_x, along_y = rows[t, 0, p], rows[t, 1, p]
                blocks[k, 0, 1 + p] += both * value[a] * slope[b] * (s[0, 1] * along_x + s[0, 2] * along_y)
                blocks[k, 1 + p, 0] += both * slope[a] * value[b] * (s[1, 0] * along_x + s[2, 0] * along_y)
                for q in range(3):
                    across_x, across_y = rows[t, 0, q], rows[t, 1, q]
                    x = along_x * (s[1, 1] * across_x + s[1, 2] * across_y)
                    y = along_y * (s[2, 1] * across_x + s[2, 2] * across_y)
                    blocks[k, 1 + p, 1 + q] += both * slope[a] * slope[b] * (x + y)
