"""Alignment and normalisation against the re-projections of the volume that is being reconstructed."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from datasets.errors import InputError
from recon.align.alignment import Alignment
from recon.align.gauge import with_mean_one, without_translation
from recon.align.gauss_newton import derivative_images, step
from recon.align.support import specimen_masks, specimen_support
from recon.base import Callback
from recon.project.geometry import Geometry, is_single_axis
from recon.project.projector import Projector, make_projector
from recon.project.sparse import SparseProjector
from recon.tomography.r_factor import r_factor

FloatArray = npt.NDArray[np.float64]

RELAXATION = 1.5
"""How much further than the least squares step to go: the volume has taken up part of every error."""


class Solver(Protocol):
    """A reconstruction that can go on from where it was, such as `fista` and `resire`."""

    def __call__(
        self,
        projector: Projector,
        projections: torch.Tensor,
        n_iter: int,
        *,
        initial: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The volume after `n_iter` more iterations."""
        ...


def align_to_reprojections(
    projections: FloatArray,
    geometry: Geometry,
    *,
    start: Alignment | None = None,
    solver: Solver | None = None,
    first_iter: int = 30,
    n_iter: int = 10,
    n_round: int = 15,
    tolerance: float = 0.01,
    relaxation: float = RELAXATION,
    callback: Callback | None = None,
) -> Alignment:
    """The shifts (x, y) and intensities of `projections` (n_tilt, n_y, n_x) that fit one volume best.

    Reconstruct (`first_iter` iterations of `solver`, by default FISTA), then in turns: one Gauss–Newton step
    in (scale, shift x, shift y) of every image against its re-projection, exaggerated by `relaxation`, and
    `n_iter` more iterations, until no shift changes by `tolerance` [pixel] and no scale by a tenth of it.
    Least squares finds the shift of the greatest cross-correlation without a grid. When the R-factor rises,
    which it does where the counts are too few for the volume to hold still, the best round is the answer.
    What moves the whole specimen or scales all images is taken out of each step (`recon.align.gauge`). The
    steps are right for shifts below about half an atom: `start` should come from `common_line` or
    `center_of_mass`.

    The background must be subtracted. Cost: a product of the projector per iteration and one more per round;
    the derivatives and the 3×3 equations are a few transforms of the images. `callback` gets the round and
    its `r_factor`. Raises `InputError`.
    """
    if n_round < 1 or first_iter < 1 or n_iter < 1:
        raise InputError("alignment: n_round, first_iter and n_iter must be at least 1")
    solve = default_solver() if solver is None else solver
    found = Alignment.identity(geometry.rotations) if start is None else start
    shifts, scales = found.shifts, found.scales
    corrected = found.correct(projections, geometry.pixel_size)
    projector: Projector
    if is_single_axis(geometry.rotations):
        projector = make_projector(geometry)
    else:
        # a shift yet to be found is well within the margin of the masks
        projector = SparseProjector(geometry, support=specimen_support(specimen_masks(corrected), geometry))
    measured = torch.from_numpy(corrected).to(projector.dtype)
    volume = solve(projector, measured, first_iter)
    history: list[float] = []
    best = found
    for n in range(1, n_round + 1):
        calculated = projector.forward(volume)
        history.append(r_factor(calculated, measured))
        if history[-1] > min(history):
            return replace(best, rounds=n, history=tuple(history))
        best = found
        images = calculated.numpy().astype(np.float64)
        steps = step(corrected - images, derivative_images(images, geometry)) * relaxation
        change = without_translation(steps[:, 1:3], geometry.rotations)
        before = scales
        shifts, scales = shifts + change, with_mean_one(scales * (1 + steps[:, 0]))
        found = Alignment(shifts, scales, found.angles, n, tuple(history))
        corrected = found.correct(projections, geometry.pixel_size)
        measured = torch.from_numpy(corrected).to(projector.dtype)
        if callback is not None:
            try:
                callback(n, {"r_factor": history[-1]})
            except StopIteration:
                break
        moved, dimmed = np.abs(change).max() / geometry.pixel_size, np.abs(scales - before).max()
        if moved < tolerance and dimmed < tolerance / 10:
            break
        volume = solve(projector, measured, n_iter, initial=volume)
    return found


def default_solver() -> Solver:
    """FISTA."""
    # its module imports the pipeline, which is to import this one
    from recon.tomography.fista import fista

    return fista
