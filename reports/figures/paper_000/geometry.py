"""Fig. 5 of paper 000: heights, bond lengths, slopes and, by its polynomial, electron localisation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from datasets.structures.analysis.electron_localisation import SOURCE, published_localisation
from reports.figures import style
from reports.figures.paper_000 import words
from reports.figures.paper_000.maps import Map, bar_text, centred_limits, panel
from reports.figures.paper_000.sheet_pictures import RIM_WORDS, Pictured, inside, pictured
from reports.figures.plate import Panel, Plate
from reports.published_sheets import ELF_THRESHOLD
from reports.series import Collection

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]

BINS = 48


def plate(collection: Collection, cache: Path) -> Plate:
    """Truth beside answer of every map. Raises `InputError` where there is no answer."""
    one = pictured(collection)
    name = words.name(collection, one.method)
    pair = (one.truth, one.answer)
    panels: list[Panel] = []
    rows: list[tuple[str, ...]] = [words.HEAD]

    heights = [sheet.positions[:, 2] for sheet in pair]
    bonds = [sheet.bonds() for sheet in pair]
    changes = [found.change for found in bonds]
    slopes = [np.where(inside(sheet.points), sheet.gradient(), np.nan) for sheet in pair]
    localised = [published_localisation("gradient", g) for g in slopes]
    known = np.concatenate(localised)
    top = float(np.nanquantile(np.concatenate(slopes), 0.995))
    levels = (float(np.nanmin(known)), float(np.nanquantile(known, 0.995)))
    places = [sheet.points for sheet in pair]
    middles = [found.middle[:, :2] for found in bonds]
    for label, title, where, values, limits, diverging in (
        ("Δz (Å)", "Δz", places, heights, centred_limits(*heights), True),
        ("δ (%)", "Bond change δ", middles, changes, centred_limits(*changes), True),
        ("g", "Slope g", places, slopes, (0.0, top), False),
        ("ELF", "Published ELF", places, localised, levels, False),
    ):
        for what, points, value in zip(("truth", "answer"), where, values, strict=True):
            text = f"{title}, {what}" if what == "truth" or len(title) < 9 else what.capitalize()
            factor = 100 if "%" in label else 1
            ends = (factor * limits[0], factor * limits[1])
            one_map = Map(points, factor * value, ends, label, diverging)
            panels.append(panel(text, one_map, bar=not panels))
        for by, value in zip(("truth", name), values, strict=True):
            here = value[np.isfinite(value)]
            rows.append((title, "mean", str(len(here)), by, words.number(float(here.mean()), 4), "", ""))
            rows.append((title, "rms", str(len(here)), by, words.number(_rms(here), 4), "", ""))
    panels.append(_bond_histogram(*changes))
    panels.append(_slope_scatter(one, slopes))
    return Plate(
        key="fig-5",
        title="Fig. 5: heights, bonds and slopes",
        panels=tuple(panels),
        caption=(
            f"{words.scale(one.series)} at {style.dose_text(one.dose)} e⁻/Å²; {name}, first noise replicate "
            "(n = 1 frame, so without intervals), truth beside answer, one colour scale for both; "
            f"{bar_text(one.paired.truth)}. Δz, height over the plane of least squares (rms "
            f"{_rms(heights[0]):.2f} Å true, {_rms(heights[1]):.2f} Å answered); δ = b / 1.42 Å − 1 of every "
            f"bond in three dimensions (n = {len(changes[0])} and {len(changes[1])}); g, slope of the "
            f"bicubic surface through the heights. {RIM_WORDS} ELF: {SOURCE}, of g alone. Last row: shares "
            f"of bonds, dashed the δ = {ELF_THRESHOLD:g} from which the paper sees electrons localise; slope "
            "at every atom, answered against true. An answer that is a mean over sheets that the frame "
            "allows is smoother than any of them: its bonds scatter less and its slopes are lower."
        ),
        alt="Maps of height, bond-length change, slope and electron localisation of a sheet, truth beside "
        "answer; a histogram of bond changes, and slopes answered against true.",
        rows=tuple(rows),
    )


def _rms(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _bond_histogram(true: FloatArray, found: FloatArray) -> Panel:
    def draw(ax: Axes) -> None:
        reach = 1.1 * max(float(np.abs(np.concatenate([true, found])).max()), ELF_THRESHOLD)
        edges = np.linspace(-reach, reach, BINS + 1)
        for values, colour, fill, label in (
            (true, "#C3C8D0", True, "truth"),
            (found, style.method("ours", 0).colour, False, "answer"),
        ):
            share = 100 * np.histogram(values, edges)[0] / len(values)
            ax.stairs(share, edges, fill=fill, color=colour, linewidth=1.2, label=label)
        ax.axvline(ELF_THRESHOLD, color=style.INK, linewidth=0.8, linestyle=(0, (4, 2)))
        ax.set(xlim=(-reach, reach), xlabel="Bond-length change δ", ylabel="Share of bonds (%)")
        ax.legend(loc="upper left", handlelength=1.0, borderaxespad=0, borderpad=0)

    return Panel(draw, "Bond-length changes", wide=6, height=(2.0, 2.3))


def _slope_scatter(one: Pictured, slopes: list[FloatArray]) -> Panel:
    i, j = one.paired.pairs.T
    true, found = slopes[0][i], slopes[1][j]
    kept = np.isfinite(true) & np.isfinite(found)
    true, found = true[kept], found[kept]

    def draw(ax: Axes) -> None:
        top = 1.05 * float(max(true.max(), found.max()))
        ax.plot([0, top], [0, top], color=style.QUIET, linewidth=0.8, linestyle=(0, (4, 2)))
        ax.plot(
            true,
            found,
            linestyle="",
            marker="o",
            markersize=2,
            markeredgewidth=0,
            alpha=0.4,
            rasterized=True,
            color=style.method("ours", 0).colour,
        )
        r = float(np.corrcoef(true, found)[0, 1])
        ax.text(0.03, 0.97, f"r = {r:.2f}, n = {len(true)}", transform=ax.transAxes, va="top")
        ax.set(xlim=(0, top), ylim=(0, top), xlabel="True slope g", ylabel="Answered slope g")

    return Panel(draw, "Slopes", wide=6, height=(2.0, 2.3))
