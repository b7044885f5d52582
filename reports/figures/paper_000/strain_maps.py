"""Fig. 4 of paper 000: the strain of a levelled sheet, true and as reconstructed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from datasets.structures.analysis.sheet import Displacements
from reports.figures import style
from reports.figures.paper_000 import words
from reports.figures.paper_000.maps import Map, bar_text, centred_limits, panel
from reports.figures.paper_000.sheet_pictures import RIM_WORDS, inside, pictured
from reports.figures.plate import Panel, Plate
from reports.published_sheets import STRAIN_RANGE
from reports.series import Collection

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

COMPONENTS = (("xx", "εxx"), ("yy", "εyy"), ("xy", "εxy"))
BINS = 48


def plate(collection: Collection, cache: Path) -> Plate:
    """Every component, truth beside answer. Raises `InputError` where there is no answer."""
    one = pictured(collection)
    (true, true_places), (found, found_places) = one.truth.strained(), one.answer.strained()
    inner = [inside(place.sites) for place in (true_places, found_places)]
    limits = centred_limits(
        *(
            getattr(s, key)[kept]
            for s, kept in zip((true, found), inner, strict=True)
            for key, _ in COMPONENTS
        )
    )
    percent = (100 * limits[0], 100 * limits[1])
    panels: list[Panel] = []
    rows: list[tuple[str, ...]] = [words.HEAD]
    name = words.name(collection, one.method)
    i, j = _sites_of(one.paired.pairs, true_places, found_places)
    kept = inner[0][i] & inner[1][j]
    i, j = i[kept], j[kept]
    told = []
    for key, sign in COMPONENTS:
        values = [
            np.where(kept, getattr(s, key), np.nan) for s, kept in zip((true, found), inner, strict=True)
        ]
        places = (true_places, found_places)
        for what, place, value in zip(("truth", "answer"), places, values, strict=True):
            panels.append(
                panel(
                    f"{sign}, {what}", Map(place.sites, 100 * value, percent, f"{sign} (%)"), bar=not panels
                )
            )
        n = str(len(i))
        correlation = float(np.corrcoef(values[0][i], values[1][j])[0, 1])
        off = float(np.sqrt(np.mean((values[0][i] - values[1][j]) ** 2)))
        told.append(f"{sign} {correlation:.2f}")
        paper = f"up to ±{STRAIN_RANGE:g}" if key == "xy" else ""
        for by, value in (("truth", values[0]), (name, values[1])):
            rms = float(np.sqrt(np.nanmean(value**2)))
            rows.append((sign, "rms", str(np.isfinite(value).sum()), by, words.number(rms, 4), "", paper))
        rows.append((sign, "rms error", n, name, words.number(off, 4), "", ""))
        rows.append((sign, "correlation with the truth", n, name, words.number(correlation), "", ""))
    panels.append(_histogram("εxy", true.xy[inner[0]], found.xy[inner[1]], limits))
    return Plate(
        key="fig-4",
        title="Fig. 4: strain of a rippled sheet",
        panels=tuple(panels),
        caption=(
            f"{words.scale(one.series)} at {style.dose_text(one.dose)} e⁻/Å²; {name}, first noise replicate "
            "(n = 1 frame, so without intervals). The sheet is turned until its plane of least squares is z "
            "= 0; strain is that of its displacements in the plane from the perfect lattice that fits best, "
            f"at every site (n = {inner[0].sum()} and {inner[1].sum()}). {RIM_WORDS} One colour scale for "
            f"all maps, white at zero; {bar_text(one.paired.truth)}. "
            f"Correlation of answer and truth over n = {len(i)} "
            f"atoms: {', '.join(told)}. Last panel: share of sites; dashed, ±{STRAIN_RANGE:g}, the greatest "
            "shear that the paper finds in its experimental sheets."
        ),
        alt="Maps of three components of the strain of a sheet, truth beside answer, and their histograms.",
        rows=tuple(rows),
    )


def _sites_of(pairs: IntArray, truth: Displacements, answer: Displacements) -> tuple[IntArray, IntArray]:
    """Of the pairs of atoms that have a site in both, the numbers of these sites."""
    of_truth = {int(atom): nth for nth, atom in enumerate(truth.index)}
    of_answer = {int(atom): nth for nth, atom in enumerate(answer.index)}
    both = [(of_truth[i], of_answer[j]) for i, j in pairs.tolist() if i in of_truth and j in of_answer]
    i, j = np.array(both, dtype=np.intp).reshape(-1, 2).T
    return i, j


def _histogram(sign: str, true: FloatArray, found: FloatArray, limits: tuple[float, float]) -> Panel:
    def draw(ax: Axes) -> None:
        edges = np.linspace(1.3 * limits[0], 1.3 * limits[1], BINS + 1)
        for values, colour, fill, label in (
            (true, "#C3C8D0", True, "truth"),
            (found, style.method("ours", 0).colour, False, "answer"),
        ):
            share = 100 * np.histogram(values, edges)[0] / len(values)
            ax.stairs(share, edges, fill=fill, color=colour, linewidth=1.2, label=label)
        for edge in (-STRAIN_RANGE, STRAIN_RANGE):
            ax.axvline(edge, ymax=0.76, color=style.INK, linewidth=0.8, linestyle=(0, (4, 2)))
        ax.set_ylim(0, 1.3 * ax.get_ylim()[1])
        ax.set(xlim=(edges[0], edges[-1]), xlabel=sign, ylabel="Share of sites (%)")
        ax.legend(loc="upper left", ncols=2, handlelength=1.0, borderaxespad=0, borderpad=0)

    return Panel(draw, f"Shear {sign}", wide=6, height=(2.05, 2.3))
