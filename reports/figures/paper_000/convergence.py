"""Fig. 2 and Table 2 of paper 000: how answers come about, and how far each atom is off in the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from datasets.errors import InputError
from reports.figures import style
from reports.figures.paper_000 import words
from reports.figures.paper_000.maps import Map, bar_text, centred_limits, panel
from reports.figures.paper_000.sheet_pictures import Pictured, pictured
from reports.figures.plate import Panel, Plate
from reports.payload import Method
from reports.published_sheets import CALIBRATED, CHI2, Z_RMSD, stated
from reports.series import Collection, Series
from reports.sheets import AXES, PUBLISHED_METHOD, answer_of, is_guess, main_dose, methods, same_kind
from reports.sheets_again import History, history

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]

BINS = 60


@dataclass(frozen=True, eq=False)
class Followed:
    """One method: its stages where they could be made again, and the errors (n, 3) [Å] of every paired atom
    of its stored answers at the dose of the paper's validation, over `n_frames` frames.
    """

    method: str
    stages: History | None
    errors: FloatArray
    n_frames: int


def plate(collection: Collection, cache: Path) -> Plate:
    """Convergence, per-atom errors, and the sheet from the side. Raises `InputError` without any answer."""
    one = pictured(collection)
    series = same_kind(collection)
    notes: list[str] = []
    followed = [
        _follow(series, m, one.dose, cache, notes)
        for m in methods(series)
        if not is_guess(m) and any(main_dose(s, m) == one.dose for s in series if s.doses(m))
    ]
    if not any(f.method.startswith(PUBLISHED_METHOD) for f in followed):
        notes.append(
            f"{PUBLISHED_METHOD}, which follows the paper, has no answer at {style.dose_text(one.dose)} "
            f"e⁻/Å²; run `dosebench run graphene --with {PUBLISHED_METHOD}`."
        )
    looks = words.looks(series)
    names = {m: words.name(collection, m) for m in looks}
    panels: list[Panel] = []
    told = ""
    staged = [f for f in followed if f.stages is not None]
    if staged:
        panels += [_misfit(staged, looks, names), _heights(staged, looks, names)]
        told = (
            "a, misfit χ² of the frame expected of each stage, over that of the flat sheet at the start, "
            "which all begin with; b, rms error of z as it is. Stages from start to end: outer iterations of "
            f"{PUBLISHED_METHOD}, mean of the last ones; sheets drawn by multislice-map (none, "
            "1/16, 1/4 and all of them). Black: Table 2 of the paper. "
        )
    panels += [_errors(axis, nth, followed, looks, names) for nth, axis in enumerate(AXES)]
    panels += _pictures(one)
    dose = style.dose_text(one.dose)
    n = "; ".join(
        f"{len(f.errors):,} atoms of {f.n_frames} frame{'s' * (f.n_frames != 1)} ({names[f.method]})"
        for f in followed
    )
    return Plate(
        key="fig-2",
        title="Fig. 2 and Table 2: convergence and the error of every atom",
        panels=tuple(panels),
        caption=(
            f"{words.scale(one.series)} at {dose} e⁻/Å². {told}Histograms: found less true position of every "
            f"paired atom (n = {n}; whole distributions, no interval), dashed curves normal ones with the "
            f"paper's σ. {words.PAIRS} Maps: error of z of {names[one.method]}'s answer, white at zero; "
            f"{bar_text(one.paired.truth)}. Last: the middle 8 Å of the sheet from the side."
        ),
        alt="Misfit and error of z by stage; histograms of the errors of every atom along x, y and z; a map "
        "of errors in z and a view from the side.",
        notes=tuple(notes),
        rows=_table(followed, names, one),
    )


def _follow(series: Sequence[Series], method: str, dose: float, cache: Path, notes: list[str]) -> Followed:
    cells = [c for s in series for c in s.replicates(method, dose) if not c.failed]
    errors = [answer_of(c).errors for c in cells]
    first = min(cells, key=lambda c: (c.cell.dataset, c.cell.replicate))
    own = next(s for s in series if s.name == first.cell.dataset)
    try:
        stages = history(own, first, cache)
    except InputError as error:
        notes.append(f"{method}: no stages, for {error}.")
        stages = None
    return Followed(method, stages, np.concatenate(errors), len(cells))


def _stages(f: Followed) -> FloatArray:
    """Where the stages of a method are drawn: from 0, the start, to 1, the end."""
    assert f.stages is not None
    n = len(f.stages.step)
    return np.arange(n) / max(n - 1, 1)


def _misfit(staged: Sequence[Followed], looks: Mapping[str, Method], names: Mapping[str, str]) -> Panel:
    def draw(ax: Axes) -> None:
        for f in staged:
            assert f.stages is not None
            _stage_line(ax, f, 100 * f.stages.chi2 / f.stages.chi2[0], looks[f.method], names[f.method])
        paper = 100 * np.array(CHI2) / CHI2[0]
        _paper_line(ax, paper)
        ax.set(xlabel="Stage", ylabel="χ² / χ² at the start (%)")
        _stage_axis(ax)

    return Panel(draw, "Misfit", wide=6, height=(2.1, 2.4))


def _heights(staged: Sequence[Followed], looks: Mapping[str, Method], names: Mapping[str, str]) -> Panel:
    def draw(ax: Axes) -> None:
        for f in staged:
            assert f.stages is not None
            _stage_line(ax, f, f.stages.z, looks[f.method], names[f.method])
        _paper_line(ax, np.array(Z_RMSD))
        ax.set_ylim(0, 1.45 * max(Z_RMSD[0], *(float(f.stages.z.max()) for f in staged if f.stages)))
        ax.set(xlabel="Stage", ylabel="rms error of z (Å)")
        ax.legend(loc="upper right", handlelength=1.6, borderaxespad=0, borderpad=0)
        _stage_axis(ax)

    return Panel(draw, "Error of z", wide=6, height=(2.1, 2.4))


def _stage_line(ax: Axes, f: Followed, values: FloatArray, look: Method, name: str) -> None:
    ax.plot(
        _stages(f),
        values,
        color=look.colour,
        marker=style.MARKERS[look.symbol],
        markeredgecolor="white",
        markeredgewidth=0.4,
        label=name,
    )


def _paper_line(ax: Axes, values: FloatArray) -> None:
    at = np.arange(len(values)) / (len(values) - 1)
    ax.plot(at, values, color=style.INK, linewidth=0.7, linestyle=(0, (2, 2)), zorder=1)
    ax.plot(
        at,
        values,
        linestyle="",
        marker="_",
        markersize=9,
        markeredgewidth=1.6,
        color=style.INK,
        label="the paper",
        gid="paper",
    )


def _stage_axis(ax: Axes) -> None:
    ax.set_xlim(-0.06, 1.06)
    ax.set_xticks([0, 1], ["start", "end"])
    ax.grid(axis="y")


def _errors(
    axis: str, nth: int, followed: Sequence[Followed], looks: Mapping[str, Method], names: Mapping[str, str]
) -> Panel:
    paper = next(s.value for s in stated(axis) if s.dose == CALIBRATED)

    def draw(ax: Axes) -> None:
        values = [f.errors[:, nth] for f in followed]
        reach = max(3.2 * paper, *(float(np.quantile(np.abs(v), 0.995)) for v in values))
        edges = np.linspace(-reach, reach, BINS + 1)
        width = edges[1] - edges[0]
        lines = []
        tops = []
        for f, value in zip(followed, values, strict=True):
            density = np.histogram(value, edges)[0] / len(value) / width
            ax.stairs(density, edges, color=looks[f.method].colour, linewidth=1.2)
            lines.append((f"rms {_rms(value):.3f} Å", looks[f.method].colour))
            tops.append(float(density.max()))
        x = np.linspace(-reach, reach, 200)
        normal = np.exp(-0.5 * (x / paper) ** 2) / (paper * np.sqrt(2 * np.pi))
        ax.plot(x, normal, color=style.INK, linewidth=1.0, linestyle=(0, (4, 2)))
        lines.append((f"paper {paper:g} Å", style.INK))
        for row, (text, colour) in enumerate(lines):
            at = (0.98, 0.98 - 0.115 * row)
            ax.text(*at, text, color=colour, transform=ax.transAxes, ha="right", va="top")
        top = 1.25 * max(*tops, float(normal.max()))
        ax.set(xlim=(-reach, reach), ylim=(0, top), xlabel=f"{axis} found − true (Å)")
        ax.set_yticks([])
        ax.set_ylabel("Atoms per Å" if nth == 0 else "")

    return Panel(draw, f"Errors along {axis}", wide=4, height=(1.9, 2.2))


def _pictures(one: Pictured) -> list[Panel]:
    """Where z is off, and the truth beside the answer seen along y."""
    i, _ = one.paired.pairs.T
    points = one.paired.truth[i]
    off = one.paired.errors[:, 2]
    limits = centred_limits(off)
    inside = np.abs(points[:, 1] - points[:, 1].mean()) < 4.0

    def side(ax: Axes) -> None:
        for x, z, colour, marker, label in (
            (points[inside, 0], points[inside, 2], style.QUIET, "o", "truth"),
            (
                points[inside, 0] + one.paired.errors[inside, 0],
                points[inside, 2] + off[inside],
                style.method("ours", 0).colour,
                "D",
                "answer",
            ),
        ):
            ax.plot(
                x,
                z,
                linestyle="",
                marker=marker,
                markersize=2.6,
                markeredgewidth=0,
                color=colour,
                label=label,
            )
        low, high = ax.get_ylim()
        ax.set(xlabel="x (Å)", ylabel="z (Å)", ylim=(low, high + 0.25 * (high - low)))
        ax.legend(loc="upper left", ncols=2, handletextpad=0.1, borderaxespad=0, borderpad=0)

    return [
        panel("Where z is off", Map(points[:, :2], off, limits, "z found − true (Å)"), bar=True, wide=4),
        Panel(side, "From the side", wide=8, height=(2.05, 2.4)),
    ]


def _rms(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _table(
    followed: Sequence[Followed], names: Mapping[str, str], one: Pictured
) -> tuple[tuple[str, ...], ...]:
    rows: list[tuple[str, ...]] = [words.HEAD]
    for f in followed:
        if f.stages is not None:
            for k, step in enumerate(f.stages.step):
                what = "outer iteration" if f.method.startswith(PUBLISHED_METHOD) else "sheets drawn"
                same = f.method.startswith(PUBLISHED_METHOD) and k < len(CHI2)
                label = f"{what} {step:g}"
                chi2, z = float(f.stages.chi2[k]), float(f.stages.z[k])
                name = names[f.method]
                rows.append(
                    (
                        label,
                        "χ² (electron²)",
                        "1",
                        name,
                        words.number(chi2, 3),
                        "",
                        f"{CHI2[k]:g}" if same else "",
                    )
                )
                rows.append(
                    (
                        label,
                        "rms error of z (Å)",
                        "1",
                        name,
                        words.number(z),
                        "",
                        f"{Z_RMSD[k]:g}" if same else "",
                    )
                )
        for nth, axis in enumerate(AXES):
            paper = next(s.value for s in stated(axis) if s.dose == CALIBRATED)
            value = words.number(_rms(f.errors[:, nth]), 3)
            n = f"{len(f.errors):,}"
            rows.append(
                ("every atom", f"rms error of {axis} (Å)", n, names[f.method], value, "", f"{paper:g}")
            )
    return tuple(rows)
