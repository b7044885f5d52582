"""Fig. 3 of paper 000: consecutive frames of one sheet, each reconstructed by itself; how ripples move."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from datasets.errors import InputError
from datasets.structures.analysis.sheet import levelled
from reports.figures import style
from reports.figures.paper_000 import words
from reports.figures.paper_000.maps import Map, bar_text, centred_limits, panel
from reports.figures.plate import Panel, Plate
from reports.series import Collection
from reports.sheets import SheetAnswer, answer_of, consecutive, main_dose, main_method

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]

MOST = 5
"""Frames that are shown, as many as in the paper."""


def plate(collection: Collection, cache: Path) -> Plate:
    """Truth beside answer of every frame, and changes from one to the next. Raises `InputError`."""
    series = consecutive(collection)[:MOST]
    method = main_method(series)
    dose = main_dose(series[0], method)
    shown, notes = [], []
    for one in series:
        cells = [c for c in one.replicates(method, dose) if not c.failed]
        if cells:
            time = one.card.frame * one.card.hrtem.frame_interval
            shown.append((time, answer_of(min(cells, key=lambda c: c.cell.replicate))))
        else:
            notes.append(f"{one.name}: {method} has no answer at {style.dose_words(dose)}.")
    if len(shown) < 2:
        raise InputError(f"fewer than two frames have an answer of {method} at {style.dose_words(dose)}")
    heights = [(levelled(a.truth)[:, 2], levelled(a.answer)[:, 2]) for _, a in shown]
    limits = centred_limits(*(z for pair in heights for z in pair))
    panels: list[Panel] = []
    for (time, sheet), pair in zip(shown, heights, strict=True):
        for what, points, z in (("truth", sheet.truth, pair[0]), ("answer", sheet.answer, pair[1])):
            first = not panels
            panels.append(panel(f"{time:g} ms, {what}", Map(points[:, :2], z, limits, "Δz (Å)"), bar=first))
    changes = [
        _changes(*before, *after) for before, after in zip(_kept(shown), _kept(shown)[1:], strict=False)
    ]
    true, found = (np.concatenate([change[k] for change in changes]) for k in (0, 1))
    correlation = float(np.corrcoef(true, found)[0, 1])
    panels.append(_dynamics(true, found, correlation))
    rows: list[tuple[str, ...]] = [words.HEAD]
    name = words.name(collection, method)
    for (time, sheet), (z, _) in zip(shown, heights, strict=True):
        n = str(len(sheet.errors))
        label = f"{time:g} ms"
        rows.append((label, "rms Δz of the truth (Å)", str(len(z)), "truth", words.number(_rms(z)), "", ""))
        for axis, rmsd in zip("xyz", sheet.rmsd(), strict=True):
            rows.append((label, f"rms error of {axis} (Å)", n, name, words.number(rmsd), "", ""))
    n = str(len(true))
    rows.append(("1 frame", "true rms change of Δz (Å)", n, "truth", words.number(_rms(true)), "", ""))
    rows.append(("1 frame", "rms error of the change (Å)", n, name, words.number(_rms(found - true)), "", ""))
    rows.append(("1 frame", "correlation", n, name, words.number(correlation), "", ""))
    mean = np.sqrt(np.mean([sheet.rmsd()[2] ** 2 for _, sheet in shown]))
    return Plate(
        key="fig-3",
        title="Fig. 3: ripples in consecutive frames",
        panels=tuple(panels),
        caption=(
            f"{words.scale(series[0])} and the next {len(shown) - 1}, at {style.dose_text(dose)} e⁻/Å² each; "
            f"{name}, every frame by itself (n = 1 noise replicate per frame, so without intervals). Heights "
            f"Δz over the plane of least squares, true and answered, of one scale; "
            f"{bar_text(shown[0][1].truth)}. rms error "
            f"of z {mean:.2f} Å (n = {len(shown)} frames). Last panel: change of Δz of every atom from one "
            f"frame to the next, n = {len(true):,}; dashed, equal. True changes {_rms(true):.2f} Å rms, "
            f"errors of the change {_rms(found - true):.2f} Å rms, correlation {correlation:.2f}. The "
            "paper's experimental sheets span ±4 Å; their truth is not known."
        ),
        alt=f"Maps of the height of a sheet in {len(shown)} frames, truth beside answer, and the answered "
        "change of height against the true one.",
        notes=tuple(notes),
        rows=tuple(rows),
    )


def _kept(
    shown: list[tuple[float, SheetAnswer]],
) -> list[tuple[FloatArray, FloatArray, npt.NDArray[np.intp]]]:
    """Of each frame the levelled heights of the truth, of the answer, and the pairs."""
    return [(levelled(a.truth)[:, 2], levelled(a.answer)[:, 2], a.pairs) for _, a in shown]


def _changes(
    truth: FloatArray,
    answer: FloatArray,
    pairs: npt.NDArray[np.intp],
    next_truth: FloatArray,
    next_answer: FloatArray,
    next_pairs: npt.NDArray[np.intp],
) -> tuple[FloatArray, FloatArray]:
    """True and answered change of height [Å] of the atoms that are paired in both frames."""
    here, there = dict(pairs.tolist()), dict(next_pairs.tolist())
    both = sorted(set(here) & set(there))
    true = next_truth[both] - truth[both]
    found = next_answer[[there[i] for i in both]] - answer[[here[i] for i in both]]
    return true, found


def _rms(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _dynamics(true: FloatArray, found: FloatArray, correlation: float) -> Panel:
    def draw(ax: Axes) -> None:
        reach = 1.05 * float(np.abs(np.concatenate([true, found])).max())
        ax.plot([-reach, reach], [-reach, reach], color=style.QUIET, linewidth=0.8, linestyle=(0, (4, 2)))
        ax.plot(
            true,
            found,
            linestyle="",
            marker="o",
            markersize=1.8,
            markeredgewidth=0,
            alpha=0.35,
            color=style.method("ours", 0).colour,
            rasterized=True,
        )
        ax.text(0.03, 0.97, f"r = {correlation:.2f}", transform=ax.transAxes, va="top")
        ax.set(xlim=(-reach, reach), ylim=(-reach, reach), xlabel="True change (Å)", ylabel="Answered (Å)")

    return Panel(draw, "Change of Δz, frame to frame", wide=6, narrow=12, height=(2.05, 2.5))
