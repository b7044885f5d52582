"""Answers whose score is known beforehand; they run like any method and appear in every report.

A control is no reconstructor: it is handed the truth, which no reconstructor ever is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from ase import Atoms
from scipy.spatial import ConvexHull, QhullError

from benchmarks.metrics.match import Positions


@dataclass(frozen=True)
class Control(ABC):
    """From the truth to an answer."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    description: ClassVar[str]

    @abstractmethod
    def answer(self, truth: Atoms, rng: np.random.Generator) -> Atoms:
        """The answer; `rng` is the only source of randomness."""


class Oracle(Control):
    """The truth: whatever is not perfect here is an error of the scoring."""

    name = "oracle"
    description = "the truth; must be perfect"

    def answer(self, truth: Atoms, rng: np.random.Generator) -> Atoms:
        """The truth."""
        return truth.copy()


class RandomAtoms(Control):
    """As many atoms of each species as the truth has, anywhere inside its hull: what chance scores."""

    name = "random"
    description = "as many atoms, anywhere inside the true hull; must be at chance"

    def answer(self, truth: Atoms, rng: np.random.Generator) -> Atoms:
        """Uniform positions in `region_of` the truth, the species shuffled among them."""
        positions = Region.of(truth.positions).draw(len(truth), rng)
        return Atoms(numbers=rng.permutation(truth.numbers), positions=positions)


class Mirrored(Control):
    """The truth with z reversed: what a rule gives away to an answer of the wrong hand.

    In a crystal whose lattice is its own mirror image most atoms still have a partner; what remains of recall
    then tells how little recall alone says.
    """

    name = "mirrored"
    description = "the truth with z reversed; shows what a lenient rule gives away"

    def answer(self, truth: Atoms, rng: np.random.Generator) -> Atoms:
        """The truth reflected in the plane z = 0."""
        return Atoms(numbers=truth.numbers, positions=truth.positions * (1.0, 1.0, -1.0))


class Broken(Control):
    """Raises, always: its cells must be recorded as failures, with their traceback, and counted."""

    name = "broken"
    description = "always raises; must be counted as a failure"

    def answer(self, truth: Atoms, rng: np.random.Generator) -> Atoms:
        """Raise RuntimeError."""
        raise RuntimeError("the control 'broken' raises on purpose")


CONTROLS: dict[str, Control] = {c.name: c for c in (Oracle(), RandomAtoms(), Mirrored(), Broken())}
"""Every control by name."""


@dataclass(frozen=True)
class Region:
    """The convex hull of a set of positions; their bounding box, padded, when they span no volume."""

    low: Positions
    high: Positions
    faces: Positions
    """(f, 4): a point is inside where normal · point + offset ≤ 0 for each one."""
    volume: float
    """Å³."""

    @classmethod
    def of(cls, positions: Positions, padding: float = 0.5) -> Region:
        """The region of `positions` (n, 3) [Å]; `padding` [Å] on each side is for sets that span no volume,
        such as one sheet of graphene.
        """
        low, high = positions.min(axis=0), positions.max(axis=0)
        try:
            hull = ConvexHull(positions)
            return cls(low, high, hull.equations, float(hull.volume))
        except (QhullError, ValueError):
            low, high = low - padding, high + padding
            return cls(low, high, np.empty((0, 4)), float(np.prod(high - low)))

    def contains(self, points: Positions) -> npt.NDArray[np.bool_]:
        """Which of `points` (n, 3) lie inside."""
        boxed = np.all((points >= self.low) & (points <= self.high), axis=1)
        outward = points[boxed] @ self.faces[:, :3].T + self.faces[:, 3]
        boxed[boxed] = np.all(outward <= 0, axis=1)
        return boxed

    def draw(self, n: int, rng: np.random.Generator) -> Positions:
        """`n` uniform positions (n, 3)."""
        kept = np.empty((0, 3))
        while len(kept) < n:
            points = rng.uniform(self.low, self.high, (2 * n, 3))
            kept = np.concatenate([kept, points[self.contains(points)]])
        return kept[:n]
