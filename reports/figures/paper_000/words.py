"""What the captions and tables of these figures share: intervals, n, and numbers in words."""

from __future__ import annotations

import math
from collections.abc import Sequence

from benchmarks.summary import LEVEL
from reports.accuracy import Estimate
from reports.figures import style
from reports.payload import Method
from reports.published_sheets import N_ATOMS
from reports.series import Collection, Series
from reports.sheets import is_guess, methods

HEAD = ("", "Quantity", "n", "By", "Value", "Interval", "Paper")
"""The columns of every table."""

Row = tuple[str, str, str, str, str, str, str]

PAIRS = "Pairs are made one to one in the plane within 0.6 Å, whatever the heights."


def scale(series: Series) -> str:
    """What was imaged, beside what the paper has."""
    theirs = "" if series.n_atoms == N_ATOMS else f" (the paper: {N_ATOMS} atoms)"
    return f"{series.scale}{theirs}"


def looks(series: Sequence[Series]) -> dict[str, Method]:
    """The look of every method: colours for reconstructors, grey for guesses that say little of ripples."""
    found = methods(series)
    own = [m for m in found if not is_guess(m)]
    guesses = [m for m in found if is_guess(m)]
    return {
        **{m: style.method(m, nth) for nth, m in enumerate(own)},
        **{m: style.control(m, nth) for nth, m in enumerate(guesses)},
    }


def interval(series: Sequence[Series], n_replicates: str) -> str:
    """What the error bars are."""
    if len(series) > 1:
        return (
            f"Error bars: {100 * LEVEL:g} % Student interval of the mean over at most n = {len(series)} "
            f"sheets, each the mean of its {n_replicates} noise replicates."
        )
    level = f"{100 * LEVEL:g} % Student interval of the mean"
    return f"Error bars: {level} over n = {n_replicates} noise replicates."


def replicates(series: Sequence[Series], method: str) -> str:
    """How many replicates there are: `3`, or `2 to 3`."""
    counts = sorted({len(s.replicates(method, dose)) for s in series for dose in s.doses(method)})
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}" if counts else "0"


def number(value: float, decimals: int = 2) -> str:
    """A length in Å, or whatever has as many decimals; a dash for none."""
    return f"{value:.{decimals}f}".replace("-", "−") if math.isfinite(value) else "–"


def interval_text(low: float, high: float, decimals: int = 2) -> str:
    """`0.28 to 0.33`, or nothing."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"{number(low, decimals)} to {number(high, decimals)}"


def row(label: str, quantity: str, n: int, by: str, estimate: Estimate, paper: str = "") -> Row:
    """One row of a table from an estimate in pm, written in Å."""
    mean, low, high = (value / 100 for value in (estimate.mean, estimate.low, estimate.high))
    return (label, quantity, str(n), by, number(mean), interval_text(low, high), paper)


def name(collection: Collection, method: str) -> str:
    """The short name of a method."""
    return collection.names.get(method, method)
