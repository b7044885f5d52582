"""Projection for any rotations over the occupied voxels only, with the depth moment in the same pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from itertools import pairwise

import numba
import numpy as np
import numpy.typing as npt
import torch

from recon.project.geometry import Geometry, sub_voxel_offsets

FloatArray = npt.NDArray[np.float64]
Runs = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]


class SparseProjector:
    """The bilinear splat of `recon.project.general` without what is empty, and its exact adjoint, on a CPU.

    A voxel at r lands at ((R r)_x, (R r)_y) and is shared between the four nearest pixels; what falls off
    the image is lost. `support` (n_z, n_y, n_x) says which voxels may hold anything; in every row along x
    the voxels between the first and the last of these are visited, and coordinates are made by one addition
    per voxel, so nothing but the volume is read. All voxels without a `support`.

    Cost of one product: about 20 operations per visited voxel and tilt; a forward projection passes over
    zeros at the cost of reading them. Tilts (planes of z for the adjoint) are shared out among as many
    threads as torch has. Rotations can be changed (`turn`) at no cost.
    """

    def __init__(
        self,
        geometry: Geometry,
        *,
        oversample: int = 1,
        support: npt.NDArray[np.bool_] | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.geometry, self.dtype, self.device = geometry, dtype, torch.device("cpu")
        self._offsets = sub_voxel_offsets(oversample)
        self._runs = runs_of(np.ones(geometry.volume_shape, dtype=bool) if support is None else support)

    def turn(self, geometry: Geometry) -> None:
        """Use the rotations of another `geometry` with the same axes."""
        self.geometry = geometry

    def subset(self, tilts: Sequence[int]) -> SparseProjector:
        """The projector of these `tilts` only, in that order."""
        chosen = copy(self)
        chosen.turn(self.geometry.subset(tilts))
        return chosen

    def zeros(self) -> torch.Tensor:
        """A volume of zeros (n_z, n_y, n_x)."""
        return torch.zeros(self.geometry.volume_shape, dtype=self.dtype)

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        """A·volume: (n_z, n_y, n_x) to (n_tilt, n_y, n_x)."""
        padded, nothing = self._padded(), np.empty((1, 1, 1), dtype=_numpy_type(self.dtype))
        values = volume.contiguous().numpy()
        passes = [_terms(self.geometry, offset, padded.dtype) for offset in self._offsets]

        def splat(tilts: slice) -> None:
            for steps, start in passes:
                _splat(values, *self._runs, steps[tilts], start[tilts], padded[tilts], nothing, False)

        _share_out(splat, len(padded))
        return torch.from_numpy(padded[:, 1:-1, 1:-1] / len(passes))

    def adjoint(self, projections: torch.Tensor) -> torch.Tensor:
        """Aᵀ·projections: (n_tilt, n_y, n_x) to (n_z, n_y, n_x), zero outside the support."""
        padded = self._padded()
        padded[:, 1:-1, 1:-1] = projections.numpy() / len(self._offsets)
        volume = self.zeros()
        first, last = self._runs
        passes = [_terms(self.geometry, offset, padded.dtype) for offset in self._offsets]

        def gather(planes: slice) -> None:
            for steps, start in passes:
                begin = start + steps[:, :, 2] * start.dtype.type(planes.start)
                _gather(padded, first[planes], last[planes], steps, begin, volume.numpy()[planes])

        _share_out(gather, len(volume))
        return volume

    def with_depth(self, volume: torch.Tensor) -> tuple[FloatArray, FloatArray]:
        """The projections and their depth moments Σ V (R r)_z [Å], both (n_tilt, n_y, n_x); one sub-voxel."""
        padded, moments = self._padded(), self._padded()
        values = volume.contiguous().numpy()
        steps, start = _terms(self.geometry, np.zeros(2), padded.dtype)

        def splat(tilts: slice) -> None:
            _splat(values, *self._runs, steps[tilts], start[tilts], padded[tilts], moments[tilts], True)

        _share_out(splat, len(padded))
        return padded[:, 1:-1, 1:-1].astype(np.float64), moments[:, 1:-1, 1:-1].astype(np.float64)

    def _padded(self) -> npt.NDArray[np.floating]:
        n_tilt, n_y, n_x = self.geometry.projection_shape
        return np.zeros((n_tilt, n_y + 2, n_x + 2), dtype=_numpy_type(self.dtype))


def _numpy_type(dtype: torch.dtype) -> type[np.floating]:
    return np.float64 if dtype == torch.float64 else np.float32


def _share_out(work: Callable[[slice], None], n: int) -> None:
    """`work` on slices that make up range(n), one for each of torch's threads."""
    threads = min(torch.get_num_threads(), n)
    bounds = np.linspace(0, n, threads + 1).round().astype(int).tolist()
    slices = [slice(low, high) for low, high in pairwise(bounds)]
    if threads == 1:
        work(slices[0])
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, slices))


