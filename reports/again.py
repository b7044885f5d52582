"""One cell made again, for what its result does not keep: the volume's projection and peak intensities."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr

from benchmarks.cells import CellResult
from benchmarks.methods import make_methods
from datasets.errors import InputError
from datasets.schema import rotations
from recon import registry
from recon.align.alignment import Alignment
from recon.align.series import align
from recon.preprocess.background import subtract_background
from recon.preprocess.denoise import denoise
from recon.preprocess.noise import estimate_noise
from recon.project.geometry import Geometry
from recon.project.projector import make_projector
from reports.series import Series

FloatArray = npt.NDArray[np.float64]

SAME_PLACE = 0.01
"""Å: an atom that is made again lies this close to the stored one, whatever the machine."""


@dataclass(frozen=True)
class Again:
    """What one method made of one series of counts.

    `raw` counts, `prepared` (denoised, less the background) and `calculated` (from the volume) are the
    projections (n_y, n_x) [electron per pixel] of tilt number `tilt`; `x`, `y` [Å] their axes. `positions`
    (a, 3) [Å], `numbers` and `intensities` (a,) are the atoms; `angles` (n_tilt, 3) [deg] phi, theta and psi
    as used. `same` says whether the atoms are those of the result.
    """

    tilt: int
    theta: float
    x: FloatArray
    y: FloatArray
    raw: FloatArray
    prepared: FloatArray
    calculated: FloatArray
    numbers: npt.NDArray[np.int64]
    positions: FloatArray
    intensities: FloatArray
    angles: FloatArray
    same: bool


def make_again(series: Series, cell: CellResult, cache: Path) -> Again:
    """The reconstruction of `cell` from its stored counts, kept as `cache`/KEY.npz so that it is made once.

    Raises `InputError` when the counts are not stored, or when the method is not what it was.
    """
    path = cache / f"{cell.cell.key}.npz"
    if path.exists():
        with np.load(path) as stored:
            if set(stored.files) == {f.name for f in fields(Again)}:
                return Again(**{name: _scalar(stored[name]) for name in stored.files})
    made = _make(cell, measurement_of(series, cell))
    cache.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.npz")
    np.savez_compressed(part, **{f.name: getattr(made, f.name) for f in fields(Again)})
    os.replace(part, path)
    return made


def _scalar(array: npt.NDArray[Any]) -> Any:
    return array.item() if array.ndim == 0 else array


def measurement_of(series: Series, cell: CellResult) -> xr.Dataset:
    """The counts that a cell was made from. Raises `InputError` when they are not stored."""
    dose, replicate = cell.cell.dose, cell.cell.replicate
    if not series.store.has(dose, replicate):
        raise InputError(
            f"the counts of {series.name} at {dose:g} e⁻/Å² are not below {series.store.root}: give that "
            "folder with --data, or make them by `dosebench simulate`"
        )
    return series.store.measurement(dose, replicate)


def _make(cell: CellResult, measurement: xr.Dataset) -> Again:
    identity = cell.cell
    method = make_methods([_reconstructor(cell)], [])[0]
    if (method.name, str(method.version)) != (identity.method, str(identity.version)):
        raise InputError(f"{identity.reconstructor} has changed since these results were made")
    found = method.answer(measurement, cell.truth(), identity.rng())
    if found.status.failed or found.volume is None or "intensity" not in found.atoms.arrays:
        raise InputError(f"{identity.reconstructor} gives no volume and intensities to draw")
    geometry = Geometry.of(measurement)
    used = measurement if found.geometry is None else found.geometry
    geometry = replace(geometry, rotations=rotations(used))
    tilt = int(np.abs(measurement["theta"].values).argmin())
    one = replace(geometry, rotations=geometry.rotations[tilt : tilt + 1])
    projector = make_projector(one, oversample=int(identity.parameters["oversample"]))
    volume = torch.as_tensor(found.volume.values).to(projector.dtype)
    stored = cell.arrays()["answer_positions"]
    again = found.atoms.positions
    return Again(
        tilt=tilt,
        theta=float(measurement["theta"].values[tilt]),
        x=measurement["x"].values,
        y=measurement["y"].values,
        raw=measurement["counts"].values[tilt].astype(np.float64),
        prepared=prepare(measurement, identity.parameters)[tilt],
        calculated=projector.forward(volume)[0].numpy().astype(np.float64),
        numbers=found.atoms.numbers.astype(np.int64),
        positions=again,
        intensities=found.atoms.arrays["intensity"],
        angles=np.stack([used[name].values for name in ("phi", "theta", "psi")], axis=-1),
        same=again.shape == stored.shape and bool(np.abs(again - stored).max(initial=0) < SAME_PLACE),
    )


def _reconstructor(cell: CellResult) -> Any:
    """The method of a cell with the parameters that it ran with, whatever the defaults are now."""
    cls = registry.get_class(cell.cell.method)
    known = {f.name for f in fields(cls)}
    if unknown := set(cell.cell.parameters) - known:
        raise InputError(f"{cell.cell.method} has no parameter {sorted(unknown)[0]!r} any more")
    return cls(**cell.cell.parameters)


def prepare(measurement: xr.Dataset, parameters: Mapping[str, Any]) -> FloatArray:
    """The images (n_tilt, n_y, n_x) that a method reconstructs from, before it aligns them."""
    counts = measurement["counts"].values.astype(np.float64)
    noise = None if parameters["noise"] == "counted" else estimate_noise(counts).pooled()
    sigma = parameters["denoise_sigma"] / float(measurement.attrs["pixel_size"])
    images = denoise(counts, parameters["denoise"], sigma=sigma, noise=noise)
    known = float(measurement.attrs["background"])
    return subtract_background(images, parameters["background"], known=known)


def aligned(
    measurement: xr.Dataset, parameters: Mapping[str, Any]
) -> tuple[FloatArray, FloatArray, Alignment]:
    """The images of a method before and after its alignment, (n_tilt, n_y, n_x), and what that found."""
    images = prepare(measurement, parameters)
    background = float(measurement.attrs["background"])
    after, found = align(images, Geometry.of(measurement), parameters["align"], background=background)
    return images, after, found
