"""Weighted back-projection: images filtered for the tilts that there are, then smeared back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from scipy.spatial.transform import Rotation

from datasets.errors import InputError
from recon.base import Callback
from recon.pipeline import TomographicReconstructor
from recon.project.projector import Projector
from recon.tomography.fbp import Window, window_at


def wbp(
    projector: Projector,
    projections: torch.Tensor,
    *,
    thickness: float | None = None,
    window: Window = "none",
    cutoff: float = 1.0,
    positivity: bool = True,
) -> torch.Tensor:
    """f = Σ_i Aᵀ_i (w_i ∗ b_i), with the weights w_i of `exact_weights`: for tilts in any directions.

    In Fourier space a projection of an object of `thickness` T [voxel] is known in a slab of thickness 1/T
    about its central plane. Where slabs overlap, the weights share the frequency out among them. T is by
    default the depth of the volume, for which f is nearly the volume of least norm that explains the images.
    A smaller one lets the weights grow further, which sharpens atoms and the streaks between them, towards
    the ramp of `fbp`.

    `window` runs outwards from zero to `cutoff` times the Nyquist frequency. `projections` b are (n_tilt,
    n_y, n_x), the volume (n_z, n_y, n_x). The weights take n_tilt² passes over an image (over one row of it
    when all tilts are about y), one exponential per frequency each. Harauz & van Heel, Optik 73, 146 (1986);
    arbitrary geometry: Radermacher in Electron Tomography (1992).
    """
    n_y, n_x = projections.shape[1:]
    pad_y, pad_x = 2 * n_y, 2 * n_x
    q_y = torch.fft.fftfreq(pad_y, dtype=torch.float32, device=projections.device)[:, None]
    q_x = torch.fft.rfftfreq(pad_x, dtype=torch.float32, device=projections.device)
    depth = projector.geometry.volume_shape[0] if thickness is None else thickness
    passed = (
        window_at(torch.hypot(q_y, q_x) / (0.5 * cutoff), window) if cutoff < 1 or window != "none" else 1.0
    )
    filtered = torch.empty_like(projections)
    for tilt, beams in enumerate(beams_seen(projector.geometry.rotations)):
        spectrum = torch.fft.rfft2(projections[tilt], s=(pad_y, pad_x))
        spectrum = spectrum * (passed * exact_weights(beams, q_y, q_x, depth)).to(projections)
        filtered[tilt] = torch.fft.irfft2(spectrum, s=(pad_y, pad_x))[:n_y, :n_x]
    volume = projector.adjoint(filtered)
    return volume.clamp(min=0) if positivity else volume


def exact_weights(
    beams: npt.NDArray[np.float64], q_y: torch.Tensor, q_x: torch.Tensor, thickness: float
) -> torch.Tensor:
    """1 / Σ_j T exp(−π (T q · d_j)²) at the frequencies (q_y, q_x) [1/pixel] of one image.

    d_j are the (x, y) components of all `beams` (n_tilt, 2) as that image sees them, its own (0, 0) among
    them: no weight is above 1/T. The sum counts by how much each slab covers a frequency. Radermacher's sinc,
    a slab of sharp faces, swings below zero wherever the steps between tilts change; Harauz & van Heel's
    triangle is up to 12 % off the ramp where even steps must give it; the Gaussian of the same area is
    positive, and within 1 % of the ramp until slabs begin to part.
    """
    if not beams[:, 1].any():
        q_y = q_y[:1] * 0
    covered = torch.zeros_like(q_y * q_x)
    for x, y in beams:
        distance = q_x * (float(x) * thickness) + q_y * (float(y) * thickness)
        covered += distance.square_().mul_(-math.pi).exp_()
    return covered.mul_(thickness).reciprocal_()


def beams_seen(turns: Rotation) -> npt.NDArray[np.float64]:
    """The (x, y) components of every beam direction in the frame of every image, (n_tilt, n_tilt, 2)."""
    beams = turns.inv().apply([0.0, 0.0, 1.0])
    seen = np.einsum("iab,jb->ija", turns.as_matrix()[:, :2], beams)
    return np.where(np.abs(seen) < 1e-12, 0.0, seen)


@dataclass(frozen=True)
class WBP(TomographicReconstructor):
    """Weighted back-projection with exact weights, then tracing and classification.

    One pass for tilts in any directions: several axes, cones, uneven steps. Like `fbp` it has no prior: with
    few tilts its streaks drown light species.
    """

    name: ClassVar[str] = "wbp"
    reference: ClassVar[str] = "Harauz & van Heel, Optik 73, 146 (1986); Radermacher (1992)"

    thickness: float | None = None
    window: Window = "none"
    cutoff: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.thickness is not None and not self.thickness > 0:
            raise InputError(f"thickness must be positive, not {self.thickness}")
        if not self.cutoff > 0:
            raise InputError(f"cutoff must be positive, not {self.cutoff}")

    def volume(self, projector: Projector, projections: torch.Tensor, callback: Callback) -> torch.Tensor:
        """The volume (n_z, n_y, n_x)."""
        thickness = None if self.thickness is None else self.thickness / projector.geometry.pixel_size
        return wbp(projector, projections, thickness=thickness, window=self.window, cutoff=self.cutoff)
