"""What the script of the page draws position errors from: points, lines and thresholds of every dataset."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from reports import findings, position_error
from reports.figures import style, thresholds
from reports.figures.dose_curves import tick_doses
from reports.payload import Payload, Specimen, Threshold


def position_errors(payload: Payload) -> list[dict[str, Any]]:
    """One entry per panel, as plain data; doses in e⁻/Å² per image, errors in pm."""
    return [_panel(payload, specimen) for specimen in position_error.drawn(payload)]


def images_of(specimen: Specimen) -> int | None:
    """Images of a series, over which there is a total dose; None for a single one."""
    return specimen.n_images if (specimen.n_images or 1) > 1 else None


def dose_axis(specimen: Specimen) -> dict[str, Any]:
    """Ticks and ends of the axis of doses, and where on it an image without noise stands."""
    places = [style.place(dose, specimen.doses) for dose in specimen.doses]
    free = style.place(math.inf, specimen.doses) if not all(map(math.isfinite, specimen.doses)) else None
    return {
        "ticks": tick_doses(specimen.doses),
        "noise_free_at": free,
        "dose_range": [min(places) / 1.25, max(places) * (1.6 if free else 1.25)],
    }


def _panel(payload: Payload, specimen: Specimen) -> dict[str, Any]:
    methods = position_error.reconstructors(payload)
    aside = position_error.beside(specimen.doses, len(methods))
    needed = position_error.needed(payload, specimen.name)
    lines = position_error.lines(specimen)
    chance = position_error.points(payload, specimen.name, position_error.CHANCE)
    return {
        "name": specimen.name,
        "n_images": images_of(specimen),
        **dose_axis(specimen),
        "range": position_error.error_range(payload),
        "methods": [
            {
                "name": method.name,
                "aside": aside[nth],
                "points": [
                    asdict(point) for point in position_error.points(payload, specimen.name, method.name)
                ],
                "needed": _needed(needed[method.name]) if method.name in needed else None,
            }
            for nth, method in enumerate(methods)
        ],
        "bound": lines.get(position_error.BOUND, []),
        "with_floor": lines.get(position_error.FLOOR, []),
        "chance": [(point.dose, point.mean) for point in chance if math.isfinite(point.dose)],
    }


def _needed(threshold: Threshold) -> dict[str, Any]:
    left, right = thresholds.ends(threshold, position_error.OUTWARD)
    bound = threshold.max_dose if threshold.censored == "above" else threshold.min_dose
    sign = {"above": "> ", "below": "< "}.get(threshold.censored, "")
    text = sign + style.dose_text(bound if threshold.dose is None else threshold.dose)
    return {
        "dose": threshold.dose,
        "left": left,
        "right": right,
        "open_left": threshold.low_censored == "below",
        "open_right": threshold.high_censored == "above",
        "text": f"{text} {findings.interval_text(threshold)}".strip(),
    }
