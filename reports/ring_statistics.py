"""Rings of a network of Si and O, in the truth and in answers: how many of each size, how many in order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from ase import Atoms

from benchmarks.cells import CellResult
from benchmarks.metrics.rings import network_rings, ordered, ring_sizes
from benchmarks.summary import mean_interval
from datasets.structures.analysis.rings import MAX_SIZE
from reports.accuracy import Estimate

FloatArray = npt.NDArray[np.float64]

SIZES = np.arange(2, MAX_SIZE + 1)
"""Half the atoms of a ring: N of an N-membered ring, the Si of a heteroatomic one."""


@dataclass(frozen=True, eq=False)
class RingCounts:
    """How many rings there are of each of `SIZES`, (n_sizes,), means over replicates where there are several:
    those in which Si and O alternate, and those with a homopolar bond.
    """

    heteroatomic: FloatArray
    broken: FloatArray

    @property
    def n(self) -> float:
        """All rings."""
        return float(self.heteroatomic.sum() + self.broken.sum())


def count_rings(atoms: Atoms) -> RingCounts:
    """The rings of atoms that are called Si and O."""
    rings = network_rings(atoms) if len(atoms) else None
    if rings is None or not len(rings):
        return RingCounts(np.zeros(len(SIZES)), np.zeros(len(SIZES)))
    sizes, right = ring_sizes(rings), ordered(rings, atoms)
    counts = [np.bincount(sizes[which], minlength=MAX_SIZE + 1)[SIZES] for which in (right, ~right)]
    return RingCounts(*(one.astype(np.float64) for one in counts))


def mean_counts(cells: Sequence[CellResult]) -> RingCounts:
    """Of the answers of `cells`, in the mean; one that failed has no ring."""
    found = [count_rings(cell.answer() or Atoms()) for cell in cells]
    return RingCounts(
        np.mean([one.heteroatomic for one in found], axis=0), np.mean([one.broken for one in found], axis=0)
    )


def ring_share(cells: Sequence[CellResult], metric: str) -> Estimate:
    """The mean over `cells` of `heteroatomic_rings` or `rings_found` [%], with its interval."""
    values = np.array([cell.scores.get(metric, math.nan) for cell in cells], dtype=np.float64)
    return Estimate(*mean_interval(100 * values, 0.0, 100.0))
