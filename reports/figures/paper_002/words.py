"""The methods that these figures compare, in their order and looks, and what their captions share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.summary import LEVEL, mean_interval
from datasets.errors import InputError
from datasets.naming import parse_name
from reports.accuracy import Estimate
from reports.figures import style
from reports.figures.plate import Panel
from reports.payload import Method
from reports.series import WEDGE, Collection, Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ORDER = ("resire", "mlem", "unet", "unet+ml", "pann", "pann+ml", "poisson-ml")
"""Families from the volume as it is to the likelihood; others come after."""
NETWORKS = ("unet", "unet+ml", "pann", "pann+ml")
NAMES = {
    "resire": "RESIRE",
    "mlem": "MLEM",
    "unet": "U-Net",
    "unet+ml": "U-Net + ML",
    "pann": "PANN",
    "pann+ml": "PANN + ML",
    "poisson-ml": "poisson-ml",
}
PERCENT = ("recall", "precision", "tracing_error", "classification")
TITLES = {
    "recall": "atoms found (%)",
    "tracing_error": "tracing error (%)",
    "rmsd": "RMSD (pm)",
    "classification": "classified (%)",
}


def family(method: str) -> str:
    """The name of a method without its parameters."""
    return parse_name(method)[0]


def methods_of(series: Series) -> list[str]:
    """One method of every family, the one with most doses, in the order of the figures."""
    best: dict[str, str] = {}
    for method in sorted(series.methods(), key=lambda m: (-len(series.doses(m)), len(m))):
        best.setdefault(family(method), method)
    return sorted(best.values(), key=lambda m: (_place(family(m)), m))


def _place(name: str) -> int:
    return ORDER.index(name) if name in ORDER else len(ORDER)


def looks(found: Sequence[Series]) -> dict[str, Method]:
    """The look of every family among the series, the same in all figures."""
    families = sorted({family(m) for s in found for m in methods_of(s)}, key=lambda f: (_place(f), f))
    return {name: style.method(name, nth) for nth, name in enumerate(families)}


def with_networks(collection: Collection, *, wedge: bool | None = None) -> list[Series]:
    """The series that a network has answers on; with `wedge`, only those cut or not cut by a card's wedge.

    Raises `InputError` when there are none.
    """
    found = [
        series
        for series in collection.series
        if any(family(m) in NETWORKS for m in series.methods())
        and (wedge is None or (WEDGE in series.kinds) is wedge)
    ]
    if not found:
        raise InputError("no network (unet, pann) has answers among the results")
    return found


def estimate(series: Series, method: str, dose: float, metric: str) -> Estimate:
    """Mean and interval of a metric over replicates, as percent where it is a fraction."""
    values = np.array([c.scores.get(metric, math.nan) for c in series.replicates(method, dose)], dtype=float)
    scale = 100.0 if metric in PERCENT else 1.0
    return Estimate(
        *mean_interval(scale * values, 0.0, 100.0 if metric in ("recall", "classification") else None)
    )


def n_text(found: Sequence[Series]) -> str:
    """How many replicates there are, and what the intervals are."""
    counts = {
        len(series.replicates(method, dose))
        for series in found
        for method in methods_of(series)
        for dose in series.doses(method)
    }
    if counts == {1}:
        return "One noise replicate of one particle, so no intervals; failed answers count as nothing found."
    n = f"{min(counts)} to {max(counts)}" if len(counts) > 1 else f"{max(counts, default=0)}"
    bars = f"Bars: {100 * LEVEL:g} % Student interval over n = {n} noise replicates of one particle"
    return f"{bars}; failed answers count as nothing found."


def key(found: dict[str, Method]) -> Panel:
    """Which line is which method."""

    def draw(ax: Axes) -> None:
        from matplotlib.lines import Line2D

        ax.set_axis_off()
        figure = ax.get_figure(root=True)
        narrow = figure is not None and bool(figure.get_size_inches()[0] < style.PAGE)
        handles = [
            Line2D(
                [],
                [],
                color=look.colour,
                marker=style.MARKERS[look.symbol],
                linestyle="-" if name in NETWORKS else style.DASHES["dash"],
                label=NAMES.get(name, name),
            )
            for name, look in found.items()
        ]
        ax.legend(
            handles=handles,
            loc="center left",
            ncols=2 if narrow else len(handles),
            borderaxespad=0,
            borderpad=0,
            handlelength=2.0,
            columnspacing=1.3,
        )

    return Panel(draw, height=(0.26, 0.22 * -(-len(found) // 2) + 0.1))
