"""Filtered back-projection: ramp-filtered images smeared back, each weighted by the angle it stands for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr
from scipy.spatial.transform import Rotation

from datasets.errors import InputError
from datasets.naming import Value
from datasets.schema import rotations
from recon.base import Callback
from recon.pipeline import TomographicReconstructor
from recon.project.projector import Projector

Window = Literal["none", "cosine", "hann"]

OFF_AXIS_LIMIT = math.radians(10.0)
"""How far (rms) beam directions may leave the plane normal to the tilt axis: beyond, the ramp is not the
inverse of the projection."""


def fbp(
    projector: Projector,
    projections: torch.Tensor,
    *,
    window: Window = "none",
    cutoff: float = 1.0,
    positivity: bool = True,
) -> torch.Tensor:
    """f = Σ_tilt w_tilt Aᵀ_tilt (ramp ∗ b_tilt), with w the angular widths [rad] of `angular_weights`.

    The ramp |q| runs across the projected tilt axis, in cycles per pixel, times `window` (1 at zero, falling
    to 0 at `cutoff` times the Nyquist frequency). One pass and no prior: fast, and with few tilts it streaks.
    `projections` are (n_tilt, n_y, n_x), the volume (n_z, n_y, n_x). Raises `InputError` unless the tilts are
    about one axis. Kak & Slaney, Principles of Computerized Tomographic Imaging (1988), chapter 3.
    """
    axis, off_axis = tilt_axis(projector.geometry.rotations)
    if off_axis > OFF_AXIS_LIMIT:
        raise InputError("filtered back-projection needs tilts about one axis, these are about several")
    weights = angular_weights(tilt_angles(projector.geometry.rotations, axis))
    n_y, n_x = projections.shape[1:]
    pad_y, pad_x = 2 * n_y, 2 * n_x
    q_y = torch.fft.fftfreq(pad_y, dtype=torch.float64)[:, None]
    q_x = torch.fft.rfftfreq(pad_x, dtype=torch.float64)
    filtered = torch.empty_like(projections)
    for tilt, direction in enumerate(projector.geometry.rotations.apply(axis)):
        along = direction[:2] / np.linalg.norm(direction[:2])
        across = (q_x * along[1] - q_y * along[0]).abs()
        ramp = across.clamp(min=1 / (4 * pad_x)) * window_at(across / (0.5 * cutoff), window)
        spectrum = torch.fft.rfft2(projections[tilt], s=(pad_y, pad_x))
        spectrum = spectrum * (float(weights[tilt]) * ramp).to(projections)
        filtered[tilt] = torch.fft.irfft2(spectrum, s=(pad_y, pad_x))[:n_y, :n_x]
    volume = projector.adjoint(filtered)
    return volume.clamp(min=0) if positivity else volume


def window_at(fraction: torch.Tensor, window: Window) -> torch.Tensor:
    """The window at frequencies given as fractions of the cut-off."""
    inside = (fraction <= 1).to(fraction)
    if window == "hann":
        return inside * (0.5 + 0.5 * torch.cos(math.pi * fraction))
    if window == "cosine":
        return inside * torch.cos(0.5 * math.pi * fraction)
    return inside


def tilt_axis(turns: Rotation) -> tuple[npt.NDArray[np.float64], float]:
    """The axis (specimen frame, y component not negative) that the beam stays most normal to.

    Also returned: the rms angle [rad] by which it does not.
    """
    beams = turns.inv().apply([0.0, 0.0, 1.0])
    values, vectors = np.linalg.eigh(beams.T @ beams / len(beams))
    axis = vectors[:, 0]
    return axis * (1.0 if axis[1] >= 0 else -1.0), float(np.arcsin(np.sqrt(np.clip(values[0], 0.0, 1.0))))


def tilt_angles(turns: Rotation, axis: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The angle [rad] of every tilt about `axis`, where the beam lies along z at angle 0."""
    z = np.array([0.0, 0.0, 1.0]) - axis[2] * axis
    z = z / np.linalg.norm(z)
    beams = turns.inv().apply([0.0, 0.0, 1.0])
    return np.asarray(np.arctan2(beams @ np.cross(z, axis), beams @ z))


def angular_weights(angles: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The width [rad] of the angles modulo π that are nearest to each tilt: π in all, without a wedge.

    Half the gap on either side. A gap over three times the median one is a missing wedge: nothing stands for
    it, and the tilts beside it get half a median gap there.
    """
    if len(angles) == 1:
        return np.array([math.pi])
    order = np.argsort(np.mod(angles, math.pi), kind="stable")
    ordered = np.mod(angles, math.pi)[order]
    gaps = np.diff(ordered, append=ordered[0] + math.pi)
    usual = float(np.median(gaps[gaps > 0]))
    gaps = np.where(gaps > 3 * usual, usual, gaps)
    weights = np.empty(len(angles))
    weights[order] = (gaps + np.roll(gaps, 1)) / 2
    return weights


@dataclass(frozen=True)
class FBP(TomographicReconstructor):
    """Filtered back-projection, then tracing and classification.

    One pass, no prior: fast, and the yardstick of what a plain inversion gives. With few tilts its streaks
    drown light species beside heavy ones; it is no method for a precious series.
    """

    name: ClassVar[str] = "fbp"
    reference: ClassVar[str] = "Kak & Slaney, Principles of Computerized Tomographic Imaging (1988), ch. 3"
    variants: ClassVar[Mapping[str, Mapping[str, Value]]] = {
        "published": {"denoise": "none", "oversample": 1, "min_height": 0.0, "classify": "published"},
    }
    """`published`: the plain ramp of the book."""

    window: Window = "none"
    cutoff: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.cutoff > 0:
            raise InputError(f"cutoff must be positive, not {self.cutoff}")

    def supports(self, measurement: xr.Dataset) -> tuple[bool, str]:
        """Besides what every tomographic method asks: tilts about one axis."""
        supported, reason = super().supports(measurement)
        if supported and tilt_axis(rotations(measurement))[1] > OFF_AXIS_LIMIT:
            return False, "filtered back-projection needs tilts about one axis, these are about several"
        return supported, reason

    def volume(self, projector: Projector, projections: torch.Tensor, callback: Callback) -> torch.Tensor:
        """The volume (n_z, n_y, n_x)."""
        return fbp(projector, projections, window=self.window, cutoff=self.cutoff)
