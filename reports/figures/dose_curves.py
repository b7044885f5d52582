"""Recall, RMSD, tracing error and classification against dose, one line per method, with intervals.

Of a frame, which is a projection: recall, precision and errors of pairs in the plane.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.summary import SHEET_HEADLINE
from reports.figures import style
from reports.payload import Mark, Method, Metric, Payload, Row, Specimen

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS = ("recall", "rmsd", "tracing_error", "classification")
"""The metrics shown, in reading order; those that the results do not hold are left out."""

SHEET_PANELS = SHEET_HEADLINE
"""The metrics shown of frames."""

BOUND = "bound"
"""What the line of the Cramér–Rao bound is called."""

MIN_SPACING = 8.5
"""Smallest distance between the baselines of two labels beside the curves [point]."""


def panels_of(payload: Payload, specimen: Specimen) -> list[Metric]:
    """The metrics that are drawn of a dataset: its modality decides."""
    known = {metric.key for metric in payload.metrics}
    names = SHEET_PANELS if specimen.modality == "hrtem" else PANELS
    return [payload.metric(key) for key in names if key in known]


def draw(payload: Payload, dataset: str) -> tuple[Figure, str]:
    """The dose curves of `dataset`, and their caption."""
    import matplotlib.pyplot as plt
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    specimen = payload.specimen(dataset)
    metrics = panels_of(payload, specimen)
    n_rows = (len(metrics) + 1) // 2
    with style.paper():
        figure, grid = plt.subplots(
            n_rows,
            2,
            figsize=(style.PAGE, 0.35 + 2.25 * n_rows),
            squeeze=False,
            layout=ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.05),
        )
        axes = list(grid.flat)
        for letter, metric, ax in zip("abcdefgh", metrics, axes, strict=False):
            panel(ax, payload, dataset, metric)
            ax.set_title(f"{letter}   {metric.label}")
        for ax in axes[len(metrics) :]:
            ax.set_axis_off()
        for ax in axes[:2] if (specimen.n_images or 1) > 1 else []:
            _total_dose(ax, specimen.n_images or 1)
        for ax in axes[max(len(metrics) - 2, 0) : len(metrics)]:
            ax.set_xlabel("Dose per image (e⁻/Å²)")
    return figure, caption(payload, dataset)


def caption(payload: Payload, dataset: str) -> str:
    """What the curves of `dataset` show: the subset, n, and what the bands are."""
    specimen = payload.specimen(dataset)
    counts = {row.n for row in payload.rows if row.dataset == dataset}
    n = f"{min(counts)} to {max(counts)}" if len(counts) > 1 else f"{max(counts, default=0)}"
    return (
        f"{dataset} ({specimen.n_atoms} atoms, {images_text(specimen)}): accuracy against dose. Points are "
        f"means, bands {payload.interval}, n = {n} cells per point, failed ones counted as failures; "
        "controls in grey, without bands. ↑: beyond the panel."
        f"{_sheet_note(specimen)}{bound_note(payload, dataset)}"
    )


def images_text(specimen: Specimen) -> str:
    """What was imaged: `60 abtem images per series`, `one abtem frame`."""
    if specimen.n_images == 1:
        return f"one {specimen.engine} {'frame' if specimen.modality == 'hrtem' else 'image'}"
    n = f"{specimen.n_images} " if specimen.n_images else ""
    return f"{n}{specimen.engine} {specimen.image}s per series"


def _sheet_note(specimen: Specimen) -> str:
    """What the pairs of a frame are, and what is drawn beside the curves."""
    text = ""
    if specimen.modality == "hrtem":
        text = " Pairs are made in the plane, whatever the heights; errors are of these pairs."
    if specimen.published:
        sources = ", ".join(dict.fromkeys(mark.source for mark in specimen.published))
        text += f" Black bars: {sources}."
    if any(np.isinf(dose) for dose in specimen.doses):
        text += " Right of the doses: the image without noise."
    return text


def marks_of(payload: Payload, dataset: str, metric: Metric) -> list[Mark]:
    """The numbers of a paper at doses that were run."""
    specimen = payload.specimen(dataset)
    return [m for m in specimen.published if m.metric == metric.key and m.dose in specimen.doses]


def bound_note(payload: Payload, dataset: str) -> str:
    """What the line of the bound is; nothing where there is none."""
    if not payload.specimen(dataset).bound:
        return ""
    return (
        f" {BOUND.capitalize()}: Cramér–Rao bound on the RMSD of all atoms, with elements, images of single "
        "atoms and geometry known; a method that finds only atoms that are easily placed, or adds knowledge "
        "of its own, can lie below it."
    )


def bound_of(payload: Payload, dataset: str, metric: Metric) -> list[tuple[float, float]]:
    """(dose, bound) where a metric has one, in its unit as shown."""
    if metric.key != "rmsd":
        return []
    specimen = payload.specimen(dataset)
    pairs = zip(specimen.doses, specimen.bound, strict=False)
    return [(d, bound * metric.scale) for d, bound in pairs if bound is not None and np.isfinite(d)]


def panel(ax: Axes, payload: Payload, dataset: str, metric: Metric) -> None:
    """One metric against dose on `ax`, every method a line labelled at its end."""
    ends: list[tuple[float, str, str]] = []
    ax.set_xscale("log")
    limits = axis_range(payload, dataset, metric)
    if limits[2]:
        ax.set_yscale("log")
    ax.set_ylim(limits[0], limits[1])
    specimen = payload.specimen(dataset)
    own = sum(not method.control for method in payload.methods)
    shade = 0.18 * min(1, 4 / max(own, 1))  # many bands over each other would hide the curves
    for method in reversed(payload.methods):
        rows = [r for r in payload.curve(dataset, method.name) if r.values[metric.key].mean is not None]
        if not rows:
            continue
        ends.append((_line(ax, rows, method, metric, shade, specimen.doses), method.name, method.colour))
    if bound := bound_of(payload, dataset, metric):
        dose, least = zip(*sorted(bound), strict=True)
        ax.plot(dose, least, color=style.INK, linestyle=(0, (1, 1)), linewidth=1.1, zorder=4)
        ends.append((least[-1], BOUND, style.INK))
    for mark in marks_of(payload, dataset, metric):
        _mark(ax, style.place(mark.dose, specimen.doses), mark.value * metric.scale)
    label = metric.label.removesuffix(f" ({metric.element})").partition(",")[0]
    ax.set_ylabel(f"{label} ({metric.shown_unit})" if metric.shown_unit else label)
    dose_axis(ax, specimen.doses)
    if limits[2]:
        plain_log_ticks(ax)
    ax.grid(axis="y")
    _label_ends(ax, ends)


def _mark(ax: Axes, at: float, value: float) -> None:
    """A number of a paper, as a bar."""
    ax.plot(at, value, marker="_", markersize=11, markeredgewidth=1.8, color=style.INK, zorder=5, gid="paper")


def _line(
    ax: Axes, rows: Sequence[Row], method: Method, metric: Metric, shade: float, doses: Sequence[float]
) -> float:
    """Draw one method, its band in `shade`; the height at which it ends."""
    dose = np.array([style.place(row.dose, doses) for row in rows])
    finite = np.array([np.isfinite(row.dose) for row in rows])
    mean, low, high = (
        np.array([getattr(row.values[metric.key], part) for row in rows], dtype=float) * metric.scale
        for part in ("mean", "low", "high")
    )
    order = 2 if method.control else 3
    bottom, top = ax.get_ylim()
    known = np.isfinite(low) & np.isfinite(high)
    band = known & finite
    if not method.control:
        ax.fill_between(
            dose[band], low[band], high[band], color=method.colour, alpha=shade, linewidth=0, zorder=order
        )
        for at in np.flatnonzero(known & ~finite):
            ax.plot([dose[at]] * 2, [low[at], high[at]], color=method.colour, alpha=0.5, zorder=order)
    if not finite.all():  # no line leads to where there is no noise
        ax.plot(
            dose[~finite],
            mean[~finite],
            color=method.colour,
            linestyle="",
            marker="_" if method.control else style.MARKERS[method.symbol],
            markersize=8 if method.control else None,
            markeredgecolor=method.colour if method.control else "white",
            markeredgewidth=0.9 if method.control else 0.4,
            zorder=order + 0.5,
            clip_on=not (bottom <= mean[~finite].min() and mean[~finite].max() <= top),
        )
    ax.plot(
        dose[finite],
        mean[finite],
        color=method.colour,
        linestyle=style.DASHES[method.dash],
        linewidth=0.9 if method.control else 1.4,
        marker="" if method.control else style.MARKERS[method.symbol],
        markeredgecolor="white",
        markeredgewidth=0.4,
        zorder=order + 0.5,
        clip_on=not (bottom <= mean.min() and mean.max() <= top),
    )
    return float(mean[-1])


def axis_range(payload: Payload, dataset: str, metric: Metric) -> tuple[float, float, bool]:
    """Lower and upper end of a metric's axis, and whether it is logarithmic.

    Percentages go from 0 to 100: an error beyond that leaves the panel at the top, and its label says so.
    Lengths follow the methods, and controls may leave the panel; spans of more than a factor of five are
    drawn on a logarithmic axis.
    """
    if metric.percent:
        return 0.0, 100.0, False
    means = [
        (mean * metric.scale, payload.method(row.method).control)
        for row in payload.rows
        if row.dataset == dataset and (mean := row.values[metric.key].mean) is not None
    ]
    own = [value for value, control in means if not control] or [value for value, _ in means] or [1.0]
    own += [value for _, value in bound_of(payload, dataset, metric) if value < max(own)]
    own += [mark.value * metric.scale for mark in marks_of(payload, dataset, metric)]
    positive = [value for value in own if value > 0]
    if metric.unit == "pm" and positive and max(positive) > 5 * min(positive):
        return 0.75 * min(positive), 1.4 * max(positive), True
    return 0.0, 1.35 * max(own) or 1.0, False


def dose_axis(ax: Axes, doses: Sequence[float]) -> None:
    """A logarithmic dose axis whose ticks are the doses measured, or the decades when those are many; images
    without noise right of it, beyond a dashed line.
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

    finite = [dose for dose in doses if np.isfinite(dose)]
    free = style.place(np.inf, doses) if len(finite) < len(doses) else None
    places = [*finite, *([free] if free else [])]
    low, high = min(places) / 1.25, max(places) * 1.25
    ax.set_xlim(low, high * (1.3 if free else 1))  # its name is longer than a number
    marks = tick_doses(finite)
    ax.xaxis.set_major_locator(FixedLocator([*marks, *([free] if free else [])]))
    names = {free: style.NOISE_FREE}
    ax.xaxis.set_major_formatter(FuncFormatter(lambda dose, _: names.get(dose) or style.dose_text(dose)))
    ax.xaxis.set_minor_formatter(NullFormatter())
    if free and finite:
        ax.axvline((max(finite) * free) ** 0.5, color=style.QUIET, linewidth=0.5, linestyle=(0, (2, 2)))


