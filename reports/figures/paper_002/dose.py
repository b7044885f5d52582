"""Accuracy against dose of volumes, networks and the likelihood, beside the Cramér–Rao bound."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from reports.figures import style
from reports.figures.paper_002 import words
from reports.figures.plate import Panel, Plate
from reports.limits import stored_limits
from reports.payload import Method
from reports.series import Collection, Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

METRICS = ("tracing_error", "rmsd", "classification")
DODGE = 1.04
"""Methods stand beside one another at a dose, each by this factor further on."""
LEAST_RECALL = 20.0
"""An RMSD of fewer of the atoms [%] is not drawn."""
MOST_ERROR = 100.0
"""Tracing errors [%] are shown so far; what is beyond stands at the edge."""


def plate(collection: Collection, cache: Path) -> Plate:
    """A row of panels for every series without a wedge of its own. Raises `InputError` without networks."""
    found = words.with_networks(collection, wedge=False)
    looks = words.looks(found)
    panels = [words.key(looks)]
    for series in found:
        panels += [curve(series, metric, looks) for metric in METRICS]
    scales = "; ".join(series.scale for series in found)
    return Plate(
        key="dose",
        title="Networks, workflows and the likelihood by dose",
        panels=tuple(panels),
        caption=(
            f"{scales}. Full lines: networks, which were trained on linear images of other materials; "
            "dashed: "
            "volumes as reconstructed, and the likelihood of the counts. Dotted: the Cramér–Rao bound on "
            "the RMSD of all "
            "atoms; a method that finds only the atoms that are easily placed can lie below it. Arrows: "
            "a tracing error "
            f"above {MOST_ERROR:g} %. RMSDs of less than {LEAST_RECALL:g} % of the atoms are not drawn. "
            f"{words.n_text(found)}"
        ),
        alt="Tracing error, RMSD and classification against dose for volumes, networks and the likelihood.",
        rows=rows(found),
    )


def curve(series: Series, metric: str, looks: Mapping[str, Method], *, wide: int = 4) -> Panel:
    """One metric of one series against the dose per image."""

    def draw(ax: Axes) -> None:
        ax.set_xscale("log")
        for nth, method in enumerate(words.methods_of(series)):
            name = words.family(method)
            doses = [d for d in series.doses(method) if math.isfinite(d)]
            if metric == "rmsd":  # of a few atoms it says nothing
                doses = [d for d in doses if words.estimate(series, method, d, "recall").mean >= LEAST_RECALL]
            line = [words.estimate(series, method, d, metric) for d in doses]
            x = [d * DODGE ** (nth - len(looks) / 2) for d in doses]
            shown = [min(e.mean, MOST_ERROR) if metric == "tracing_error" else e.mean for e in line]
            tint, symbol = looks[name].colour, style.MARKERS[looks[name].symbol]
            ax.plot(
                x,
                shown,
                color=tint,
                linestyle="-" if name in words.NETWORKS else style.DASHES["dash"],
                marker=symbol,
                markeredgecolor="white",
                markeredgewidth=0.4,
                markersize=4.4,
                gid=f"{series.name} {metric} {name}",
                zorder=3,
            )
            for at, e in zip(x, line, strict=True):
                if math.isfinite(e.low):
                    top = min(e.high, MOST_ERROR) if metric == "tracing_error" else e.high
                    ax.plot([at, at], [min(e.low, top), top], color=tint, linewidth=0.8, zorder=2)
                if metric == "tracing_error" and e.mean > MOST_ERROR:
                    ax.annotate(
                        "", (at, MOST_ERROR * 1.06), (at, MOST_ERROR * 0.98), arrowprops={"arrowstyle": "->"}
                    )
        if metric == "rmsd":
            _bound(ax, series)
            ax.set_ylim(bottom=0)
        elif metric == "tracing_error":
            ax.set_ylim(-3, 1.07 * MOST_ERROR)
        else:
            ax.set_ylim(-3, 103)
        style.decades(ax, [c.cell.dose for c in series.cells if math.isfinite(c.cell.dose)], margin=0.3)
        ax.set_xlabel("Dose per image (e⁻/Å²)")
        ax.grid(axis="y")
        ax.set_axisbelow(True)

    title = f"{short(series)}: {words.TITLES[metric]}"
    return Panel(draw, title, wide=wide, height=(1.95, 2.3))


def short(series: Series) -> str:
    """A series in a title: its name, and the range of its tilts where the card cuts it."""
    base = series.name.partition("[")[0]
    wedge = series.card.imperfections.missing_wedge
    return f"{base}, ±{90 - wedge / 2:g}°" if wedge else base


def _bound(ax: Axes, series: Series) -> None:
    doses = sorted({c.cell.dose for c in series.cells if math.isfinite(c.cell.dose)})
    limits = stored_limits(series.store, doses)
    pairs = [(dose, limits[dose].bound()) for dose in doses if dose in limits]
    if pairs:
        x, y = zip(*pairs, strict=True)
        ax.plot(
            x, y, color=style.INK, linestyle=(0, (1, 1)), linewidth=1.2, zorder=4, gid=f"{series.name} bound"
        )


def rows(found: list[Series]) -> tuple[tuple[str, ...], ...]:
    """Every point of the curves as a table."""
    table: list[tuple[str, ...]] = [("Series", "Dose", "Method", "n", *(words.TITLES[m] for m in METRICS))]
    for series in found:
        for method in words.methods_of(series):
            for dose in series.doses(method):
                scores = [words.estimate(series, method, dose, metric) for metric in METRICS]
                told = [
                    style.number_text(e.mean)
                    + (
                        f" ({style.number_text(e.low)} to {style.number_text(e.high)})"
                        if math.isfinite(e.low)
                        else ""
                    )
                    for e in scores
                ]
                name = words.NAMES.get(words.family(method), method)
                table.append(
                    (
                        series.name,
                        style.dose_text(dose),
                        name,
                        str(len(series.replicates(method, dose))),
                        *told,
                    )
                )
    return tuple(table)
