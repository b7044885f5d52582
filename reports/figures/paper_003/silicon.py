"""Fig. 1 of paper 003: projections of amorphous silicon, and position errors at each dose."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from datasets.errors import InputError
from reports.accuracy import ONE_TO_ONE, PAPERS_RULE, accuracy, position_errors
from reports.again import make_again
from reports.figures import elements as looks
from reports.figures import style
from reports.figures.paper_003 import words
from reports.figures.paper_003.projections import CAPTION, bar_text, triple
from reports.figures.paper_003.species import BOUND_DASH, Group, bounded
from reports.figures.plate import Panel, Plate
from reports.published import DEFOCUS, results_of, same_dose
from reports.series import DEFOCUS as DEFOCUS_KIND
from reports.series import Collection, Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ELEMENT = "Si"
PROJECTION_DOSE = 1.6e4
"""e⁻/Å² per image, of the projections in the paper's figure."""
MOST_DOSES = 3
BINS = 36


def plates(collection: Collection, cache: Path) -> list[Plate]:
    """One plate per particle of silicon, at most one per particle of the paper.

    Raises `InputError` when there is none.
    """
    found = collection.find([ELEMENT], preferred=[DEFOCUS_KIND])
    if not found:
        raise InputError("no silicon particle (si-208, si-19993) is among the results")
    chosen: dict[str, Series] = {}
    for series in found:
        paper = words.like(series)
        if paper is not None and (series.n_atoms == paper.n_atoms or len(found) == 1):
            chosen.setdefault(paper.name, series)
    return [_plate(collection, series, cache) for series in list(chosen.values()) or found[:1]]


def _plate(collection: Collection, series: Series, cache: Path) -> Plate:
    method = series.choose("resire", align=("none",), angles=("nominal",)) or series.methods()[0]
    paper = words.like(series)
    published = results_of(paper, DEFOCUS)
    available = series.doses(method)
    doses = words.doses_shown(available, published, MOST_DOSES)
    notes = words.missing_doses(series, available, published)
    panels: list[Panel] = []
    dose = next((d for d in available if same_dose(d, PROJECTION_DOSE)), doses[len(doses) // 2])
    drawn = ""
    try:
        again = make_again(series, words.representative(series, method, dose), cache)
        notes += words.differs(series, again)
        panels += triple(again)
        drawn = (
            f"a–c, the image at {again.theta:.0f}° and {style.dose_text(dose)} e⁻/Å²: raw, denoised and "
            f"less its background, and calculated from the volume. {CAPTION} {bar_text(again)} "
        )
    except InputError as error:
        notes.append(f"{series.name}: no projections, for {error}.")
    groups, errors = [], []
    for one in doses:
        group = Group(style.dose_text(one), accuracy(series, method, one), words.stated(published, one))
        groups.append(group)
        errors.append(position_errors(series.replicates(method, one)))
    reach = 1.15 * float(np.quantile(np.concatenate(errors), 0.995))
    stated = [group.published.rmsd[ELEMENT] for group in groups if group.published is not None]
    edges = np.linspace(0, max(reach, *(1.15 * rmsd for rmsd in stated), 1.0), BINS + 1)
    panels += [
        _errors_panel(group, found, edges, 12 // len(doses))
        for group, found in zip(groups, errors, strict=True)
    ]
    n = ", ".join(f"{len(e):,}" for e in errors)
    n_replicates = len(series.replicates(method, doses[0]))
    letters = "d onwards" if drawn else "All panels"
    caption = (
        f"{words.scale(series)}; {collection.names[method]}. {drawn}"
        f"{letters}, distance of found from true atoms, one to one within "
        f"{collection.cutoff:g} Å (n = {n} pairs over "
        f"{n_replicates} noise replicate{'s' * (n_replicates > 1)}; whole distributions, no interval). "
        "Solid line: RMSD of our answers; dashed: the paper's, whose rule takes the nearest atom"
        f"{'; dotted: the Cramér–Rao bound on that of all atoms' if bounded(groups) else ''}."
    )
    return Plate(
        key=f"fig-1-{paper.name if paper else series.name}",
        title=f"Fig. 1: amorphous silicon of {series.n_atoms:,} atoms",
        panels=tuple(panels),
        caption=caption,
        alt="Raw, denoised and calculated projection; histograms of position errors at "
        f"{len(doses)} doses with their RMSD and the paper's.",
        notes=tuple(notes),
        rows=words.table([(f"{g.label} e⁻/Å²", g) for g in groups]),
    )


def _errors_panel(
    group: Group, errors: npt.NDArray[np.float64], edges: npt.NDArray[np.float64], wide: int
) -> Panel:
    def draw(ax: Axes) -> None:
        counts = np.histogram(errors, edges)[0]
        share = 100 * counts / max(len(errors), 1)
        ax.stairs(
            share, edges, fill=True, facecolor=looks.colour(ELEMENT), edgecolor=style.QUIET, linewidth=0.3
        )
        top = 1.5 * max(float(share.max(initial=0.0)), 1.0)
        lines = []
        ours, theirs = group.of(ELEMENT, ONE_TO_ONE), group.of(ELEMENT, PAPERS_RULE)
        if ours is not None:
            ax.plot([ours.rmsd.mean] * 2, [0, 0.66 * top], color=style.INK, linewidth=1.1)
            lines.append(_line("ours", ours.identified.mean, ours.rmsd.mean))
            if np.isfinite(ours.bound):
                ax.plot(
                    [ours.bound] * 2, [0, 0.66 * top], color=style.INK, linewidth=1.2, linestyle=BOUND_DASH
                )
        if theirs is not None:
            lines.append(_line("paper's rule", theirs.identified.mean, theirs.rmsd.mean))
        if group.published is not None:
            stated = group.published.rmsd[ELEMENT]
            ax.plot(
                [stated] * 2, [0, 0.66 * top], color=style.INK, linewidth=1.1, linestyle=style.DASHES["dash"]
            )
            lines.append(f"paper: {group.published.identified[ELEMENT]:g} %, {stated:g} pm")
        if ours is not None and np.isfinite(ours.bound):
            lines.append(f"bound: {style.number_text(ours.bound)} pm")
        ax.text(0.98, 0.99, "\n".join(lines), transform=ax.transAxes, ha="right", va="top", linespacing=1.35)
        ax.set(
            xlim=(0, edges[-1]),
            ylim=(0, top),
            xlabel="Position error (pm)",
            ylabel="Share of atoms (%)",
        )

    return Panel(draw, f"{group.label} e⁻/Å²", wide=wide, height=(2.0, 2.2))


def _line(label: str, identified: float, rmsd: float) -> str:
    return f"{label}: {style.number_text(identified)} %, {style.number_text(rmsd)} pm"
