"""What `dosebench.run` and `dosebench.reconstruct` do, and what the command prints of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from tqdm import tqdm

from benchmarks.grid import run
from benchmarks.metrics.sheet import SHEET_CUTOFF
from benchmarks.plan import Plan, plan
from benchmarks.preset import PresetCard, load_preset
from benchmarks.results import modality_of
from benchmarks.summary import summary
from benchmarks.threshold import thresholds
from datasets.cards import parse_card
from datasets.errors import InputError
from datasets.schema import check_measurement
from recon import registry
from recon.base import Reconstruction, Reconstructor


def as_reconstructor(given: str | Reconstructor | type[Reconstructor]) -> Reconstructor:
    """A reconstructor from its name, its class or itself. Raises `InputError`."""
    if isinstance(given, Reconstructor):
        return given
    if isinstance(given, type) and issubclass(given, Reconstructor):
        return given()
    if isinstance(given, str):
        return registry.get(given)
    raise InputError(f"a reconstructor is a name, a Reconstructor class or an instance of one, not {given!r}")


def reconstruct_one(
    measurement: xr.Dataset,
    reconstructor: str | Reconstructor | type[Reconstructor],
    *,
    seed: int = 0,
    progress: bool = False,
) -> Reconstruction:
    """See `dosebench.reconstruct`."""
    chosen = as_reconstructor(reconstructor)
    check_measurement(measurement)
    supported, reason = chosen.supports(measurement)
    if not supported:
        raise InputError(f"{chosen.label} does not support this measurement: {reason}")
    with tqdm(desc=chosen.label, unit=" iteration", disable=None if progress else True) as bar:

        def callback(iteration: int, figures: Mapping[str, float]) -> None:
            bar.update(iteration - bar.n)
            bar.set_postfix({key: f"{value:.4g}" for key, value in figures.items()}, refresh=False)

        return chosen.reconstruct(measurement, rng=np.random.default_rng(seed), callback=callback)


def run_grid(
    reconstructors: str
    | Reconstructor
    | type[Reconstructor]
    | Sequence[str | Reconstructor | type[Reconstructor]],
    datasets: str | Sequence[str],
    doses: Sequence[float] | None,
    replicates: int,
    *,
    results: str | Path | None,
    data_root: str | None,
    progress: bool,
) -> xr.Dataset:
    """See `dosebench.run`."""
    if isinstance(reconstructors, (str, Reconstructor, type)):
        reconstructors = [reconstructors]
    given = [as_reconstructor(one) for one in reconstructors]
    names = [datasets] if isinstance(datasets, str) else list(datasets)
    preset = parse_card(
        PresetCard,
        {
            "name": "python",
            "title": ", ".join(names),
            "datasets": names,
            "doses": doses,
            "replicates": replicates,
        },
        where="dosebench.run",
    )
    folder = str(results or Path("results") / "python")
    return run(preset, results=folder, data_root=data_root, reconstructors=given, progress=progress)


def run_preset(
    name: str,
    extra: Sequence[str],
    *,
    results: Path | None,
    data_root: str | None,
    scheduler: str | None,
    dry_run: bool,
    progress: bool,
) -> str:
    """Run a preset (or only plan it) and say in a table what came of it. Raises `InputError`."""
    preset = load_preset(name)
    folder = str(results or Path("results") / preset.name)
    if dry_run:
        return plan_text(plan(preset, results=folder, data_root=data_root, reconstructors=extra), preset)
    data = run(
        preset,
        results=folder,
        data_root=data_root,
        reconstructors=extra,
        scheduler=scheduler,
        progress=progress,
    )
    return f"{results_text(data, preset)}\n\nresults: {folder}"


def plan_text(planned: Plan, preset: PresetCard) -> str:
    """What a run would do, in lines."""
    lines = [f"{preset.name}: {planned.cells} cells, {planned.done} done, {planned.to_run} to run"]
    if planned.failed:
        lines.append(f"  {planned.failed} of them failed before and are tried again")
    lines += [f"  make dataset {name}: {cost}" for name, cost in planned.datasets_to_make.items()]
    if planned.seconds is not None:
        lines.append(f"  computing: {duration(planned.seconds)} on one core")
    if planned.bytes is not None:
        lines.append(f"  disk: {planned.bytes / 1e6:.1f} MB of cells")
    return "\n".join([*lines, f"  estimate from: {planned.basis}"])


def duration(seconds: float) -> str:
    """Seconds as people say them: 42 s, 3.5 min, 6.1 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


