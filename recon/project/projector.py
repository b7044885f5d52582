"""What a projector is, and which one fits a geometry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch

from datasets.errors import InputError
from recon.project.geometry import Geometry, is_single_axis


class Projector(Protocol):
    """The linear map A from a volume (n_z, n_y, n_x) to projections (n_tilt, n_y, n_x), and its adjoint.

    A projection's pixel holds the sum of the voxels that land on it, so it has the volume's unit: a volume
    whose content stays inside the images keeps its sum in every projection.
    """

    geometry: Geometry
    dtype: torch.dtype
    device: torch.device

    def zeros(self) -> torch.Tensor:
        """A volume of zeros (n_z, n_y, n_x), laid out in memory as the projector reads it best."""
        ...

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        """A·volume: (n_z, n_y, n_x) to (n_tilt, n_y, n_x)."""
        ...

    def adjoint(self, projections: torch.Tensor) -> torch.Tensor:
        """Aᵀ·projections: (n_tilt, n_y, n_x) to (n_z, n_y, n_x)."""
        ...

    def subset(self, tilts: Sequence[int]) -> Projector:
        """The projector of these `tilts` only, in that order, for a small part of what a new one costs."""
        ...


def make_projector(
    geometry: Geometry,
    *,
    oversample: int = 1,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
) -> Projector:
    """The fastest projector for `geometry`: a sparse matrix when all tilts are about y, else a splat, in
    compiled loops on a CPU and by PyTorch's sampling on CUDA.

    Each voxel is split into `oversample`² sub-voxels in the plane normal to y; the projection is their mean.
    `device` is a PyTorch device or "auto" (CUDA where there is one). Raises `InputError`.
    """
    from recon.project.general import GeneralProjector
    from recon.project.single_axis import SingleAxisProjector
    from recon.project.sparse import SparseProjector

    found = resolve_device(device)
    if is_single_axis(geometry.rotations):
        return SingleAxisProjector(geometry, oversample=oversample, dtype=dtype, device=found)
    if found.type == "cpu":
        return SparseProjector(geometry, oversample=oversample, dtype=dtype)
    return GeneralProjector(geometry, oversample=oversample, dtype=dtype, device=found)


def resolve_device(device: str | torch.device) -> torch.device:
    """The PyTorch device called `device`; "auto" is CUDA where there is one. Raises `InputError`."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise InputError(f"device must be 'auto', 'cpu' or 'cuda', not {device!r}") from error
    if found.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device {device!r} was asked for, but PyTorch sees no CUDA device here")
    return found
