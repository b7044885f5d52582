"""Thresholds as a report shows them: for all criteria together, then for each by itself."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from benchmarks.metrics.cards import get_metric
from benchmarks.preset import Criterion
from benchmarks.threshold import ABOVE, BELOW, LEVEL, thresholds
from reports.payload import Specimen, Threshold

INTERVAL = f"{100 * LEVEL:g}\u00a0% bootstrap interval over structures and replicates"


def all_thresholds(
    data: xr.Dataset, criteria: Sequence[Criterion], specimens: Sequence[Specimen]
) -> list[Threshold]:
    """Thresholds for all `criteria` together, then for each by itself when there are several; none when the
    results hold a single dose, or lack a metric that is asked for.
    """
    if np.isfinite(data["dose"].values).sum() < 2 or any(
        criterion.metric not in data for criterion in criteria
    ):
        return []
    asked = [criteria] if len(criteria) == 1 else [criteria, *((criterion,) for criterion in criteria)]
    return [
        _threshold(record, chosen, len(chosen) == len(criteria), data, specimens)
        for chosen in asked
        for record in thresholds(data, chosen).to_dict("records")
    ]


def _threshold(
    record: Mapping[Hashable, Any],
    criteria: Sequence[Criterion],
    joint: bool,
    data: xr.Dataset,
    specimens: Sequence[Specimen],
) -> Threshold:
    own = [d for d in specimens if (d.base, d.engine) == (record["base"], record["engine"])]
    several = len({d.engine for d in specimens if d.base == record["base"]}) > 1
    linear = record["engine"] == "linear"
    dose, low, high = (record[part] for part in ("dose", "low", "high"))
    return Threshold(
        structure=f"{record['base']} ({record['engine']})" if several or linear else record["base"],
        method=record["reconstructor"],
        criterion=" and ".join(map(criterion_text, criteria)),
        joint=joint,
        dose=number(dose),
        low=number(low),
        high=number(high),
        censored=_side(dose),
        low_censored=_side(low),
        high_censored=_side(high),
        min_dose=record["min_dose"],
        max_dose=record["max_dose"],
        n_images=own[0].n_images,
        n_structures=record["n_structures"],
        n_replicates=record["n_replicates"],
    )


def _side(dose: float) -> str:
    return "below" if dose == BELOW else "above" if dose == ABOVE else ""


def criterion_text(criterion: Criterion) -> str:
    """`tracing error ≤ 5 %`."""
    card = get_metric(criterion.metric)
    element = criterion.metric.removeprefix(card.key).strip("_")
    label = card.label if card.label[1:2].isupper() else card.label[:1].lower() + card.label[1:]
    value = shown(criterion.value, card.unit)
    of = f" of {element}" if element else ""
    return f"{label}{of} {'≤' if criterion.lower_is_better else '≥'}\u00a0{value}"


def shown(value: float, unit: str) -> str:
    """A value of the results with its unit: fractions in percent."""
    return f"{100 * value:g}\u00a0%" if unit == "1" else f"{value:g} {unit}"


def number(value: float) -> float | None:
    """`value`, or None for what JSON has no number for."""
    return float(value) if math.isfinite(value) else None
