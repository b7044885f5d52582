"""Reconstructed volumes out and in: `.zarr` with coordinates, `.mrc` with voxel size and origin."""

from __future__ import annotations

import os

import numpy as np
import xarray as xr

from datasets.errors import InputError
from datasets.formats.outputs import check_suffix, check_writable, replacing
from datasets.formats.stored import MRC, check_file, reading
from datasets.pieces import read_piece, write_piece

DIMS = ("z", "y", "x")


def write_volume(path: str | os.PathLike[str], volume: xr.DataArray) -> None:
    """Write a volume with dims (z, y, x) and coordinates [Å] to `.zarr` or `.mrc`.

    An MRC holds float32, the voxel size, and as its origin the coordinates [Å] of voxel (0, 0, 0). A `.zarr`
    that is already there is not touched, a file is replaced. Raises `InputError`.
    """
    path = os.fspath(path)
    suffix = check_writable(path, "a volume")
    steps = _steps(volume)
    if suffix == ".zarr":
        write_piece(path, volume.to_dataset(name="volume"), chunks={"volume": (1, *volume.shape[1:])})
        return
    import mrcfile

    with replacing(path) as part, mrcfile.new(part) as file:
        file.set_data(np.ascontiguousarray(volume.values, dtype=np.float32))
        file.set_volume()
        file.voxel_size = (steps["x"], steps["y"], steps["z"])
        for axis in DIMS:
            file.header.origin[axis] = float(volume[axis].values[0])


def read_volume(path: str | os.PathLike[str]) -> xr.DataArray:
    """The volume that `write_volume` wrote, with dims (z, y, x) and coordinates [Å].

    Raises `InputError`, and `StoreError` for a damaged `.zarr`.
    """
    path = os.fspath(path)
    if check_suffix(path, "a volume") == ".zarr":
        return _volume(path, read_piece(path))
    import mrcfile

    check_file(path)
    with reading(path, MRC), mrcfile.open(path, permissive=False) as file:
        values = np.array(file.data)
        steps = {axis: float(file.voxel_size[axis]) for axis in DIMS}
        origin = {axis: float(file.header.origin[axis]) for axis in DIMS}
    if values.ndim != 3 or min(steps.values()) <= 0:
        raise InputError(f"{path}: expected a volume with a voxel size, it has shape {values.shape}, {steps}")
    coords = {
        axis: (axis, origin[axis] + steps[axis] * np.arange(n), {"units": "Å"})
        for axis, n in zip(DIMS, values.shape, strict=True)
    }
    return xr.DataArray(values, dims=DIMS, coords=coords)


def _volume(path: str, data: xr.Dataset) -> xr.DataArray:
    if "volume" not in data:
        raise InputError(
            f"{path}: it holds {', '.join(map(str, data.data_vars)) or 'nothing'}, expected a volume"
        )
    return data["volume"]


def _steps(volume: xr.DataArray) -> dict[str, float]:
    if volume.dims != DIMS or volume.dtype.kind not in "uif":
        raise InputError(f"a volume has dims {DIMS} of real numbers, not {volume.dims} of {volume.dtype}")
    steps = {}
    for axis, n in zip(DIMS, volume.shape, strict=True):
        if axis not in volume.coords or n < 2:
            raise InputError(f"a volume needs at least two voxels and a coordinate [Å] along {axis!r}")
        step = np.diff(volume[axis].values)
        if step.min() <= 0 or np.ptp(step) > 1e-3 * step.mean():
            raise InputError(f"the volume's coordinate {axis!r} must increase in even steps")
        steps[axis] = float(step.mean())
    return steps
