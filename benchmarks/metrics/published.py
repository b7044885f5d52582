"""The papers' own rule, kept so that their numbers can be reproduced; never to be mixed with ours unlabelled.

AET workflow (003), as in its authors' public code: each species on its own, every true atom takes its nearest
neighbour in the answer within a cutoff, not one to one, and the mean of the differences is removed until the
pairs stay. Several true atoms may take the same atom of the answer, and false atoms cost nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.data import chemical_symbols
from scipy.spatial import KDTree

from benchmarks.metrics.match import Positions
from benchmarks.metrics.position import PM_PER_ANGSTROM

PUBLISHED_CUTOFFS: Mapping[str, float] = MappingProxyType(
    {"si-208": 0.9, "si-19993": 1.0, "sio2-7704": 1.0, "sigesn-13982": 1.5, "copdpt-18356": 1.5}
)
"""Å, by the structure of 003 whose score used it."""

PUBLISHED_CUTOFF = 1.5
"""Å, as 003 used for its alloys."""

_MAX_ROUNDS = 100


def published_scores(answer: Atoms, truth: Atoms, *, cutoff: float = PUBLISHED_CUTOFF) -> dict[str, float]:
    """published_identified and published_rmsd [pm], for all atoms and for each species of the truth."""
    scores: dict[str, float] = {}
    total, squares = 0, 0.0
    for number in np.unique(truth.numbers):
        true = truth.positions[truth.numbers == number]
        residuals = nearest_residuals(answer.positions[answer.numbers == number], true, cutoff)
        n, element = len(residuals), chemical_symbols[number]
        own = float((residuals**2).sum())
        scores[f"published_identified_of_{element}"] = n / len(true)
        scores[f"published_rmsd_of_{element}"] = _rms_pm(own, n)
        total, squares = total + n, squares + own
    return {
        "published_identified": total / len(truth),
        "published_rmsd": _rms_pm(squares, total),
        **scores,
    }


def _rms_pm(squares: float, n: int) -> float:
    return PM_PER_ANGSTROM * math.sqrt(squares / n) if n else math.nan


def nearest_residuals(answer: Positions, truth: Positions, cutoff: float) -> Positions:
    """Differences (n, 3) [Å] from each true atom to its nearest in `answer`, where that is within `cutoff`
    [Å], their mean removed again and again until the pairs stay.
    """
    if not len(answer) or not len(truth):
        return np.empty((0, 3))
    shift = np.zeros(3)
    before: npt.NDArray[np.int64] | None = None
    tree = KDTree(answer)
    for _ in range(_MAX_ROUNDS):
        distance, nearest = tree.query(truth + shift)
        nearest = np.where(distance <= cutoff, nearest, -1)
        paired = nearest >= 0
        if not paired.any():
            return np.empty((0, 3))
        differences = answer[nearest[paired]] - truth[paired]
        shift = differences.mean(axis=0)
        if before is not None and np.array_equal(nearest, before):
            break
        before = nearest
    return differences - shift
