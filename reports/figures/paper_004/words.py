"""What the captions, titles and tables of these figures share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.cells import HALF_SLAB
from benchmarks.summary import LEVEL
from datasets.catalog import AdfCard
from reports.accuracy import Estimate
from reports.figures import style
from reports.figures.paper_004.cases import WAVE_METHODS, Case, Scanned
from reports.figures.paper_004.volumes import WHITE
from reports.published_multislice import CLASSIFICATION, N_ATOMS, QUANTITIES, RMSD, TRACING
from reports.series import Collection

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEAD = ("", "Quantity", "n", "By", "Ours", "Interval", "Paper")
"""The columns of every table."""

Row = tuple[str, str, str, str, str, str, str]

SHORT = {RMSD: "RMSD", TRACING: "tracing", CLASSIFICATION: "named"}
"""The quantities as they fit above a histogram."""

NAMES = {
    "mset": "MSET",
    "sset": "SSET",
    "resire": "RESIRE",
    "genfire": "GENFIRE",
    "atoms-4d": "atoms-4d",
    "poisson-ml": "poisson-ml",
    "fista": "FISTA",
    "sirt": "SIRT",
    "fbp": "FBP",
}
"""Families of methods as titles have them."""


def family_name(family: str) -> str:
    """A family as the field writes it."""
    return NAMES.get(family, family)


def lines(case: Case) -> tuple[str, ...]:
    """The three scores of a case, in brackets the paper's."""
    found = []
    stated = case.stated.values if case.stated else {}
    for metric, short in SHORT.items():
        unit = "pm" if metric == RMSD else "%"
        paper = f" ({stated[metric]:g})" if metric in stated else ""
        found.append(f"{short} {style.number_text(case.score(metric).mean)} {unit}{paper}")
    return tuple(found)


def total_text(total: float) -> str:
    """A total dose in a title."""
    return "no noise" if math.isinf(total) else f"{style.dose_text(total)} e⁻/Å²"


def defocus_text(defocus: float) -> str:
    """A defocus [Å] in nm, or that there is none. The paper's sign, under which ours is −20 nm too."""
    return "in focus" if defocus == 0 else f"{defocus / 10:g} nm".replace("-", "−")


def scale(scanned: Scanned) -> str:
    """What was imaged, beside what the paper has."""
    series = scanned.series
    theirs = N_ATOMS.get(frozenset(series.elements))
    told = "" if theirs is None or series.n_atoms == theirs else f" (the paper: {theirs:,} atoms)"
    return f"{series.scale}{told}"


def scan_text(scanned: Scanned) -> str:
    """How many probe positions there are, and how far apart."""
    imaging = scanned.imaging
    if isinstance(imaging, AdfCard):
        return f"{imaging.n_pixels} × {imaging.n_pixels} pixels of {imaging.pixel_size:g} Å"
    return f"{imaging.n_scan} × {imaging.n_scan} probes {imaging.scan_step:g} Å apart"


def acquisition(found: Sequence[Scanned]) -> str:
    """The scan, defocus and tilt range of several series as one sentence."""

    def listed(values: Sequence[str]) -> str:
        return " or ".join(dict.fromkeys(values))

    scan = listed([scan_text(s) for s in found])
    defocus = listed([f"{defocus_text(s.defocus)}{' from focus' if s.defocus else ''}" for s in found])
    tilt = listed([f"±{s.tilt_range:g}°" for s in found])
    return f"{scan}, {defocus}, tilts over {tilt}"


def seen(cases: Sequence[Case]) -> str:
    """What the methods of several cases are given."""
    waves = [family_name(case.family) for case in cases if case.family in WAVE_METHODS]
    rings = {case.family: case.scanned for case in cases if case.family not in WAVE_METHODS}
    by_scan: dict[str, list[str]] = {}
    for family, scanned in rings.items():
        by_scan.setdefault(scan_text(scanned), []).append(family_name(family))
    told = [f"{' and '.join(dict.fromkeys(waves))} from diffraction patterns"] if waves else []
    told += [f"{' and '.join(own)} from annular images in focus, {s}" for s, own in by_scan.items()]
    return "; ".join(told)


def titles(cases: Sequence[Case], texts: Sequence[str]) -> list[str]:
    """Titles of panels, with the dose where it is not the same for all."""
    same = len({case.total for case in cases}) == 1
    return [
        text if same else f"{text}, {total_text(case.total)}" for case, text in zip(cases, texts, strict=True)
    ]


