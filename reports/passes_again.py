"""How the error of a multislice reconstruction falls from pass to pass: its counts are gone through again."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xarray as xr

from benchmarks.cells import CellResult
from datasets.errors import InputError
from recon.base import Callback
from recon.project.projector import resolve_device
from recon.ptychography.losses import Loss
from recon.ptychography.mset import MSET, mset
from recon.ptychography.mset_published import mset_published
from recon.ptychography.scan import Scan
from recon.ptychography.tilt_series import TiltSeries
from reports.again import measurement_of
from reports.series import Series

FloatArray = npt.NDArray[np.float64]

LOSS: Loss = "amplitude"
"""Eq. 5 of paper 004, so that the passes of both descents are of one quantity."""
OURS, PUBLISHED = "ours", "published"
PUBLISHED_PASSES = 3
PUBLISHED_PROBES = 20 * 16**2
"""Probes of a series up to which the published descent, which takes one after the other, is gone through."""


@dataclass(frozen=True, eq=False)
class Passes:
    """Passes over all tilts: `loss` (n + 1,), the error during each as a part of that without a specimen,
    which stands first; `seconds` (n,), processor time of each on `threads` threads.
    """

    loss: FloatArray
    seconds: FloatArray
    threads: int


def passes(series: Series, cell: CellResult, cache: Path, descent: str = OURS) -> Passes:
    """The passes of `cell`, an `mset`, or of the published descent on the same counts, kept as
    `cache`/KEY-DESCENT.npz so that they are made once.

    Raises `InputError` when the counts are not stored, the method is not what it was, or the published
    descent would take too long.
    """
    path = cache / f"{cell.cell.key}-{descent}.npz"
    if path.exists():
        with np.load(path) as stored:
            if set(stored.files) == {f.name for f in fields(Passes)}:
                return Passes(stored["loss"], stored["seconds"], int(stored["threads"]))
    made = _make(_method(cell, descent), measurement_of(series, cell), cell.cell.rng())
    cache.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.npz")
    np.savez_compressed(part, **{f.name: getattr(made, f.name) for f in fields(Passes)})
    os.replace(part, path)
    return made


def _method(cell: CellResult, descent: str) -> MSET:
    if descent == PUBLISHED:
        return replace(MSET(**MSET.variants["published"]), n_iter=PUBLISHED_PASSES)  # type: ignore[arg-type]
    known = {f.name for f in fields(MSET)}
    if unknown := set(cell.cell.parameters) - known:
        raise InputError(f"{cell.cell.method} has no parameter {sorted(unknown)[0]!r} any more")
    return MSET(**cell.cell.parameters)


def _make(method: MSET, measurement: xr.Dataset, rng: np.random.Generator) -> Passes:
    import torch

    published = method.method == "published"
    probes = measurement.sizes["tilt"] * measurement.sizes["scan"]
    if published and probes > PUBLISHED_PROBES:
        raise InputError(
            f"the published descent is slow, and gone through on at most {PUBLISHED_PROBES:,} probes, not on "
            f"{probes:,}"
        )
    scan = Scan.of(measurement, method.voxel, whole=published)
    device = resolve_device(method.device)
    series = TiltSeries(measurement, scan, slice_thickness=method.slice_thickness, device=device)
    losses, times = [series.vacuum_loss(LOSS) / measurement["counts"].size], [time.process_time()]

    def note(_: int, figures: dict[str, float]) -> None:
        losses.append(figures["loss"])
        times.append(time.process_time())

    told: Callback = note  # type: ignore[assignment]
    if published:
        mset_published(series, method.n_iter, step=method.step, loss=LOSS, callback=told)
    else:
        mset(
            series,
            method.n_iter,
            step=method.step,
            loss=LOSS,
            rng=rng,
            sparsity=method.sparsity,
            tv=method.tv,
            callback=told,
        )
    return Passes(np.array(losses) / losses[0], np.diff(times), torch.get_num_threads())
