"""Fig. 1a and Table 1 of paper 000: the dose of a frame from the divergence of its histogram."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from recon.graphene.calibrate import PUBLISHED_DOSES, DoseCalibration, calibrate_dose
from reports.figures import style
from reports.figures.paper_000 import words
from reports.figures.plate import Panel, Plate
from reports.published_sheets import CALIBRATED, DIVERGENCE
from reports.series import Collection, Series
from reports.sheets import counts_of, same_kind

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TRIALS = tuple(np.geomspace(5e2, 1.2e5, 25))
"""Trial doses [e⁻/Å²] for every frame, whatever its own dose: nobody knows it beforehand."""
REACH = 0.05
"""The part of a dose within which it is to be found."""


@dataclass(frozen=True)
class Calibrated:
    """One frame: its true `dose` [e⁻/Å²] and what was `found`."""

    sheet: str
    dose: float
    found: DoseCalibration


def plate(collection: Collection, cache: Path) -> Plate:
    """The first replicate of every sheet and dose. Raises `InputError` where no frame is stored."""
    series = same_kind(collection)
    doses = sorted({c.cell.dose for s in series for c in s.cells if np.isfinite(c.cell.dose)})
    frames = [
        Calibrated(one.name, dose, calibrated(one, dose, TRIALS))
        for one in series
        for dose in doses
        if one.store.has(dose, 0)
    ]
    if not frames:
        counts_of(series[0], doses[0], 0)  # says what is missing
    shown = next((s for s in series if s.store.has(CALIBRATED, 0)), None)
    panels, notes, rows = [], [], [words.HEAD]
    told = ""
    if shown is None:
        notes.append(f"No frame at {style.dose_text(CALIBRATED)} e⁻/Å² is stored, so no divergence is drawn.")
    else:
        one = calibrated(shown, CALIBRATED, PUBLISHED_DOSES)
        panels.append(_divergence(one))
        told = (
            f"a, {words.scale(shown)}: divergence of its histogram at {style.dose_text(CALIBRATED)} e⁻/Å² "
            "from that expected at each trial dose (n = 1 frame); dashed, the true dose; bar at the foot, "
            "the least divergence with its 95 % bootstrap interval over blocks of pixels. Black bars: Table "
            "1 of the paper, of its experimental frame, whose dose nobody knows. "
        )
        for dose, value in zip(one.trial_doses, one.divergence, strict=True):
            stated = DIVERGENCE.get(float(dose))
            rows.append(
                (
                    f"{shown.name}, trial {style.dose_text(dose)} e⁻/Å²",
                    "D_KL (nat)",
                    "1",
                    "calibrate_dose",
                    words.number(value, 4),
                    "",
                    "" if stated is None else f"{stated:g}",
                )
            )
    panels.append(_ratios(frames, wide=7 if panels else 12))
    for frame in frames:
        found = frame.found
        rows.append(
            (
                f"{frame.sheet}, true {style.dose_text(frame.dose)} e⁻/Å²",
                "dose found (e⁻/Å²)",
                "1",
                "calibrate_dose",
                f"{found.dose_per_area:.4g}",
                f"{found.low:.4g} to {found.high:.4g}",
                "",
            )
        )
    off = np.array([f.found.dose_per_area / f.dose - 1 for f in frames])
    inside = sum(f.found.low <= f.dose <= f.found.high for f in frames)
    return Plate(
        key="fig-1a",
        title="Fig. 1a and Table 1: the dose from the histogram",
        panels=tuple(panels),
        caption=(
            f"{told}{'b' if len(panels) > 1 else 'The'}, dose found over true dose, one dot per sheet (n = "
            f"{len(frames)} frames, first noise replicate), bars 95 % bootstrap intervals; shaded, within "
            f"{100 * REACH:g} %. Found to {100 * np.sqrt(np.mean(off**2)):.1f} % rms; {inside} of "
            f"{len(frames)} intervals hold the true dose. Trial doses from {style.dose_text(TRIALS[0])} to "
            f"{style.dose_text(TRIALS[-1])} e⁻/Å² for every frame; the noise-free image is that of the frame "
            "itself, so that the forward model is right."
        ),
        alt="Divergence against trial dose with its minimum at the true dose, and the dose found over the "
        "true dose for every frame.",
        notes=tuple(notes),
        rows=tuple(rows),
    )


def calibrated(series: Series, dose: float, trials: Sequence[float]) -> DoseCalibration:
    """The dose of the first frame of `series` at `dose`, as its histogram says."""
    frame = counts_of(series, dose, 0)
    expected = series.store.expected()["expected"].values[0]
    return calibrate_dose(
        frame["counts"].values[0],
        expected,
        float(frame.attrs["pixel_size"]),
        trial_doses=trials,
        unit=1.0,
        rng=np.random.default_rng(0),
    )


def _divergence(found: DoseCalibration) -> Panel:
    def draw(ax: Axes) -> None:
        x = found.trial_doses / 1e3
        colour = style.method("ours", 0).colour
        ax.plot(x, found.divergence, color=colour, marker="o", markeredgecolor="white", label="ours")
        stated = np.array(list(DIVERGENCE.items()))
        ax.plot(
            stated[:, 0] / 1e3,
            stated[:, 1],
            linestyle="",
            marker="_",
            markersize=8,
            markeredgewidth=1.6,
            color=style.INK,
            label="paper (experiment)",
        )
        top = 1.25 * max(float(found.divergence.max()), float(stated[:, 1].max()))
        ax.set(xlim=(4, 12.5), ylim=(-0.09 * top, top))
        ax.plot(
            [CALIBRATED / 1e3] * 2, [-top, 0.8 * top], color=style.QUIET, linewidth=0.8, linestyle=(0, (4, 2))
        )
        ends = np.array([found.low, found.high]) / 1e3
        ax.plot(ends, [-0.045 * top] * 2, color=colour, linewidth=2.2, solid_capstyle="butt")
        ax.plot(found.dose_per_area / 1e3, -0.045 * top, marker="d", color=colour, markersize=4.5)
        ax.set(xlabel="Trial dose (10³ e⁻/Å²)", ylabel="Divergence (nat)")
        ax.legend(loc="upper center", handlelength=1.4, borderaxespad=0)

    return Panel(draw, "Divergence of the histogram", wide=5, height=(2.3, 2.5))


def _ratios(frames: Sequence[Calibrated], *, wide: int) -> Panel:
    doses = sorted({f.dose for f in frames})
    names = list(dict.fromkeys(f.sheet for f in frames))

    def draw(ax: Axes) -> None:
        colour = style.method("ours", 0).colour
        ax.axhspan(1 - REACH, 1 + REACH, color="#EEF0F3", linewidth=0, zorder=0)
        ax.axhline(1, color=style.QUIET, linewidth=0.8, linestyle=(0, (4, 2)), zorder=1)
        for frame in frames:
            aside = 0.6 * ((names.index(frame.sheet) + 0.5) / len(names) - 0.5)
            x = doses.index(frame.dose) + aside
            low, high = frame.found.low / frame.dose, frame.found.high / frame.dose
            ax.plot([x, x], [low, high], color=colour, linewidth=0.9, alpha=0.7)
            ax.plot(x, frame.found.dose_per_area / frame.dose, marker="o", color=colour, markersize=3.4)
        ends = [v / f.dose for f in frames for v in (f.found.low, f.found.high)]
        reach = 1.15 * max(abs(np.array(ends) - 1).max(), 1.2 * REACH)
        ax.set(xlim=(-0.6, len(doses) - 0.4), ylim=(1 - reach, 1 + reach))
        ax.set_xticks(range(len(doses)), [style.dose_text(d) for d in doses])
        ax.tick_params(axis="x", length=0)
        ax.grid(axis="y")
        ax.set_axisbelow(True)
        ax.set(xlabel="True dose (e⁻/Å²)", ylabel="Dose found / true dose")

    return Panel(draw, "Dose found", wide=wide, height=(2.3, 2.5))
