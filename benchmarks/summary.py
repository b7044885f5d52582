"""Results as a table for people: means over replicates with intervals, n, and failures counted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr
from scipy import stats

from benchmarks.metrics.cards import get_metric
from benchmarks.results import MISSING, modality_of, status_codes

LEVEL = 0.95

HEADLINE = ("recall", "precision", "rmsd", "rmsd_over_limit", "tracing_error", "classification")
"""The metrics that every table shows together, as far as the results hold them."""

SHEET_HEADLINE = ("sheet_recall", "sheet_precision", "x_rmsd", "y_rmsd", "z_rmsd", "z_rmsd_levelled")
"""Those of a frame, in their place: it is a projection, whose pairs are made in the plane."""

DEFECT_HEADLINE = (
    "vacancy_recall",
    "divacancy_recall",
    "stone_wales_recall",
    "false_vacancies",
    "false_stone_wales",
)
"""Those of a sheet with defects, beside the others."""


def headline(modality: str) -> tuple[str, ...]:
    """The metrics that every table of a modality shows."""
    return (*SHEET_HEADLINE, *DEFECT_HEADLINE) if modality == "hrtem" else HEADLINE


def summary(results: xr.Dataset, metrics: Sequence[str] | None = None) -> pd.DataFrame:
    """One row per dataset, dose and reconstructor that was run; without `metrics`, those of the
    modalities' headlines.

    Columns: dataset, engine, dose [e⁻/Å² per image], reconstructor, kind; for each metric its mean over the
    replicates, `METRIC_low` and `METRIC_high`, the 95 % Student interval of that mean held to the metric's
    range (NaN for one replicate), and `METRIC_n`, the cells that have a value; n_truth and n_matched (mean);
    `cells`, `failures` and `reasons` (statuses of the failed ones, in words); seconds (mean) and peak_memory
    [byte] (largest). A failed cell counts with the failure value of a metric; where it has none (RMSD), the
    mean is over the rest and `METRIC_n` says how many they are.
    """
    if metrics is None:
        names = [m for dataset in results["dataset"].values for m in headline(modality_of(results, dataset))]
        metrics = [metric for metric in dict.fromkeys(names) if metric in results]
    codes = {code: status for status, code in status_codes().items()}
    engines = dict(zip(results["dataset"].values, results["engine"].values, strict=True))
    kinds = dict(zip(results["reconstructor"].values, results["kind"].values, strict=True))
    rows: list[dict[str, Any]] = []
    for dataset in results["dataset"].values:
        for dose in results["dose"].values:
            for name in results["reconstructor"].values:
                cells = results.sel(dataset=dataset, dose=dose, reconstructor=name)
                ran = cells["status"].values != MISSING
                if not ran.any():
                    continue
                cells = cells.isel(replicate=np.flatnonzero(ran))
                ended = [codes[int(code)] for code in cells["status"].values]
                failed = [status.value for status in ended if status.failed]
                row: dict[str, Any] = {
                    "dataset": str(dataset),
                    "engine": str(engines[dataset]),
                    "dose": float(dose),
                    "reconstructor": str(name),
                    "kind": str(kinds[name]),
                }
                for metric in metrics:
                    low, high = get_metric(metric).range
                    mean, bottom, top, n = mean_interval(cells[metric].values, low, high)
                    row |= {metric: mean, f"{metric}_low": bottom, f"{metric}_high": top, f"{metric}_n": n}
                rows.append(
                    row
                    | {
                        "n_truth": _mean(cells["n_truth"].values),
                        "n_matched": _mean(cells["n_matched"].values),
                        "cells": len(ended),
                        "failures": len(failed),
                        "reasons": ", ".join(dict.fromkeys(failed)),
                        "seconds": _mean(cells["seconds"].values),
                        "peak_memory": _largest(cells["peak_memory"].values),
                    }
                )
    return pd.DataFrame(rows)


def mean_interval(
    values: npt.NDArray[np.float64], low: float | None = None, high: float | None = None
) -> tuple[float, float, float, int]:
    """Mean of the values that there are, its 95 % Student interval held to [low, high], and their number."""
    known = values[np.isfinite(values)]
    n = len(known)
    mean = _mean(known)
    if n < 2:
        return mean, math.nan, math.nan, n
    half = float(stats.t.ppf((1 + LEVEL) / 2, n - 1) * known.std(ddof=1) / math.sqrt(n))
    bottom = mean - half if low is None else max(mean - half, low)
    top = mean + half if high is None else min(mean + half, high)
    return mean, bottom, top, n


def _mean(values: npt.NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan


def _largest(values: npt.NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.max()) if len(known) else math.nan
