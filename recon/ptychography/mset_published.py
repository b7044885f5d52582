"""Multislice electron tomography as published: gradient descent from probe to probe.

Lee et al., Phys. Rev. Applied 19, 054062 (2023), Appendix A, and the constants of their public code: tilts,
then probes in sequence, each probe across the whole field and through slices of one voxel; positivity after
each tilt. The step is multiplied by 0.1, and the pass done again, where the mean error of a pass did not
fall; below 1e−5 of the first step it ends. The potential is in volts, the probe normalised to 1, and the
constant 2σΔz of the gradient is set to 1, so that a step of 100 moves phases by 100 σΔz Im(…).

Cost of a pass: tilts × probes × slices × 4 FFTs of the whole field, one after the other.
"""

from __future__ import annotations

import numpy as np
import torch

from recon.base import Callback
from recon.optics import interaction_constant
from recon.ptychography.fourier_shear import rotate, rotate_adjoint
from recon.ptychography.losses import Loss
from recon.ptychography.tilt_series import TiltSeries

SHRINK = 0.1
SMALLEST = 1e-5


def mset_published(
    series: TiltSeries, n_iter: int, *, step: float, loss: Loss, callback: Callback | None = None
) -> torch.Tensor:
    """The volume of phases (n, n, n) [rad] after `n_iter` passes that lowered the error, or fewer."""
    volume = series.zeros()
    pixels = sum(counts.numel() for counts in series.counts)
    first, before = step, np.inf
    iteration = 0
    while iteration < n_iter and step >= SMALLEST * first:
        trial, total = _descend(series, volume, step, loss)
        if not total < before:  # nor where it is not a number
            step *= SHRINK
            continue
        volume, before = trial, total
        iteration += 1
        if callback is not None:
            try:
                callback(iteration, {"loss": total / pixels})
            except StopIteration:
                break
    return volume


def _descend(series: TiltSeries, volume: torch.Tensor, step: float, loss: Loss) -> tuple[torch.Tensor, float]:
    """One pass: the new volume and the sum of the errors before each probe's update."""
    scan = series.scan
    total = 0.0
    for tilt, rotation in enumerate(scan.rotations):
        turned = rotate(volume, rotation)
        turned, error = probe_by_probe(series, turned, tilt, range(len(scan.positions)), step, loss)
        total += error
        volume = rotate_adjoint(turned, rotation).clamp_(min=0)
    return volume, total


def probe_by_probe(
    series: TiltSeries, turned: torch.Tensor, tilt: int, probes: range, step: float, loss: Loss
) -> tuple[torch.Tensor, float]:
    """The volume `turned` to a tilt after each of some probes has changed it, and the sum of their errors."""
    scan, slicing = series.scan, series.slicing
    thickness = slicing.thickness * series.voxel
    # ∂L/∂φ holds a factor 4 and the electrons of a probe that the published gradient does not
    scale = step * interaction_constant(scan.lens.energy) * thickness / (4 * scan.electrons)
    total = 0.0
    for probe in probes:
        one = slice(probe, probe + 1)
        places, counts = series.places[tilt].subset(one), series.counts[tilt][one]
        found = series.multislice.gradient(slicing.slices(turned), places, counts, loss)
        total += found.loss
        turned = turned - slicing.adjoint(scale * found.phases) / slicing.thickness
    return turned, total
