"""Projection for tilts about y: every row of the image by itself, and all of them alike."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from copy import copy

import numpy as np
import scipy.sparse
import torch

from datasets.errors import InputError
from recon.project import tiled
from recon.project.footprint import make_footprint
from recon.project.geometry import Geometry, is_single_axis, sub_voxel_offsets


class SingleAxisProjector:
    """Linear splat of voxels for rotations about y, and its exact adjoint.

    Such a tilt mixes x and z only, so A is a matrix (n_tilt·n_x, n_z·n_x) that acts on the volume reshaped to
    (n_z·n_x, n_y): every y is one column. A voxel is split into `oversample`² sub-voxels, each one shared
    linearly between the two nearest pixels; what falls off the image is lost. On a CPU the products are
    compiled loops over tiles of the slice (`recon.project.tiled`), the rows of the image shared out among as
    many threads as torch has; on CUDA they are those of the sparse matrix.

    Cost of one product: 2·nnz·n_y operations, nnz ≈ 2 n_tilt n_z n_x (2.5 with 2×2 sub-voxels). Floor of the
    loops, which take three pixels per voxel: six loads, and three stores or one, per voxel, tilt and eight
    rows in float32. Measured: README of `recon`.
    """

    def __init__(
        self, geometry: Geometry, *, oversample: int = 1, dtype: torch.dtype, device: torch.device
    ) -> None:
        if not is_single_axis(geometry.rotations):
            raise InputError("the single-axis projector takes rotations about y only")
        self.geometry, self.dtype, self.device = geometry, dtype, device
        self._tilts = np.arange(len(geometry.rotations))
        if device.type == "cpu":
            self._footprint = make_footprint(
                geometry, oversample, np.dtype(str(dtype).removeprefix("torch."))
            )
        else:
            self._set_matrix(_matrix(geometry, oversample))

    def subset(self, tilts: Sequence[int]) -> SingleAxisProjector:
        """The projector of these `tilts` only, in that order."""
        chosen = copy(self)
        chosen.geometry = self.geometry.subset(tilts)
        chosen._tilts = self._tilts[list(tilts)]
        if self.device.type != "cpu":
            n_x = len(self.geometry.x)
            chosen._set_matrix(self._matrix[(np.asarray(tilts)[:, None] * n_x + np.arange(n_x)).ravel()])
        return chosen

    def zeros(self) -> torch.Tensor:
        """A volume of zeros (n_z, n_y, n_x), y innermost in memory: the order of the matrix' columns."""
        n_z, n_y, n_x = self.geometry.volume_shape
        return torch.zeros((n_z, n_x, n_y), dtype=self.dtype, device=self.device).permute(0, 2, 1)

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        """A·volume: (n_z, n_y, n_x) to (n_tilt, n_y, n_x)."""
        n_tilt, n_y, n_x = self.geometry.projection_shape
        columns = volume.permute(0, 2, 1).contiguous()
        if self.device.type == "cpu":
            return tiled.forward(self._footprint, columns, n_x, self._tilts).permute(0, 2, 1)
        return (self._forward @ columns.reshape(-1, n_y)).reshape(n_tilt, n_x, n_y).permute(0, 2, 1)

    def adjoint(self, projections: torch.Tensor) -> torch.Tensor:
        """Aᵀ·projections: (n_tilt, n_y, n_x) to (n_z, n_y, n_x)."""
        n_z, n_y, n_x = self.geometry.volume_shape
        columns = projections.permute(0, 2, 1).contiguous()
        if self.device.type == "cpu":
            return tiled.adjoint(self._footprint, columns, n_z, self._tilts).permute(0, 2, 1)
        return (self._adjoint @ columns.reshape(-1, n_y)).reshape(n_z, n_x, n_y).permute(0, 2, 1)

    def _set_matrix(self, matrix: scipy.sparse.csr_array) -> None:
        self._matrix = matrix
        self._forward = _torch_csr(matrix, self.dtype, self.device)
        self._adjoint = _torch_csr(matrix.T.tocsr(), self.dtype, self.device)


def _matrix(geometry: Geometry, oversample: int) -> scipy.sparse.csr_array:
    """The matrix (n_tilt·n_x, n_z·n_x) of the splat, in float64."""
    n_tilt, _, n_x = geometry.projection_shape
    n_voxel = len(geometry.z) * n_x
    tilts = np.arange(n_tilt)[:, None, None]
    voxels = np.arange(n_voxel).reshape(1, -1, n_x)
    turns = geometry.rotations.as_matrix()
    cosine, sine = turns[:, 0, 0, None, None], turns[:, 0, 2, None, None]
    offsets = sub_voxel_offsets(oversample) * geometry.pixel_size
    matrix = scipy.sparse.csr_array((n_tilt * n_x, n_voxel))
    for z_offset, x_offset in offsets:
        landed = cosine * (geometry.x + x_offset) + sine * (geometry.z[:, None] + z_offset)
        column = (landed - geometry.x[0]) / geometry.pixel_size
        left = np.floor(column).astype(np.int64)
        for pixel, weight in ((left, 1 - (column - left)), (left + 1, column - left)):
            inside = (pixel >= 0) & (pixel < n_x) & (weight > 0)
            rows = (tilts * n_x + pixel)[inside]
            columns = np.broadcast_to(voxels, pixel.shape)[inside]
            values = weight[inside] / len(offsets)
            matrix = matrix + scipy.sparse.coo_array((values, (rows, columns)), shape=matrix.shape).tocsr()
    matrix.sum_duplicates()
    return matrix


def _torch_csr(matrix: scipy.sparse.csr_array, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    index = torch.int32  # what MKL and cuSPARSE take without a copy
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="Sparse CSR tensor support is in beta", category=UserWarning
        )
        return torch.sparse_csr_tensor(
            torch.as_tensor(matrix.indptr).to(index),
            torch.as_tensor(matrix.indices).to(index),
            torch.as_tensor(matrix.data).to(dtype),
            size=matrix.shape,
            device=device,
            check_invariants=True,
        )
