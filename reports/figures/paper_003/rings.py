"""Fig. 4 and Extended Data Fig. 8 of paper 003: silica by ptychography, its atoms and their rings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.cells import CellResult
from datasets.errors import InputError
from datasets.naming import parse_name
from reports.accuracy import PAPER, Estimate, accuracy
from reports.figures import style
from reports.figures.paper_003 import words
from reports.figures.paper_003.ring_pictures import PICTURES, ring_pictures
from reports.figures.paper_003.species import Group, bounded, comparison, key
from reports.figures.plate import Panel, Plate
from reports.published import ALL, HETEROATOMIC_RINGS, MULTISLICE, SINGLE_SLICE, results_of, same_dose
from reports.ring_statistics import SIZES, RingCounts, count_rings, mean_counts, ring_share
from reports.series import Collection, Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ELEMENTS = ("Si", "O")
METHODS = (("paet-single", SINGLE_SLICE, "single-slice"), ("paet-multi", MULTISLICE, "multislice"))
"""Our methods, the paper's case that each stands beside, and what panels call it."""
MOST_DOSES = 3
TRUTH = style.CONTROL_GREY[1]
TINTS = {SINGLE_SLICE: style.OKABE_ITO[1][1], MULTISLICE: style.OKABE_ITO[0][1]}
HATCH = "//////"


@dataclass(frozen=True)
class Answered:
    """One of the two methods at one dose, and its rings."""

    case: str
    label: str
    method: str
    dose: float
    cells: tuple[CellResult, ...]
    counts: RingCounts
    in_order: Estimate
    found: Estimate

    @property
    def stated(self) -> float | None:
        """Heteroatomic rings [%] in the paper."""
        return next(
            (
                value
                for (case, dose), value in HETEROATOMIC_RINGS.items()
                if case == self.case and same_dose(dose, self.dose)
            ),
            None,
        )


