"""Lists of tilt angles, and the two conventions they come in."""

from __future__ import annotations

import csv
import os
import warnings
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from datasets.errors import InputError
from datasets.formats.matlab import load_matlab_table
from datasets.formats.numpy_files import load_npy
from datasets.formats.stored import (
    HDF5,
    HDF5_SUFFIXES,
    NPY,
    NPZ,
    check_file,
    choose_variable,
    reading,
    split_variable,
)
from datasets.schema import EULER_SEQUENCE

EULER_NAMES = ("phi", "theta", "psi")

Convention = Literal["active", "passive"]

_ARRAYS = (".npy", ".npz", ".mat", *HDF5_SUFFIXES)
_TEXT = (".txt", ".csv", ".tsv", ".dat", ".rawtlt", ".tlt")


def read_angles(file: str | os.PathLike[str]) -> npt.NDArray[np.float64]:
    """Angles [deg] of a file as (phi, theta, psi), shape `(n_tilt, 3)`, one row per projection.

    Text (`.txt .csv .tsv .dat .rawtlt .tlt`), `.npy`, or `.mat`, `.npz` or HDF5 with the array's name
    (`FILE.h5:variable`) where they hold several; one column is theta, three are phi, theta, psi unless a
    header line names them in another order. Raises `InputError`.
    """
    path, variable = split_variable(file)
    check_file(path)
    suffix = os.path.splitext(path)[1].lower()
    columns: tuple[str, ...] | None = None
    if suffix == ".npy":
        with reading(path, NPY):
            table = load_npy(path)
    elif suffix == ".mat":
        table = load_matlab_table(path, variable)
        if table.ndim == 2 and table.shape[0] == 1 and table.shape[1] != 3:
            table = table.T  # MATLAB has no vectors: a row of angles is one column of ours
    elif suffix == ".npz" or suffix in HDF5_SUFFIXES:
        table = _named_table(path, suffix, variable)
    elif suffix in _TEXT:
        table, columns = _read_text(path)
    else:
        raise InputError(f"{path}: angles are read from {', '.join((*_TEXT, *_ARRAYS))}, not {suffix!r}")
    return _as_euler(path, table, columns)


def _named_table(path: str, suffix: str, variable: str | None) -> npt.NDArray[np.float64]:
    """The only (or the named) list of a file of named arrays."""
    inside = variable.strip("/") if variable is not None else None
    if suffix == ".npz":
        with reading(path, NPZ), np.load(path, allow_pickle=False) as arrays:
            shapes = {name: arrays[name].shape for name in arrays.files if arrays[name].dtype.kind in "uif"}
            return np.asarray(arrays[choose_variable(path, shapes, inside, 1, 2)])
    import h5py

    lists: dict[str, tuple[int, ...]] = {}

    def collect(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "uif" and item.shape:
            lists[name] = item.shape

    with reading(path, HDF5), h5py.File(path, "r") as file:
        file.visititems(collect)
        return np.asarray(file[choose_variable(path, lists, inside, 1, 2)][()])


def _read_text(path: str) -> tuple[npt.NDArray[np.float64], tuple[str, ...] | None]:
    try:
        with open(path, encoding="utf-8-sig") as stream:
            lines = [line.split("#")[0].strip() for line in stream]
    except UnicodeDecodeError:
        raise InputError(f"{path}: this is not a text file, expected a list of angles") from None
    rows = [(number, _fields(line)) for number, line in enumerate(lines, start=1) if line]
    columns = None
    if rows and not any(map(_is_number, rows[0][1])):
        columns = tuple(name.lower() for name in rows.pop(0)[1])
    if not rows:
        raise InputError(f"{path}: there are no angles in it")
    for number, entries in rows:
        if not all(map(_is_number, entries)) or len(entries) != len(rows[0][1]):
            wanted = f"expected {len(rows[0][1])} angle(s) in degrees"
            raise InputError(f"{path}: line {number} is {lines[number - 1]!r}, {wanted}")
    return np.array([[float(entry) for entry in entries] for _, entries in rows]), columns


def _fields(line: str) -> list[str]:
    delimiter = next((mark for mark in ",;\t" if mark in line), None)
    if delimiter is None:
        return line.split()
    return [entry.strip() for entry in next(csv.reader([line], delimiter=delimiter))]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _as_euler(path: str, table: npt.NDArray, columns: tuple[str, ...] | None) -> npt.NDArray[np.float64]:
    if table.dtype.kind not in "uif":
        raise InputError(f"{path}: angles must be real numbers, not {table.dtype}")
    if table.ndim == 1:
        table = table[:, np.newaxis]
    if table.ndim != 2 or table.shape[1] not in (1, 3) or not table.size:
        raise InputError(
            f"{path}: angles have shape {table.shape}, expected one row per projection "
            "with one column (theta) or three (phi, theta, psi)"
        )
    if not np.isfinite(table).all():
        raise InputError(
            f"{path}: an angle is not finite, in row {int(np.argwhere(~np.isfinite(table))[0][0]) + 1}"
        )
    angles = np.zeros((len(table), 3))
    if table.shape[1] == 1:
        angles[:, 1] = table[:, 0]
    elif columns is None:
        angles[:] = table
    elif sorted(columns) == sorted(EULER_NAMES):
        angles[:] = table[:, [columns.index(name) for name in EULER_NAMES]]
    else:
        raise InputError(f"{path}: its columns are called {', '.join(columns)}, expected phi, theta, psi")
    return angles


def to_active(angles: npt.NDArray[np.float64], convention: Convention) -> npt.NDArray[np.float64]:
    """Euler angles [deg] (phi, theta, psi) of the *active* rotations, `(n_tilt, 3)`.

    `passive` angles turn the frame, or the beam about a fixed specimen, x′ = x cos θ − z sin θ: the specimen
    turns by the inverse of Rz(phi)·Ry(theta)·Rx(psi), and the triple is that of the inverse. About one axis
    that is a change of sign.
    """
    if convention == "active":
        return angles.copy()
    if not angles[:, [0, 2]].any():
        return angles * [1.0, -1.0, 1.0]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Gimbal lock", category=UserWarning)
        inverse = Rotation.from_euler(EULER_SEQUENCE, angles, degrees=True).inv()
        return np.asarray(inverse.as_euler(EULER_SEQUENCE, degrees=True))  # type: ignore[call-overload]
