"""Ptychography of one tilt as if the specimen were one slice: maximum likelihood, and the classic ePIE.

ePIE (Maiden and Rodenburg, Ultramicroscopy 109, 1256 (2009)) visits the probe positions one by one in random
order. It gives the exit wave the measured amplitudes, which is a step of −1/(4N) along the derivative of the
amplitude loss by it, and passes the difference on to the object in proportion to |probe|² / max |probe|², and
to the probe likewise. Here the object is a phase object, of whose wave that is the part at right angles.
"""

from __future__ import annotations

import copy
import math

import numpy as np
import torch

from recon.base import Callback
from recon.ptychography.losses import Loss
from recon.ptychography.multislice import Ptychogram, multislice_ptychography
from recon.ptychography.places import Places
from recon.ptychography.waves import WindowedMultislice


def single_slice_ptychography(
    multislice: WindowedMultislice,
    places: Places,
    counts: torch.Tensor,
    n_iter: int,
    *,
    loss: Loss = "mixed",
    refine_probe: bool = False,
    refine_positions: bool = False,
    n_modes: int = 1,
    initial: Ptychogram | None = None,
    callback: Callback | None = None,
) -> Ptychogram:
    """`recon.ptychography.multislice.multislice_ptychography` with one slice, where `multislice` puts its
    entrance.

    What the specimen scatters above and below that plane is taken for scattered in it: right while the depth
    of field wavelength / angle² is more than its thickness at all angles that the detector sees.
    """
    return multislice_ptychography(
        multislice,
        places,
        counts,
        1,
        n_iter,
        loss=loss,
        refine_probe=refine_probe,
        refine_positions=refine_positions,
        n_modes=n_modes,
        initial=initial,
        callback=callback,
    )


def epie(
    multislice: WindowedMultislice,
    places: Places,
    counts: torch.Tensor,
    n_iter: int,
    *,
    rng: np.random.Generator,
    object_step: float = 1.0,
    probe_step: float = 0.0,
    initial: Ptychogram | None = None,
    callback: Callback | None = None,
) -> Ptychogram:
    """The phase (1, n_y, n_x) behind `counts` (n_scan, n_ky, n_kx) after `n_iter` visits of every position.

    `object_step` is ePIE's α, `probe_step` its β; both were 1 as published, there with an unknown probe.
    It needs more passes than `single_slice_ptychography`, most of them for low frequencies, and does not
    settle where counts are few, for every step follows one noisy pattern. `callback` gets the `loss` per
    pixel of each pass, and may end it.
    """
    model = copy.copy(multislice)
    phases = torch.zeros((1, *places.shape), dtype=model.real, device=model.device)
    if initial is not None:
        phases, model.probe = initial.phases.clone(), initial.probe.clone()
    latest = math.nan
    for iteration in range(1, n_iter + 1):
        total = 0.0
        brightest = torch.fft.ifft2(model.probe, norm="ortho").abs().square().sum(dim=0).max()
        for one in rng.permutation(len(counts)).tolist():
            some = slice(one, one + 1)
            found = model.gradient(
                phases, places.subset(some), counts[some], "amplitude", probe=probe_step > 0
            )
            total += found.loss
            phases = phases - object_step / (4 * model.electrons * brightest) * found.phases
            if found.probe is not None:
                # a phase object has |object|² = 1 everywhere
                model.probe = model.probe - probe_step / (4 * model.electrons) * found.probe
        latest = total / counts.numel()
        if callback is not None:
            try:
                callback(iteration, {"loss": latest})
            except StopIteration:
                break
    return Ptychogram(phases, model.probe, places.positions, latest)
