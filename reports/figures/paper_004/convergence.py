"""Fig. 2d of paper 004: the error of a reconstruction from pass to pass."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from datasets.errors import InputError
from reports.figures import style
from reports.figures.paper_004 import volumes, words
from reports.figures.paper_004.cases import CUAU, Case, scans
from reports.figures.paper_004.grids import central_pattern
from reports.figures.plate import Panel, Plate
from reports.passes_again import OURS, PUBLISHED, Passes, passes
from reports.series import Collection

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LABELS = {OURS: "mset", PUBLISHED: "mset[published]"}


def plate(collection: Collection, cache: Path) -> Plate:
    """The loss of each pass of ours and of the published descent, beside a pattern that they are fitted to.

    Raises `InputError` when there is no answer of MSET, or its counts are not stored.
    """
    found = [s for s in scans(collection, CUAU) if not s.focused and s.method("mset")]
    if not found:
        raise InputError("no answer of mset on cuau-150-4d is among the results")
    scanned = max(found, key=lambda s: (s.tilt_range, -abs(s.step - 1.6)))
    method = scanned.method("mset") or ""
    case = Case(scanned, "mset", method, scanned.series.doses(method)[-1], method)
    made: dict[str, Passes] = {}
    notes = []
    for descent in (OURS, PUBLISHED):
        try:
            made[descent] = passes(scanned.series, case.shown(), cache, descent)
        except InputError as error:
            if descent == OURS:
                raise
            notes.append(f"{LABELS[descent]}: no passes, for {error}.")
    pattern = central_pattern(case)
    dose = "without noise" if math.isinf(case.total) else f"at {words.total_text(case.total)} over the series"
    costs = "; ".join(
        f"{LABELS[d]} {style.number_text(float(p.seconds.mean()))} s a pass" for d, p in made.items()
    )
    threads = made[OURS].threads
    return Plate(
        key="fig-2",
        title="Fig. 2: a pattern, and the error from pass to pass",
        panels=(
            Panel(lambda ax: volumes.draw_pattern(ax, pattern), "Pattern", wide=4, height=(2.3, 3.2)),
            _curves(made),
        ),
        caption=(
            f"{words.scale(scanned)}; {words.acquisition([scanned])}; {dose}. Left: diffraction pattern of "
            "the central probe at the tilt nearest to 0°, logarithmic over four decades. Right: mean squared "
            "difference of amplitudes (Eq. 5 of the paper) over all tilts and probes, during each pass, over "
            "that without a specimen (pass 0); the noise of counting remains in it. n = 1 replicate, no "
            "interval. Both descents here minimise it; "
            f"the published one updates after every probe, ours after every tilt. Processor time on "
            f"{threads} thread{'s' * (threads > 1)}: {costs}."
        ),
        alt="A diffraction pattern, and the error against the number of passes by our descent and the "
        "published one.",
        notes=tuple(notes),
        rows=_rows(made),
    )


def _curves(made: dict[str, Passes]) -> Panel:
    def draw(ax: Axes) -> None:
        from matplotlib.ticker import MaxNLocator

        for nth, (descent, found) in enumerate(made.items()):
            look = style.method(descent, nth)
            ax.plot(
                np.arange(len(found.loss)),
                100 * found.loss,
                color=look.colour,
                marker=style.MARKERS[look.symbol],
                markeredgecolor="white",
                markeredgewidth=0.4,
                label=LABELS[descent],
            )
        ax.set(xlabel="Pass over all tilts", ylabel="Error (% of that in vacuum)")
        least = 100 * min(float(found.loss.min()) for found in made.values())
        room = max(100 - least, 1.0)
        ax.set_ylim(max(least - 0.6 * room, 0.0), 100 + 0.08 * room)
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        ax.grid(axis="y")
        ax.legend(loc="lower left", borderaxespad=0.5, borderpad=0)

    return Panel(draw, "Error", wide=8, height=(2.3, 2.5))


def _rows(made: dict[str, Passes]) -> tuple[words.Row, ...]:
    rows: list[words.Row] = [words.HEAD]
    for descent, found in made.items():
        for nth, loss in enumerate(found.loss):
            value = style.number_text(100 * float(loss))
            rows.append((f"pass {nth}", "error (% of that in vacuum)", "1", LABELS[descent], value, "", ""))
        seconds = style.number_text(float(found.seconds.mean()))
        rows.append(
            ("a pass", "processor time (s)", f"{len(found.seconds)}", LABELS[descent], seconds, "", "")
        )
    return tuple(rows)
