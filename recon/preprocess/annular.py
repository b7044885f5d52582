"""The annular dark-field images that a scan recorded beside its diffraction patterns."""

from __future__ import annotations

import numpy as np
import xarray as xr

from datasets.errors import InputError
from datasets.schema import OPTICS_ATTRS, make_measurement

EVEN = 1e-3
"""Positions of a raster are even to this part of its step."""


def annular_images(measurement: xr.Dataset) -> xr.Dataset:
    """The `adf` measurement within a 4dstem one: its variable `adf` (tilt, scan) as images (tilt, y, x).

    An adf measurement is returned as it is. Raises `InputError` where there is none, or where positions are
    no raster.
    """
    if measurement.attrs.get("modality") == "adf":
        return measurement
    if "adf" not in measurement:
        raise InputError("this 4dstem measurement holds no annular dark-field image")
    x, columns = np.unique(measurement["scan_x"].values, return_inverse=True)
    y, rows = np.unique(measurement["scan_y"].values, return_inverse=True)
    places = len(x) * len(y)
    if places != measurement.sizes["scan"] or len(np.unique(rows * len(x) + columns)) != places:
        raise InputError("the positions of this 4dstem measurement are no raster, which an image needs")
    steps = np.concatenate([np.diff(x), np.diff(y)])
    if np.ptp(steps) > EVEN * steps.mean():
        raise InputError(
            "the positions of this 4dstem measurement are not in even steps, which an image needs"
        )
    counts = measurement["adf"].values
    images = np.zeros((len(counts), len(y), len(x)), dtype=counts.dtype)
    images[:, rows, columns] = counts
    angles = {name: measurement[name].values for name in ("phi", "theta", "psi")}
    return make_measurement(
        "adf",
        images,
        {**angles, "y": y, "x": x},
        dose_per_area=float(measurement.attrs["dose_per_area"]),
        pixel_size=float(steps.mean()),
        background=0.0,
        elements=list(measurement.attrs["elements"]),
        optics={name: measurement.attrs[name] for name in OPTICS_ATTRS if name in measurement.attrs},
    )


def holds_annular_images(measurement: xr.Dataset) -> bool:
    """Whether this is a 4dstem measurement that `annular_images` can make images of."""
    try:
        return measurement.attrs.get("modality") == "4dstem" and bool(annular_images(measurement))
    except InputError:
        return False
