"""What paper 004 has not: every method from the electrons of the same scans, and the dose that each needs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.preset import DEFAULT_CRITERIA, Criterion
from benchmarks.threshold import ABOVE, BELOW, LEVEL, Threshold, threshold
from datasets.errors import InputError
from datasets.naming import parse_name
from reports.accuracy import Estimate
from reports.figures import style
from reports.figures.paper_004 import words
from reports.figures.paper_004.cases import BAO, CUAU, WAVE_METHODS, Case, Scanned, percent_wrong, scans
from reports.figures.plate import Panel, Plate
from reports.payload import Method
from reports.position_error import WHOLE
from reports.published_multislice import CLASSIFICATION, DECENT_DOSE, FULL, OXYGEN_DOSE, RMSD, TRACING
from reports.series import Collection

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ORDER = (*WAVE_METHODS, "poisson-ml", "fista", "resire", "genfire", "sirt", "fbp")
"""Families in the order of their colours."""
DODGE = 1.05
"""Families of methods stand beside one another at a dose, each by this factor further on."""
LEAST_ERROR = 10.0
"""Axes of errors [%] reach at least so far."""
NEEDED = "total dose needed (e⁻/Å²)"
LIGHT = "O"
OXYGEN = (
    Criterion(metric=f"identified_{LIGHT}", value=0.95),
    Criterion(metric=f"identified_precision_{LIGHT}", value=0.95),
)
"""95 % of the oxygen found and rightly named, and of what is called oxygen."""


@dataclass(frozen=True)
class Curve:
    """One method on one series by dose: at least two doses, without that of no noise. A dose at which it gave
    no answer is one of them.
    """

    scanned: Scanned
    method: str
    family: str
    cases: tuple[Case, ...]

    @property
    def by_waves(self) -> bool:
        """Whether it is made from diffraction patterns, not from the annular images."""
        return self.family in WAVE_METHODS

    def needed(self, criteria: Sequence[Criterion]) -> Threshold:
        """The dose per tilt at which all criteria are met and stay met."""
        by_dose = [{c.cell.replicate: c.scores for c in case.cells} for case in self.cases]
        every = sorted(set().union(*by_dose))
        values = [
            [[[scores.get(nth, {}).get(one.metric, math.nan) for scores in by_dose] for nth in every]]
            for one in criteria
        ]
        ran = [[[nth in scores for scores in by_dose] for nth in every]]
        return threshold([case.dose for case in self.cases], values, criteria, ran=ran)


def plate(collection: Collection, cache: Path) -> Plate:
    """Scores of every method against the total dose, and the dose that each needs.

    Raises `InputError` when no method has answers at two doses.
    """
    particles: dict[str, list[Curve]] = {}
    notes = []
    for elements, name in ((CUAU, "Cu–Au"), (BAO, "Ba–O")):
        try:
            if found := curves(scans(collection, elements)):
                particles[name] = found
        except InputError as error:
            notes.append(f"{str(error)[:1].upper()}{str(error)[1:]}.")
    if not particles:
        raise InputError("no method has answers at several doses on cuau-150-4d or bao-150-4d")
    families = sorted(
        {c.family for own in particles.values() for c in own},
        key=lambda f: (ORDER.index(f) if f in ORDER else len(ORDER), f),
    )
    looks = {family: style.method(family, nth) for nth, family in enumerate(families)}
    panels = [_key(looks)]
    if own := particles.get("Cu–Au"):
        for metric, title in (
            (TRACING, "Cu–Au: tracing error (%)"),
            (CLASSIFICATION, "Cu–Au: classification error (%)"),
            (RMSD, "Cu–Au: RMSD (pm)"),
        ):
            panels.append(_curves(own, metric, title, looks))
    if own := particles.get("Ba–O"):
        for criterion, title in zip(OXYGEN, ("oxygen found and named", "named oxygen, rightly"), strict=True):
            panels.append(_curves(own, criterion.metric, f"Ba–O: {title} (%)", looks))
    panels.append(_needed(particles, looks))
    everything = [case for own in particles.values() for curve in own for case in curve.cases]
    return Plate(
        key="equal-dose",
        title="Beyond the paper: every method at equal dose",
        panels=tuple(panels),
        caption=(
            f"{'; '.join(_imaged(c.scanned for c in own) for own in particles.values())}. Full lines: from "
            "diffraction patterns, out of focus; dashed: from annular images of a finer scan in focus, with "
            "as many electrons on the specimen. Doses are totals over the series, "
            f"{everything[0].scanned.series.n_images} times those per tilt; methods at one dose are drawn "
            f"side by side. {words.interval(everything)} RMSD: over the matched atoms; hollow where recall "
            f"or precision is below {100 * WHOLE:g} %. {_options(collection, everything)}"
            "Last panel: where a criterion is first met and stays met, interpolated in log dose. Cu–Au: "
            "tracing error ≤ 5 % and classification ≥ 95 %; oxygen: at least 95 % found and "
            f"named, and 95 % of what is called oxygen. Lines: {100 * LEVEL:g} % bootstrap interval over the "
            "replicates at the doses about it (n in the table, of one none); arrows: below or above all "
            "doses run. Black bars: what the paper states of MSET on its larger particles."
        ),
        alt="Tracing error, classification error, RMSD, oxygen found and what is called oxygen against total "
        "dose for every method; "
        "the dose that each needs on one axis.",
        notes=tuple(notes),
        rows=(*words.rows(collection, everything, light=LIGHT), *_threshold_rows(collection, particles)),
    )


def curves(found: Sequence[Scanned]) -> list[Curve]:
    """Every method with at least two doses, on the series of the tilt range that has most of them: annular
    methods on the one in focus, the others on the one out of focus on which they have most doses.
    """
    by_range: dict[float, list[Curve]] = {}
    for scanned in found:
        for method in scanned.series.methods():
            family = parse_name(method)[0]
            ran = {c.cell.dose for c in scanned.series.cells if c.cell.reconstructor == method}
            doses = sorted(dose for dose in ran if math.isfinite(dose))
            if len(doses) > 1 and (family in WAVE_METHODS) is not scanned.focused:
                made = tuple(Case(scanned, family, method, dose, family) for dose in doses)
                by_range.setdefault(scanned.tilt_range, []).append(Curve(scanned, method, family, made))
    if not by_range:
        return []
    chosen: dict[str, Curve] = {}
    most = max(by_range, key=lambda r: (len({c.family for c in by_range[r]}), r == FULL))
    for curve in sorted(by_range[most], key=lambda c: (-len(c.cases), len(c.method))):
        chosen.setdefault(curve.family, curve)
    return sorted(chosen.values(), key=lambda c: ORDER.index(c.family) if c.family in ORDER else len(ORDER))


def _options(collection: Collection, cases: Sequence[Case]) -> str:
    """The names of methods that are not run with their defaults, as a sentence."""
    given = {c.family: collection.names.get(c.method, c.method) for c in cases if c.method != c.family}
    named = [f"{words.family_name(family)}: {name}" for family, name in given.items()]
    return f"{', '.join(named)}. " if named else ""


def _imaged(found: Iterable[Scanned]) -> str:
    """What was imaged of a particle, and the scans of further series of the same tilts."""
    first, *others = {scanned.series.name: scanned for scanned in found}.values()
    whole = f"{words.scale(first)}, {words.acquisition([first])}"
    return ", and ".join([whole, *(f"{s.series.name}, {words.scan_text(s)}" for s in others)])


def _estimate(case: Case, metric: str) -> Estimate:
    found = case.bar(metric)
    return percent_wrong(found) if metric == CLASSIFICATION else found


def _curves(own: Sequence[Curve], metric: str, title: str, looks: Mapping[str, Method]) -> Panel:
    def draw(ax: Axes) -> None:
        from matplotlib.ticker import MaxNLocator

        apart = [DODGE ** (nth - (len(looks) - 1) / 2) for nth in range(len(looks))]
        aside = dict(zip(looks, apart, strict=True))
        shown = [(curve, [_estimate(case, metric) for case in curve.cases]) for curve in own]
        tops = [e.mean for _, found in shown for e in found if math.isfinite(e.mean)]
        top = max(tops, default=1.0)
        if metric != RMSD:  # what should be 100 is seen up to there, an error as far as it goes
            top = min(max(top, LEAST_ERROR), 100.0) if metric in (TRACING, CLASSIFICATION) else 100.0
        within = -0.03 * top, 1.06 * top
        for curve, found in shown:
            look = looks[curve.family]
            x = [case.total * aside[curve.family] for case in curve.cases]
            for at, e in zip(x, found, strict=True):
                words.draw_interval(ax, at, e, within, look.colour)
            means = [e.mean for e in found]
            ax.plot(
                x,
                means,
                color=look.colour,
                linestyle="-" if curve.by_waves else style.DASHES["dash"],
                marker=style.MARKERS[look.symbol],
                markersize=4.2,
                markeredgecolor="white",
                markeredgewidth=0.4,
                gid=curve.family,
                zorder=3,
            )
            if metric == RMSD:
                part = [nth for nth, case in enumerate(curve.cases) if not case.whole]
                ax.plot(
                    [x[nth] for nth in part],
                    [means[nth] for nth in part],
                    linestyle="",
                    marker=style.MARKERS[look.symbol],
                    markersize=3.4,
                    markerfacecolor="white",
                    markeredgecolor=look.colour,
                    markeredgewidth=0.9,
                    gid=f"hollow {curve.family}",
                    zorder=3,
                )
        ax.set_xscale("log")
        ax.set(ylim=within, xlabel="Total dose (e⁻/Å²)")
        style.decades(ax, [case.total for curve in own for case in curve.cases])
        ax.yaxis.set_major_locator(MaxNLocator(5))
        ax.set_yticks([tick for tick in ax.get_yticks() if 0 <= tick <= top])
        ax.grid(axis="y")
        ax.set_axisbelow(True)

    return Panel(draw, title, wide=6, height=(2.0, 2.3))


def _groups(
    particles: Mapping[str, Sequence[Curve]],
) -> list[tuple[str, tuple[Criterion, ...], Sequence[Curve], float]]:
    """What is asked, of which curves, and the total dose at which the paper says that MSET does it."""
    asked = [
        ("Cu–Au", DEFAULT_CRITERIA, particles.get("Cu–Au", ()), DECENT_DOSE),
        ("oxygen", OXYGEN, particles.get("Ba–O", ()), OXYGEN_DOSE),
    ]
    return [group for group in asked if group[2]]


def _needed(particles: Mapping[str, Sequence[Curve]], looks: Mapping[str, Method]) -> Panel:
    groups = _groups(particles)
    n_rows = sum(len(own) for _, _, own, _ in groups) + len(groups) - 1

    def draw(ax: Axes) -> None:
        totals = [case.total for _, _, own, _ in groups for curve in own for case in curve.cases]
        totals += [dose for _, _, _, dose in groups]
        ax.set_xscale("log")
        at, ticks, labels = 0, [], []
        for what, criteria, own, paper in groups:
            for curve in own:
                _mark(ax, at, curve, curve.needed(criteria), looks[curve.family])
                if curve.family == "mset":
                    ax.plot(
                        [paper] * 2,
                        [at - 0.38, at + 0.38],
                        color=style.INK,
                        linewidth=1.8,
                        solid_capstyle="butt",
                        gid=f"paper {what}",
                    )
                ticks.append(at)
                labels.append(f"{what}: {words.family_name(curve.family)}")
                at += 1
            at += 1
        ax.set(ylim=(n_rows - 0.4, -0.6), xlabel="Total dose needed (e⁻/Å²)")
        style.decades(ax, totals)
        ax.set_yticks(ticks, labels)
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="x")
        ax.set_axisbelow(True)

    height = 0.17 * n_rows + 0.65
    return Panel(draw, "Dose needed", wide=6, height=(height, 1.3 * height))


def _mark(ax: Axes, at: float, curve: Curve, found: Threshold, look: Method) -> None:
    """A point with its interval, or an arrow where it lies beyond the doses run."""
    images = curve.scanned.series.n_images
    ends = found.smallest * images, found.largest * images

    def drawn(dose: float) -> float:
        return ends[0] if dose == BELOW else ends[1] if dose == ABOVE else dose * images

    symbol = "<" if found.censored == "below" else ">" if found.censored == "above" else None
    if symbol is None and found.low != found.high:
        ax.plot([drawn(found.low), drawn(found.high)], [at, at], color=look.colour, linewidth=1.4, zorder=2)
    ax.plot(
        drawn(found.dose),
        at,
        linestyle="",
        marker=symbol or style.MARKERS[look.symbol],
        markersize=6,
        markerfacecolor="white" if symbol else look.colour,
        markeredgecolor=look.colour,
        markeredgewidth=1.0 if symbol else 0.4,
        gid=f"needed {curve.family} {found.censored}",
        zorder=3,
    )


def _threshold_rows(collection: Collection, particles: Mapping[str, Sequence[Curve]]) -> list[words.Row]:
    rows: list[words.Row] = []
    for what, criteria, own, paper in _groups(particles):
        for curve in own:
            found = curve.needed(criteria)
            images = curve.scanned.series.n_images
            ends = found.smallest * images, found.largest * images
            name = collection.names.get(curve.method, curve.method)
            interval = (
                ""
                if found.low == found.high
                else (f"{_said(found.low, images, ends)} to {_said(found.high, images, ends)}")
            )
            stated = style.dose_text(paper) if curve.family == "mset" else ""
            value = _said(found.dose, images, ends)
            rows.append((what, NEEDED, str(found.n_replicates), name, value, interval, stated))
    return rows


def _said(dose: float, images: int, ends: tuple[float, float]) -> str:
    if dose == BELOW:
        return f"< {style.dose_text(ends[0])}"
    return f"> {style.dose_text(ends[1])}" if dose == ABOVE else style.dose_text(dose * images)


def _key(looks: Mapping[str, Method]) -> Panel:
    def draw(ax: Axes) -> None:
        from matplotlib.lines import Line2D

        ax.set_axis_off()
        figure = ax.get_figure(root=True)
        narrow = figure is not None and bool(figure.get_size_inches()[0] < style.PAGE)
        handles = []
        for family, look in looks.items():
            line = Line2D([], [], color=look.colour, marker=style.MARKERS[look.symbol], markersize=4.2)
            line.set_linestyle("-" if family in WAVE_METHODS else style.DASHES["dash"])
            line.set_label(words.family_name(family))
            line.set_markeredgecolor("white")
            line.set_markeredgewidth(0.4)
            handles.append(line)
        ax.legend(
            handles=handles,
            loc="center left",
            ncols=-(-len(handles) // 2) if narrow else len(handles),
            borderaxespad=0,
            borderpad=0,
            handlelength=2.0,
            handletextpad=0.5,
            columnspacing=1.2,
        )

    return Panel(draw, height=(0.26, 0.5))
