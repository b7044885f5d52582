"""FISTA: projected gradient descent with Nesterov's momentum, the same optimum as RESIRE far sooner."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import ClassVar

import torch
import xarray as xr

from datasets.errors import InputError
from recon.base import Callback
from recon.project.projector import Projector
from recon.tomography.iterative import IterativeReconstructor
from recon.tomography.normal_equations import Normal, NormalEquations, normal_equations
from recon.tomography.ordering import spread_subsets
from recon.tomography.r_factor import absolute_sums, mean_ratio

Part = tuple[slice | list[int], Projector]
"""Some tilts and their projector."""

SETTLE = 4
"""Iterations after which the number of subsets is halved."""


def fista(
    projector: Projector,
    projections: torch.Tensor,
    n_iter: int,
    *,
    step: float = 1.0,
    initial: torch.Tensor | None = None,
    positivity: bool = True,
    volume_mask: torch.Tensor | None = None,
    projection_mask: torch.Tensor | None = None,
    callback: Callback | None = None,
    subsets: int = 1,
    equations: NormalEquations | None = None,
) -> torch.Tensor:
    """x ← max(0, y − s Aᵀ(A y − b)), y ← x + β (x − x_before), with s = `step`/(n_tilt n_z).

    The error of the objective ½‖A x − b‖² falls as 1/k² instead of the 1/k of gradient descent: k iterations
    do what about k²/4 of RESIRE do. The momentum starts anew whenever it points uphill (O'Donoghue & Candès,
    Found. Comput. Math. 15, 715 (2015), gradient scheme), so the objective does not ripple. A `step` of 1 is
    the inverse of the largest eigenvalue of AᵀA; larger ones are not safe here.

    With `subsets` m > 1 the tilts are taken in m parts, each spread over all directions, and every part makes
    such a step of its own, with its own n_tilt: m times as many steps in an iteration that still looks at
    every tilt once (Kim, Ramani & Fessler, IEEE Trans. Med. Imaging 34, 167 (2015)). Such steps never settle,
    they circle the optimum, the wider the more parts and noise there are; so m is halved every `SETTLE`
    iterations, with the momentum kept, and the end is the same as with one part. Eight parts do in about ten
    iterations what RESIRE does in 240. Whether the momentum points uphill is asked of the last m steps.

    An iteration costs what one of RESIRE costs, and one volume more of memory. Stopped early it filters as
    RESIRE stopped at the square of its iterations does.

    `projections` b are (n_tilt, n_y, n_x); the volume is (n_z, n_y, n_x) and starts from `initial` (zero).
    Voxels where `volume_mask` is 0 stay zero; pixels where `projection_mask` is 0 are not looked at.
    `callback` gets the `r_factor` of y, with subsets that of every tilt at its turn. With `equations`, for
    one part only, the gradient is theirs, and that figure is ‖A y − b‖/‖b‖. Beck & Teboulle, SIAM J. Imaging
    Sci. 2, 183 (2009).
    """
    n_z = projector.geometry.volume_shape[0]
    seen = None if projection_mask is None else projection_mask.to(projections)
    support = None if volume_mask is None else volume_mask.to(projections)
    measured = projections if seen is None else torch.where(seen > 0, projections, 0.0)
    sums = absolute_sums(measured)
    volume = projector.zeros()
    if initial is not None:
        volume = initial.clone() if support is None else initial * support
    ahead, momentum = volume.clone(), 1.0
    left = torch.empty_like(sums)
    parts: list[Part] = []
    uphill: deque[float] = deque()
    for iteration in range(1, n_iter + 1):
        n_part = max(1, subsets >> ((iteration - 1) // SETTLE))
        if n_part != len(parts):
            parts, uphill = _parts(projector, n_part), deque(maxlen=n_part)
        for tilts, part in parts:
            if equations is None:
                residual = part.forward(ahead).sub_(measured[tilts])
                if seen is not None:
                    residual *= seen[tilts]
                left[tilts] = absolute_sums(residual)
                gradient = part.adjoint(residual)
            else:
                gradient, error = equations.gradient(ahead)
                left[tilts] = error * sums[tilts]
            if support is not None:
                gradient = gradient * support
            found = torch.sub(ahead, gradient, alpha=step / (len(left[tilts]) * n_z), out=gradient)
            if positivity:
                found.clamp_(min=0)
            # in place: with many parts a step costs little more than its passes over the volume
            change = torch.sub(found, volume, out=volume)
            back = ahead.sub_(found)
            uphill.append(float(back.mul_(change).sum()))
            if sum(uphill) > 0:
                momentum = 1.0
                uphill.clear()
            following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
            ahead = torch.add(found, change, alpha=(momentum - 1) / following, out=back)
            volume, momentum = found, following
        if callback is not None:
            try:
                callback(iteration, {"r_factor": mean_ratio(left, sums)})
            except StopIteration:
                break
    return volume


def _parts(projector: Projector, subsets: int) -> list[Part]:
    """Which tilts each step looks at, and their projector."""
    if subsets == 1:
        return [(slice(None), projector)]
    parts = spread_subsets(projector.geometry.rotations, subsets)
    return [(tilts, projector.subset(tilts)) for tilts in parts]


@dataclass(frozen=True)
class FISTA(IterativeReconstructor):
    """Projected gradient descent with Nesterov's momentum (FISTA), then tracing and classification.

    The volume that RESIRE would have after about a quarter of the square of its iterations; where RESIRE is
    stopped early on purpose, as a filter, it needs a smaller `n_iter` still.
    """

    name: ClassVar[str] = "fista"
    reference: ClassVar[str] = "Beck & Teboulle, SIAM J. Imaging Sci. 2, 183 (2009)"

    n_iter: int = 54
    subsets: int = 1
    """Parts that the tilts are taken in at first; with 8, about 10 iterations do what 54 do with one."""
    normal: Normal = "auto"
    """How AᵀA is applied without subsets: by `projections`, a convolution (`toeplitz`), or as is cheaper."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.subsets < 1:
            raise InputError(f"subsets must be at least 1, not {self.subsets}")

    def supports(self, measurement: xr.Dataset) -> tuple[bool, str]:
        """Besides what every tomographic method asks: a tilt for every subset."""
        supported, reason = super().supports(measurement)
        n_tilt = measurement.sizes.get("tilt", 0)
        if supported and n_tilt < self.subsets:
            return False, f"{self.subsets} subsets need as many tilts, this measurement has {n_tilt}"
        return supported, reason

    def volume(self, projector: Projector, projections: torch.Tensor, callback: Callback) -> torch.Tensor:
        """The volume (n_z, n_y, n_x) after `n_iter` iterations."""
        equations = None
        if self.subsets == 1:
            equations = normal_equations(projector, projections, self.normal, oversample=self.oversample)
        return fista(
            projector,
            projections,
            self.n_iter,
            callback=callback,
            subsets=self.subsets,
            equations=equations,
        )
