"""What a report says in sentences: what was asked, what was found, and what to be wary of."""

from __future__ import annotations

import math
from collections.abc import Sequence

from reports.figures.style import dose_text, dose_words, number_text
from reports.payload import Payload, Specimen, Threshold


def findings(payload: Payload) -> list[str]:
    """One sentence per kind of structure: which method meets the criteria with the fewest electrons."""
    joint = [t for t in payload.thresholds if t.joint]
    sentences = []
    for structure in dict.fromkeys(t.structure for t in joint):
        own = [t for t in joint if t.structure == structure and not payload.method(t.method).control]
        if own:
            sentences.append(_threshold_sentence(own))
    if not joint:
        sentences = [sentence for d in payload.datasets if (sentence := _best_sentence(payload, d))]
    return sentences or ["These results hold only controls: there is no method to judge."]


def _threshold_sentence(own: Sequence[Threshold]) -> str:
    first = own[0]
    goal = f"to reach {first.criterion} on {first.structure}"
    met = [t for t in own if t.censored != "above"]
    if not met:
        return (
            f"No method reaches {first.criterion} on {first.structure} at up to "
            f"{dose_text(min(t.max_dose for t in own))} e⁻/Å² per image."
        )
    best = min(met, key=lambda t: t.dose or 0.0)
    if best.dose is None:
        at_once = [t.method for t in met if t.dose is None]
        reach = "reaches" if len(at_once) == 1 else "reach"
        return (
            f"{_listed(at_once)} {reach} {first.criterion} on {first.structure} already at "
            f"{dose_text(best.min_dose)} e⁻/Å² per image, the lowest dose tried."
        )
    others = sorted((t for t in own if t is not best), key=lambda t: t.dose or float("inf"))
    interval = interval_text(best)
    level = [
        t.method for t in others if interval and t.dose is not None and _bounds(t)[0] <= _bounds(best)[1]
    ]
    contrast = ""
    if level:
        contrast = f"; {_listed(level)} cannot be told apart from it"
    elif others and others[0].dose is not None:
        ratio = others[0].dose / best.dose
        many = f"{number_text(ratio)} times" if ratio >= 1.05 else "about"
        contrast = f"; {others[0].method} needs {many} as many"
    elif others:
        contrast = f"; no other method does at up to {dose_text(min(t.max_dose for t in others))}"
    return (
        f"{best.method} needs {dose_text(best.dose)} e⁻/Å² per image {interval or '(n = 1, no interval)'} "
        f"{goal}{contrast}."
    )


def _bounds(threshold: Threshold) -> tuple[float, float]:
    """The interval of a threshold, open where it reaches beyond the doses measured."""
    low = threshold.low if threshold.low is not None else 0.0
    return low, threshold.high if threshold.high is not None else float("inf")


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _best_sentence(payload: Payload, specimen: Specimen) -> str:
    key = "sheet_recall" if specimen.modality == "hrtem" else "recall"
    rows = [
        (row.values[key].mean, row)
        for row in payload.rows
        if row.dataset == specimen.name and not payload.method(row.method).control and key in row.values
    ]
    scored = [(recall, row) for recall, row in rows if recall is not None]
    if not scored:
        return ""
    recall, row = max(scored, key=lambda pair: pair[0])
    return (
        f"{row.method} finds {number_text(100 * recall)}\u00a0% of the atoms of {specimen.name} "
        f"at {dose_words(row.dose, 'e⁻/Å² per image')}."
    )


def interval_text(threshold: Threshold) -> str:
    """The interval of a threshold, `[9×10³, > 2×10⁵]`, where an end beyond the doses measured is a bound;
    empty when a single series of doses gives none.
    """
    if threshold.n < 2:
        return ""
    low = _end(threshold.low, threshold.low_censored, threshold)
    high = _end(threshold.high, threshold.high_censored, threshold)
    return f"[{low}, {high}]"


def _end(dose: float | None, side: str, threshold: Threshold) -> str:
    if dose is not None:
        return dose_text(dose)
    return f"< {dose_text(threshold.min_dose)}" if side == "below" else f"> {dose_text(threshold.max_dose)}"


def asked(payload: Payload) -> str:
    """What was run, in one or two sentences."""
    own = [m for m in payload.methods if not m.control]
    controls = [m for m in payload.methods if m.control]
    alike: dict[tuple[object, ...], list[Specimen]] = {}
    for d in payload.datasets:
        alike.setdefault((d.base, d.engine, d.n_atoms, d.n_images, d.image, *d.doses), []).append(d)
    parts = [
        f"{own[0].name if len(own) == 1 else f'{len(own)} of {own[0].base}'} ({own[0].n_atoms} atoms"
        f"{', ' + _count(own[0].n_images, own[0].image) if own[0].n_images else ''}"
        f"{' each' * (len(own) > 1)}) at {_doses(own[0].doses)}"
        for own in alike.values()
    ]
    methods = f"{_count(len(own), 'method')} and {_count(len(controls), 'control')}".capitalize()
    cells = sum(row.n for row in payload.rows)
    replicates = {row.n for row in payload.rows}
    n = f"{min(replicates)} to {max(replicates)}" if len(replicates) > 1 else f"{max(replicates, default=0)}"
    return (
        f"{methods} were given exactly the same counts of {'; '.join(parts)}, n = {n} noise replicates each: "
        f"{_count(cells, 'cell')}, of which {len(payload.failures) or 'none'} gave no answer."
    )


def _doses(doses: Sequence[float]) -> str:
    unit = "e⁻/Å² per image"
    finite = [dose for dose in doses if math.isfinite(dose)]
    free = " and without noise" if len(finite) < len(doses) else ""
    if len(finite) <= 1:
        return f"one dose, {dose_text(finite[0])} {unit}{free}" if finite else "infinite dose (noise-free)"
    return f"{len(finite)} doses from {dose_text(finite[0])} to {dose_text(finite[-1])} {unit}{free}"


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'s' if number != 1 else ''}"


def warnings(payload: Payload) -> list[tuple[str, str]]:
    """What a reader must know before believing the numbers: (title, sentence)."""
    found = []
    linear = [d.name for d in payload.datasets if d.engine == "linear"]
    if linear:
        found.append(
            (
                "Linear images.",
                f"{', '.join(linear)}: the images are sums of Gaussian atoms, without multiple scattering. "
                "They serve quick tests; thresholds from them are no evidence about a microscope.",
            )
        )
    if payload.missing:
        found.append(
            (
                "Unfinished.",
                f"{payload.missing} cells of the grid have not been run and are not in any number here.",
            )
        )
    return found
