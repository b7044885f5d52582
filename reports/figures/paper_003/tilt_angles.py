"""Extended Data Fig. 7 of paper 003: tilt angles before and after refinement, and what that is worth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from datasets.errors import InputError
from datasets.schema import EULER_SEQUENCE
from recon.align.alignment import euler_angles
from recon.align.gauge import without_rotation
from reports.accuracy import accuracy
from reports.again import Again, make_again
from reports.figures import style
from reports.figures.paper_003 import words
from reports.figures.paper_003.species import Group, bounded, comparison, histogram, key
from reports.figures.plate import Panel, Plate
from reports.published import ALL, REFINED, UNREFINED, UPDATED_SIRT, results_of
from reports.series import SHIFT, TILT, Collection, Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]

ELEMENTS = ("Co", "Pd", "Pt")
ANGLES = (("φ", "about the beam"), ("θ", "about the tilt axis"), ("ψ", "about x"))
LOCKED = 10.0
"""Degrees from ±90° within which phi and psi are not told apart."""
BEFORE, AFTER = style.CONTROL_GREY[0], style.OKABE_ITO[0][0]
"""Colours of what was given and of what was refined."""


def plate(collection: Collection, cache: Path) -> Plate:
    """A series with wrong tilt angles by RESIRE with refinement, by RESIRE and by SIRT.

    Raises `InputError` when there is no such series, or no method on it.
    """
    found = collection.find(ELEMENTS, needed=[TILT])
    if not found:
        raise InputError(
            "no Co–Pd–Pt series with wrong tilt angles (copdpt-300[tilt_rms=0.5]) is among the results"
        )
    series = found[0]
    chosen, notes = methods(series)
    if not chosen:
        raise InputError(f"no method has an answer on {series.name}")
    paper = words.like(series)
    doses = sorted(set.intersection(*(set(series.doses(m)) for _, _, m in chosen)))
    if not doses:
        raise InputError(f"the methods to compare on {series.name} share no dose")
    dose = words.doses_shown(doses, results_of(paper, REFINED), 1)[0]
    notes += words.missing_doses(series, doses, results_of(paper, REFINED))
    angles: list[Panel] = []
    histograms: list[Panel] = []
    before = after = None
    for label, case, method in chosen:
        try:
            again = make_again(series, words.representative(series, method, dose), cache)
        except InputError as error:
            notes.append(f"{series.name}: no intensities of {label}, for {error}.")
            continue
        notes += words.differs(series, again)
        cutoff = collection.cutoff
        histograms.append(histogram(again, series.store.truth(), cutoff, label, wide=12 // len(chosen)))
        if case == REFINED:
            before, after = angle_errors(series, again)
            angles = [_angle_panel(series, nth, before[:, nth], after[:, nth]) for nth in range(3)]
    groups = [
        Group(_broken(label), accuracy(series, method, dose), words.stated(results_of(paper, case), dose))
        for label, case, method in chosen
    ]
    told = "; ".join(f"{label} is {collection.names[method]}" for label, _, method in chosen)
    return Plate(
        key="extended-fig-7",
        title="Extended Data Fig. 7: tilt angles refined",
        panels=(
            *angles,
            *histograms,
            key([*series.elements, ALL], bound=bounded(groups)),
            *(comparison(groups, quantity, "", wide=6) for quantity in ("identified", "rmsd")),
        ),
        caption=(
            f"{words.scale(series)}, at {style.dose_text(dose)} "
            f"e⁻/Å² per image. {told}. {_told_angles(before, after)}Histograms: intensities of traced "
            "atoms by true species, one replicate. Last two panels: "
            f"{words.rules(collection, series, groups)} {words.interval(series, chosen[0][2], [dose])}"
        ),
        alt="Errors of three angles per tilt before and after refinement; peak intensities and accuracy by "
        "species for RESIRE with refinement, RESIRE and SIRT, beside the paper's.",
        notes=tuple(notes),
        rows=words.table([(label, g) for (label, _, _), g in zip(chosen, groups, strict=True)]),
    )


def methods(series: Series) -> tuple[list[tuple[str, str, str]], list[str]]:
    """Label, case in the paper and method of what is compared, and a sentence for each that is missing."""
    align: tuple[object, ...] = ("none",)
    if SHIFT in series.kinds:
        align = ("reprojection", "common_line", "center_of_mass")
    refined = series.choose("resire", align=align, angles=("refine", "atoms", "grid"))
    plain = series.choose("resire", align=align, angles=("nominal",))
    if refined is not None:  # what it is compared to differs in nothing but the angles
        same = {k: (v,) for k, v in series.parameters(refined).items() if k != "angles"}
        plain = series.choose(refined.partition("[")[0], **{**same, "angles": ("nominal",)}) or plain
    sirt = series.choose("sirt", align=align, angles=("nominal",))
    sirt = sirt if sirt is not None and sirt.startswith("sirt") else None
    asked = (("refined", REFINED, refined), ("RESIRE", UNREFINED, plain), ("SIRT", UPDATED_SIRT, sirt))
    chosen, notes = [], []
    for label, case, method in asked:
        if method is None:
            notes.append(f"{series.name}: the results hold no method for “{case}”.")
            continue
        if case != UPDATED_SIRT:
            family = method.partition("[")[0]
            family = "RESIRE" if family.startswith("resire") else family
            label = f"{family} + angles" if case == REFINED else family
        chosen.append((label, case, method))
    return chosen, notes


def angle_errors(series: Series, again: Again) -> tuple[FloatArray, FloatArray]:
    """Errors of phi, theta, psi [deg] of the nominal and of the refined angles, (n_tilt, 3) each.

    A rotation of the whole specimen, which no series can tell, is taken out of both. Within `LOCKED` of ±90°
    only a combination of phi and psi is defined: both are NaN there.
    """
    theta = series.card.theta()
    nominal = np.stack([np.zeros_like(theta), theta, np.zeros_like(theta)], axis=-1)
    true = series.true_imperfections().rotations(theta)
    near = euler_angles(true, near=nominal)
    errors = []
    for angles in (nominal, again.angles):
        turns = without_rotation(Rotation.from_euler(EULER_SEQUENCE, angles, degrees=True), true)
        error = euler_angles(turns, near=near) - near
        error[np.abs(np.abs(theta) - 90) < LOCKED, ::2] = np.nan
        errors.append(error)
    return errors[0], errors[1]


def rms(values: FloatArray) -> float:
    """Root mean square of what is known."""
    return float(np.sqrt(np.nanmean(values**2)))


def _told_angles(before: FloatArray | None, after: FloatArray | None) -> str:
    if before is None or after is None:
        return ""
    parts = [
        f"{sign} {rms(before[:, nth]):.2f}° to {rms(after[:, nth]):.2f}°"
        for nth, (sign, _) in enumerate(ANGLES)
    ]
    locked = (
        " φ and ψ are left out near ±90°, where they are not told apart." if np.isnan(before).any() else ""
    )
    return (
        f"a–c, error of the three angles of every image (n = {len(before)}), as given and as refined in one "
        "replicate. A rotation of the whole specimen turns all images alike, and no tilt series can tell it: "
        f"the closest one is taken out of both. Rms from {', '.join(parts)}.{locked} "
    )


def _angle_panel(series: Series, nth: int, before: FloatArray, after: FloatArray) -> Panel:
    theta = series.card.theta()
    sign, axis = ANGLES[nth]

    def draw(ax: Axes) -> None:
        ax.axhline(0, color=style.QUIET, linewidth=0.5, zorder=1)
        for values, tint, label in ((before, BEFORE, "given"), (after, AFTER, "refined")):
            ax.plot(
                theta,
                values,
                linestyle="",
                marker="o",
                markersize=3.6,
                markerfacecolor="white" if tint == BEFORE else tint,
                markeredgecolor=tint,
                markeredgewidth=0.8,
                label=f"{label}, rms {rms(values):.2f}°",
                zorder=2 if tint == BEFORE else 3,
            )
        reach = 1.15 * max(float(np.nanmax(np.abs([*before, *after]))), 0.1)
        ax.set(ylim=(-reach, 1.5 * reach), xlabel="Tilt (°)")
        if nth == 0:
            ax.set_ylabel("Error (°)")
        ax.legend(loc="upper left", borderaxespad=0, handletextpad=0.2, labelspacing=0.25, handlelength=1.0)

    return Panel(draw, f"{sign}, {axis}", wide=4, height=(1.9, 2.1))


def _broken(label: str) -> str:
    return label.replace(" + ", "\n+ ")
