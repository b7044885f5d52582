"""A measurement as one file of ours: `.zarr`, and `.npz` or `.mat` for other programs."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import xarray as xr

from datasets.errors import InputError
from datasets.formats.importing import import_measurement
from datasets.formats.matlab import matlab_text
from datasets.formats.numpy_files import npz_text
from datasets.formats.outputs import check_suffix, check_writable, replacing
from datasets.formats.stored import check_file
from datasets.pieces import read_piece, write_piece
from datasets.schema import check_measurement


def write_measurement(path: str | os.PathLike[str], data: xr.Dataset) -> None:
    """Write a measurement to `.zarr` (a path or any fsspec URL), `.npz` or `.mat` (MATLAB version 5).

    All three are read back with no option. A `.zarr` holds checksums and one image per chunk, and one that is
    already there is not touched; a file is replaced. Nothing half written stays behind. Raises `InputError`.
    """
    path = os.fspath(path)
    suffix = check_writable(path, "a measurement")
    check_measurement(data, where="the measurement to write")
    if suffix == ".zarr":
        write_piece(path, data, chunks={"counts": (1, *data["counts"].shape[1:])})
        return
    plain = _plain(path, data)
    with replacing(path) as part:
        if suffix == ".npz":
            np.savez_compressed(part, **plain)
        else:
            from scipy.io import savemat

            savemat(part, plain, do_compression=True, oned_as="column")


def read_measurement(path: str | os.PathLike[str]) -> xr.Dataset:
    """The measurement that `write_measurement` wrote.

    Raises `StoreError` when it is damaged or newer than this program, `InputError` when it is none.
    """
    path = os.fspath(path)
    if os.path.isfile(path):
        if check_suffix(path, "a measurement") != ".zarr":
            check_file(path)
            text = npz_text if path.lower().endswith(".npz") else matlab_text
            return import_measurement(path, modality=text(path, "modality") or "adf")
        raise InputError(f"{path}: a .zarr is a folder, this is a file")
    data = read_piece(path)
    check_measurement(data, where=path)
    return data


def _plain(path: str, data: xr.Dataset) -> dict[str, Any]:
    """Named arrays, numbers and texts that any program reads."""
    plain: dict[str, Any] = {str(name): variable.values for name, variable in data.data_vars.items()}
    plain.update({str(name): coordinate.values for name, coordinate in data.coords.items()})
    for name, value in data.attrs.items():
        if name == "elements":
            plain[name] = ",".join(value)
        elif isinstance(value, list):
            plain[str(name)] = "\n".join(map(str, value))
        elif np.asarray(value).dtype.hasobject:
            raise InputError(f"{path}: attribute {name!r} is {value!r}, expected a number, a text or a list")
        else:
            plain[str(name)] = value
    return plain
