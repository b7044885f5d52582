"""The gradient of ½‖A x − b‖² from AᵀA and Aᵀb alone, where that costs less than projecting all tilts.

AᵀA is then a convolution (`recon.project.toeplitz`), which averages over where pixels are. With 2 × 2
sub-voxels twenty iterations of FISTA come within 1 % of the volume by projections, with one within 4 %.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch

from datasets.errors import InputError
from recon.project.geometry import is_single_axis
from recon.project.projector import Projector
from recon.project.single_axis import SingleAxisProjector
from recon.project.toeplitz import ToeplitzNormal

Normal = Literal["auto", "projections", "toeplitz"]

BREAK_EVEN = 9.0
"""Tilts, per log₂ of a padded edge, above which the convolution is clearly the cheaper. It breaks even at 7:
66 tilts at 290³, 53 at 144³ (`python -m benchmarks.speed`, one thread), and is not quite the same map."""


@dataclass(frozen=True)
class NormalEquations:
    """AᵀA as `normal`, Aᵀb as `back` (n_z, n_y, n_x), and `power` = ‖b‖²."""

    normal: ToeplitzNormal
    back: torch.Tensor
    power: float

    def gradient(self, volume: torch.Tensor) -> tuple[torch.Tensor, float]:
        """Aᵀ(A x − b) at `volume` x, and the residual ‖A x − b‖/‖b‖."""
        product = self.normal(volume)
        squared = float(torch.sum(volume * (product - 2 * self.back), dtype=torch.float64)) + self.power
        return product.sub_(self.back), math.sqrt(max(squared, 0.0) / max(self.power, 1e-300))


def normal_equations(
    projector: Projector, projections: torch.Tensor, normal: Normal, *, oversample: int
) -> NormalEquations | None:
    """The normal equations of a single-axis series when `normal` is `toeplitz`, or `auto` and they are
    cheaper than `projections`; else none. `oversample` is the projector's. Raises `InputError`.
    """
    if normal not in get_args(Normal):
        raise InputError(f"normal must be one of {', '.join(get_args(Normal))}, not {normal!r}")
    geometry = projector.geometry
    fits = is_single_axis(geometry.rotations) and isinstance(projector, SingleAxisProjector)
    if normal == "toeplitz" and not fits:
        raise InputError("normal=toeplitz is for tilts about y only, and images of one sharpness")
    padded = 2 * max(geometry.volume_shape[0], geometry.volume_shape[2])
    cheaper = len(projections) > BREAK_EVEN * math.log2(padded) and projector.device.type == "cpu"
    if normal == "projections" or not fits or not (normal == "toeplitz" or cheaper):
        return None
    operator = ToeplitzNormal(geometry, oversample=oversample, dtype=projector.dtype)
    power = float(torch.sum(projections.to(torch.float64) ** 2))
    return NormalEquations(operator, projector.adjoint(projections), power)
