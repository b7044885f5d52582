"""Refinement of the three angles of every tilt against the volume that is being reconstructed."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from scipy.spatial.transform import Rotation

from datasets.errors import InputError
from recon.align.alignment import Alignment, euler_angles
from recon.align.gauge import with_mean_one, without_rotation, without_translation
from recon.align.gauss_newton import SCALE, SHIFT, TURN, derivative_images, step
from recon.align.grid_search import grid_search
from recon.align.reprojection import RELAXATION, Solver, default_solver
from recon.align.sparse_projector import SparseProjector
from recon.align.support import specimen_masks, specimen_support
from recon.base import Callback
from recon.project.geometry import Geometry
from recon.tomography.r_factor import r_factor

FloatArray = npt.NDArray[np.float64]
Refine = Literal["gauss_newton", "grid"]


def refine_angles(
    projections: FloatArray,
    geometry: Geometry,
    *,
    method: Refine = "gauss_newton",
    start: Alignment | None = None,
    volume: torch.Tensor | None = None,
    solver: Solver | None = None,
    first_iter: int = 30,
    n_iter: int = 15,
    n_round: int = 7,
    tolerance: float = 0.005,
    relaxation: float = RELAXATION,
    nuisance: bool = True,
    callback: Callback | None = None,
) -> tuple[Geometry, Alignment]:
    """The `geometry` with the rotations that `projections` (n_tilt, n_y, n_x) were really taken at.

    The volume is reconstructed (`first_iter` iterations of `solver`, by default FISTA; or `volume` (n_z, n_y,
    n_x) given), and then `n_round` times the angles are refined against it and it against the angles:

    `gauss_newton` makes one least squares step in all of the three angles, the two shifts and the scale of
    every image (`nuisance` false: the angles alone), exaggerated by `relaxation` because the volume has
    taken up part of every error, and goes on with the volume for `n_iter` iterations. It ends early when the
    root mean square of the step falls below `tolerance` [deg], or when the R-factor rises. A round takes the
    work of two projections of the specimen per tilt: one with its depth moment (`derivative_images`). The
    cost is in the reconstruction.

    `grid` is the published way (public code of paper 003): the least R1 of 7 × 7 × 7 offsets of 0.025°,
    343 projections per tilt and round, shifts and scales as they are; the volume then starts again from zero
    with `first_iter` iterations. A round moves no angle by more than 0.075°.

    A rotation of the whole specimen explains the same images, so the mean rotation from `geometry` is taken
    out; the alignment of `start` is where shifts and scales begin. Angles about the beam are the best known,
    and those about the tilt axis the worst: where they err smoothly with the tilt the volume is stretched
    rather than blurred, and this part is the last to go.

    The background must be subtracted. Returns the geometry, and the alignment with its Euler angles.
    `callback` gets the round and its `r_factor`. Raises `InputError`.
    """
    if method not in get_args(Refine):
        raise InputError(f"method must be one of {', '.join(get_args(Refine))}, not {method!r}")
    if n_round < 1 or first_iter < 1 or n_iter < 1:
        raise InputError("angles: n_round, first_iter and n_iter must be at least 1")
    if volume is not None and tuple(volume.shape) != geometry.volume_shape:
        raise InputError(f"angles: the volume is {tuple(volume.shape)}, the geometry {geometry.volume_shape}")
    solve = default_solver() if solver is None else solver
    found = Alignment.identity(geometry.rotations) if start is None else start
    images = found.correct(projections, geometry.pixel_size)
    projector = SparseProjector(geometry, support=specimen_support(specimen_masks(images), geometry))
    measured = torch.from_numpy(images).to(projector.dtype)
    if volume is None:
        volume = solve(projector, measured, first_iter)
    turns, history = geometry.rotations, [float("inf")]
    best = turns, found
    for n in range(1, n_round + 1):
        calculated, moments = projector.with_depth(volume)
        history.append(r_factor(torch.from_numpy(calculated), torch.from_numpy(images)))
        if method == "gauss_newton" and history[-1] > min(history):
            turns, found = best
            break
        best = turns, found
        if method == "grid":
            turns, last = grid_search(projector, volume, measured), float("inf")
        else:
            derivatives = derivative_images(calculated, projector.geometry, moments)
            change = _steps(images - calculated, derivatives, nuisance) * relaxation
            turns = Rotation.from_rotvec(change[:, TURN]) * turns
            last = float(np.rad2deg(np.sqrt(np.mean(change[:, TURN] ** 2))))
            if nuisance:
                shifts = found.shifts + without_translation(change[:, SHIFT], turns)
                scales = with_mean_one(found.scales * (1 + change[:, SCALE][:, 0]))
                found = replace(found, shifts=shifts, scales=scales)
                images = found.correct(projections, geometry.pixel_size)
                measured = torch.from_numpy(images).to(projector.dtype)
        projector.turn(replace(projector.geometry, rotations=turns))
        if callback is not None:
            try:
                callback(n, {"r_factor": history[-1]})
            except StopIteration:
                break
        if last < tolerance or n == n_round:
            break
        if method == "grid":
            volume = solve(projector, measured, first_iter)
        else:
            volume = solve(projector, measured, n_iter, initial=volume)
    turns = without_rotation(turns, geometry.rotations)
    angles = euler_angles(turns, near=euler_angles(geometry.rotations))
    figures = tuple(history[1:])
    return replace(geometry, rotations=turns), replace(
        found, angles=angles, rounds=len(figures), history=figures
    )


def _steps(residuals: FloatArray, derivatives: FloatArray, nuisance: bool) -> FloatArray:
    """Steps (n_tilt, 6) in scale, shift and turn; those of scale and shift are zero without `nuisance`."""
    if nuisance:
        return step(residuals, derivatives)
    found = np.zeros(derivatives.shape[:2])
    found[:, TURN] = step(residuals, derivatives[:, TURN])
    return found
