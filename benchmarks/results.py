"""All results as one xarray Dataset (dataset, dose, replicate, reconstructor), in zarr and as a table.

A reader of RESULTS/results.zarr needs nothing but `xarray.open_zarr`; RESULTS/results.csv has one row per
cell. Both are made from the cells (`benchmarks.cells`), which stay the one source of truth.
"""

from __future__ import annotations

import math
import os
import shutil
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import xarray as xr
import yaml
from fsspec.implementations.local import LocalFileSystem

from benchmarks.cells import Cell, CellResult, load_cell, load_cells, write_cell
from benchmarks.metrics.cards import MetricCard, get_metric
from benchmarks.preset import PresetCard
from datasets.cards import parse_card
from datasets.errors import StoreError
from datasets.pieces import join
from recon.base import Status

__all__ = [
    "MISSING",
    "Cell",
    "CellResult",
    "build_dataset",
    "load_cell",
    "load_cells",
    "modality_of",
    "open_results",
    "status_codes",
    "write_cell",
    "write_results",
]

MISSING = -1
"""The code of `status` where a cell has not been run."""

DIMS = ("dataset", "dose", "replicate", "reconstructor")

_FORMAT = 2  # zarr format 3 has no settled encoding of text coordinates yet, and zarr warns about it


def status_codes() -> dict[Status, int]:
    """The number that stands for each status in `results["status"]`."""
    return {status: code for code, status in enumerate(Status)}


def build_dataset(cells: Iterable[CellResult], *, attrs: Mapping[str, Any] | None = None) -> xr.Dataset:
    """The results of `cells`, dims (dataset, dose, replicate, reconstructor); datasets and reconstructors
    stay in the order in which they come, doses and replicates ascend.

    One float64 variable per metric, with units, label, direction, valid_min, valid_max, NaN rule and value
    on failure in its attributes;
    `status` (int8, CF flags, −1 where no cell was run), `seconds` [s], `peak_memory` [byte]. A failed cell
    has the failure value of each metric (`MetricCard.on_failure`). Along `dataset` lie base, title,
    modality, engine, reference and elements, along `reconstructor` lies kind. Raises `StoreError` without
    cells.
    """
    cells = list(cells)
    if not cells:
        raise StoreError("there are no finished cells to make results from")
    axes = _axes(cells)
    shape = tuple(len(values) for values in axes.values())
    index = {dim: {value: i for i, value in enumerate(values)} for dim, values in axes.items()}
    cards = {name: get_metric(name) for name in dict.fromkeys(n for r in cells for n in r.scores)}
    figures = {name: np.full(shape, np.nan) for name in [*cards, "seconds", "peak_memory"]}
    status = np.full(shape, MISSING, dtype=np.int8)
    codes = status_codes()
    for result in cells:
        cell = result.cell
        at = tuple(index[dim][getattr(cell, dim)] for dim in DIMS)
        status[at] = codes[result.status]
        for name, value in _figures(result, cards).items():
            figures[name][at] = value
    data = xr.Dataset(
        {name: (DIMS, values, _attributes(name, cards)) for name, values in figures.items()},
        coords={
            "dataset": ("dataset", axes["dataset"], {"long_name": "dataset"}),
            "dose": ("dose", axes["dose"], {"units": "e⁻/Å²", "long_name": "dose per image"}),
            "replicate": ("replicate", axes["replicate"], {"long_name": "noise replicate"}),
            "reconstructor": ("reconstructor", axes["reconstructor"], {"long_name": "reconstructor"}),
            **_descriptions(cells, axes),
        },
        attrs=dict(attrs or {}),
    )
    data["status"] = (
        DIMS,
        status,
        {
            "long_name": "how the cell ended",
            "flag_values": [MISSING, *codes.values()],
            "flag_meanings": " ".join(["missing", *(s.value for s in codes)]),
        },
    )
    return data


def _axes(cells: Sequence[CellResult]) -> dict[str, list[Any]]:
    axes = {dim: list(dict.fromkeys(getattr(r.cell, dim) for r in cells)) for dim in DIMS}
    return axes | {dim: sorted(axes[dim]) for dim in ("dose", "replicate")}


def _figures(result: CellResult, cards: Mapping[str, MetricCard]) -> dict[str, float]:
    figures = dict(result.scores)
    if result.failed:
        for name in figures:
            if not math.isnan(cards[name].failure_value):
                figures[name] = cards[name].failure_value
    seconds = result.provenance.get("seconds", math.nan)
    return {**figures, "seconds": seconds, "peak_memory": result.provenance.get("peak_memory", math.nan)}


def _attributes(name: str, cards: Mapping[str, MetricCard]) -> dict[str, Any]:
    if name not in cards:
        units = {"seconds": "s", "peak_memory": "byte"}[name]
        return {"units": units, "long_name": name.replace("_", " "), "direction": "lower"}
    card = cards[name]
    element = name.removeprefix(card.key).strip("_")
    bounds = zip(("valid_min", "valid_max", "on_failure"), (*card.range, card.on_failure), strict=True)
    return {
        "units": card.unit,
        "long_name": f"{card.label} ({element})" if element else card.label,
        "metric": card.key,
        "element": element,
        "direction": card.direction,
        "description": card.description,
        "nan_rule": card.nan_rule,
        "reference": card.reference,
        **{key: bound for key, bound in bounds if bound is not None},
    }


