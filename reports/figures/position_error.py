"""Position error against dose, log–log: every method, the Cramér–Rao bound, and the dose that each needs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import compress
from typing import TYPE_CHECKING, Any

from reports.figures import style, thresholds
from reports.figures.dose_curves import dose_axis, plain_log_ticks
from reports.payload import Method, Payload, Specimen, Threshold
from reports.position_error import (
    BOUND,
    CHANCE,
    FILLED,
    FLOOR,
    HOLLOW,
    OUTWARD,
    RANDOM,
    Point,
    beside,
    caption,
    drawn,
    error_range,
    error_text,
    lines,
    needed,
    points,
    reconstructors,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW = 0.135
"""Height of a method's row below the curves [inch]."""

STRIP = 0.75
"""Least height of these rows together, which have a name beside them [inch]."""

LOOKS: dict[str, dict[str, Any]] = {
    BOUND: {"linestyle": (0, (1, 1)), "linewidth": 1.3},
    FLOOR: {"linestyle": (0, (4, 1.5)), "linewidth": 1.0},
    RANDOM: {"color": style.CONTROL_GREY[0], "linestyle": "-", "linewidth": 0.8, "alpha": 0.7},
}
"""The lines that are no method."""


def draw(payload: Payload) -> tuple[Figure, str] | None:
    """Every dataset in a panel of its own, and the caption; None where no method has matched an atom."""
    import matplotlib.pyplot as plt
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    shown = drawn(payload)
    if not shown:
        return None
    methods = reconstructors(payload)
    columns = min(len(shown), 2)
    n_rows = -(-len(shown) // columns)
    strip = max(ROW * (len(methods) + 0.6), STRIP)
    main = 2.3 if columns > 1 else 2.8
    with style.paper():
        figure = plt.figure(
            figsize=(style.PAGE, 0.45 + n_rows * (main + strip + 0.6)),
            layout=ConstrainedLayoutEngine(w_pad=0.05, h_pad=0.03, hspace=0.01),
        )
        grid = figure.add_gridspec(2 * n_rows, columns, height_ratios=[main, strip] * n_rows)
        for nth, specimen in enumerate(shown):
            row, column = divmod(nth, columns)
            upper = figure.add_subplot(grid[2 * row, column])
            lower = figure.add_subplot(grid[2 * row + 1, column], sharex=upper)
            _curves(upper, payload, specimen, methods)
            letter = f"{'abcdefghijklmnopqrstuvwxyz'[nth % 26]}   " if len(shown) > 1 else ""
            upper.set_title(f"{letter}{specimen.name}", pad=6 if row == 0 else 12)
            upper.tick_params(axis="x", labelbottom=False)
            _rows(lower, payload, specimen, methods)
            if column == columns - 1 or nth == len(shown) - 1:
                _names(lower, methods, alone=column < columns - 1)
            lower.set_xlabel("Dose per image (e⁻/Å²)")
            if column == 0:
                upper.set_ylabel(f"{error_text([specimen])} of matched atoms (pm)")
                lower.set_ylabel("Dose needed")
        _key(figure, payload, shown)
    return figure, caption(payload)


def _curves(ax: Axes, payload: Payload, specimen: Specimen, methods: Sequence[Method]) -> None:
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_ylim(*error_range(payload))
    dose_axis(ax, specimen.doses)
    plain_log_ticks(ax)
    ax.grid(axis="y")
    for name, pairs in lines(specimen).items():
        doses, values = zip(*pairs, strict=True)
        ax.plot(doses, values, color=style.INK, **LOOKS[name], zorder=2.5, gid=name)
    chance = [p for p in points(payload, specimen.name, CHANCE) if math.isfinite(p.dose)]
    if chance:
        ax.plot(
            [p.dose for p in chance],
            [p.mean for p in chance],
            **LOOKS[RANDOM],
            zorder=2,
        )
    aside = beside(specimen.doses, len(methods))
    for nth, method in reversed(list(enumerate(methods))):
        _curve(ax, points(payload, specimen.name, method.name), method, aside[nth], specimen.doses)


def _curve(ax: Axes, found: Sequence[Point], method: Method, aside: float, measured: Sequence[float]) -> None:
    """One method: a thin line, bars of the intervals, and filled or hollow markers over them."""
    doses = [style.place(point.dose, measured) * aside for point in found]
    finite = [math.isfinite(point.dose) for point in found]
    ax.plot(
        list(compress(doses, finite)),
        list(compress((point.mean for point in found), finite)),
        color=method.colour,
        linestyle=style.DASHES[method.dash],
        linewidth=0.9,
        zorder=3,
    )
    bottom = ax.get_ylim()[0]
    for dose, point in zip(doses, found, strict=True):
        if point.low is not None and point.high is not None:
            ends = [max(point.low, 0.5 * bottom), point.high]  # an interval may reach zero
            ax.plot([dose] * 2, ends, color=method.colour, linewidth=0.7, alpha=0.75, zorder=3.2)
        ax.plot(
            dose,
            point.mean,
            marker=style.MARKERS[method.symbol],
            markersize=5.2 if method.symbol == "star" else 4.2,
            markerfacecolor=method.colour if point.whole else "white",
            markeredgecolor=method.colour,
            markeredgewidth=0.8,
            linestyle="",
            zorder=3.5,
        )


def _rows(ax: Axes, payload: Payload, specimen: Specimen, methods: Sequence[Method]) -> None:
    """The dose that each method needs, a row each."""
    ax.set_ylim(len(methods) - 0.4, -0.6)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    found = needed(payload, specimen.name)
    for at, method in enumerate(methods):
        ax.axhline(at, color="#E3E6EA", linewidth=0.5, zorder=0)
        if method.name in found:
            _mark(ax, at, method, found[method.name])


def _mark(ax: Axes, at: int, method: Method, threshold: Threshold) -> None:
    left, right = thresholds.ends(threshold, OUTWARD)
    ax.plot([left, right], [at, at], color=method.colour, linewidth=1.3, zorder=2)
    for side, end, marker in (
        (threshold.low_censored == "below", left, "<"),
        (threshold.high_censored == "above", right, ">"),
    ):
        if side:
            ax.plot(end, at, marker=marker, color=method.colour, markersize=3.2, zorder=3, clip_on=False)
    if threshold.dose is not None:
        ax.plot(
            threshold.dose,
            at,
            marker=style.MARKERS[method.symbol],
            color=method.colour,
            markeredgecolor="white",
            markeredgewidth=0.4,
            markersize=5.6 if method.symbol == "star" else 4.6,
            zorder=4,
        )


def _names(ax: Axes, methods: Sequence[Method], *, alone: bool) -> None:
    """Right of the rows, the marker and name of each method in its colour; where the panel stands `alone` in
    its row, in the room that is free there.
    """
    to_row = ax.get_yaxis_transform()
    for at, method in enumerate(methods):
        ax.plot(
            1.05,
            at,
            marker=style.MARKERS[method.symbol],
            color=method.colour,
            markersize=5.2 if method.symbol == "star" else 4.2,
            transform=to_row,
            clip_on=False,
        )
        name = ax.annotate(
            method.name,
            (1.05, at),
            xytext=(6, 0),
            xycoords=to_row,
            textcoords="offset points",
            va="center",
            color=method.colour,
            fontsize=7,
            annotation_clip=False,
        )
        name.set_in_layout(not alone)


def _key(figure: Figure, payload: Payload, shown: Sequence[Specimen]) -> None:
    """What filled, hollow and the lines without a name are."""
    from matplotlib.lines import Line2D

    def mark(label: str, face: str) -> Line2D:
        return Line2D(
            [],
            [],
            linestyle="",
            marker="o",
            markersize=4.2,
            markerfacecolor=face,
            markeredgecolor=style.QUIET,
            markeredgewidth=0.8,
            label=label,
        )

    handles = [mark(FILLED, style.QUIET), mark(HOLLOW, "white")]
    present = list(dict.fromkeys(name for d in shown for name in lines(d)))
    handles += [Line2D([], [], color=style.INK, label=name, **LOOKS[name]) for name in present]
    if any(points(payload, d.name, CHANCE) for d in shown):
        handles.append(Line2D([], [], label=RANDOM, **LOOKS[RANDOM]))
    figure.legend(
        handles=handles,
        loc="outside upper left",
        ncols=len(handles),
        handlelength=2.0,
        handletextpad=0.5,
        columnspacing=1.4,
        borderaxespad=0.2,
    )
