"""Several frames of one specimen as one measurement, for methods that average over time.

Every frame is a dataset of its own, `graphene-640[frame=3]`, with its own truth and noise, and is scored
against that truth. A series is these datasets side by side: the same counts, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from ase import Atoms

from datasets.catalog import DatasetCard, load_dataset
from datasets.errors import InputError
from datasets.naming import format_name, parse_name
from datasets.schema import check_measurement
from datasets.simulate import simulate


def frame_cards(name: str, n_frames: int) -> list[DatasetCard]:
    """The datasets of frames 0 … n_frames − 1 of the dataset `name`; raises `InputError` if it has none."""
    if n_frames < 1:
        raise InputError(f"dataset {name!r}: there must be at least 1 frame, not {n_frames}")
    base, options = parse_name(name)
    if "frame" in options:
        raise InputError(f"dataset {name!r}: name the series without one of its frames")
    return [load_dataset(format_name(base, {**options, "frame": k})) for k in range(n_frames)]


def simulate_frames(
    name: str,
    n_frames: int,
    dose: float,
    replicate: int = 0,
    *,
    root: str | None = None,
    progress: bool = True,
) -> tuple[xr.Dataset, list[Atoms]]:
    """One measurement of `n_frames` frames of the dataset `name` at `dose` [e⁻/Å² per frame], and the truth
    of each frame. What is missing is made. Raises `InputError`.
    """
    stores = [
        simulate(card, [dose], replicate + 1, root=root, progress=progress)
        for card in frame_cards(name, n_frames)
    ]
    measurement = join_frames([store.measurement(dose, replicate) for store in stores])
    return measurement, [store.truth() for store in stores]


def join_frames(measurements: Sequence[xr.Dataset]) -> xr.Dataset:
    """One measurement from those of single frames, which must have been taken alike, in the order of time.

    `dose_per_area` is still that of a frame, `dose_total` that of all. Raises `InputError`.
    """
    if not measurements:
        raise InputError("a series needs at least one frame")
    own = {"dataset", "dose_total"}
    first = {key: value for key, value in measurements[0].attrs.items() if key not in own}
    for data in measurements:
        for key in sorted({*first, *data.attrs} - own):
            if data.attrs.get(key) != first.get(key):
                raise InputError(
                    f"frames of a series must have been taken alike: {key!r} is {first.get(key)!r} and "
                    f"{data.attrs.get(key)!r}"
                )
    series = xr.concat(
        measurements, "frame", data_vars="all", coords="minimal", join="exact", combine_attrs="override"
    )
    series = series.isel(frame=np.argsort(series["time"].values, kind="stable"))
    series.attrs = {**first, "dose_total": float(first["dose_per_area"]) * series.sizes["frame"]}
    check_measurement(series, where="series of frames")
    return series