def runs_of(support: npt.NDArray[np.bool_]) -> Runs:
    """For every row (z, y), the first voxel along x inside `support` and the one after the last."""
    n_x = support.shape[2]
    held = support.any(axis=2)
    first = np.where(held, support.argmax(axis=2), 0)
    last = np.where(held, n_x - support[:, :, ::-1].argmax(axis=2), 0)
    return first.astype(np.int32), last.astype(np.int32)


def _terms(
    geometry: Geometry, offset: FloatArray, dtype: npt.DTypeLike
) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]:
    """Steps (n_tilt, 3, 3) of (column, row, depth) per voxel along (x, y, z), and where voxel 0 is, for the
    sub-voxel at the (z, x) `offset` [voxel].
    """
    turns = geometry.rotations.as_matrix()
    size = geometry.pixel_size
    corner = np.array([geometry.x[0], geometry.y[0], geometry.z[0]])
    start = turns @ (corner + np.array([offset[1], 0.0, offset[0]]) * size)
    start[:, :2] = (start[:, :2] - corner[:2]) / size + 1.0  # one pixel of padding
    steps = turns.copy()
    steps[:, 2] *= size
    return steps.astype(dtype), start.astype(dtype)


@numba.njit(cache=True, nogil=True, fastmath=True)
def _splat(volume, first, last, steps, start, images, moments, with_depth):  # type: ignore[no-untyped-def]
    n_tilt, height, width = images.shape
    n_z, n_y, _ = volume.shape
    for tilt in range(n_tilt):
        step, origin = steps[tilt], start[tilt]
        for z in range(n_z):
            for y in range(n_y):
                column0 = origin[0] + step[0, 1] * y + step[0, 2] * z
                row0 = origin[1] + step[1, 1] * y + step[1, 2] * z
                depth0 = origin[2] + step[2, 1] * y + step[2, 2] * z
                for x in range(first[z, y], last[z, y]):
                    value = volume[z, y, x]
                    if value == 0:
                        continue
                    column = column0 + step[0, 0] * x
                    row = row0 + step[1, 0] * x
                    if column < 0 or row < 0 or column >= width - 1 or row >= height - 1:
                        continue
                    i, j = int(row), int(column)
                    below, right = row - i, column - j
                    lower, upper = value * below, value * (1 - below)
                    images[tilt, i, j] += upper * (1 - right)
                    images[tilt, i, j + 1] += upper * right
                    images[tilt, i + 1, j] += lower * (1 - right)
                    images[tilt, i + 1, j + 1] += lower * right
                    if with_depth:
                        depth = depth0 + step[2, 0] * x
                        lower, upper = lower * depth, upper * depth
                        moments[tilt, i, j] += upper * (1 - right)
                        moments[tilt, i, j + 1] += upper * right
                        moments[tilt, i + 1, j] += lower * (1 - right)
                        moments[tilt, i + 1, j + 1] += lower * right


@numba.njit(cache=True, nogil=True, fastmath=True)
def _gather(images, first, last, steps, start, volume):  # type: ignore[no-untyped-def]
    n_tilt, height, width = images.shape
    n_z, n_y, _ = volume.shape
    for z in range(n_z):
        for tilt in range(n_tilt):
            step, origin = steps[tilt], start[tilt]
            for y in range(n_y):
                column0 = origin[0] + step[0, 1] * y + step[0, 2] * z
                row0 = origin[1] + step[1, 1] * y + step[1, 2] * z
                for x in range(first[z, y], last[z, y]):
                    column = column0 + step[0, 0] * x
                    row = row0 + step[1, 0] * x
                    if column < 0 or row < 0 or column >= width - 1 or row >= height - 1:
                        continue
                    i, j = int(row), int(column)
                    below, right = row - i, column - j
                    upper = images[tilt, i, j] * (1 - right) + images[tilt, i, j + 1] * right
                    lower = images[tilt, i + 1, j] * (1 - right) + images[tilt, i + 1, j + 1] * right
                    volume[z, y, x] += upper * (1 - below) + lower * below
