"""Fig. 9 of paper 004: RMSD, tracing error and classification error against everything that was varied."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from datasets.errors import InputError
from reports.accuracy import Estimate
from reports.figures import style
from reports.figures.paper_004 import words
from reports.figures.paper_004.cases import CUAU, Case, Scanned, cases, in_focus, percent_wrong, scans
from reports.figures.paper_004.grids import TYPICAL, most_common, typical_range
from reports.figures.plate import Panel, Plate
from reports.published_multislice import CLASSIFICATION, FULL, RMSD, SPARSE_DOSES, TRACING, TYPICAL_DOSES
from reports.series import Collection

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN = {RMSD: "RMSD (pm)", TRACING: "Tracing error (%)", CLASSIFICATION: "Classification error (%)"}
LEAST = {RMSD: 10.0, TRACING: 5.0, CLASSIFICATION: 5.0}
"""Axes reach at least so far."""


@dataclass(frozen=True)
class Line:
    """Cases that are joined by a line, each with its place on the axis: a label."""

    name: str
    points: tuple[tuple[str, Case], ...]


@dataclass(frozen=True)
class Row:
    """What is varied, the labels on the axis in their order, and a line for each second variable."""

    title: str
    below: str
    labels: tuple[str, ...]
    lines: tuple[Line, ...]


def plate(collection: Collection, cache: Path) -> Plate:
    """A row of three panels for each of step, dose, tilt range, algorithm and sparse scan of which two are
    there.

    Raises `InputError` when nothing is varied among the answers on Cu–Au.
    """
    found = scans(collection, CUAU)
    rows = [row for make in ROWS if (row := make(found)) is not None]
    if not rows:
        raise InputError(
            "there is nothing to compare, such as mset on cuau-150-4d at two doses, in the results"
        )
    chosen = list(
        dict.fromkeys((p[1].scanned.series.name, p[1].method, p[1].dose) for r in rows for p in _points(r))
    )
    by_name = {(p[1].scanned.series.name, p[1].method, p[1].dose): p[1] for r in rows for p in _points(r)}
    all_cases = [by_name[one] for one in chosen]
    return Plate(
        key="fig-9",
        title="Fig. 9: summary",
        panels=tuple(_panel(row, metric) for row in rows for metric in SHOWN),
        caption=(
            f"{words.scale(found[0])}; Cu–Au. By MSET where not said otherwise, at its highest dose where "
            "the dose is not varied; doses are totals over the series, "
            f"{found[0].series.n_images} times those per tilt. Tracing error: false and missing atoms over "
            "true ones; classification error: true atoms not found or not rightly named. Black bars: the "
            "paper, where its text gives a number; at its step, dose, tilts and defocus, except that its "
            f"scans of 0.4 Å stand beside ours of 1.6 Å where tilts are within ±75°. "
            f"{words.interval(all_cases)}"
        ),
        alt="Rows of three panels, RMSD, tracing error and classification error, against "
        + ", ".join(row.title.lower() for row in rows)
        + ".",
        rows=words.rows(collection, all_cases),
    )


def _points(row: Row) -> list[tuple[str, Case]]:
    return [point for line in row.lines for point in line.points]


def _steps(found: Sequence[Scanned]) -> Row | None:
    whole = sorted((s for s in found if s.tilt_range == FULL), key=lambda s: s.step)
    lines = []
    for focused in (True, False):
        points = [
            (f"{c.scanned.step:g}", c) for c in cases([s for s in whole if s.focused is focused], "mset")
        ]
        if points:
            name = words.defocus_text(points[0][1].scanned.defocus)
            lines.append(Line(name, tuple(points)))
    steps = sorted({float(label) for line in lines for label, _ in line.points})
    return _row("Step", "Step of the scan (Å)", [f"{s:g}" for s in steps], lines)


def _doses(found: Sequence[Scanned]) -> Row | None:
    lines = []
    totals: set[float] = set()
    wedges = sorted({s.tilt_range for s in found}, reverse=True)
    for reach in wedges:
        ours = [s for s in found if s.tilt_range == reach and not s.focused and s.method("mset")]
        step = most_common([s.step for s in ours])
        points = []
        for scanned in (s for s in ours if s.step == step):
            method = scanned.method("mset") or ""
            points += [Case(scanned, "mset", method, dose, "") for dose in scanned.series.doses(method)]
        if len(points) > 1:
            totals |= {c.total for c in points}
            lines.append(Line(f"±{reach:g}°", tuple((_dose_label(c.total), c) for c in points)))
    return _row("Dose", "Total dose (e⁻/Å²)", [_dose_label(t) for t in sorted(totals)], lines)


def _tilts(found: Sequence[Scanned]) -> Row | None:
    ours = [s for s in found if not s.focused and s.method("mset")]
    step = most_common([s.step for s in ours])
    chosen = cases(sorted((s for s in ours if s.step == step), key=lambda s: s.tilt_range), "mset")
    points = tuple((f"±{c.scanned.tilt_range:g}°", c) for c in chosen)
    return _row("Tilt range", "Tilt range", [label for label, _ in points], [Line("", points)])


def _algorithms(found: Sequence[Scanned]) -> Row | None:
    wedge = typical_range([s for s in found if s.tilt_range < FULL])
    here = [s for s in found if s.tilt_range == wedge]
    lines = []
    for total in TYPICAL_DOSES:
        points = [
            (words.family_name(family), case)
            for family in TYPICAL
            for case in cases(
                in_focus(here, family) if family == "resire" else [s for s in here if not s.focused],
                family,
                [total],
            )
        ]
        if points:
            lines.append(Line(words.total_text(total), tuple(points)))
    labels = [words.family_name(family) for family in TYPICAL]
    return _row("Algorithm", f"Algorithm, tilts over ±{wedge:g}°", labels, lines)


def _sparse(found: Sequence[Scanned]) -> Row | None:
    wedge = typical_range([s for s in found if s.tilt_range < FULL])
    here = [s for s in found if s.tilt_range == wedge and not s.focused]
    chosen = cases(here, "mset", SPARSE_DOSES)
    points = tuple((_dose_label(c.total), c) for c in reversed(chosen))
    below = f"Total dose (e⁻/Å²), tilts over ±{wedge:g}°"
    return _row("Sparse scan", below, [label for label, _ in points], [Line("", points)])


ROWS: tuple[Callable[[Sequence[Scanned]], Row | None], ...] = (_steps, _doses, _tilts, _algorithms, _sparse)


def _row(title: str, below: str, labels: Sequence[str], lines: Sequence[Line]) -> Row | None:
    held = tuple(line for line in lines if line.points)
    compared = {label for line in held for label, _ in line.points}
    return Row(title, below, tuple(dict.fromkeys(labels)), held) if len(compared) > 1 else None


def _dose_label(total: float) -> str:
    return "∞" if math.isinf(total) else style.dose_text(total)


def estimate(case: Case, metric: str) -> Estimate:
    """What is drawn: of the classification its error."""
    found = case.bar(metric)
    return percent_wrong(found) if metric == CLASSIFICATION else found


def stated(case: Case, metric: str) -> float | None:
    """The paper's value of the same."""
    values = case.stated.values if case.stated else {}
    if metric not in values:
        return None
    return round(100 - values[metric], 6) if metric == CLASSIFICATION else values[metric]