def tick_doses(doses: Sequence[float], most: int = 4) -> list[float]:
    """The doses to write on an axis: those measured, less those nearer to another than 1 / `most` of it, and
    none that is infinite.
    """
    marks = sorted(dose for dose in doses if np.isfinite(dose))
    if len(marks) <= 1:
        return marks
    room = np.log10(marks[-1] / marks[0]) / most
    kept = marks[:1]
    for dose in marks[1:]:
        if np.log10(dose / kept[-1]) >= room:
            kept.append(dose)
    return kept


def _total_dose(ax: Axes, n_images: int) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

    top = ax.secondary_xaxis(
        "top", functions=(lambda dose: np.asarray(dose) * n_images, lambda dose: np.asarray(dose) / n_images)
    )
    top.set_xlabel(f"Total dose, {n_images} images (e⁻/Å²)", color=style.QUIET, labelpad=3)
    top.spines["top"].set_visible(True)
    top.spines["top"].set_color(style.QUIET)
    top.xaxis.set_major_locator(FixedLocator([dose * n_images for dose in ax.get_xticks()]))
    top.xaxis.set_major_formatter(FuncFormatter(lambda dose, _: style.dose_text(dose)))
    top.xaxis.set_minor_locator(NullLocator())
    top.xaxis.set_minor_formatter(NullFormatter())
    top.tick_params(labelcolor=style.QUIET)


def plain_log_ticks(ax: Axes) -> None:
    """Ticks of a logarithmic axis of errors: 1, 2, 5, 10, …, written out."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())


def _label_ends(ax: Axes, ends: Sequence[tuple[float, str, str]]) -> None:
    """The name of each curve right of its last point, in its colour, moved apart where they would overlap."""
    if not ends:
        return
    low, high = ax.get_ylim()
    height = 72 * ax.get_window_extent().height / ax.figure.dpi
    to_axes = ax.transScale
    bottom, top = to_axes.transform((1, low))[1], to_axes.transform((1, high))[1]
    wanted = [(to_axes.transform((1, max(value, low)))[1] - bottom) / (top - bottom) for value, _, _ in ends]
    gap = MIN_SPACING / height
    for (value, name, colour), at in zip(ends, style.spread(wanted, gap, 0.0, 1.0), strict=True):
        ax.annotate(
            f"{name} ↑" if value > high * 1.001 else name,
            (1.02, at),
            xycoords="axes fraction",
            va="center",
            color=colour,
            fontsize=7,
            annotation_clip=False,
        )
