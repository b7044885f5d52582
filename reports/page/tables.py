"""The tables of the page: all scores, and the thresholds with their positions on a dose axis."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from benchmarks.summary import headline
from datasets.simulate import NOISE_FREE_DOSE
from reports import findings
from reports.figures import dose_curves, style
from reports.figures import thresholds as thresholds_figure
from reports.payload import Metric, Payload, Row, Threshold, Value

OUTWARD = 1.12
"""How far an arrow reaches beyond the doses measured, as a factor."""

HEADS = {"rmsd_over_limit": ("× limit", "")}
"""Heads of columns that are shorter than the label and unit of the metric."""


def table_metrics(payload: Payload) -> list[Metric]:
    """The metrics of the table of scores, in its order: those of the modalities, then the identification of
    each element where tilt series are among the datasets.
    """
    known = {metric.key for metric in payload.metrics}
    names = dict.fromkeys(key for d in payload.datasets for key in headline(d.modality) if key in known)
    series = any(d.modality != "hrtem" for d in payload.datasets)
    return [payload.metric(key) for key in names] + [
        metric for metric in payload.metrics if metric.family == "identified" and series
    ]


def columns(payload: Payload, table: list[Metric]) -> list[dict[str, Any]]:
    """The heads of the table of scores."""
    names = [("Method", "", False)]
    if len(payload.datasets) > 1:
        names.append(("Dataset", "", False))
    series = any((d.n_images or 1) > 1 for d in payload.datasets)
    names += [("Dose per image", "e⁻/Å², total below" if series else "e⁻/Å²", True)]
    names += [(*_head(metric), True) for metric in table]
    names += [("n", "", True), ("Failed", "", True), ("Time", "s", True)]
    return [{"label": label, "unit": unit, "numeric": numeric} for label, unit, numeric in names]


def _head(metric: Metric) -> tuple[str, str]:
    label = f"{metric.element} identified" if metric.element else metric.label
    return HEADS.get(metric.key, (label, metric.shown_unit))


def scores(payload: Payload, table: list[Metric]) -> list[dict[str, Any]]:
    """The rows of the table of scores, by dataset, dose and method."""
    order = {method.name: i for i, method in enumerate(payload.methods)}
    datasets = {d.name: i for i, d in enumerate(payload.datasets)}
    rows = sorted(payload.rows, key=lambda r: (datasets[r.dataset], r.dose, order[r.method]))
    best = _best(payload, table)
    return [
        {
            "index": order[row.method],
            "control": payload.method(row.method).control,
            "cells": _row_cells(payload, table, row, best),
        }
        for row in rows
    ]


def _row_cells(
    payload: Payload, table: list[Metric], row: Row, best: dict[tuple[str, float, str], float]
) -> list[dict[str, Any]]:
    def plain(text: str, value: float | str | None, numeric: bool = True) -> dict[str, Any]:
        return {
            "text": text,
            "value": "" if value is None else value,
            "numeric": numeric,
            "interval": "",
            "best": False,
        }

    cells = [plain(row.method, row.method, False)]
    if len(payload.datasets) > 1:
        cells.append(plain(row.dataset, row.dataset, False))
    several = row.dose_total is not None and math.isfinite(row.dose) and row.dose_total != row.dose
    total = style.dose_text(row.dose_total) if several and row.dose_total else ""
    shown = min(row.dose, NOISE_FREE_DOSE)
    cells.append({**plain(style.dose_text(row.dose), shown), "interval": total})
    own = headline(payload.specimen(row.dataset).modality)
    for metric in table:
        if metric.key not in own and metric.family != "identified":
            cells.append(plain("", None))
            continue
        value = row.values[metric.key]
        mean = None if value.mean is None else value.mean * metric.scale
        leads = value.mean is not None and value.mean == best.get((row.dataset, row.dose, metric.key))
        cells.append(
            {
                **plain(_text(mean, metric), mean),
                "interval": interval(value, metric),
                "best": leads and not payload.method(row.method).control,
            }
        )
    cells += [
        plain(str(row.n), row.n),
        plain(str(row.failures), row.failures),
        plain(style.number_text(row.seconds), row.seconds),
    ]
    return cells


def interval(value: Value, metric: Metric) -> str:
    """The interval of a score as shown below it; nothing when there is none."""
    if value.low is None or value.high is None:
        return ""
    low, high = (_text(bound * metric.scale, metric) for bound in (value.low, value.high))
    return "" if low == high == _text((value.mean or 0) * metric.scale, metric) else f"{low} … {high}"


def _text(value: float | None, metric: Metric) -> str:
    """A score as shown; a ratio has two decimals, for what matters of it is how far it is above 1."""
    ratio = metric.key in HEADS and value is not None and value < 100
    return f"{value:.2f}" if ratio else style.number_text(value)


def _best(payload: Payload, table: list[Metric]) -> dict[tuple[str, float, str], float]:
    """The best mean among the methods, by dataset, dose and metric."""
    best: dict[tuple[str, float, str], float] = {}
    for row in payload.rows:
        if payload.method(row.method).control:
            continue
        for metric in table:
            mean, key = row.values[metric.key].mean, (row.dataset, row.dose, metric.key)
            if mean is not None and metric.better in ("higher", "lower"):
                choose = max if metric.better == "higher" else min
                best[key] = choose(best.get(key, mean), mean)
    return best


def table_caption(payload: Payload) -> str:
    """What the table of scores shows."""
    subset = "; ".join(f"{d.name} ({d.n_atoms} atoms)" for d in payload.datasets)
    limit = ""
    if any(metric.key in HEADS for metric in payload.metrics):
        limit = (
            " × limit: RMSD over the Cramér–Rao bound of the atoms that were matched; none where that bound "
            "is not known or is more than half the cutoff of the matching."
        )
    sheets = ""
    if any(d.modality == "hrtem" for d in payload.datasets):
        sheets = " Pairs of a frame are made in the plane, whatever the heights."
    return (
        f"{subset}. Means over the n cells of a row, below them {payload.interval}. Failed cells are part of "
        f"n. RMSD is over matched atoms only: read it beside recall and precision.{sheets}{limit} Bold: the "
        "best method at that dose, controls aside. Time is the mean over cells of one reconstruction."
    )


def forest(payload: Payload) -> dict[str, Any]:
    """The rows of the table of thresholds, with positions on their logarithmic axis in percent."""
    found = payload.thresholds
    if not found:
        return {"thresholds": [], "dose_ticks": [], "thresholds_caption": ""}
    bottom, top = min(t.min_dose for t in found), max(t.max_dose for t in found)
    span = math.log10(top / bottom) or 1.0

    def at(dose: float) -> float:
        return round(8 + 84 * math.log10(dose / bottom) / span, 2)

    order = {method.name: i for i, method in enumerate(payload.methods)}
    groups = list(dict.fromkeys((t.structure, t.criterion) for t in found))
    rows = sorted(found, key=lambda t: (groups.index((t.structure, t.criterion)), order[t.method]))
    entries = [
        {
            "structure": structure,
            "criterion": criterion,
            "rows": [
                _forest_row(payload, t, at, order[t.method])
                for t in rows
                if (t.structure, t.criterion) == (structure, criterion)
            ],
        }
        for structure, criterion in groups
    ]
    measured = sorted({d for s in payload.datasets for d in s.doses if math.isfinite(d)})
    ticks = dose_curves.tick_doses(measured)
    caption = f"{thresholds_figure.caption(payload, found)} < and > mark bounds."
    return {
        "thresholds": entries,
        "dose_ticks": [{"at": at(dose), "text": style.dose_text(dose)} for dose in ticks],
        "thresholds_caption": caption,
    }


def _forest_row(payload: Payload, t: Threshold, at: Callable[[float], float], index: int) -> dict[str, Any]:
    bound = t.max_dose if t.censored == "above" else t.min_dose
    sign = {"above": "> ", "below": "< "}.get(t.censored, "")
    shown = bound if t.dose is None else t.dose
    low, high = thresholds_figure.ends(t, OUTWARD)
    return {
        "index": index,
        "control": payload.method(t.method).control,
        "method": t.method,
        "dose": sign + style.dose_text(shown),
        "total": "–" if (t.n_images or 1) == 1 else sign + style.dose_text(shown * (t.n_images or 1)),
        "interval": findings.interval_text(t)[1:-1].replace(", ", " … ")
        if (t.low, t.low_censored) != (t.high, t.high_censored)
        else "–",
        "left": at(low),
        "width": round(at(high) - at(low), 2),
        "at": None if t.dose is None else at(t.dose),
        "open_left": t.low_censored == "below",
        "open_right": t.high_censored == "above",
    }
