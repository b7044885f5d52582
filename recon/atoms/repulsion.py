"""Atoms keep their distance: pairs nearer than a bond cost energy, as in any solid.

    E = ½ Σ_pairs ((d₀ − d) / s)²   of pairs nearer than d₀,

with d₀ twice the covalent radius of the smallest species present, which no bond of two such atoms falls below
by more than the softness s, and s what bond lengths vary by in a glass. Where the counts tell atoms apart it
says nothing; where they hardly do, it keeps two atoms out of each other and a false one out of a place that
is too small for it. Cost: one search for neighbours and a few operations per pair.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Repulsion:
    """Of pairs nearer than `distance` [Å], with the `softness` s [Å]."""

    distance: float
    softness: float

    def near(self, positions: FloatArray) -> Pairs:
        """The pairs that repel each other at `positions` (n, 3) [Å]."""
        pairs = KDTree(positions).query_pairs(self.distance, output_type="ndarray")
        apart = positions[pairs[:, 0]] - positions[pairs[:, 1]]
        distance = np.linalg.norm(apart, axis=1)
        directions = apart / np.maximum(distance, 1e-6)[:, None]
        return Pairs(
            pairs, directions, (self.distance - distance) / self.softness, self.softness, len(positions)
        )

    def felt(self, points: FloatArray, positions: FloatArray) -> FloatArray:
        """The energy (m,) that a further atom at each of `points` (m, 3) would have among `positions` [Å]."""
        if not len(points) or not len(positions):
            return np.zeros(len(points))
        found = KDTree(points).sparse_distance_matrix(
            KDTree(positions), self.distance, output_type="coo_matrix"
        )
        near = (self.distance - found.data) / self.softness
        return np.asarray(np.bincount(found.row, 0.5 * near**2, minlength=len(points)), dtype=np.float64)


@dataclass(frozen=True)
class Pairs:
    """Pairs (m, 2) of `n` atoms, the `directions` (m, 3) from the second to the first, and (d₀ − d) / s
    (m,)."""

    pairs: npt.NDArray[np.intp]
    directions: FloatArray
    pressed: FloatArray
    softness: float
    n: int

    @property
    def energy(self) -> float:
        """E."""
        return float(0.5 * np.sum(self.pressed**2))

    def of_atoms(self) -> FloatArray:
        """What of E each atom would take away with it, (n,)."""
        each = np.repeat(0.5 * self.pressed**2, 2)
        return np.asarray(np.bincount(self.pairs.ravel(), each, minlength=self.n), dtype=np.float64)

    def force(self) -> FloatArray:
        """−∂E/∂x, (n, 3) [1/Å]."""
        return self._spread((self.pressed / self.softness)[:, None] * self.directions)

    def stiffness(self, moves: FloatArray) -> FloatArray:
        """The Gauss–Newton curvature of E times `moves` (n, 3) [Å], in 1/Å."""
        along = np.sum((moves[self.pairs[:, 0]] - moves[self.pairs[:, 1]]) * self.directions, axis=1)
        return self._spread((along / self.softness**2)[:, None] * self.directions)

    def blocks(self) -> FloatArray:
        """The part (n, 3, 3) of the curvature that each atom has by itself [1/Å²]."""
        outer = np.einsum("mi,mj->mij", self.directions, self.directions) / self.softness**2
        total = np.zeros((self.n, 3, 3))
        np.add.at(total, self.pairs.ravel(), np.repeat(outer, 2, axis=0))
        return total

    def _spread(self, of_pairs: FloatArray) -> FloatArray:
        """A vector of each pair (m, 3), added to the first and taken from the second, (n, 3)."""
        total = np.zeros((self.n, 3))
        np.add.at(total, self.pairs[:, 0], of_pairs)
        np.add.at(total, self.pairs[:, 1], -of_pairs)
        return total
