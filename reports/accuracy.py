"""Identification and position precision by species, by our rule and by that of paper 003, over replicates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ase.data import atomic_numbers

from benchmarks.cells import CellResult
from benchmarks.limits.limit import Limit
from benchmarks.metrics.over_limit import LARGEST
from benchmarks.metrics.position import PM_PER_ANGSTROM
from benchmarks.metrics.published import published_scores
from benchmarks.summary import mean_interval
from reports.limits import stored_limits
from reports.published import ALL, SPECIMENS, specimen_like
from reports.series import Series

ONE_TO_ONE = "one to one"
PAPERS_RULE = "paper's rule"
PAPER = "paper"


@dataclass(frozen=True)
class Estimate:
    """A mean over `n` replicates with its interval; NaN where there is none."""

    mean: float
    low: float
    high: float
    n: int


NONE = Estimate(math.nan, math.nan, math.nan, 0)


@dataclass(frozen=True)
class Accuracy:
    """What one method got right of one species: `identified` and `called` (of the atoms called so, those that
    are) [%], `rmsd` [pm] of the atoms identified. The paper's rule has no `called`: false atoms are free.
    """

    species: str
    rule: str
    identified: Estimate
    called: Estimate
    rmsd: Estimate
    n_atoms: int
    bound: float = math.nan
    """Cramér–Rao bound [pm] on the RMSD of all true atoms of the species; NaN where none is known."""
    over_limit: Estimate = NONE
    """RMSD of the atoms identified over the bound of the same atoms."""


def accuracy(series: Series, method: str, dose: float) -> list[Accuracy]:
    """Every species of a series and all together, by both rules; failed cells count as nothing found."""
    cells = series.replicates(method, dose)
    like = specimen_like(series.elements, series.n_atoms)
    cutoff = like.cutoff if like else max(s.cutoff for s in SPECIMENS)
    numbers = cells[0].truth().get_chemical_symbols()
    counts = {**{e: numbers.count(e) for e in series.elements}, ALL: len(numbers)}
    ours = [one_to_one(c, series.elements, counts) for c in cells]
    theirs = [papers_rule(c, series.elements, cutoff) for c in cells]
    limit = stored_limits(series.store, [dose]).get(dose)
    bounds = bounds_of(limit, cells, series.elements)
    over = [over_limit(c, limit, series.elements) for c in cells]
    found = []
    for rule, scores in ((ONE_TO_ONE, ours), (PAPERS_RULE, theirs)):
        for species in (*series.elements, ALL):
            identified, called, rmsd = (
                _estimate([s[quantity][species] for s in scores], quantity) for quantity in QUANTITIES
            )
            ratio = _estimate([o[species] for o in over], "rmsd") if rule == ONE_TO_ONE else NONE
            n = counts[species]
            found.append(Accuracy(species, rule, identified, called, rmsd, n, bounds[species], ratio))
    return found


QUANTITIES = ("identified", "called", "rmsd")
Scores = Mapping[str, Mapping[str, float]]
"""Quantity, then species, to value."""


def one_to_one(cell: CellResult, elements: Sequence[str], counts: Mapping[str, int]) -> Scores:
    """Of a cell, by the one-to-one rule: percentages and pm. All together are pooled over the species."""
    scores = cell.scores
    identified = {e: scores[f"identified_{e}"] for e in elements}
    called = {e: scores[f"identified_precision_{e}"] for e in elements}
    rmsd = {e: scores[f"identified_rmsd_{e}"] for e in elements}
    right = {e: identified[e] * counts[e] for e in elements}
    total = sum(right.values())
    squares = sum(right[e] * rmsd[e] ** 2 for e in elements if right[e])
    identified[ALL] = total / counts[ALL]
    called[ALL] = total / scores["n_answer"] if scores["n_answer"] else 0.0
    rmsd[ALL] = math.sqrt(squares / total) if total else math.nan
    return {"identified": _percent(identified), "called": _percent(called), "rmsd": rmsd}


def papers_rule(cell: CellResult, elements: Sequence[str], cutoff: float) -> Scores:
    """Of a cell, by the rule of paper 003 with its `cutoff` [Å], from the stored atoms."""
    answer = None if cell.failed else cell.answer()
    if answer is None:
        found = dict.fromkeys((*elements, ALL), 0.0)
        nothing = dict.fromkeys((*elements, ALL), math.nan)
        return {"identified": found, "called": nothing, "rmsd": nothing}
    scores = published_scores(answer, cell.truth(), cutoff=cutoff)
    names = {ALL: "", **{e: f"_of_{e}" for e in elements}}
    return {
        "identified": _percent({key: scores[f"published_identified{end}"] for key, end in names.items()}),
        "called": dict.fromkeys(names, math.nan),
        "rmsd": {key: scores[f"published_rmsd{end}"] for key, end in names.items()},
    }


def bounds_of(limit: Limit | None, cells: Sequence[CellResult], elements: Sequence[str]) -> dict[str, float]:
    """The bound [pm] of every species and of all atoms; of all alone where the results hold no more."""
    if limit is not None:
        return {**{e: limit.bound(e) for e in elements}, ALL: limit.bound()}
    known = [c.scores.get("rmsd_limit", math.nan) for c in cells]
    return {**dict.fromkeys(elements, math.nan), ALL: max(known, key=lambda v: (v == v, v), default=math.nan)}


def over_limit(cell: CellResult, limit: Limit | None, elements: Sequence[str]) -> dict[str, float]:
    """RMSD of the identified atoms of a cell over the bound of the same atoms, by species and for all; NaN as
    `benchmarks.metrics.over_limit` has it.
    """
    ratios = dict.fromkeys((*elements, ALL), math.nan)
    if limit is None or cell.failed:
        return ratios
    arrays = cell.arrays()
    i, j = arrays["pairs"].reshape(-1, 2).T
    true, called = arrays["truth_numbers"][i], arrays["answer_numbers"][j]
    squares = (arrays["residuals"] ** 2).sum(axis=1)
    largest = LARGEST * PM_PER_ANGSTROM * float(cell.scoring["cutoff"])
    for species in ratios:
        chosen = true == called
        if species != ALL:
            chosen &= true == atomic_numbers[species]
        bound = limit.bound(i[chosen])
        if chosen.any() and 0 < bound <= largest:
            ratios[species] = PM_PER_ANGSTROM * math.sqrt(squares[chosen].mean()) / bound
    return ratios


def _percent(values: Mapping[str, float]) -> dict[str, float]:
    return {key: 100 * value for key, value in values.items()}


def _estimate(values: Sequence[float], quantity: str) -> Estimate:
    high = None if quantity == "rmsd" else 100.0
    return Estimate(*mean_interval(np.asarray(values, dtype=np.float64), 0.0, high))


def position_errors(cells: Sequence[CellResult]) -> np.ndarray:
    """Distances [pm] between the matched atoms and the true ones, (n,), of all answered `cells`."""
    found = [100 * np.linalg.norm(c.arrays()["residuals"], axis=1) for c in cells if not c.failed]
    return np.concatenate(found) if found else np.empty(0)