def _panel(row: Row, metric: str) -> Panel:
    def draw(ax: Axes) -> None:
        from matplotlib.ticker import MaxNLocator

        tops = [LEAST[metric]]
        bars: list[tuple[float, Estimate, str]] = []
        marked: set[tuple[int, float]] = set()
        for nth, line in enumerate(row.lines):
            look = style.method(line.name, nth)
            shift = 0.0 if len(row.lines) == 1 else 0.12 * (nth - (len(row.lines) - 1) / 2)
            at = np.array([row.labels.index(label) for label, _ in line.points], dtype=float)
            found = [estimate(case, metric) for _, case in line.points]
            means = np.array([e.mean for e in found])
            bars += [(x + shift, e, look.colour) for x, e in zip(at, found, strict=True)]
            ax.plot(
                at + shift,
                means,
                color=look.colour,
                linewidth=0 if row.title == "Algorithm" else 1.0,
                marker=style.MARKERS[look.symbol],
                markersize=4.4,
                markeredgecolor="white",
                markeredgewidth=0.4,
                label=line.name,
                zorder=3,
            )
            tops += [float(m) for m in means if np.isfinite(m)]
            for x, (_, case) in zip(at, line.points, strict=True):
                paper = stated(case, metric)
                if paper is None or (int(x), paper) in marked:
                    continue
                marked.add((int(x), paper))
                tops.append(paper)
                ax.plot(
                    [x - 0.3, x + 0.3],
                    [paper] * 2,
                    color=style.INK,
                    linewidth=1.6,
                    solid_capstyle="butt",
                    zorder=4,
                    gid=f"paper {row.labels[int(x)]}",
                )
        top = max(tops)
        named = metric == RMSD and row.lines[0].name
        ax.set(
            xlim=(-0.5, len(row.labels) - 0.5),
            ylim=(-0.04 * top, top * (1.5 if named else 1.14)),
            xlabel=row.below,
        )
        for x, e, colour in bars:
            words.draw_interval(ax, x, e, ax.get_ylim(), colour)
        ax.set_xticks(range(len(row.labels)), _thinned(row.labels))
        ax.tick_params(axis="x", length=0)
        ax.yaxis.set_major_locator(MaxNLocator(4))
        ax.set_yticks([tick for tick in ax.get_yticks() if 0 <= tick <= 1.14 * top])
        ax.grid(axis="y")
        ax.set_axisbelow(True)
        if named:
            ax.legend(
                loc="upper left",
                frameon=True,
                framealpha=0.85,
                edgecolor="none",
                borderaxespad=0.3,
                borderpad=0,
                handlelength=1.2,
                labelspacing=0.2,
                ncols=2 if len(row.lines) > 1 else 1,
                columnspacing=1.0,
            )

    return Panel(draw, SHOWN[metric], wide=4, height=(1.75, 2.1))


def _thinned(labels: Sequence[str]) -> list[str]:
    """Labels of doses without their neighbours where there are many."""
    if len(labels) <= 6:
        return list(labels)
    return [label if nth % 2 == (len(labels) - 1) % 2 else "" for nth, label in enumerate(labels)]
