"""One frame's truth and answer, as the maps of Figs. 4 and 5 take them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from ase import Atoms

from datasets.structures.analysis.bicubic import SPACING
from datasets.structures.analysis.sheet import (
    BondChanges,
    Displacements,
    bond_changes,
    displacements,
    levelled,
)
from datasets.structures.analysis.strain import Strain, height_gradient, strain
from reports.series import Collection, Series
from reports.sheets import SheetAnswer, answer_of, main_dose, main_method, same_kind

FloatArray = npt.NDArray[np.float64]


RIM = SPACING
"""Å from the edge of a sheet within which surfaces have atoms on one side only, and slopes are not told."""


def inside(points: FloatArray) -> npt.NDArray[np.bool_]:
    """Which of the `points` (n, 2) [Å] lie farther than `RIM` within the rectangle that holds them all."""
    low, high = points.min(axis=0) + RIM, points.max(axis=0) - RIM
    return np.asarray(((points >= low) & (points <= high)).all(axis=1))


RIM_WORDS = f"Grey: less than {RIM:g} Å from the edge, where slopes are not told; left out of all numbers."


@dataclass(frozen=True, eq=False)
class Sheet:
    """A sheet turned so that its plane of least squares is z = 0: `positions` (n, 3) [Å]."""

    positions: FloatArray

    @classmethod
    def of(cls, positions: FloatArray) -> Sheet:
        """A sheet as it lies."""
        return cls(levelled(positions))

    @property
    def points(self) -> FloatArray:
        """Its atoms in the plane (n, 2) [Å]."""
        return self.positions[:, :2]

    def strained(self) -> tuple[Strain, Displacements]:
        """The strain at the sites of the atoms, and the displacements from them."""
        found = displacements(Atoms(f"C{len(self.positions)}", positions=self.positions))
        return strain(found), found

    def gradient(self) -> FloatArray:
        """The slope g (n,) at its atoms."""
        return height_gradient(self.positions)

    def bonds(self) -> BondChanges:
        """δ of every bond."""
        return bond_changes(Atoms(f"C{len(self.positions)}", positions=self.positions))


@dataclass(frozen=True, eq=False)
class Pictured:
    """What is drawn: the frame, method and dose; the answer paired with the truth; both as sheets."""

    series: Series
    method: str
    dose: float
    paired: SheetAnswer
    truth: Sheet
    answer: Sheet


def pictured(collection: Collection) -> Pictured:
    """The first frame of the first sheet, at the dose of the paper's validation. Raises `InputError`."""
    found = same_kind(collection)
    method = main_method(found)
    series = next(s for s in found if method in s.methods())
    dose = main_dose(series, method)
    cells = [c for c in series.replicates(method, dose) if not c.failed]
    paired = answer_of(min(cells, key=lambda c: c.cell.replicate))
    return Pictured(series, method, dose, paired, Sheet.of(paired.truth), Sheet.of(paired.answer))
