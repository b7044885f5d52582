"""The dose that each method needs, with its interval; an arrow where the threshold lies outside the sweep."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from reports.figures import style
from reports.figures.dose_curves import tick_doses
from reports.payload import Method, Payload, Threshold

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


OUTWARD = 1.45
"""How far an arrow reaches beyond the doses measured, as a factor."""


def draw(payload: Payload, structure: str) -> tuple[Figure, str] | None:
    """The thresholds of one kind of structure and their caption; None when the results hold none."""
    import matplotlib.pyplot as plt

    found = [t for t in payload.thresholds if t.structure == structure]
    if not found:
        return None
    criteria = list(dict.fromkeys(t.criterion for t in found))
    methods = [m for m in payload.methods if any(t.method == m.name for t in found)]
    width = 62 - max(len(m.name) for m in methods)  # characters beside the names
    height = 0.62 + len(criteria) * (0.30 + 0.17 * len(methods))
    with style.paper():
        figure, axes = plt.subplots(
            len(criteria),
            1,
            figsize=(style.COLUMN, height),
            sharex=True,
            squeeze=False,
            layout="constrained",
        )
        for ax, criterion in zip(axes[:, 0], criteria, strict=True):
            ax.set_title("\n".join(wrap(criterion, width)), fontsize=7.5, fontweight="normal")
            _panel(ax, methods, {t.method: t for t in found if t.criterion == criterion})
        axes[-1, 0].set_xlabel("Dose needed, per image (e⁻/Å²)")
    return (
        figure,
        f"{structure}: {caption(payload, found)} Arrows point to what lies beyond the doses measured.",
    )


def caption(payload: Payload, found: list[Threshold]) -> str:
    """What thresholds show: the dose, n, the kind of interval, and the doses that were measured."""
    counts = sorted({t.n for t in found})
    n = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else str(counts[0])
    low, high = min(t.min_dose for t in found), max(t.max_dose for t in found)
    return (
        "The dose from which the criterion is met and stays met, interpolated in log dose, with the "
        f"{payload.threshold_interval}, n = {n} series of doses per method"
        f"{' (one series has no interval)' if counts[0] == 1 else ''}; measured from "
        f"{style.dose_text(low)} to {style.dose_text(high)} e⁻/Å² per image."
    )


def ends(threshold: Threshold, outward: float) -> tuple[float, float]:
    """The ends of a threshold's bar; one beyond the doses measured is drawn a factor `outward` off them."""
    beyond = {"below": threshold.min_dose / outward, "above": threshold.max_dose * outward}
    low = beyond[threshold.low_censored] if threshold.low is None else threshold.low
    high = beyond[threshold.high_censored] if threshold.high is None else threshold.high
    if threshold.dose is None:  # so that the arrow has a shaft
        return (
            (min(low, threshold.max_dose), high)
            if threshold.censored == "above"
            else (low, max(high, threshold.min_dose))
        )
    return low, high


def _panel(ax: Axes, methods: list[Method], found: dict[str, Threshold]) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

    any_one = next(iter(found.values()))
    low, high = any_one.min_dose, any_one.max_dose
    ax.set_xscale("log")
    ax.set_xlim(low / 1.6, high * 1.6)
    ax.set_ylim(len(methods) - 0.5, -0.5)
    ax.axvspan(low, high, color="#F4F5F7", linewidth=0, zorder=0)
    for at, method in enumerate(methods):
        if method.name in found:
            _bar(ax, at, method, found[method.name])
    ax.set_yticks(range(len(methods)), [m.name for m in methods])
    for label, method in zip(ax.get_yticklabels(), methods, strict=True):
        label.set_color(method.colour)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.xaxis.set_major_locator(FixedLocator(tick_doses([low, *_decades(low, high), high])))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda dose, _: style.dose_text(dose)))
    ax.xaxis.set_minor_formatter(NullFormatter())


def _decades(low: float, high: float) -> list[float]:
    return [10.0**k for k in range(-3, 12) if low < 10.0**k < high]


def _bar(ax: Axes, at: int, method: Method, threshold: Threshold) -> None:
    left, right = ends(threshold, OUTWARD)
    ax.plot([left, right], [at, at], color=method.colour, linewidth=1.2, zorder=2)
    if threshold.low_censored == "below":
        ax.plot(left, at, marker="<", color=method.colour, markersize=3.5, zorder=3)
    if threshold.high_censored == "above":
        ax.plot(right, at, marker=">", color=method.colour, markersize=3.5, zorder=3)
    if threshold.dose is None:
        above = threshold.censored == "above"
        sign, bound = (">", threshold.max_dose) if above else ("<", threshold.min_dose)
        _write(
            ax, f"{sign} {style.dose_text(bound)}", (left if above else right, at), -4 if above else 4, method
        )
        return
    ax.plot(
        threshold.dose,
        at,
        marker=style.MARKERS[method.symbol],
        color=method.colour,
        markeredgecolor="white",
        markeredgewidth=0.5,
        markersize=5,
        zorder=3,
    )
    crowded = right > (threshold.min_dose * threshold.max_dose) ** 0.5
    _write(
        ax, style.dose_text(threshold.dose), (left if crowded else right, at), -5 if crowded else 5, method
    )


def _write(ax: Axes, text: str, point: tuple[float, float], shift: float, method: Method) -> None:
    ax.annotate(
        text,
        point,
        (shift, 0),
        textcoords="offset points",
        ha="right" if shift < 0 else "left",
        va="center",
        fontsize=7,
        color=style.QUIET if method.control else style.INK,
    )
