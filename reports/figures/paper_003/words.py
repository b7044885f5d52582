"""What the captions and tables of these figures share: doses, rules, intervals and numbers in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.cells import CellResult
from benchmarks.summary import LEVEL
from datasets.errors import InputError
from reports.accuracy import ONE_TO_ONE, PAPER, PAPERS_RULE, Estimate
from reports.again import SAME_PLACE, Again
from reports.answers import spread_doses
from reports.figures import style
from reports.figures.paper_003.species import Group, bounded
from reports.published import Published, Specimen, same_dose, specimen_like
from reports.series import Collection, Series, in_words

HEAD = ("", "Species", "Atoms", "Rule", "Identified (%)", "Precision (%)", "RMSD (pm)", "× limit")
"""The columns of every table."""

BOUND = (
    "Dotted: Cramér–Rao bound on the RMSD of all atoms of a species, with all but the positions known; its "
    "ratio in the table is for the atoms identified."
)


def like(series: Series) -> Specimen | None:
    """The paper's particle that a series stands for."""
    return specimen_like(series.elements, series.n_atoms)


def scale(series: Series) -> str:
    """What was run, beside what the paper has."""
    paper = like(series)
    told = "" if paper is None else f" (the paper: {paper.n_atoms:,} atoms, {paper.n_images} images)"
    return f"{series.scale}, {in_words(series.card.imperfections)}{told}"


def doses_shown(available: Sequence[float], published: Sequence[Published], most: int) -> list[float]:
    """The doses of the paper that there are, or where there are none at most `most` over the range."""
    same = [d for d in available if any(same_dose(d, p.dose) for p in published)]
    return same[:most] if same else spread_doses(available, most)


def missing_doses(series: Series, available: Sequence[float], published: Sequence[Published]) -> list[str]:
    """A sentence where the results lack doses of the paper."""
    lacking = [p.dose for p in published if not any(same_dose(d, p.dose) for d in available)]
    if not lacking:
        return []
    listed = " and ".join(style.dose_text(d) for d in lacking)
    doses = f"the paper's dose{'s' if len(lacking) > 1 else ''} of {listed} e⁻/Å²"
    return [f"{series.name}: {doses} {'are' if len(lacking) > 1 else 'is'} not among the results."]


def stated(published: Sequence[Published], dose: float) -> Published | None:
    """What the paper states at a dose."""
    return next((p for p in published if same_dose(p.dose, dose)), None)


def representative(series: Series, method: str, dose: float) -> CellResult:
    """The answered cell with the lowest replicate."""
    answered = [c for c in series.replicates(method, dose) if not c.failed]
    if not answered:
        raise InputError(f"{method} has no answer on {series.name} at {dose:g} e⁻/Å²")
    return min(answered, key=lambda c: c.cell.replicate)


def differs(series: Series, again: Again) -> list[str]:
    """A sentence where a reconstruction that was made again is not quite the stored one."""
    if again.same:
        return []
    return [
        f"{series.name}: what is drawn of the volume was made again here, and its atoms are not to "
        f"{SAME_PLACE:g} Å those of the results."
    ]


def rules(collection: Collection, series: Series, groups: Sequence[Group] = ()) -> str:
    """The two rules of scoring, and the bound where one is drawn."""
    cutoff = collection.cutoff
    paper = like(series)
    theirs = "" if paper is None else f" within {paper.cutoff:g} Å"
    return (
        f"Discs: identified one to one within {cutoff:g} Å and rightly named. Diamonds: the same answers by "
        f"the paper's rule, nearest atom of the species{theirs}, to which black bars, the paper's numbers, "
        "compare. Precision: of the atoms called so, those that are."
        f"{' ' + BOUND if bounded(groups) else ''}"
    )


def interval(series: Series, method: str, doses: Sequence[float]) -> str:
    """What the error bars are."""
    counts = sorted({len(series.replicates(method, dose)) for dose in doses})
    n = " to ".join(str(c) for c in dict.fromkeys((counts[0], counts[-1])))
    if counts[-1] < 2:
        return f"n = {n} noise replicate, so without an interval."
    return f"Error bars: {100 * LEVEL:g} % Student interval of the mean over n = {n} noise replicates."


def table(groups: Sequence[tuple[str, Group]]) -> tuple[tuple[str, ...], ...]:
    """Every number of the groups as text: first what the paper states, then ours by its rule, then ours."""
    rows: list[tuple[str, ...]] = [HEAD]
    for label, group in groups:
        for species in dict.fromkeys(a.species for a in group.accuracies):
            ours = group.of(species, ONE_TO_ONE)
            theirs = group.of(species, PAPERS_RULE)
            n = f"{ours.n_atoms:,}" if ours else ""
            if group.published is not None and species in group.published.identified:
                paper = group.published
                texts = (f"{paper.identified[species]:g}", "–", f"{paper.rmsd[species]:g}", "–")
                rows.append((label, species, "", f"{PAPER}, {paper.source}", *texts))
            for found in (theirs, ours):
                if found is not None:
                    values = [number_text(e) for e in (found.identified, found.called, found.rmsd)]
                    values.append(number_text(found.over_limit, 2))
                    rows.append((label, species, n, found.rule, *values))
    return tuple(rows)


def number_text(estimate: Estimate, decimals: int | None = None) -> str:
    """`95.1 (94.0 to 96.2)`; a ratio has two `decimals`."""

    def written(value: float) -> str:
        if decimals is None or not np.isfinite(value):
            return style.number_text(value)
        return f"{value:.{decimals}f}"

    text = written(estimate.mean)
    if not (np.isfinite(estimate.low) and np.isfinite(estimate.high)):
        return text
    return f"{text} ({written(estimate.low)} to {written(estimate.high)})"
