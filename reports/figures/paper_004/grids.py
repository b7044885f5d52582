"""Figs. 3 to 8 of paper 004: histograms and central slabs by algorithm, scan, dose and tilt range."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from ase.data import atomic_numbers

from datasets.errors import InputError
from reports.again import measurement_of
from reports.figures import style
from reports.figures.paper_004 import volumes, words
from reports.figures.paper_004.cases import BAO, CUAU, WAVE_METHODS, Case, Scanned, cases, in_focus, scans
from reports.figures.plate import Panel, Plate
from reports.figures.structures import bar_length
from reports.published import same_dose
from reports.published_multislice import DOSES, FULL, SPARSE_DOSES, TYPICAL_DOSES
from reports.series import Collection

FloatArray = npt.NDArray[np.float64]

ALGORITHMS = ("mset", "sset", "resire", "genfire")
TYPICAL = ("mset", "sset", "resire")
MOST_DOSES = 6


def algorithms(collection: Collection, cache: Path) -> Plate:
    """Fig. 3: four algorithms in focus, without noise and over all tilts. Raises `InputError`."""
    found = [s for s in scans(collection, CUAU) if s.tilt_range == FULL]
    chosen = [case for family in ALGORITHMS for case in cases(in_focus(found, family), family)]
    by_waves = [case for case in chosen if case.family in WAVE_METHODS]
    _needed(by_waves, "cuau-150-4d[defocus=0,n_scan=64,scan_step=0.4] by mset or sset")
    lacking = [f for f in ALGORITHMS if not any(case.family == f for case in chosen)]
    return _plate(
        collection,
        chosen,
        words.titles(chosen, [words.family_name(case.family) for case in chosen]),
        "fig-3",
        "Fig. 3: four algorithms in the ideal case",
        12 // max(len(chosen), 3),
        words.seen(chosen),
        notes=[f"{words.family_name(f)} has no answer in focus." for f in lacking],
    )


def steps(collection: Collection, cache: Path) -> Plate:
    """Fig. 4: MSET by scan step, in focus and out of it. Raises `InputError`."""
    found = sorted((s for s in scans(collection, CUAU) if s.tilt_range == FULL), key=lambda s: s.step)
    rows = [cases([s for s in found if s.focused is focused], "mset") for focused in (True, False)]
    chosen = [case for row in rows for case in row]
    _needed(chosen, "cuau-150-4d and cuau-150-4d[n_scan=32,scan_step=0.8] by mset", least=2)
    return _plate(
        collection,
        chosen,
        [f"{words.defocus_text(c.scanned.defocus)}, {c.scanned.step:g} Å" for c in chosen],
        "fig-4",
        "Fig. 4: step of the scan and defocus",
        3,
        "by MSET; titles: defocus, distance of probe positions",
        breaks=[len(rows[0])] if all(rows) else [],
    )


def doses(collection: Collection, cache: Path) -> Plate:
    """Fig. 5: MSET by dose, with the pattern of the central probe. Raises `InputError`."""
    found = [s for s in scans(collection, CUAU) if not s.focused and s.method("mset")]
    _needed(found, "cuau-150-4d by mset")

    def reach(scanned: Scanned) -> tuple[int, float]:
        return len(scanned.series.doses(scanned.method("mset") or "")), scanned.tilt_range

    scanned = max(found, key=reach)
    method = scanned.method("mset") or ""
    chosen = [
        Case(scanned, "mset", method, dose, "mset") for dose in _spread(scanned, scanned.series.doses(method))
    ]
    notes: list[str] = []
    patterns: list[FloatArray | None] = []
    for case in chosen:
        try:
            patterns.append(central_pattern(case))
        except InputError as error:
            patterns.append(None)
            notes.append(f"No pattern at {words.total_text(case.total)}: {error}.")
    return _plate(
        collection,
        chosen,
        [words.total_text(c.total) for c in chosen],
        "fig-5",
        "Fig. 5: dose",
        3 if len(chosen) == 4 else 4,
        "by MSET. At the foot: diffraction pattern of the central probe at the tilt nearest to 0°, "
        "logarithmic over four decades from its brightest pixel",
        patterns=patterns,
        notes=notes,
    )


def tilt_ranges(collection: Collection, cache: Path) -> Plate:
    """Fig. 6: MSET by tilt range, each at its highest dose. Raises `InputError`."""
    found = [s for s in scans(collection, CUAU) if not s.focused and s.method("mset")]
    step = most_common([s.step for s in found])
    ranges = sorted((s for s in found if s.step == step), key=lambda s: -s.tilt_range)
    chosen = cases(ranges, "mset")
    _needed(chosen, "cuau-150-4d and cuau-150-4d[tilt_range=50] by mset", least=2)
    titles = words.titles(chosen, [f"±{case.scanned.tilt_range:g}°" for case in chosen])
    return _plate(
        collection, chosen, titles, "fig-6", "Fig. 6: tilt range", 12 // max(len(chosen), 3), "by MSET"
    )


def typical(collection: Collection, cache: Path) -> list[Plate]:
    """Fig. 7: three algorithms at two doses with a missing wedge, of both particles. Raises `InputError`."""
    made = []
    for elements, part in ((CUAU, "Cu–Au"), (BAO, "Ba–O")):
        try:
            found = [s for s in scans(collection, elements) if s.tilt_range < FULL]
        except InputError:
            continue
        wedge = typical_range(found)
        here = [s for s in found if s.tilt_range == wedge]
        defocused = [s for s in here if not s.focused]
        chosen = [
            case
            for family in TYPICAL
            for case in cases(
                in_focus(here, family) if family == "resire" else defocused, family, TYPICAL_DOSES
            )
        ]
        if not chosen:
            continue
        made.append(
            _plate(
                collection,
                chosen,
                [f"{words.family_name(c.family)}, {words.total_text(c.total)}" for c in chosen],
                f"fig-7-{'-'.join(elements).lower()}",
                f"Fig. 7: {part} in typical conditions",
                4 if len(chosen) > 4 else 12 // max(len(chosen), 3),
                "the paper's MSET and SSET have 128 × 128 probes 0.4 Å apart at the same dose; ours, "
                f"out of focus, fewer. Here {words.seen(chosen)}",
            )
        )
    _needed(made, "cuau-150-4d[tilt_range=75] and bao-150-4d[tilt_range=75] at totals of 2e5 and 2e6 e⁻/Å²")
    return made


def sparse(collection: Collection, cache: Path) -> Plate:
    """Fig. 8: MSET on a sparse scan at a low dose, of both particles. Raises `InputError`."""
    chosen: list[Case] = []
    for elements in (CUAU, BAO):
        try:
            found = [s for s in scans(collection, elements) if s.tilt_range < FULL and not s.focused]
        except InputError:
            continue
        wedge = typical_range(found)
        chosen += cases([s for s in found if s.tilt_range == wedge], "mset", SPARSE_DOSES)
    _needed(chosen, "cuau-150-4d[tilt_range=75] by mset at totals of 1.25e4 and 1.25e5 e⁻/Å²")
    return _plate(
        collection,
        chosen,
        [f"{'–'.join(c.scanned.series.elements[::-1])}, {style.dose_text(c.total)}" for c in chosen],
        "fig-8",
        "Fig. 8: sparse scan",
        12 // max(len(chosen), 3),
        "by MSET; titles: particle, total dose (e⁻/Å²)",
    )


def _plate(
    collection: Collection,
    chosen: Sequence[Case],
    titles: Sequence[str],
    name: str,
    title: str,
    wide: int,
    told: str,
    *,
    patterns: Sequence[FloatArray | None] = (),
    notes: Sequence[str] = (),
    breaks: Sequence[int] = (),
) -> Plate:
    """Key and panels of a grid; `breaks` are the panels that begin a new row on a page."""
    views = [volumes.View.of(case.shown()) for case in chosen]
    elements = sorted(
        {e for case in chosen for e in case.scanned.series.elements}, key=lambda e: -atomic_numbers[e]
    )
    panels: list[Panel] = [volumes.key(tuple(elements))]
    for nth, (case, view, text) in enumerate(zip(chosen, views, titles, strict=True)):
        if nth in breaks:
            panels += filling(nth, wide)
        panels.append(
            volumes.panel(
                view,
                text,
                words.lines(case),
                wide=wide,
                pattern=patterns[nth] if patterns else None,
                bar=nth == 0,
            )
        )
    imaged = "; ".join(dict.fromkeys(words.scale(case.scanned) for case in (chosen[0], chosen[-1])))
    bare = [case.method for case, view in zip(chosen, views, strict=True) if view.intensities is None]
    more = [f"{m}: its results were stored without the intensities of atoms." for m in dict.fromkeys(bare)]
    light = min(elements, key=lambda e: atomic_numbers[e])
    return Plate(
        key=name,
        title=title,
        panels=tuple(panels),
        caption=(
            f"{imaged}; {words.acquisition([case.scanned for case in chosen])}; {words.doses(chosen)}; "
            f"{told}. {words.shown(chosen, bar_length(views[0].reach))}"
        ),
        alt=f"{len(chosen)} panels, each a histogram of the intensities of traced atoms above a slab through "
        f"the volume with true, false and missing atoms: {'; '.join(titles)}.",
        notes=(*notes, *more),
        rows=words.rows(collection, chosen, light=light if light in BAO else ""),
    )


def filling(n: int, wide: int) -> list[Panel]:
    """What leaves the rest of a row empty after `n` panels of a width."""
    held = n % (12 // wide)
    if not held:
        return []
    narrow = 6 if n % 2 else 12  # on a telephone two lie side by side
    return [Panel(lambda ax: ax.set_axis_off(), wide=12 - wide * held, narrow=narrow, height=(0.3, 0.3))]


def central_pattern(case: Case) -> FloatArray:
    """The electrons (n_ky, n_kx) of the probe nearest to the centre at the tilt nearest to 0°.

    Raises `InputError` when the counts are not stored.
    """
    measurement = measurement_of(case.scanned.series, case.shown())
    tilt = int(np.abs(measurement["theta"].values).argmin())
    probe = int(np.hypot(measurement["scan_x"].values, measurement["scan_y"].values).argmin())
    return np.asarray(measurement["counts"].values[tilt, probe], dtype=np.float64)


def typical_range(found: Sequence[Scanned]) -> float:
    """The tilt range of most series, of several the largest; NaN of none."""
    return -most_common([-scanned.tilt_range for scanned in found])


def most_common(values: Sequence[float]) -> float:
    """The value that most have, of several the smallest; NaN of none."""
    return max(sorted(set(values)), key=list(values).count, default=math.nan)


def _spread(scanned: Scanned, available: Sequence[float]) -> list[float]:
    """At most `MOST_DOSES` of the doses, those of the paper first; the highest is the first."""
    papers = [d for d in available if any(_same(scanned.total(d), t) for t in DOSES)]
    rest = [d for d in reversed(available) if d not in papers]
    return sorted([*papers, *rest][:MOST_DOSES], reverse=True)


def _same(one: float, other: float) -> bool:
    if math.isinf(one) or math.isinf(other):
        return one == other
    return same_dose(one, other)


def _needed(found: Sequence[object], what: str, least: int = 1) -> None:
    if len(found) < least:
        lacking = "there is no answer to draw" if least == 1 else "there is nothing to compare"
        raise InputError(f"{lacking}, such as {what}, among the results")
