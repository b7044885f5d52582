"""How an answer of a sheet came about, which its result does not keep: it is made again, once.

`annealing-md` gives the sheet after every outer iteration. `multislice-map` averages sheets drawn from the
posterior: how far it has come is asked by letting it draw fewer.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr
from ase import Atoms

from benchmarks.cells import CellResult
from benchmarks.metrics.sheet import sheet_scores
from datasets.errors import InputError
from recon import registry
from recon.graphene.annealing import AnnealingMD
from recon.graphene.gradient import MultisliceMAP
from recon.graphene.initial import first_atoms
from recon.graphene.multislice import FrameModel, Lens
from reports.series import Series
from reports.sheets import counts_of

FloatArray = npt.NDArray[np.float64]

FRACTIONS = (1 / 16, 1 / 4, 1.0)
"""Of the sheets that `multislice-map` draws in the result."""
PM_PER_ANGSTROM = 100.0


@dataclass(frozen=True, eq=False)
class History:
    """Stages of one answer, the first atoms first: `step` (n,), outer iterations or sheets drawn; `chi2` (n,)
    per pixel [electron²]; `z`, `z_levelled`, `x` and `y` (n,), rms errors [Å] of the pairs in the plane;
    `positions` of the last stage (n_atoms, 3) [Å]; `seconds` it took.
    """

    step: FloatArray
    chi2: FloatArray
    x: FloatArray
    y: FloatArray
    z: FloatArray
    z_levelled: FloatArray
    positions: FloatArray
    seconds: float


def history(series: Series, cell: CellResult, cache: Path) -> History:
    """The stages of `cell`, kept as `cache`/KEY-history.npz so that they are made once.

    Raises `InputError` when the counts are not stored, or when the method is not what it was, or has no
    stages.
    """
    path = cache / f"{cell.cell.key}-history.npz"
    if path.exists():
        with np.load(path) as stored:
            if set(stored.files) == {f.name for f in fields(History)}:
                return History(**{k: v.item() if v.ndim == 0 else v for k, v in dict(stored).items()})
    makers: dict[str, Callable[[CellResult, xr.Dataset], tuple[list[float], list[FloatArray]]]] = {
        AnnealingMD.name: _annealed,
        MultisliceMAP.name: _sampled,
    }
    if cell.cell.method not in makers:
        raise InputError(f"{cell.cell.reconstructor} has no stages to show")
    measurement = counts_of(series, cell.cell.dose, cell.cell.replicate)
    begun = os.times()
    steps, sheets = makers[cell.cell.method](cell, measurement)
    ended = os.times()
    made = scored(steps, sheets, cell.truth(), measurement, ended.user - begun.user)
    cache.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.npz")
    np.savez_compressed(part, **{f.name: getattr(made, f.name) for f in fields(History)})
    os.replace(part, path)
    return made


def _annealed(cell: CellResult, measurement: xr.Dataset) -> tuple[list[float], list[FloatArray]]:
    method = AnnealingMD(**_parameters(cell, AnnealingMD))
    first = first_atoms(measurement.isel(frame=[method.frame]), prior=method.prior)
    found = method.annealed(first, measurement, cell.cell.rng(), None)
    n = len(first.atoms.positions)
    sheets = [positions[:n] - [0, 0, positions[:n, 2].mean()] for positions in found.history]
    return [float(k) for k in range(len(sheets))], sheets


def _sampled(cell: CellResult, measurement: xr.Dataset) -> tuple[list[float], list[FloatArray]]:
    whole = MultisliceMAP(**_parameters(cell, MultisliceMAP))
    steps: list[float] = []
    sheets: list[FloatArray] = []
    for part in FRACTIONS:
        method = replace(whole, n_samples=max(round(part * whole.n_samples), 4))
        found = method.reconstruct(measurement, rng=cell.cell.rng())
        if found.status.failed:
            raise InputError(f"{method.label} gives no answer any more: {found.message}")
        if not sheets:
            flat = found.atoms.positions * [1, 1, 0]
            steps, sheets = [0.0], [flat]
        steps.append(float(method.n_samples))
        sheets.append(found.atoms.positions)
    return steps, sheets


def _parameters(cell: CellResult, cls: type) -> dict[str, Any]:
    """Those that a cell ran with, whatever the defaults are now. Raises `InputError` for a changed method."""
    if registry.get_class(cell.cell.method) is not cls:
        raise InputError(f"{cell.cell.method} is another method than it was")
    known = {f.name for f in fields(cls)}
    if unknown := set(cell.cell.parameters) - known:
        raise InputError(f"{cell.cell.method} has no parameter {sorted(unknown)[0]!r} any more")
    return dict(cell.cell.parameters)


def scored(
    steps: list[float], sheets: list[FloatArray], truth: Atoms, measurement: xr.Dataset, seconds: float
) -> History:
    """The misfit and the errors of every stage."""
    counts = measurement["counts"].values[0].astype(np.float64)
    attrs = measurement.attrs
    model = FrameModel(
        measurement["x"].values,
        measurement["y"].values,
        Lens.of(attrs),
        dose=float(attrs["dose_per_area"]),
        background=float(attrs["background"]),
    )
    chi2, errors = [], []
    for positions in sheets:
        with torch.no_grad():
            image = model.expected(torch.as_tensor(positions, dtype=model.dtype)).numpy()
        chi2.append(float(((image - counts) ** 2).mean()))
        scores = sheet_scores(Atoms(f"C{len(positions)}", positions=positions), truth)
        names = ("x_rmsd", "y_rmsd", "z_rmsd", "z_rmsd_levelled")
        errors.append([scores[name] / PM_PER_ANGSTROM for name in names])
    x, y, z, levelled = np.array(errors).T
    return History(np.array(steps), np.array(chi2), x, y, z, levelled, sheets[-1], seconds)