def _descriptions(cells: Sequence[CellResult], axes: Mapping[str, list[Any]]) -> dict[str, Any]:
    of_dataset = {r.cell.dataset: r.dataset_info for r in cells}
    kinds = {r.cell.reconstructor: r.cell.kind for r in cells}
    described = {
        key: ("dataset", [str(of_dataset[name].get(key, "")) for name in axes["dataset"]])
        for key in ("base", "title", "modality", "engine", "reference", "elements")
    }
    return {**described, "kind": ("reconstructor", [kinds[name] for name in axes["reconstructor"]])}


def modality_of(data: xr.Dataset, dataset: str) -> str:
    """How `dataset` was imaged. Results of earlier versions do not say: `hrtem` where a sheet was scored."""
    here = data.sel(dataset=dataset)
    if "modality" in here.coords and str(here["modality"].item()):
        return str(here["modality"].item())
    return "hrtem" if "sheet_recall" in here and bool(here["sheet_recall"].notnull().any()) else "adf"


def write_results(results: str, data: xr.Dataset) -> None:
    """Write RESULTS/results.zarr and RESULTS/results.csv, each replaced whole."""
    fs, path = fsspec.url_to_fs(results)
    table = to_table(data).to_csv(index=False)
    if not isinstance(fs, LocalFileSystem):
        data.to_zarr(join(results, "results.zarr"), mode="w", zarr_format=_FORMAT, consolidated=True)
        fs.pipe_file(f"{path}/results.csv", table.encode())
        return
    os.makedirs(path, exist_ok=True)
    part = f"{path}/.{uuid.uuid4().hex[:8]}.part"
    try:
        os.makedirs(part)
        data.to_zarr(f"{part}/results.zarr", mode="w", zarr_format=_FORMAT, consolidated=True)
        with open(f"{part}/results.csv", "w", encoding="utf-8", newline="") as file:
            file.write(table)
        shutil.rmtree(f"{path}/results.zarr", ignore_errors=True)
        os.rename(f"{part}/results.zarr", f"{path}/results.zarr")
        os.replace(f"{part}/results.csv", f"{path}/results.csv")
    finally:
        shutil.rmtree(part, ignore_errors=True)


def clear_results(results: str) -> None:
    """Take away the zarr and CSV of an earlier run, which newer cells are about to leave behind."""
    fs, path = fsspec.url_to_fs(results)
    for name in ("results.zarr", "results.csv"):
        if fs.exists(f"{path}/{name}"):
            fs.rm(f"{path}/{name}", recursive=True)


def to_table(data: xr.Dataset) -> pd.DataFrame:
    """One row per cell that was run: its coordinates, status in words, and every figure."""
    words = {code: status.value for status, code in status_codes().items()}
    table = data.to_dataframe(dim_order=list(DIMS)).reset_index()
    table = table[table["status"] != MISSING]
    first = [*DIMS, "kind", "status"]
    rest = [name for name in table.columns if name not in {*first, "title", "reference"}]
    return table.assign(status=table["status"].map(words))[[*first, *rest]]


def open_results(path: str) -> xr.Dataset:
    """The results in the folder `path`, or at `path` itself when it is a `.zarr`, in memory.

    Where a run was cut short before they were written, they are made from the cells, of several attempts at
    one the latest. Raises `StoreError` when there is neither.
    """
    url = path if path.rstrip("/").endswith(".zarr") else join(path, "results.zarr")
    fs, inner = fsspec.url_to_fs(url)
    fs.invalidate_cache()
    if fs.exists(f"{inner}/.zmetadata"):
        try:
            with xr.open_zarr(url, chunks=None, consolidated=True, zarr_format=_FORMAT) as stored:
                return stored.load()
        except (ValueError, RuntimeError, KeyError, OSError) as error:
            raise StoreError(f"{url}: damaged: {error}; delete it and run again") from error
    cells = load_cells(path)
    if not cells:
        raise StoreError(f"{path}: no results here; `dosebench run` writes them")
    cells.sort(key=lambda result: str(result.provenance.get("time", "")))
    latest = {(r.cell.dataset, r.cell.dose, r.cell.replicate, r.cell.reconstructor): r for r in cells}
    chosen = sorted(latest.values(), key=lambda result: result.cell.place)
    return build_dataset(chosen, attrs=_noted_attributes(path))


def _noted_attributes(results: str) -> dict[str, Any]:
    """What the preset noted in the folder says of the results."""
    fs, path = fsspec.url_to_fs(join(results, "preset.yaml"))
    if not fs.exists(path):
        return {}
    content = yaml.safe_load(fs.cat_file(path).decode())
    return parse_card(PresetCard, content, where=f"{results}/preset.yaml").attributes
