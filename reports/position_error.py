"""Position error against dose as figures and page show it: points, lines, thresholds, and their caption.

An RMSD is over matched atoms only, so a method may be precise because it finds little: a point is whole only
where recall and precision both reach `WHOLE`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from reports.figures import thresholds
from reports.payload import Method, Payload, Specimen, Threshold

WHOLE = 0.95
"""Recall and precision from which a point is filled."""

CHANCE = "random"
"""The control whose RMSD is what the cutoff of the matching allows to chance."""

BESIDE, WIDEST = 0.4, 0.9
"""How much of the distance between doses the points of one dose may take up, side by side, and up to which
distance (natural logarithm)."""

OUTWARD = 1.12
"""How far an arrow reaches beyond the doses measured, as a factor."""

FILLED = f"recall and precision ≥ {100 * WHOLE:g} %"
HOLLOW = "one of them below"
ERROR: Mapping[str, tuple[str, str, str]] = {"hrtem": ("z_rmsd_levelled", "sheet_recall", "sheet_precision")}
"""By modality the error that is drawn, and the shares that make a point whole; else the RMSD."""

BOUND = "Cramér–Rao bound"
FLOOR = "bound plus floor"
RANDOM = "random atoms"


@dataclass(frozen=True)
class Point:
    """The RMSD [pm] of one method at one dose with its interval, and whether (nearly) all atoms are in it."""

    dose: float
    mean: float
    low: float | None
    high: float | None
    whole: bool
    n: int


def points(payload: Payload, dataset: str, method: str) -> list[Point]:
    """The points of one method by dose, less the doses at which nothing was matched."""
    found = []
    error, *both = keys(payload.specimen(dataset))
    for row in payload.curve(dataset, method):
        value = row.values[error]
        if value.mean is None or value.mean <= 0:  # a logarithm has no place for a perfect answer
            continue
        shares = [row.values[key].mean for key in both if key in row.values]
        whole = all(share is not None and share >= WHOLE for share in shares)
        found.append(Point(row.dose, value.mean, value.low, value.high, whole, value.n))
    return found


def keys(specimen: Specimen) -> tuple[str, str, str]:
    """The metrics of a dataset's error, recall and precision."""
    return ERROR.get(specimen.modality, ("rmsd", "recall", "precision"))


def error_text(shown: Sequence[Specimen]) -> str:
    """What the error of these datasets is called."""
    names = {keys(d)[0]: "RMSD in z, levelled" if d.modality == "hrtem" else "RMSD" for d in shown}
    return " or ".join(names.values())


def needed(payload: Payload, dataset: str) -> dict[str, Threshold]:
    """By method, the dose from which all criteria are met on the structures that `dataset` is one of."""
    specimen = payload.specimen(dataset)
    names = (specimen.base, f"{specimen.base} ({specimen.engine})")
    ran = {row.method for row in payload.rows if row.dataset == dataset}
    return {t.method: t for t in payload.thresholds if t.joint and t.structure in names and t.method in ran}


def lines(specimen: Specimen) -> dict[str, list[tuple[float, float]]]:
    """(dose, RMSD) of the bound, and of the bound with its floor, as far as they are known."""
    found = {}
    for name, values in ((BOUND, specimen.bound), (FLOOR, specimen.with_floor)):
        pairs = [
            (dose, value)
            for dose, value in zip(specimen.doses, values, strict=False)
            if value is not None and value > 0 and math.isfinite(dose)
        ]
        if pairs:
            found[name] = pairs
    return found


def error_range(payload: Payload) -> tuple[float, float]:
    """Both ends of the axis of errors [pm], the same for all datasets."""
    seen = [
        point.mean
        for specimen in payload.datasets
        for name in (CHANCE, *(method.name for method in reconstructors(payload)))
        for point in points(payload, specimen.name, name)
    ]
    top = max(seen, default=100.0)
    seen += [value for d in payload.datasets for pairs in lines(d).values() for _, value in pairs]
    return 0.7 * min(seen, default=1.0), 1.5 * top


def reconstructors(payload: Payload) -> list[Method]:
    """The methods that are no controls."""
    return [method for method in payload.methods if not method.control]


def beside(doses: Sequence[float], n_methods: int) -> list[float]:
    """By what factor each of `n_methods` is drawn off its dose: points of one dose lie side by side."""
    finite = sorted(dose for dose in doses if math.isfinite(dose))
    steps = [math.log(after / before) for before, after in pairwise(finite)]
    room = BESIDE * min([*steps, WIDEST])
    return [math.exp(room * ((i + 0.5) / n_methods - 0.5)) for i in range(n_methods)]


def drawn(payload: Payload) -> list[Specimen]:
    """The datasets on which any method has matched an atom."""
    known = {metric.key for metric in payload.metrics}
    names = [method.name for method in reconstructors(payload)]
    return [
        d
        for d in payload.datasets
        if keys(d)[0] in known and any(points(payload, d.name, name) for name in names)
    ]


def caption(payload: Payload) -> str:
    """What is shown: the subset, n, what the intervals are, and how to read a hollow point."""
    shown = drawn(payload)
    subset = "; ".join(
        f"{d.name} ({d.n_atoms} atoms, {f'{d.n_images} ' if d.n_images else ''}{d.engine} {d.image}s)"
        for d in shown
    )
    names = {d.name for d in shown}
    own = {method.name for method in reconstructors(payload)}
    counts = sorted({row.n for row in payload.rows if row.dataset in names and row.method in own})
    n = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else f"{counts[0]}"
    single = " (one cell has no interval)" if counts[0] < 2 else ""
    text = (
        f"{subset}: {error_text(shown)} of matched atoms against dose. Points are means, bars "
        f"{payload.interval}{single}, n = {n} cells per point, less those in which nothing was matched; "
        f"points of one dose are drawn side by side. Hollow: recall or precision below "
        f"{100 * WHOLE:g}\u00a0%, so the RMSD is that of a part of the atoms or stands beside false ones."
    )
    if any(d.modality == "hrtem" for d in shown):
        text += " Of frames: pairs are made in the plane, mean height and tilt are removed."
    if any(math.isinf(dose) for d in shown for dose in d.doses):
        text += " Right of the doses: the image without noise."
    text += f" Dotted: {BOUND} over all atoms." if any(d.bound for d in shown) else ""
    if any(d.with_floor for d in shown):
        text += (
            f" Dashed: {FLOOR}, which is what a sum of equal atoms leaves of noise-free multislice images "
            "(√(bound² + floor²))."
        )
    if any(points(payload, d.name, CHANCE) for d in shown):
        text += " Grey: random atoms, what the cutoff of the matching allows to chance."
    found = [t for d in shown for t in needed(payload, d.name).values() if t.method in own]
    if found:
        text += (
            f" Below: the dose needed for {found[0].criterion}. {thresholds.caption(payload, found)} Arrows "
            "point to what lies beyond the doses measured."
        )
        unmarked = any(own - set(needed(payload, d.name)) for d in shown)
        text += " A row without a mark: that method was not run there." if unmarked else ""
    return text