def plate(collection: Collection, cache: Path) -> Plate:
    """Silica by single-slice and multislice ptychography: accuracy by species, and rings beside the truth's.

    Raises `InputError` when there is no such series, or neither method has an answer on it.
    """
    found = collection.find(ELEMENTS)
    if not found:
        raise InputError("no silica particle (sio2-300-4d, sio2-7704-4d) is among the results")
    series = next((s for s in found if methods(s)), found[0])
    chosen = methods(series)
    if not chosen:
        names = " nor ".join(name for name, _, _ in METHODS)
        raise InputError(f"neither {names} has an answer on {series.name}")
    notes = [
        f"{series.name}: the results hold no answer of {name}."
        for name, case, _ in METHODS
        if all(case != other for other, _, _ in chosen)
    ]
    published = results_of(words.like(series), MULTISLICE)
    available = sorted({dose for _, _, method in chosen for dose in series.doses(method)})
    doses = words.doses_shown(available, published, MOST_DOSES)
    notes += words.missing_doses(series, available, published)
    answered = [
        _answered(series, case, label, method, dose)
        for dose in doses
        for case, label, method in chosen
        if dose in series.doses(method)
    ]
    groups = [
        Group(
            f"{style.dose_text(one.dose)}\n{one.label}",
            accuracy(series, one.method, one.dose),
            words.stated(results_of(words.like(series), one.case), one.dose),
        )
        for one in answered
    ]
    truth = answered[0].cells[0].truth()
    true = count_rings(truth)
    shown = next((a for a in answered if a.case == MULTISLICE), answered[0])
    example = words.representative(series, shown.method, shown.dose)
    below = "Dose per image (e⁻/Å²)"
    told = "; ".join(f"{label} is {collection.names[method]}" for _, label, method in chosen)
    return Plate(
        key="fig-4",
        title=f"Fig. 4 and Extended Data Fig. 8: amorphous silica, {series.n_atoms:,} atoms",
        panels=(
            key([*series.elements, ALL], bound=bounded(groups)),
            *(comparison(groups, quantity, below, wide=6) for quantity in ("identified", "rmsd")),
            ring_pictures(truth, example, f"{shown.label}, {style.dose_text(shown.dose)} e⁻/Å²"),
            share_panel(answered, "in_order", "Rings in order (%)", below),
            share_panel(answered, "found", "Rings found (%)", below),
            *(
                histogram_panel([a for a in answered if a.dose == dose], true, 12 // len(doses))
                for dose in doses
            ),
        ),
        caption=(
            f"{words.scale(series)}. {told}. a, b, accuracy by species: "
            f"{words.rules(collection, series, groups)} {PICTURES} Rings in order: of the answer's primitive "
            "rings of up to 20 atoms, bonded within 2.1 Å whatever they are called, those in which Si and O "
            "alternate; black bars, the paper's, which does not say how it bonds atoms nor which rings it "
            f"counts. Rings found: of the true rings (n = {true.n:,.0f}), those of which every atom is "
            "found, rightly named and bonded. Histograms: number of rings by size, N Si and N O where they "
            "alternate; hatched, rings with a homopolar bond; grey, the truth. "
            f"{words.interval(series, answered[0].method, [a.dose for a in answered[:1]])}"
        ),
        alt="Identification rate and position error of Si and O by dose for single-slice and multislice "
        "ptychography beside the paper's; rings of the truth and of the answer; share of rings in order and "
        "found; histograms of ring sizes beside the truth's.",
        notes=tuple(notes),
        rows=(*words.table([(_one_line(g.label), g) for g in groups]), *ring_rows(answered, int(true.n))),
    )


def methods(series: Series) -> list[tuple[str, str, str]]:
    """Case, label and method of those of `METHODS` that have answers, of several variants the plainest."""
    found = []
    for name, case, label in METHODS:
        variants = [m for m in series.methods() if parse_name(m)[0] == name]
        if variants:
            found.append((case, label, min(variants, key=lambda m: len(parse_name(m)[1]))))
    return found


def _answered(series: Series, case: str, label: str, method: str, dose: float) -> Answered:
    cells = tuple(series.replicates(method, dose))
    shares = (ring_share(cells, metric) for metric in ("heteroatomic_rings", "rings_found"))
    return Answered(case, label, method, dose, cells, mean_counts(cells), *shares)


def share_panel(answered: Sequence[Answered], quantity: str, title: str, below: str) -> Panel:
    """`in_order` or `found` of every method and dose, with the paper's numbers as bars."""

    def draw(ax: Axes) -> None:
        for at, one in enumerate(answered):
            share: Estimate = getattr(one, quantity)
            ax.bar(at, share.mean, width=0.55, color=TINTS[one.case], linewidth=0)
            if np.isfinite(share.low) and np.isfinite(share.high):
                ax.plot([at, at], [share.low, share.high], color=style.INK, linewidth=0.8)
            top = max(v for v in (share.mean, share.high, 0.0) if np.isfinite(v))
            stated = one.stated if quantity == "in_order" else None
            if stated is not None:
                ax.plot(
                    [at - 0.4, at + 0.4],
                    [stated] * 2,
                    color=style.INK,
                    linewidth=1.6,
                    solid_capstyle="butt",
                    gid=f"paper {one.case} {one.dose:g}",
                )
                top = max(top, stated)
            text = style.number_text(share.mean)
            ax.text(at, top + 2, text, ha="center", va="bottom")
        ax.set(xlim=(-0.6, len(answered) - 0.4), ylim=(0, 118), xlabel=below)
        ax.set_yticks(range(0, 101, 20))
        ax.set_xticks(range(len(answered)), [f"{style.dose_text(a.dose)}\n{a.label}" for a in answered])
        ax.tick_params(axis="x", length=0)

    return Panel(draw, title, wide=6, height=(2.0, 2.3))


def histogram_panel(answered: Sequence[Answered], true: RingCounts, wide: int) -> Panel:
    """Rings by size at one dose: the truth's and each method's, those with a homopolar bond hatched."""

    def draw(ax: Axes) -> None:
        from matplotlib.patches import Patch
        from matplotlib.ticker import MaxNLocator

        bars = [("truth", TRUTH, true), *((a.label, TINTS[a.case], a.counts) for a in answered)]
        width = 0.84 / len(bars)
        for nth, (_, tint, counts) in enumerate(bars):
            x = SIZES + (nth - (len(bars) - 1) / 2) * width
            ax.bar(x, counts.heteroatomic, width=width, color=tint, linewidth=0)
            ax.bar(
                x,
                counts.broken,
                width=width,
                bottom=counts.heteroatomic,
                facecolor="white",
                edgecolor=tint,
                hatch=HATCH,
                linewidth=0.5,
            )
        top = max(float((counts.heteroatomic + counts.broken).max()) for _, _, counts in bars)
        handles = [Patch(facecolor=tint, label=label) for label, tint, _ in bars]
        handles.append(Patch(facecolor="white", edgecolor=style.QUIET, hatch=HATCH, label="homopolar"))
        rows = len(handles)
        ax.set(
            xlim=(SIZES[0] - 0.6, SIZES[-1] + 0.6),
            ylim=(0, max(top, 1.0) * (1 + 0.13 * rows)),
            xlabel="Size of ring N",
            ylabel="Rings",
        )
        ax.set_xticks(SIZES)
        ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        ax.legend(
            handles=handles,
            loc="upper right",
            borderaxespad=0,
            borderpad=0,
            handlelength=1.0,
            labelspacing=0.25,
        )

    return Panel(draw, f"By size, {style.dose_text(answered[0].dose)} e⁻/Å²", wide=wide, height=(2.2, 2.4))


def ring_rows(answered: Sequence[Answered], n_true: int) -> list[tuple[str, ...]]:
    """The rings of the table: of the true ones those found, and of the answer's those in order."""
    rows: list[tuple[str, ...]] = []
    for one in answered:
        label = f"{style.dose_text(one.dose)} {one.label}"
        if one.stated is not None:
            rows.append((label, "rings", "", f"{PAPER}, text", "–", f"{one.stated:g}", "–", "–"))
        shares = (words.number_text(one.found), words.number_text(one.in_order))
        rows.append((label, "rings", f"{n_true:,}", "found; in order", *shares, "–", "–"))
    return rows


def _one_line(label: str) -> str:
    return label.replace("\n", " ")
