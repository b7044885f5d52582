"""Scores of a sheet seen along its normal: heights by themselves, and the plane by itself.

One frame is a projection: it says where an atom is in x and y to a tenth of an Å, and along the beam hardly
to one. Pairs are therefore made in the plane, one to one, whatever the heights. In three dimensions a ripple
that is off by 1 Å would be scored as atoms not found.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from ase import Atoms

from benchmarks.metrics.match import Match, match_positions
from benchmarks.metrics.position import PM_PER_ANGSTROM

FloatArray = npt.NDArray[np.float64]

SHEET_CUTOFF = 0.6
"""Å in the plane. Below half of a bond of graphene, 0.71 Å, also where it rises by 30° and looks 13 %
shorter: the discs around true atoms do not overlap, and an answer belongs to one of them only."""

SHEET_TRANSLATION = 0.5
"""Å in the plane, the longest that is removed: a few pixels. Half of a bond would shift a lattice towards
another."""

THIN = 0.2
"""A sheet is as thick as this part of its width at most, in standard deviations along its axes."""


def is_sheet(truth: Atoms) -> bool:
    """Whether the atoms lie about a plane across z."""
    if len(truth) < 3:
        return False
    x, y, z = truth.positions.std(axis=0)
    return bool(z < THIN * min(x, y))


def sheet_scores(
    answer: Atoms, truth: Atoms, *, cutoff: float = SHEET_CUTOFF, max_translation: float = SHEET_TRANSLATION
) -> dict[str, float]:
    """sheet_recall and sheet_precision of pairs in the plane, and over those pairs x_rmsd, y_rmsd, z_rmsd and
    z_rmsd_levelled [pm].

    One translation in the plane is removed. z_rmsd is of heights as they are; z_rmsd_levelled after a plane
    of least squares, mean and tilt, is taken from the differences: a tilt of the specimen or an error of the
    defocus, which one frame does not tell from each other, is then none.
    """
    match = match_in_plane(answer, truth, cutoff=cutoff, max_translation=max_translation)
    scores = {
        "sheet_recall": match.n / match.n_truth,
        "sheet_precision": match.n / match.n_answer if match.n_answer else 0.0,
    }
    differences = np.full((4, 1), math.nan)
    if match.n:
        i, j = match.pairs.T
        z = answer.positions[j, 2] - truth.positions[i, 2]
        differences = np.stack([*match.residuals[:, :2].T, z, _levelled(z, truth.positions[i, :2])])
    for name, values in zip(("x_rmsd", "y_rmsd", "z_rmsd", "z_rmsd_levelled"), differences, strict=True):
        scores[name] = PM_PER_ANGSTROM * math.sqrt(float(np.mean(values**2)))
    return scores


def match_in_plane(
    answer: Atoms, truth: Atoms, *, cutoff: float = SHEET_CUTOFF, max_translation: float = SHEET_TRANSLATION
) -> Match:
    """As `match_positions`, of the atoms projected along z; the residuals' third column is zero."""
    flat = np.array([1.0, 1.0, 0.0])
    return match_positions(
        answer.positions * flat, truth.positions * flat, cutoff=cutoff, max_translation=max_translation
    )


def _levelled(z: FloatArray, points: FloatArray) -> FloatArray:
    """`z` (n,) less its plane of least squares over `points` (n, 2)."""
    design = np.column_stack([np.ones(len(z)), points - points.mean(axis=0)])
    return np.asarray(z - design @ np.linalg.lstsq(design, z, rcond=None)[0])
