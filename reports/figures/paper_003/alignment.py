"""Extended Data Fig. 5 of paper 003: what centres of mass and common lines show, and the remedy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from datasets.errors import InputError
from recon.align.center_of_mass import image_centers
from recon.align.gauge import with_mean_one, without_translation
from recon.align.support import specimen_masks
from recon.project.geometry import Geometry
from reports.accuracy import QUANTITIES, accuracy
from reports.again import aligned, make_again, measurement_of
from reports.figures import style
from reports.figures.paper_003 import words
from reports.figures.paper_003.species import Group, bounded, comparison, histogram, key
from reports.figures.paper_003.tilt_angles import AFTER, BEFORE, rms
from reports.figures.plate import Panel, Plate
from reports.published import ALL, EARLIER, SHIFT_RANGE, results_of
from reports.series import INTENSITY, SHIFT, Collection, Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]

ELEMENTS = ("Co", "Pd", "Pt")
ALIGN = ("reprojection", "common_line", "center_of_mass")


@dataclass(frozen=True)
class Analysis:
    """A series before and after its alignment.

    `centers` (2, n_tilt, 2) [Å] are how far the centre of mass (x, y) of each image is off the projection of
    one common centre; `profiles` (2, n_tilt, n_y) the common lines, as parts of the greatest of their mean;
    `totals` (2, n_tilt) the intensities relative to their mean; first before, then after. `shifts` (n_tilt,
    2) [Å] and `scales` (n_tilt,) are the true errors; `theta` [deg] and `y` [Å] the axes.
    """

    theta: FloatArray
    y: FloatArray
    centers: FloatArray
    profiles: FloatArray
    totals: FloatArray
    shifts: FloatArray
    scales: FloatArray


def plate(collection: Collection, cache: Path) -> Plate:
    """A series of shifted and unevenly bright images. Raises `InputError` when there is none."""
    found = [
        s for s in collection.find(ELEMENTS, preferred=[SHIFT, INTENSITY]) if s.kinds & {SHIFT, INTENSITY}
    ]
    if not found:
        raise InputError(
            "no Co–Pd–Pt series of shifted or unevenly bright images (copdpt-300-imperfect) is among the "
            "results"
        )
    series = found[0]
    before, after, notes = methods(series)
    doses = sorted(set(series.doses(after)) & set(series.doses(before) if before else series.doses(after)))
    if not doses:
        raise InputError(f"the methods to compare on {series.name} share no dose")
    stated = results_of(words.like(series), EARLIER)
    dose = words.doses_shown(doses, stated, 1)[0]
    cell = words.representative(series, after, dose)
    panels: list[Panel] = []
    told = ""
    try:
        analysis = analyse(series, after, dose)
        panels += _analysis_panels(analysis)
        told = _told(analysis)
    except InputError as error:
        notes.append(f"{series.name}: no analysis of its images, for {error}.")
    pairs = [(label, method) for label, method in (("As given", before), ("Aligned", after)) if method]
    counts = []
    for label, method in pairs:
        try:
            cell = words.representative(series, method, dose)
            again = make_again(series, cell, cache)
        except InputError as error:
            notes.append(f"{series.name}: no intensities, for {error}.")
            continue
        notes += words.differs(series, again)
        cutoff = collection.cutoff
        panels.append(histogram(again, series.store.truth(), cutoff, label, wide=12 // len(pairs)))
        counts.append(f"{len(again.positions):,}")
    groups = [
        Group(
            label.lower().replace(" ", "\n"),
            accuracy(series, method, dose),
            words.stated(stated, dose) if method == after else None,
        )
        for label, method in pairs
    ]
    panels.append(key([*series.elements, ALL], bound=bounded(groups)))
    panels += [comparison(groups, quantity, "") for quantity in QUANTITIES]
    names = " and ".join(collection.names[method] for _, method in pairs)
    return Plate(
        key="extended-fig-5",
        title="Extended Data Fig. 5: misaligned and unevenly bright images",
        panels=tuple(panels),
        caption=(
            f"{words.scale(series)}, at {style.dose_text(dose)} "
            f"e⁻/Å² per image; {names}. {told}Histograms: intensities of traced atoms (n = "
            f"{', '.join(counts) or '0'}; one replicate) by true species. Last three panels: "
            f"{words.rules(collection, series, groups)} The paper's images are those of an earlier study, "
            f"whose errors it puts between −{-SHIFT_RANGE[0]:g} and {SHIFT_RANGE[1]:g} Å. "
            f"{words.interval(series, after, [dose])}"
        ),
        alt="Centres of mass, common lines and intensities of every image before and after alignment; peak "
        "intensities and accuracy by species before and after.",
        notes=tuple(notes),
        rows=words.table([(label, g) for (label, _), g in zip(pairs, groups, strict=True)]),
    )


def methods(series: Series) -> tuple[str | None, str, list[str]]:
    """The method without alignment (None where there is none), that with the best, and what is missing.

    The two differ in nothing but the alignment where the results allow it. Raises `InputError`.
    """
    after = next(
        (m for how in ALIGN if (m := series.choose("resire", align=(how,), angles=("nominal",)))), None
    ) or next((m for how in ALIGN if (m := series.choose("resire", align=(how,)))), None)
    if after is None:
        raise InputError(f"no method that aligns has an answer on {series.name}")
    same = {k: (v,) for k, v in series.parameters(after).items() if k != "align"}
    before = series.choose(after.partition("[")[0], **{**same, "align": ("none",)})
    before = before or series.choose("resire", align=("none",))
    return before, after, [] if before else [f"{series.name}: no method without alignment has an answer."]


def analyse(series: Series, method: str, dose: float) -> Analysis:
    """The images of one replicate before and after the alignment of `method`."""
    measurement = measurement_of(series, words.representative(series, method, dose))
    geometry = Geometry.of(measurement)
    images, corrected, _ = aligned(measurement, series.parameters(method))
    centers, profiles, totals = [], [], []
    for stack in (images, corrected):
        held = np.where(specimen_masks(stack), stack, 0.0)
        centers.append(without_translation(image_centers(stack, geometry), geometry.rotations))
        profiles.append(held.sum(axis=2))
        totals.append(with_mean_one(held.sum(axis=(1, 2))))
    scale = float(profiles[1].mean(axis=0).max())
    errors = series.true_imperfections()
    return Analysis(
        theta=measurement["theta"].values,
        y=geometry.y,
        centers=np.stack(centers),
        profiles=np.stack(profiles) / scale,
        totals=np.stack(totals),
        shifts=without_translation(errors.shifts[:, ::-1], geometry.rotations),
        scales=with_mean_one(np.maximum(1 + errors.intensities, 0)),
    )


def _analysis_panels(analysis: Analysis) -> list[Panel]:
    panels = [
        _tilt_panel(
            f"Centre of mass along {'xy'[axis]}",
            "Off the common centre (Å)",
            analysis,
            analysis.centers[:, :, axis],
            analysis.shifts[:, axis],
            legend=axis == 0,
        )
        for axis in (0, 1)
    ]
    panels.append(
        _tilt_panel("Intensity", "Relative to the mean", analysis, analysis.totals, analysis.scales)
    )
    span = float(analysis.profiles.max())
    panels += [
        _profile_panel(f"Common lines {when}", analysis, analysis.profiles[nth], span)
        for nth, when in enumerate(("as given", "aligned"))
    ]
    return panels


def _tilt_panel(
    title: str,
    ylabel: str,
    analysis: Analysis,
    values: FloatArray,
    true: FloatArray,
    *,
    legend: bool = False,
) -> Panel:
    def draw(ax: Axes) -> None:
        common: dict[str, Any] = {"linestyle": "", "zorder": 3}
        ax.plot(analysis.theta, true, marker="_", markersize=7, color=style.INK, label="true error", **common)
        ax.plot(
            analysis.theta,
            values[0],
            marker="o",
            markersize=3.6,
            markerfacecolor="white",
            markeredgecolor=BEFORE,
            label="as given",
            **common,
        )
        ax.plot(
            analysis.theta,
            values[1],
            marker="o",
            markersize=3.2,
            color=AFTER,
            markeredgewidth=0,
            label="aligned",
            **common,
        )
        middle = float(np.round(values[1].mean()))
        reach = 1.15 * float(np.abs(np.concatenate([values.ravel(), true]) - middle).max()) or 1.0
        ax.axhline(middle, color=style.QUIET, linewidth=0.5, zorder=1)
        above = 1.75 if legend else 1.0
        ax.set(ylim=(middle - reach, middle + above * reach), xlabel="Tilt (°)", ylabel=ylabel)
        if legend:
            ax.legend(
                loc="upper left", borderaxespad=0, handletextpad=0.2, labelspacing=0.25, handlelength=1.0
            )

    return Panel(draw, title, wide=4, height=(2.0, 2.2))


def _profile_panel(title: str, analysis: Analysis, profiles: FloatArray, span: float) -> Panel:
    def draw(ax: Axes) -> None:
        from matplotlib import colormaps
        from matplotlib.colors import Normalize

        tints = colormaps["viridis"](Normalize(analysis.theta.min(), analysis.theta.max())(analysis.theta))
        for profile, tint in zip(profiles, tints, strict=True):
            ax.plot(analysis.y, profile, color=tint, linewidth=0.6)
        inside = np.flatnonzero(profiles.max(axis=0) > 0)
        if inside.size:
            ax.set_xlim(analysis.y[inside[0]], analysis.y[inside[-1]])
        ax.set(ylim=(min(0.0, float(profiles.min())), 1.05 * span), xlabel="y, along the tilt axis (Å)")
        ax.set_ylabel("Sum over x (a.u.)")

    return Panel(draw, title, wide=6, height=(1.9, 2.1))


def _told(analysis: Analysis) -> str:
    along = "; ".join(
        f"{'xy'[axis]} {rms(analysis.centers[0, :, axis]):.2f} to {rms(analysis.centers[1, :, axis]):.2f} Å"
        for axis in (0, 1)
    )
    lines = [rms(p - p.mean(axis=0)) for p in analysis.profiles]
    return (
        f"a, b, centre of mass of every image (n = {len(analysis.theta)}) off the projection of one common "
        f"centre, across (x) and along (y) the tilt axis; rms before and after: {along}. c, their "
        f"intensities; rms about the mean {100 * analysis.totals[0].std():.1f} to "
        f"{100 * analysis.totals[1].std():.1f} %. Bars: the true errors; where alignment uses the volume, "
        "centres of mass need not agree best. d, e, sums over x of every image, blue to yellow with the "
        f"tilt; rms about their mean {lines[0]:.3f} to {lines[1]:.3f}. "
    )
