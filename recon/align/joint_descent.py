"""Accelerated descent in the volume and in the angles of its tilts at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from scipy.spatial.transform import Rotation

from recon.align.alignment import Alignment
from recon.align.gauge import with_mean_one, without_translation
from recon.align.gauss_newton import SCALE, SHIFT, TURN, angle_step, derivative_images
from recon.base import Callback
from recon.project.sparse import SparseProjector
from recon.tomography.r_factor import r_factor

FloatArray = npt.NDArray[np.float64]

CORRECT_EVERY = 10
"""Iterations after which the images are corrected anew for shifts and scales."""


def joint_descent(
    projector: SparseProjector,
    projections: FloatArray,
    found: Alignment,
    volume: torch.Tensor,
    n_iter: int,
    *,
    expected_error: float,
    nuisance: bool = True,
    callback: Callback | None = None,
) -> tuple[Rotation, Alignment]:
    """The rotations and the alignment after `n_iter` iterations of FISTA in volume and angles together.

    Least squares Σ (A(ω) x − b)² over the volume x ≥ 0 and the turns ω of every tilt from where `projector`
    has them. An iteration takes the gradient step of `recon.tomography.fista` in x and a Gauss–Newton step in
    ω, both at points that Nesterov's momentum has carried on. Taking turns instead is slow wherever the
    volume can absorb an error of angle, for then each of them waits for the other; momentum in both is what
    the 1/k² of FISTA needs. It starts anew when it points uphill. Shifts and scales, which a volume absorbs
    far less, are corrected every `CORRECT_EVERY` iterations; `nuisance` false leaves them.

    `projections` (n_tilt, n_y, n_x) are the measured images, `found` the alignment so far, `volume` (n_z,
    n_y, n_x) that of the present angles, `expected_error` [deg] the width of the prior of the angles. The
    R-factors join the history of `found`, one for each set of corrections. Cost of an iteration: a projection
    with its depth moment, a back-projection, and four transforms of the images.
    """
    nominal = projector.geometry
    size, start = nominal.pixel_size, nominal.rotations
    images = found.correct(projections, size)
    rate = 1.0 / (len(images) * len(nominal.z))
    turns = np.zeros((len(images), 3))
    ahead, ahead_turns, momentum = volume, turns, 1.0
    history = list(found.history)
    for n in range(1, n_iter + 1):
        projector.turn(replace(nominal, rotations=Rotation.from_rotvec(ahead_turns) * start))
        calculated, moments = projector.with_depth(ahead)
        residuals = images - calculated
        derivatives = derivative_images(calculated, projector.geometry, moments)
        steps = angle_step(
            residuals,
            derivatives,
            departure=ahead_turns,
            spread=np.deg2rad(expected_error),
            nuisance=nuisance,
        )
        gradient = projector.adjoint(torch.from_numpy(residuals).to(projector.dtype))
        following = torch.add(ahead, gradient, alpha=rate).clamp_(min=0)
        following_turns = ahead_turns + steps[:, TURN]
        change = following - volume
        if float(torch.sum((ahead - following) * change)) > 0:
            momentum = 1.0
        next_momentum = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        carry = (momentum - 1) / next_momentum
        ahead = torch.add(following, change, alpha=carry)
        ahead_turns = following_turns + carry * (following_turns - turns)
        volume, turns, momentum = following, following_turns, next_momentum
        if n % CORRECT_EVERY and n < n_iter:
            continue
        history.append(r_factor(torch.from_numpy(calculated), torch.from_numpy(images)))
        if nuisance:
            shifts = found.shifts + without_translation(steps[:, SHIFT], start)
            scales = with_mean_one(found.scales * (1 + steps[:, SCALE][:, 0]))
            found = replace(found, shifts=shifts, scales=scales)
            images = found.correct(projections, size)
        if callback is not None:
            try:
                callback(len(history), {"r_factor": history[-1]})
            except StopIteration:
                break
    found = replace(found, rounds=len(history), history=tuple(history))
    return Rotation.from_rotvec(turns) * start, found