COLUMNS = {
    "recall": ("recall", "{:.1f}", " %", 100.0),
    "precision": ("precision", "{:.1f}", " %", 100.0),
    "RMSD": ("rmsd", "{:.1f}", " pm"),
    "× limit": ("rmsd_over_limit", "{:.2f}", ""),
    "tracing error": ("tracing_error", "{:.1f}", " %", 100.0),
    "classified": ("classification", "{:.1f}", " %", 100.0),
}
"""Heads of the printed table: metric, its form, unit and factor."""

SHEET_COLUMNS = {
    "recall": ("sheet_recall", "{:.1f}", " %", 100.0),
    "precision": ("sheet_precision", "{:.1f}", " %", 100.0),
    "x": ("x_rmsd", "{:.1f}", " pm"),
    "y": ("y_rmsd", "{:.1f}", " pm"),
    "z": ("z_rmsd", "{:.1f}", " pm"),
    "z levelled": ("z_rmsd_levelled", "{:.1f}", " pm"),
}
"""The same of a frame, whose pairs are made in the plane."""

DEFECT_COLUMNS = {
    "vacancies": ("vacancy_recall", "{:.0f}", " %", 100.0),
    "pairs": ("divacancy_recall", "{:.0f}", " %", 100.0),
    "turned bonds": ("stone_wales_recall", "{:.0f}", " %", 100.0),
    "false vacancies": ("false_vacancies", "{:.2f}", ""),
    "false turned": ("false_stone_wales", "{:.2f}", ""),
}
"""Further ones of a sheet with defects: those found, and how many were made up."""


def results_text(results: xr.Dataset, preset: PresetCard) -> str:
    """The table that a run ends with: scores by dose and method, then the threshold doses."""
    table = summary(results)
    blocks = []
    for dataset, rows in table.groupby("dataset", sort=False):
        engine = rows["engine"].iloc[0]
        sheet = modality_of(results, str(dataset)) == "hrtem"
        defects = {
            head: entry
            for head, entry in DEFECT_COLUMNS.items()
            if sheet and entry[0] in rows and rows[entry[0]].notna().any()
        }
        shown = {
            "dose": ["noise-free" if math.isinf(dose) else f"{dose:.3g}" for dose in rows["dose"]],
            "reconstructor": rows["reconstructor"],
            **(SHEET_COLUMNS if sheet else COLUMNS),
            **defects,
            "failed": [
                f"{failed}/{cells}" for failed, cells in zip(rows["failures"], rows["cells"], strict=True)
            ],
            "seconds": ["-" if math.isnan(seconds) else f"{seconds:.1f}" for seconds in rows["seconds"]],
        }
        for head, entry in shown.items():
            if isinstance(entry, tuple):
                shown[head] = _with_interval(rows, *entry) if entry[0] in rows else ["-"] * len(rows)
        n = sorted(set(rows["cells"]))
        replicates = f"{n[0]} to {n[-1]}" if len(n) > 1 else f"{n[0]}"
        rule = f"pairs in the plane within {SHEET_CUTOFF:g} Å" if sheet else f"cutoff {preset.cutoff:g} Å"
        blocks.append(
            f"{dataset} ({engine}), dose in e⁻/Å² per image, mean ± 95 % interval over "
            f"{replicates} noise replicates, {rule}\n" + pd.DataFrame(shown).to_string(index=False)
        )
    # all criteria together, and where there are several each by itself too
    alone = [(one,) for one in preset.criteria] if len(preset.criteria) > 1 else []
    for criteria in (tuple(preset.criteria), *alone):
        found = thresholds(results, criteria)
        rows = found[found["kind"] == "reconstructor"]
        said = " and ".join(criterion.text for criterion in criteria)
        lines = [
            f"  {r['base']} {r['reconstructor']}: {r['text']}, n = {r['n_structures'] * r['n_replicates']}"
            for r in rows.to_dict("records")
        ]
        blocks.append("\n".join([f"dose [e⁻/Å² per image] needed for {said}:", *lines]))
    return "\n\n".join(blocks)


def _with_interval(rows: pd.DataFrame, name: str, form: str, unit: str, factor: float = 1.0) -> list[str]:
    """`12.3 ± 0.4 pm`; the interval is left out where there is one replicate, `-` stands for no value."""
    texts = []
    for mean, low, high in zip(rows[name], rows[f"{name}_low"], rows[f"{name}_high"], strict=True):
        half = max(high - mean, mean - low) * factor
        text = "-" if math.isnan(mean) else form.format(mean * factor)
        texts.append(
            text + ("" if math.isnan(mean) or math.isnan(half) else f" ± {form.format(half)}") + unit
        )
    return texts
