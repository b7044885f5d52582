"""The published refinement of tilt angles: a full grid of offsets about the current ones."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from datasets.schema import EULER_SEQUENCE
from recon.align.alignment import euler_angles
from recon.project.sparse import SparseProjector

N_OFFSET = 7
"""Offsets per angle (public code of paper 003)."""

STEP = 0.025
"""Step of the offsets [deg] (public code of paper 003)."""


def grid_search(
    projector: SparseProjector,
    volume: torch.Tensor,
    measured: torch.Tensor,
    *,
    n_offset: int = N_OFFSET,
    step: float = STEP,
) -> Rotation:
    """The rotations of least R1 among `n_offset`³ offsets of (phi, theta, psi), multiples of `step` [deg].

    `measured` are (n_tilt, n_y, n_x), `volume` (n_z, n_y, n_x). The first of equals wins. Every offset is a
    projection of the whole volume: n_offset³ n_tilt of them.
    """
    geometry = projector.geometry
    angles = euler_angles(geometry.rotations)
    least = np.full(len(angles), np.inf)
    best = angles.copy()
    offsets = (np.arange(n_offset) - n_offset // 2) * step
    trial = SparseProjector(geometry, support=volume.numpy() != 0, dtype=projector.dtype)
    for offset in itertools.product(offsets, repeat=3):
        turns = Rotation.from_euler(EULER_SEQUENCE, angles + offset, degrees=True)
        trial.turn(replace(geometry, rotations=turns))
        misfit = (trial.forward(volume) - measured).abs().sum(dim=(1, 2)).numpy()
        better = misfit < least
        least[better], best[better] = misfit[better], (angles + offset)[better]
    return Rotation.from_euler(EULER_SEQUENCE, best, degrees=True)
