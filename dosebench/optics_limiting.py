"""What `dosebench limit --optics` does: the heights of a sheet of graphene against defocus, Cs and dose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from benchmarks.limits.graphene import Aberration, sheet_bound
from benchmarks.limits.optics import (
    ABERRATIONS,
    DEFOCI,
    Setting,
    best_setting,
    frame_model,
    lens_of,
    optics_grid,
    setting_of,
    temperature_of,
    worst_setting,
)
from benchmarks.limits.posterior import posterior_error
from datasets.catalog import DatasetCard, load_dataset
from datasets.errors import InputError
from datasets.store import data_root
from datasets.structures import make_structure

UNKNOWN: tuple[dict[Aberration, float], ...] = ({}, {"defocus": 100.0}, {"defocus": 100.0, "Cs": 1e5})
"""Aberrations that are fitted with the sheet, known beforehand to 100 Å and 10 µm."""


def optics_report(
    dataset: str,
    doses: Sequence[float],
    *,
    frames: int = 0,
    figure: Path | None = None,
    defoci: Sequence[float] = DEFOCI,
    aberrations: Sequence[float] = ABERRATIONS,
    root: str | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Errors of z [Å] by setting as plain data; a picture of them where `figure` says.

    With `frames`, the error of the posterior's mean, sampled on that many frames at the card's setting, the
    best and the worst. Raises `InputError` for what is no frame of graphene, before any long work.
    """
    card = load_dataset(dataset)
    lens = lens_of(card)
    if frames < 0 or not all(dose > 0 for dose in doses):
        raise InputError("--dose must be positive [e⁻/Å²], and --frames not negative")
    wanted = sorted(doses or card.doses)
    positions = make_structure(card.structure, root=root or data_root()).positions
    # the card's own setting is always on the grid
    grid = optics_grid(
        card,
        positions,
        wanted,
        sorted({*defoci, lens.defocus}),
        sorted({*aberrations, lens.Cs}),
        progress=progress,
    )
    at = 8e3 if 8e3 in wanted else wanted[len(wanted) // 2]
    report: dict[str, Any] = {
        "dataset": card.name,
        "n_atoms": len(positions),
        "temperature": temperature_of(card),
        "settings": [
            {
                "dose": dose,
                "card": asdict(setting_of(grid, dose, lens.defocus, lens.Cs)),
                "best": asdict(best_setting(grid, dose)),
                "worst": asdict(worst_setting(grid, dose)),
            }
            for dose in wanted
        ],
        "at": at,
        "unknown": _unknown(card, positions, at),
    }
    if frames:
        report["sampled"] = _sampled(card, positions, grid, at, frames)
    if figure is not None:
        from reports.figures.graphene_optics import draw_optics

        draw_optics(grid, at, setting_of(grid, at, lens.defocus, lens.Cs), figure, report.get("sampled", ()))
        report["figure"] = str(figure)
    return report


def _unknown(card: DatasetCard, positions: Any, dose: float) -> list[dict[str, Any]]:
    """The card's setting, when aberrations are fitted too."""
    lens = lens_of(card)
    model = frame_model(card, dose, lens.defocus, lens.Cs)
    rows = []
    for unknown in UNKNOWN:
        row: dict[str, Any] = {"unknown": list(unknown)}
        for name, temperature in (("frame", None), ("informed", temperature_of(card))):
            bound = sheet_bound(model, positions, temperature=temperature, unknown=unknown)
            row[name] = float(bound.rms()[2])
            row[f"{name}_levelled"] = bound.levelled()
        rows.append(row)
    return rows


def _sampled(
    card: DatasetCard, positions: Any, grid: xr.Dataset, dose: float, frames: int
) -> list[dict[str, Any]]:
    lens = lens_of(card)
    chosen: list[tuple[str, Setting]] = [
        ("card", setting_of(grid, dose, lens.defocus, lens.Cs)),
        ("best", best_setting(grid, dose)),
        ("worst", worst_setting(grid, dose)),
    ]
    rows = []
    for name, setting in chosen:
        model = frame_model(card, dose, setting.defocus, setting.Cs)
        rng = np.random.default_rng(0)
        found = posterior_error(model, positions, temperature_of(card), rng, n_frames=frames)
        error, standard_error = found.mean()
        spread = float(np.sqrt((found.spread**2).mean()))
        row = {"setting": name, "defocus": setting.defocus, "Cs": setting.Cs, "error": error}
        rows.append(
            {**row, "standard_error": standard_error if frames > 1 else None, "spread": spread, "n": frames}
        )
    return rows


def optics_lines(report: dict[str, Any]) -> list[str]:
    """The report in words and tables."""
    lines = [
        f"{report['dataset']} ({report['n_atoms']} atoms, {report['temperature']:g} K): "
        "least rms error of z [Å] by setting",
        "    dose  setting  defocus [Å]  Cs [µm]  frame alone  flat sheet  this sheet  x, y",
    ]
    for row in report["settings"]:
        for name in ("card", "best", "worst"):
            one = row[name]
            lines.append(
                f"{row['dose']:8.4g}  {name:<7}  {one['defocus']:11.0f}  {one['Cs'] / 1e4:7.3g}  "
                f"{one['frame']:11.3g}  {one['flat']:10.3g}  {one['informed']:10.3g}  {one['plane']:.2g}"
            )
    lines += [
        "flat and this sheet: with the energy of graphene; best and worst by this sheet, levelled; x, y too",
        "this sheet: about it, up or down known; which of the two it is only the frame alone tells",
        f"aberrations fitted too, {report['at']:g} e⁻/Å², the card's setting: z as it is, and levelled",
    ]
    for row in report["unknown"]:
        name = " and ".join(row["unknown"]) or "none"
        lines.append(
            f"  {name:<15}  frame alone {row['frame']:.4g} and {row['frame_levelled']:.4g}, "
            f"this sheet {row['informed']:.4g} and {row['informed_levelled']:.4g}"
        )
    for row in report.get("sampled", ()):
        error = f"{row['error']:.3g}"
        if row["standard_error"] is not None:
            error += f" ± {row['standard_error']:.1g}"
        lines.append(
            f"  mean of the posterior, {row['setting']} ({row['defocus']:g} Å, {row['Cs'] / 1e4:g} µm), "
            f"{row['n']} frames: {error} off, sheets spread by {row['spread']:.3g}"
        )
    if "figure" in report:
        lines.append(f"figure: {report['figure']}")
    return lines
