"""Refinement of the three angles of every tilt against the volume that is being reconstructed."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch

from datasets.errors import InputError
from recon.align.alignment import Alignment, euler_angles
from recon.align.gauge import without_rotation
from recon.align.grid_search import grid_search
from recon.align.joint_descent import joint_descent
from recon.align.reprojection import Solver, default_solver
from recon.align.support import specimen_masks, specimen_support
from recon.base import Callback
from recon.project.geometry import Geometry
from recon.project.sparse import SparseProjector
from recon.tomography.r_factor import r_factor

FloatArray = npt.NDArray[np.float64]
Refine = Literal["joint", "grid"]

EXPECTED_ERROR = 0.5
"""Root mean square error [deg] of the angles of a goniometer (0.6 before refinement in paper 003)."""

N_ROUND = 7
"""Rounds of the grid (public code of paper 003)."""


def refine_angles(
    projections: FloatArray,
    geometry: Geometry,
    *,
    method: Refine = "joint",
    start: Alignment | None = None,
    volume: torch.Tensor | None = None,
    solver: Solver | None = None,
    first_iter: int = 30,
    n_iter: int = 80,
    n_round: int = N_ROUND,
    expected_error: float = EXPECTED_ERROR,
    nuisance: bool = True,
    callback: Callback | None = None,
) -> tuple[Geometry, Alignment]:
    """The `geometry` with the rotations that `projections` (n_tilt, n_y, n_x) were really taken at.

    A volume is reconstructed with the nominal angles (`first_iter` iterations of `solver`, by default FISTA;
    or `volume` (n_z, n_y, n_x) is given), and then

    `joint` refines it together with the three angles, the two shifts and the scale of every image for
    `n_iter` iterations (`joint_descent`), the angles under a prior of `expected_error` [deg] about the
    nominal ones; `nuisance` false leaves shifts and scales. The derivatives of all six take one projection
    per tilt and iteration, which the volume needs anyway, and its depth moment.

    `grid` is the published way (public code of paper 003), `n_round` times: the least R1 of 7 × 7 × 7 offsets
    of 0.025°, 343 projections per tilt and round, shifts and scales as they are; the volume then starts again
    from zero with `first_iter` iterations. No round moves an angle by more than 0.075°.

    A rotation of the whole specimen explains the same images, so the mean rotation from `geometry` is taken
    out; the alignment of `start` is where shifts and scales begin. Angles about the beam are the best known;
    those about the tilt axis the worst, and the last to converge, most of all beside a missing wedge. Angles
    known to 0.1° gain little from this: the volume is never quite converged, and that limits its angles too.
    Denoised images (`recon.preprocess.denoise`) help where counts are few.

    The background must be subtracted. Returns the geometry, and the alignment with its Euler angles.
    `callback` gets the number and the `r_factor` of every entry of the history. Raises `InputError`.
    """
    if method not in get_args(Refine):
        raise InputError(f"method must be one of {', '.join(get_args(Refine))}, not {method!r}")
    if n_round < 1 or first_iter < 1 or n_iter < 1:
        raise InputError("angles: n_round, first_iter and n_iter must be at least 1")
    if volume is not None and tuple(volume.shape) != geometry.volume_shape:
        raise InputError(f"angles: the volume is {tuple(volume.shape)}, the geometry {geometry.volume_shape}")
    solve = default_solver() if solver is None else solver
    found = Alignment.identity(geometry.rotations) if start is None else start
    found = replace(found, rounds=0, history=())
    images = found.correct(projections, geometry.pixel_size)
    projector = SparseProjector(geometry, support=specimen_support(specimen_masks(images), geometry))
    measured = torch.from_numpy(images).to(projector.dtype)
    if volume is None:
        volume = solve(projector, measured, first_iter)
    if method == "joint":
        turns, found = joint_descent(
            projector,
            projections,
            found,
            volume.to(projector.dtype),
            n_iter,
            expected_error=expected_error,
            nuisance=nuisance,
            callback=callback,
        )
    else:
        history: list[float] = []
        for n in range(1, n_round + 1):
            if n > 1:
                volume = solve(projector, measured, first_iter)
            history.append(r_factor(projector.forward(volume), measured))
            projector.turn(replace(geometry, rotations=grid_search(projector, volume, measured)))
            if callback is not None:
                try:
                    callback(n, {"r_factor": history[-1]})
                except StopIteration:
                    break
        turns = projector.geometry.rotations
        found = replace(found, rounds=len(history), history=tuple(history))
    turns = without_rotation(turns, geometry.rotations)
    angles = euler_angles(turns, near=euler_angles(geometry.rotations))
    return replace(geometry, rotations=turns), replace(found, angles=np.asarray(angles))
