"""The sheets of a results folder: answers beside their truths, errors of paired atoms, means over sheets."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr
from ase import Atoms

from benchmarks.cells import CellResult
from benchmarks.metrics.sheet import match_in_plane
from benchmarks.summary import mean_interval
from datasets.errors import InputError
from datasets.naming import parse_name
from reports.accuracy import Estimate
from reports.published_sheets import CALIBRATED
from reports.series import Collection, Series

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

PM = 100.0
"""pm per Å."""
BEST = "multislice-map"
PUBLISHED_METHOD = "annealing-md"
"""The reconstructor that follows the paper."""
GUESSES = ("graphene-flat", "graphene-pcd")
"""Reconstructors that say nothing of ripples, or little: controls."""
AXES = ("x", "y", "z")


@dataclass(frozen=True, eq=False)
class SheetAnswer:
    """An answer beside the truth: positions (n, 3) [Å], `pairs` (m, 2) of atoms of truth and answer, made in
    the plane, and the `errors` (m, 3) [Å] of these, one translation in the plane removed, heights as they
    are.
    """

    truth: FloatArray
    answer: FloatArray
    pairs: IntArray
    errors: FloatArray

    @classmethod
    def of(cls, answer: FloatArray, truth: FloatArray) -> SheetAnswer:
        """Paired in the plane, one to one."""
        match = match_in_plane(
            Atoms(f"C{len(answer)}", positions=answer), Atoms(f"C{len(truth)}", positions=truth)
        )
        i, j = match.pairs.reshape(-1, 2).T
        heights = answer[j, 2] - truth[i, 2]
        errors = np.column_stack([match.residuals.reshape(-1, 3)[:, :2], heights])
        return cls(truth, answer - match.translation, np.column_stack([i, j]), errors)

    def rmsd(self) -> FloatArray:
        """Root mean square errors (3,) along x, y and z [Å]."""
        return np.asarray(np.sqrt((self.errors**2).mean(axis=0)))


def answer_of(cell: CellResult) -> SheetAnswer:
    """The answer of a cell. Raises `InputError` where it failed or pairs nothing."""
    found = None if cell.failed else cell.answer()
    if found is None or not len(found):
        raise InputError(f"{cell.cell.sentence}, has no answer")
    paired = SheetAnswer.of(found.positions, cell.truth().positions)
    if not len(paired.pairs):
        raise InputError(f"no atom of {cell.cell.sentence}, lies near a true one")
    return paired


def sheets(collection: Collection) -> list[Series]:
    """The single frames among the results, those of the most atoms and of these the first seed and frame
    first. Raises `InputError` when there are none.
    """
    found = [s for s in collection.series if s.is_frame and s.elements == ("C",) and _intact(s)]
    if not found:
        raise InputError(
            "no frame of graphene is among the results; make some by `dosebench run graphene` "
            "(graphene-smoke takes a minute)"
        )
    return sorted(found, key=lambda s: (-s.n_atoms, s.card.frame, str(s.card.structure.seed), s.name))


def _intact(series: Series) -> bool:
    """Whether it is the sheet of its card as it is, taken with the optics of its card."""
    return set(parse_name(series.name)[1]) <= {"seed", "frame"}


def same_kind(collection: Collection) -> list[Series]:
    """First frames of the sheets with the most atoms, over which means are taken; of a sheet that is there
    under two names, the one with more results.
    """
    found = sheets(collection)
    first = [s for s in found if s.n_atoms == found[0].n_atoms and s.card.frame == 0]
    most: dict[object, Series] = {}
    for series in first:
        seed = series.card.structure.seed
        if seed not in most or len(series.cells) > len(most[seed].cells):
            most[seed] = series
    return list(most.values())


def consecutive(collection: Collection) -> list[Series]:
    """The frames of one sheet in the order of time, at least two. Raises `InputError` without them."""
    groups: dict[tuple[object, ...], dict[int, Series]] = {}
    for series in sheets(collection):
        base = parse_name(series.name)[0]
        groups.setdefault((base, series.card.structure.seed), {}).setdefault(series.card.frame, series)
    best = max(groups.values(), key=len)
    if len(best) < 2:
        raise InputError(
            "the results hold no second frame of any sheet; `dosebench run graphene-series`, and give its "
            "results too by --results"
        )
    return [best[frame] for frame in sorted(best)]


def methods(series: Iterable[Series]) -> list[str]:
    """The reconstructors that have answers on any of these, the best first, then as in the results."""
    found = dict.fromkeys(m for s in series for m in s.methods())
    rank = {BEST: 0, PUBLISHED_METHOD: 1, **dict.fromkeys(GUESSES, 3)}
    return sorted(found, key=lambda m: rank.get(m.partition("[")[0], 2))


def is_guess(method: str) -> bool:
    """Whether it is a control that says little of ripples."""
    return method.partition("[")[0] in GUESSES


def main_method(series: Iterable[Series]) -> str:
    """The method whose sheets are drawn. Raises `InputError` where there are but controls."""
    found = [m for m in methods(series) if not is_guess(m)]
    if not found:
        raise InputError(f"no reconstructor that finds ripples ({BEST}) has an answer on these frames")
    return found[0]


def main_dose(series: Series, method: str) -> float:
    """The dose [e⁻/Å²] of the paper's validation, else the nearest one. Raises `InputError` without any."""
    doses = [dose for dose in series.doses(method) if math.isfinite(dose)] or series.doses(method)
    if not doses:
        raise InputError(f"{method} has no answer on {series.name}")
    return min(doses, key=lambda dose: abs(math.log(dose / CALIBRATED)))


def total(scores: dict[str, float]) -> float:
    """The root mean square error over all three axes [pm] of a cell."""
    return math.sqrt(sum(scores[f"{axis}_rmsd"] ** 2 for axis in AXES))


def over_sheets(
    series: Sequence[Series], method: str, dose: float, of: Callable[[dict[str, float]], float]
) -> Estimate:
    """The mean of a score over sheets, each the mean over its replicates, with its 95 % Student interval over
    sheets; of a single sheet that over replicates. Failed cells have no error and are left out.
    """
    values = []
    for one in series:
        cells = [c for c in one.replicates(method, dose) if not c.failed]
        own = np.array([of(dict(c.scores)) for c in cells])
        if np.isfinite(own).any():
            values.append(own[np.isfinite(own)])
    if len(values) == 1:
        return Estimate(*mean_interval(values[0], 0.0))
    return Estimate(*mean_interval(np.array([own.mean() for own in values]), 0.0))


def counts_of(series: Series, dose: float, replicate: int) -> xr.Dataset:
    """The frame of one dose and replicate. Raises `InputError` when it is not stored."""
    if not series.store.has(dose, replicate):
        raise InputError(
            f"the counts of {series.name} at {dose:g} e⁻/Å² are not below {series.store.root}: give that "
            "folder with --data, or make them by `dosebench simulate`"
        )
    return series.store.measurement(dose, replicate)
