"""NumPy files: `.npz` with arrays named as in the schema, and the bare array of an `.npy`."""

from __future__ import annotations

import math
import zipfile
from typing import IO

import numpy as np
import numpy.typing as npt

from datasets.errors import InputError
from datasets.formats.stored import NPY, NPZ, StoredArray, check_room, named_arrays, reading


def read_npz(path: str, *, variable: str | None, modality: str) -> StoredArray:
    """The measurement in an `.npz`.

    Arrays named as in the schema (`counts`, `theta`, `x`, …, and attributes such as `dose_per_area` as single
    numbers) need no option: `counts` has the modality's dimensions in their order. Any other array is taken
    with `variable`, or when it is the only one of the right number of dimensions. Raises `InputError`.
    """
    with reading(path, NPZ), zipfile.ZipFile(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist()]
    with reading(path, NPZ), np.load(path, allow_pickle=False) as arrays:
        headers = {name: _header(path, name) for name in names}
        if any(dtype.hasobject for _, dtype in headers.values()):
            pickled = next(name for name, (_, dtype) in headers.items() if dtype.hasobject)
            raise InputError(f"{path}: {pickled!r} holds Python objects, expected an array of numbers")
        shapes = {name: shape for name, (shape, dtype) in headers.items() if dtype.kind in "buifc" and shape}
        largest = max(headers.values(), key=lambda header: math.prod(header[0]), default=None)
        if largest is not None:
            check_room(path, largest[0], largest[1].itemsize)
        return named_arrays(
            path, shapes, arrays.__getitem__, variable=variable, modality=modality, schema_names=names
        )


def _header(path: str, name: str) -> tuple[tuple[int, ...], np.dtype]:
    with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as stream:
        return _array_header(stream)


def _array_header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    return shape, dtype


def read_npy(path: str) -> StoredArray:
    """The array of an `.npy`, which says nothing about itself. Raises `InputError`."""
    with reading(path, NPY):
        with open(path, "rb") as stream:
            shape, dtype = _array_header(stream)
        check_room(path, shape, dtype.itemsize)
        return StoredArray(load_npy(path))


def load_npy(path: str) -> npt.NDArray:
    """The array of an `.npy`; raises `ValueError` when it is another format or holds Python objects."""
    with open(path, "rb") as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)


def npz_text(path: str, name: str) -> str | None:
    """The text `name` in an `.npz`, or None without one. Raises `InputError`."""
    with reading(path, NPZ), np.load(path, allow_pickle=False) as arrays:
        return str(arrays[name]) if name in arrays else None
