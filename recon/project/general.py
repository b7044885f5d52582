"""Projection for any rotations: bilinear splat of voxels, and the gather that is its adjoint."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import torch

from recon.project.geometry import Geometry, sub_voxel_offsets


class GeneralProjector:
    """Voxel-driven projection for arbitrary rotations.

    The adjoint reads each image at ((R r)_x, (R r)_y) of every voxel, bilinearly and as zero outside; the
    projection is the transpose of exactly that, a splat onto the four nearest pixels. Both are PyTorch's
    `grid_sample` and its gradient, one tilt and one slab of z at a time, so memory stays at a slab. On
    CUDA the splat adds in no fixed order: answers there repeat to rounding, on a CPU bit for bit.

    Cost of one product: about 30 operations per voxel, sub-voxel and tilt and, with coordinates made anew
    for each tilt, 8 bytes written and 12 read per voxel and tilt in float32. Measured on one core: README of
    `recon`.
    """

    def __init__(
        self, geometry: Geometry, *, oversample: int = 1, dtype: torch.dtype, device: torch.device
    ) -> None:
        self.geometry, self.dtype, self.device = geometry, dtype, device
        self._slab = max(1, 2**20 // (len(geometry.y) * len(geometry.x)))
        turns = torch.as_tensor(geometry.rotations.as_matrix(), dtype=torch.float64)
        size = geometry.pixel_size
        x, y, z = (torch.from_numpy(axis.copy()) for axis in (geometry.x, geometry.y, geometry.z))
        offsets = torch.as_tensor(sub_voxel_offsets(oversample)) * size
        self._share = 1.0 / len(offsets)
        self._terms = []
        for turn in turns:
            for z_offset, x_offset in offsets:
                column = [turn[0, 0] * (x + x_offset) - x[0], turn[0, 1] * y, turn[0, 2] * (z + z_offset)]
                row = [turn[1, 0] * (x + x_offset) - y[0], turn[1, 1] * y, turn[1, 2] * (z + z_offset)]
                self._terms.append(
                    [
                        [(part * 2 / (size * n)).to(dtype).to(device) for part in parts]
                        for parts, n in ((column, len(x)), (row, len(y)))
                    ]
                )
        self._repeats = len(offsets)
        self._image_shape = len(geometry.x), len(geometry.y)

    def zeros(self) -> torch.Tensor:
        """A volume of zeros (n_z, n_y, n_x)."""
        return torch.zeros(self.geometry.volume_shape, dtype=self.dtype, device=self.device)

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        """A·volume: (n_z, n_y, n_x) to (n_tilt, n_y, n_x)."""
        projections = torch.zeros(self.geometry.projection_shape, dtype=self.dtype, device=self.device)
        empty = torch.zeros((1, 1, *self.geometry.projection_shape[1:]), dtype=self.dtype, device=self.device)
        for tilt in range(len(projections)):
            for z in self._slabs():
                slab = volume[z].reshape(1, 1, -1, volume.shape[2])
                for sub in range(self._repeats):
                    grid = self._grid(tilt * self._repeats + sub, z)
                    splat, _ = torch.ops.aten.grid_sampler_2d_backward(
                        slab, empty, grid, 0, 0, False, [True, False]
                    )
                    projections[tilt] += splat[0, 0]
        return projections.mul_(self._share)

    def adjoint(self, projections: torch.Tensor) -> torch.Tensor:
        """Aᵀ·projections: (n_tilt, n_y, n_x) to (n_z, n_y, n_x)."""
        volume = self.zeros()
        for z in self._slabs():
            for term in range(len(self._terms)):
                image = projections[term // self._repeats][None, None]
                read = torch.ops.aten.grid_sampler_2d(image, self._grid(term, z), 0, 0, False)
                volume[z] += read.reshape(volume[z].shape)
        return volume.mul_(self._share)

    def subset(self, tilts: Sequence[int]) -> GeneralProjector:
        """The projector of these `tilts` only, in that order."""
        chosen = copy(self)
        chosen.geometry = self.geometry.subset(tilts)
        n = self._repeats
        chosen._terms = [term for tilt in tilts for term in self._terms[tilt * n : (tilt + 1) * n]]
        return chosen

    def _slabs(self) -> list[slice]:
        n_z = len(self.geometry.z)
        return [slice(start, min(start + self._slab, n_z)) for start in range(0, n_z, self._slab)]

    def _grid(self, term: int, z: slice) -> torch.Tensor:
        """Where the voxels of a slab land, (1, n_slab·n_y, n_x, 2); the image spans [-1, 1]."""
        column, row = (
            (at_z[z, None, None] + at_y[:, None] + (1.0 / n - 1.0)) + at_x
            for n, (at_x, at_y, at_z) in zip(self._image_shape, self._terms[term], strict=True)
        )
        return torch.stack([column, row], dim=-1).reshape(1, -1, column.shape[2], 2)
