"""Fig. 7 of paper 000: error against dose, in total and along z, with the paper's errors as bars."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from datasets.errors import InputError
from reports.accuracy import Estimate
from reports.figures import style
from reports.figures.dose_curves import dose_axis, plain_log_ticks
from reports.figures.paper_000 import words
from reports.figures.paper_000.maps import BAR
from reports.figures.plate import Panel, Plate
from reports.payload import Method
from reports.published_sheets import CRITICAL_DOSE, DOSES, stated
from reports.series import Collection, Series
from reports.sheets import PM, counts_of, methods, over_sheets, same_kind, total

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Scores = dict[str, float]
Of = Callable[[Scores], float]

MOST_IMAGES = 6
CROP = 9.0
"""Å to either side of the middle that images show."""
WINDOW = (1.0, 99.0)
"""Percentiles of an image that are drawn black and white."""
DEEPEST = 0.05
"""The part of the least error of a noisy frame down to which an axis goes."""
NEEDED = 0.95
"""Recall and precision in the plane from which a point is filled."""

QUANTITIES: tuple[tuple[str, str, Of], ...] = (
    ("total", "Error in all three axes", total),
    ("z", "Error in z", lambda scores: scores["z_rmsd"]),
    ("x", "Error in x", lambda scores: scores["x_rmsd"]),
    ("y", "Error in y", lambda scores: scores["y_rmsd"]),
)


@dataclass(frozen=True)
class Point:
    """An error [Å] of one method at one dose, and whether nearly all atoms are in it, and no false ones."""

    dose: float
    error: Estimate
    whole: bool


def plate(collection: Collection, cache: Path) -> Plate:
    """Images, errors by dose and what a frame allows. Raises `InputError` where there is no answer."""
    series = same_kind(collection)
    shown = words.looks(series)
    if not shown:
        raise InputError(f"no method has an answer on {series[0].name}; run `dosebench run graphene`")
    doses = sorted({d for s in series for m in shown for d in s.doses(m)})
    notes = _missing(doses)
    panels, images = _images(series[0], doses, notes)
    rows: list[tuple[str, ...]] = [words.HEAD]
    spread = {d: _spread(series, d) for d in doses}
    for nth, (key, title, of) in enumerate(QUANTITIES):
        curves = {m: _curve(series, m, of) for m in shown}
        allowed = spread if key in ("z", "total") else {}
        panels.append(_panel(title, key, curves, shown, doses, allowed, first=nth == 0))
        for method, points in curves.items():
            rows += _rows(title, key, words.name(collection, method), points)
    levelled = {m: _curve(series, m, lambda s: s["z_rmsd_levelled"]) for m in shown}
    for method, points in levelled.items():
        rows += _rows("Error in z, mean and tilt removed", "", words.name(collection, method), points)
    for dose, value in spread.items():
        if math.isfinite(value.mean):
            rows.append(
                words.row(_at(dose), "spread of z in the posterior (Å)", value.n, "multislice-map", value)
            )
    counts = "; ".join(f"{words.name(collection, m)} {words.replicates(series, m)}" for m in shown)
    reached = any(math.isfinite(v.mean) for v in spread.values())
    return Plate(
        key="fig-7",
        title="Fig. 7: error against dose",
        panels=(*panels, _key(shown, collection, spread=reached)),
        caption=(
            f"{words.scale(series[0])}{f' and {len(series) - 1} more sheets' if len(series) > 1 else ''}. "
            f"{images}Errors are root mean squares over pairs. {words.PAIRS} One translation in the plane is "
            "removed, nothing from z; total is the root of the summed squares. "
            f"{words.interval(series, words.replicates(series, next(iter(shown))))} Replicates: {counts}. "
            f"Hollow: recall or precision in the plane below {100 * NEEDED:g} %. Black bars: the errors that "
            "the paper's text states, whose own pairing and alignment it does not; of 6×10³ e⁻/Å² it states "
            "none. Dotted line: its critical dose."
            + (
                " Dashed: spread of z in the posterior that multislice-map samples, what it expects of its "
                "own error."
                if reached
                else ""
            )
            + (" Grey: guesses that say little or nothing of ripples." if any(_grey(shown)) else "")
        ),
        alt="Images at several doses; root mean square error in all, along z, x and y against dose for every "
        "method beside the paper's.",
        notes=tuple(notes),
        rows=tuple(rows),
    )


def _grey(shown: Mapping[str, Method]) -> list[str]:
    return [m for m, look in shown.items() if look.control]


def _at(dose: float) -> str:
    return style.NOISE_FREE if math.isinf(dose) else f"{style.dose_text(dose)} e⁻/Å²"


def _missing(doses: Sequence[float]) -> list[str]:
    lacking = [d for d in DOSES if d not in doses]
    if not lacking:
        return []
    listed = ", ".join(style.dose_text(d) for d in lacking)
    return [f"Of the paper's doses these results lack {listed}; run `dosebench run graphene`."]


def _curve(series: Sequence[Series], method: str, of: Of) -> list[Point]:
    points = []
    for dose in sorted({d for s in series for d in s.doses(method)}):
        error = over_sheets(series, method, dose, of)
        if not math.isfinite(error.mean):
            continue
        shares = [
            over_sheets(series, method, dose, lambda scores, key=key: scores[key]).mean  # type: ignore[misc]
            for key in ("sheet_recall", "sheet_precision")
        ]
        scaled = Estimate(error.mean / PM, error.low / PM, error.high / PM, error.n)
        points.append(Point(dose, scaled, min(shares) >= NEEDED))
    return points


def _spread(series: Sequence[Series], dose: float) -> Estimate:
    """The spread of z [pm] that multislice-map reports at a dose, over sheets."""
    found = []
    for one in series:
        cells = [c for m in methods([one]) for c in one.replicates(m, dose) if "spread_z" in c.stats]
        if cells:
            found.append(PM * float(np.mean([c.stats["spread_z"] for c in cells])))
    mean = float(np.mean(found)) if found else math.nan
    return Estimate(mean, math.nan, math.nan, len(found))


def _rows(title: str, key: str, name: str, points: Sequence[Point]) -> list[words.Row]:
    rows: list[words.Row] = []
    for point in points:
        paper = next((f"{s.value:g}" for s in stated(key) if s.dose == point.dose), "")
        e = point.error
        interval = words.interval_text(e.low, e.high)
        rows.append((_at(point.dose), f"{title} (Å)", str(e.n), name, words.number(e.mean), interval, paper))
    return rows


def _images(series: Series, doses: Sequence[float], notes: list[str]) -> tuple[list[Panel], str]:
    """The middle of the first frame at each dose, and what they are."""
    panels: list[Panel] = []
    for dose in doses[-MOST_IMAGES:]:
        try:
            frame = counts_of(series, dose, 0)
        except InputError as error:
            notes.append(f"No image at {_at(dose)}, for {error}.")
            continue
        x, y = frame["x"].values, frame["y"].values
        across, up = np.abs(x) <= CROP, np.abs(y) <= CROP
        picture = frame["counts"].values[0][np.ix_(up, across)].astype(float)
        panels.append(_picture(_at(dose), picture, x[across], y[up], bar=not panels))
    if not panels:
        return [], ""
    return panels, (
        f"First panels: the middle {2 * CROP:g} Å of a frame at each dose, in their order, black to white "
        f"from percentile {WINDOW[0]:g} to {WINDOW[1]:g} of each; scale bar 1 nm. "
    )


def _picture(
    title: str,
    picture: npt.NDArray[np.float64],
    x: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
    *,
    bar: bool,
) -> Panel:
    def draw(ax: Axes) -> None:
        low, high = np.percentile(picture, WINDOW)
        step = (x[1] - x[0]) / 2
        extent = (x[0] - step, x[-1] + step, y[0] - step, y[-1] + step)
        ax.imshow(picture, cmap="gray", vmin=low, vmax=high, origin="lower", extent=extent)
        ax.set(xticks=[], yticks=[])
        ax.set_axis_off()
        if bar:
            left = extent[0] + 1.2
            for width, colour in ((4.2, style.INK), (2.2, "white")):
                ax.plot([left, left + BAR], [extent[2] + 1.4] * 2, color=colour, linewidth=width)

    return Panel(draw, title, wide=2, narrow=4, height=(1.25, 1.3))


def _panel(
    title: str,
    key: str,
    curves: Mapping[str, Sequence[Point]],
    looks: Mapping[str, Method],
    doses: Sequence[float],
    spread: Mapping[float, Estimate],
    *,
    first: bool,
) -> Panel:
    def draw(ax: Axes) -> None:
        ax.set_xscale("log")
        ax.set_yscale("log")
        marks = [s for s in stated(key) if s.dose in doses]
        values = [p.error.mean for points in curves.values() for p in points] + [m.value for m in marks]
        noisy = [
            p.error.mean for points in curves.values() for p in points if math.isfinite(p.dose)
        ] or values
        ax.set_ylim(max(0.6 * min(values), DEEPEST * min(noisy)), 1.6 * max(values))
        dose_axis(ax, doses)
        plain_log_ticks(ax)
        ax.grid(axis="y")
        if key in ("total", "z") and min(doses) < CRITICAL_DOSE:
            ax.axvline(CRITICAL_DOSE, color=style.QUIET, linewidth=0.9, linestyle=(0, (1, 1.5)), zorder=1)
        for method, points in reversed(list(curves.items())):
            _line(ax, points, looks[method], doses)
        known = [(d, v.mean / PM) for d, v in spread.items() if math.isfinite(v.mean) and math.isfinite(d)]
        if known:
            at, value = zip(*known, strict=True)
            ax.plot(
                at, value, color=style.INK, linewidth=0.9, linestyle=(0, (4, 1.5)), zorder=3, gid="spread"
            )
        for mark in marks:
            ax.plot(
                style.place(mark.dose, doses),
                mark.value,
                marker="_",
                markersize=9,
                markeredgewidth=1.7,
                color=style.INK,
                zorder=5,
                gid="paper",
            )
        ax.set(xlabel="Dose (e⁻/Å²)", ylabel="rms error (Å)")

    return Panel(draw, title, wide=6, height=(2.2, 2.4))


def _line(ax: Axes, points: Sequence[Point], look: Method, doses: Sequence[float]) -> None:
    finite = [p for p in points if math.isfinite(p.dose)]
    ax.plot(
        [p.dose for p in finite],
        [p.error.mean for p in finite],
        color=look.colour,
        linestyle=style.DASHES[look.dash],
        linewidth=0.9 if look.control else 1.3,
        zorder=2 if look.control else 3,
    )
    bottom = ax.get_ylim()[0]
    for point in points:
        x = style.place(point.dose, doses)
        e = point.error
        if e.mean < bottom:  # without noise next to nothing is left
            ax.plot(x, 1.35 * bottom, marker="v", markersize=4.4, color=look.colour, zorder=4)
            ax.annotate(
                f"{e.mean:.2g}",
                (x, 1.35 * bottom),
                xytext=(0, 4),
                textcoords="offset points",
                ha="center",
                color=look.colour,
            )
            continue
        if math.isfinite(e.low) and not look.control:
            ax.plot([x, x], [max(e.low, 0.5 * bottom), e.high], color=look.colour, linewidth=0.8, zorder=3.5)
        if look.control and math.isfinite(point.dose):
            continue
        ax.plot(
            x,
            e.mean,
            marker="_" if look.control else style.MARKERS[look.symbol],
            markersize=7 if look.control else 4.4,
            markerfacecolor=look.colour if point.whole else "white",
            markeredgecolor=look.colour,
            markeredgewidth=0.9,
            zorder=4,
        )


def _key(looks: Mapping[str, Method], collection: Collection, *, spread: bool) -> Panel:
    def draw(ax: Axes) -> None:
        from matplotlib.lines import Line2D

        ax.set(xticks=[], yticks=[])
        ax.set_axis_off()
        handles = [
            Line2D(
                [],
                [],
                color=look.colour,
                linestyle=style.DASHES[look.dash],
                marker="" if look.control else style.MARKERS[look.symbol],
                markersize=4.4,
                label=words.name(collection, method),
            )
            for method, look in looks.items()
        ]
        handles.append(
            Line2D([], [], color=style.INK, linestyle="", marker="_", markeredgewidth=1.7, label="the paper")
        )
        if spread:
            handles.append(Line2D([], [], color=style.INK, linestyle=(0, (4, 1.5)), label="posterior spread"))
        narrow = ax.get_figure(root=True).get_size_inches()[0] < style.PAGE  # type: ignore[union-attr]
        ax.legend(
            handles=handles,
            loc="center left",
            ncols=2 if narrow else len(handles),
            borderaxespad=0,
            borderpad=0,
            handlelength=1.8,
            columnspacing=1.4,
            labelspacing=0.3,
        )

    return Panel(draw, height=(0.25, 0.62))