def replicates(cases: Sequence[Case]) -> str:
    """`n = 3`, or the least and the most, of patterns and of annular images where that differs."""

    def told(own: Sequence[Case]) -> str:
        counts = sorted({len(case.cells) for case in own})
        return f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"

    waves = [case for case in cases if case.family in WAVE_METHODS]
    rings = [case for case in cases if case.family not in WAVE_METHODS]
    if not waves or not rings or told(waves) == told(rings):
        return f"n = {told(cases)}"
    return f"n = {told(waves)} from patterns, {told(rings)} from annular images"


def shown(cases: Sequence[Case], bar: float) -> str:
    """What the pictures of a grid show, with the length [nm] of their scale bar, and of how many replicates
    their numbers are.
    """
    several = any(len(case.cells) > 1 for case in cases)
    stated = " (in brackets the paper's)" if any(case.stated for case in cases) else ""
    return (
        "Above: intensities of the traced atoms of one replicate, from zero, by true species. Below: mean of "
        f"the volume over the {2 * HALF_SLAB:g} Å about its centre, square root, white at its percentile "
        f"{WHITE:g}, with the atoms within: triangles are misnamed or none. Scale bar {bar:g} nm. "
        f"Numbers{stated}: RMSD of the matched atoms; tracing: false and missing atoms; named: found and "
        "rightly named, both over the true ones; "
        + (
            f"means over noise replicates ({replicates(cases)}), intervals in the table."
            if several
            else "n = 1 noise replicate, so without an interval."
        )
    )


def doses(cases: Sequence[Case]) -> str:
    """Total doses of several cases, and what one tilt of it gets."""
    totals = sorted({(case.total, case.dose) for case in cases}, reverse=True)
    finite = [(t, d) for t, d in totals if math.isfinite(t)]
    if not finite:
        return "without noise"
    images = cases[0].scanned.series.n_images
    per = ", ".join(style.dose_text(d) for _, d in finite)
    unit = "e⁻/Å²"
    free = " and without noise" if len(finite) < len(totals) else ""
    return f"doses are totals over {images} tilts, {per} {unit} per tilt{free}"


def interval(cases: Sequence[Case]) -> str:
    """What error bars are."""
    counts = {len(case.cells) for case in cases}
    one = ", of one none" if 1 in counts else ""
    if max(counts) == 1:
        return "n = 1 noise replicate, so without an interval."
    if max(counts) == 2:
        return (
            f"Error bars: the line between two noise replicates ({replicates(cases)}){one}; intervals in the "
            "table."
        )
    two = ", of two the line between them" if 2 in counts else ""
    return (
        f"Error bars: {100 * LEVEL:g} % Student interval of the mean over noise replicates "
        f"({replicates(cases)}){two}{one}; a small triangle at the frame: it goes on, to where the table "
        "says."
    )


def draw_interval(ax: Axes, x: float, found: Estimate, within: tuple[float, float], colour: str) -> None:
    """An error bar at `x`, cut where it leaves the part `within` of the axis, with a triangle at that end."""
    low, high = within
    if not (np.isfinite(found.low) and np.isfinite(found.high)):
        return
    ends = np.clip((found.low, found.high), low, high)
    ax.plot([x, x], ends, color=colour, linewidth=0.8, zorder=2, gid="interval")
    for beyond, end, symbol in ((found.low < low, low, "v"), (found.high > high, high, "^")):
        if beyond:
            ax.plot(
                x, end, marker=symbol, markersize=2.6, color=colour, clip_on=False, zorder=4, gid="goes on"
            )


def rows(collection: Collection, cases: Sequence[Case], *, light: str = "") -> tuple[Row, ...]:
    """Every number of the cases as text; of the `light` element too how many were found and named."""
    found: list[Row] = [HEAD]
    for case in cases:
        scanned = case.scanned
        where = f"{defocus_text(scanned.defocus)}, {scanned.step:g} Å, ±{scanned.tilt_range:g}°"
        label = f"{'–'.join(scanned.series.elements)}, {where}, {total_text(case.total)}"
        name = collection.names.get(case.method, case.method)
        stated = case.stated.values if case.stated else {}
        wanted = {**QUANTITIES}
        if light in scanned.series.elements:
            wanted |= {
                f"identified_{light}": f"{light} found and named (%)",
                f"identified_precision_{light}": f"of the atoms called {light} (%)",
            }
        for metric, quantity in wanted.items():
            estimate = case.score(metric)
            paper = f"{stated[metric]:g}, {case.stated.source}" if case.stated and metric in stated else ""
            n = str(len(case.cells))
            value = style.number_text(estimate.mean)
            found.append((label, quantity, n, name, value, interval_text(estimate), paper))
    return tuple(found)


def interval_text(estimate: Estimate) -> str:
    """`5.1 to 6.2`, or nothing."""
    if not (np.isfinite(estimate.low) and np.isfinite(estimate.high)):
        return ""
    return f"{style.number_text(estimate.low)} to {style.number_text(estimate.high)}"
