"""What a file holds and what it says about it, before anybody's options; and how damage is named."""

from __future__ import annotations

import contextlib
import math
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil  # type: ignore[import-untyped]

from datasets.errors import InputError, StoreError
from datasets.schema import MODALITIES, OPTICS_ATTRS, SCHEMA_VERSION

RASTER = ("scan_y", "scan_x")
"""The axes of a scan as files store it, for the one axis `scan` of the schema, row by row."""

NAMED_ATTRIBUTES = (
    "dose_per_area",
    "pixel_size",
    "reciprocal_pixel_size",
    "background",
    "elements",
    *OPTICS_ATTRS,
)
"""Attributes of a measurement that a file of named arrays may hold, in the units of `datasets.schema`; the
pixel size of patterns [1/Å] becomes that of their coordinates."""

MARKERS = ("modality", "schema_version", "dose_total", "import_notes")
"""Names that our own exports hold beside these; `dose_total` follows from the dose and is not read back."""

_COORDINATES = frozenset(name for kind in MODALITIES.values() for name in kind.coords)

HDF5_SUFFIXES = (".h5", ".hdf5", ".emd", ".hspy")

NPZ, NPY, HDF5, MRC = "an .npz (zip) file", "an .npy file", "an HDF5 file", "an MRC file"
MATLAB5, MATLAB73 = "a MATLAB version 5 file", "a MATLAB version 7.3 file"

_MAGIC = {
    b"PK\x03\x04": NPZ,
    b"\x93NUMPY": NPY,
    b"\x89HDF\r\n\x1a\n": HDF5,
    b"MATLAB 5.0": MATLAB5,
    b"MATLAB 7.3": MATLAB73,
}


@dataclass(frozen=True)
class StoredArray:
    """An array as it lies in a file, and what the file says about it.

    `axes` are the names of its dimensions where the format or the file gives them; `coords` are coordinates
    named as in the schema, in its units; `attributes` are those of `NAMED_ATTRIBUTES` that were found,
    `beside` what the schema knows to be recorded beside the counts, `hints` says of an attribute why the
    file's value was not trusted, and a file that is `exported` was a measurement of the schema before.
    """

    values: npt.NDArray[Any]
    axes: tuple[str, ...] | None = None
    coords: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    beside: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    hints: Mapping[str, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    exported: bool = False


def split_variable(file: str | os.PathLike[str]) -> tuple[str, str | None]:
    """`FILE.mat:variable` as the file and the variable; a plain path has none."""
    path = os.fspath(file)
    if not os.path.exists(path):
        match = re.match(r"(?P<path>.+?\.\w+):(?P<variable>.+)$", path)
        if match:
            return match["path"], match["variable"]
    return path, None


def check_file(path: str) -> None:
    """Raise `InputError` unless `path` is a file that can be read and is not empty."""
    if not os.path.exists(path):
        raise InputError(f"{path}: there is no such file")
    if not os.path.isfile(path):
        raise InputError(f"{path}: this is a folder, expected a file")
    if os.path.getsize(path) == 0:
        raise InputError(f"{path}: the file is empty")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path}: no permission to read it")


@contextlib.contextmanager
def reading(path: str, what: str) -> Iterator[None]:
    """Turn whatever a library raises on a damaged or foreign file into one `InputError` about `path`."""
    try:
        yield
    except InputError:
        raise
    except MemoryError as error:
        raise InputError(f"{path}: does not fit into memory ({error})") from error
    except Exception as error:  # a damaged file makes these libraries raise anything, TokenError included
        actual = sniff(path)
        if actual is not None and actual != what:
            raise InputError(f"{path}: expected {what}, but this is {actual}") from error
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"{path}: cannot be read as {what}, it is damaged or cut short ({reason})"
        ) from error


def sniff(path: str) -> str | None:
    """What the first bytes of a file say it is, or None when they say nothing known."""
    with open(path, "rb") as stream:
        start = stream.read(212)
    for magic, name in _MAGIC.items():
        if start.startswith(magic):
            return name
    return MRC if start[208:211] == b"MAP" else None


def check_room(path: str, shape: tuple[int, ...], itemsize: int) -> None:
    """Raise `InputError` where an array and one copy of it, in another order, do not fit into memory."""
    needed, free = 2 * math.prod(shape) * itemsize, psutil.virtual_memory().available
    if needed > free:
        raise InputError(
            f"{path}: an array of {' × '.join(map(str, shape))} takes {needed / 2**30:.3g} GiB of memory to "
            f"import, {free / 2**30:.3g} GiB are free; bin the patterns, or leave out tilts"
        )


def stored_ndims(modality: str) -> tuple[int, ...]:
    """How many dimensions an array of `modality` may have in a file."""
    ndim = len(MODALITIES[modality].dims)
    return (ndim, ndim + 1) if "scan" in MODALITIES[modality].dims else (ndim,)


def choose_variable(
    path: str, shapes: Mapping[str, tuple[int, ...]], variable: str | None, *ndims: int
) -> str:
    """The array to import: `variable`, or the only one with `ndims` dimensions; else ask by naming them.

    `shapes` holds every numeric array of the file.
    """
    listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "none"
    if variable is not None:
        if variable not in shapes:
            raise InputError(f"{path}: there is no array {variable!r} in it; its arrays are: {listed}")
        return variable
    candidates = {name: shape for name, shape in shapes.items() if len(shape) in ndims}
    if len(candidates) == 1:
        return next(iter(candidates))
    if not candidates:
        wanted = " or ".join(map(str, ndims))
        patterns = stored_ndims("4dstem")
        scanned = ndims != patterns and any(len(shape) in patterns for shape in shapes.values())
        hint = "; of diffraction patterns say --modality 4dstem" if scanned else ""
        raise InputError(
            f"{path}: there is no array of {wanted} dimensions in it; its arrays are: {listed}{hint}"
        )
    several = ", ".join(f"{name} {shape}" for name, shape in candidates.items())
    example = f"{path}:{next(iter(candidates))}"
    raise InputError(f"{path}: say which array to import, e.g. {example}; it holds {several}")


def named_arrays(
    path: str,
    shapes: Mapping[str, tuple[int, ...]],
    load: Callable[[str], Any],
    *,
    variable: str | None,
    modality: str,
    schema_names: Collection[str],
) -> StoredArray:
    """A measurement from a file of named arrays; those named as in the schema need no option.

    `shapes` holds the numeric arrays, `load` gives the value of a name, and `schema_names` are all the names
    in the file, empty when its names are not to be read as the schema's.
    """
    if "schema_version" in schema_names:
        _check_version(path, attribute(path, "schema_version", load("schema_version")))
    found = _modality(path, load, schema_names) or modality
    if found != modality:
        raise InputError(f"{path}: this is a {found} measurement; say --modality {found}")
    kind = MODALITIES[modality]
    named = variable in (None, "counts") and "counts" in schema_names
    chosen = "counts" if named else choose_variable(path, shapes, variable, *stored_ndims(modality))
    coords = {name: _coordinate(path, name, load(name)) for name in kind.coords if name in schema_names}
    attributes = {
        name: attribute(path, name, load(name)) for name in NAMED_ATTRIBUTES if name in schema_names
    }
    if "import_notes" in schema_names:
        attributes["import_notes"] = _text(load("import_notes")).split("\n")
    beside = {name: np.asarray(load(name)) for name in kind.beside if named and name in schema_names}
    known = {chosen, *_COORDINATES, *NAMED_ATTRIBUTES, *MARKERS, *beside}
    return StoredArray(
        values=np.asarray(load(chosen)),
        axes=_stored_axes(kind.dims, len(shapes.get(chosen, ()))) if named else None,
        coords=coords,
        attributes=attributes,
        beside=beside,
        ignored=tuple(sorted(set(shapes) - known)),
        exported="schema_version" in schema_names,
    )


def _stored_axes(dims: tuple[str, ...], ndim: int) -> tuple[str, ...]:
    """The axes of an array named `counts`: the schema's, or those with a scan of two."""
    if "scan" not in dims or ndim == len(dims):
        return dims
    return tuple(name for dim in dims for name in (RASTER if dim == "scan" else (dim,)))


def _check_version(path: str, version: float) -> None:
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{path}: written with schema version {version:g}, this dosebench reads up to {SCHEMA_VERSION}; "
            "upgrade it"
        )


def _coordinate(path: str, name: str, value: Any) -> npt.NDArray[np.float64]:
    array = np.asarray(value)
    if array.dtype.kind not in "uif" or array.size != max(array.shape, default=1):
        raise InputError(
            f"{path}: {name!r} must be a list of numbers, it has shape {array.shape} of {array.dtype}"
        )
    return array.astype(np.float64).reshape(-1)


def _modality(path: str, load: Callable[[str], Any], names: Collection[str]) -> str | None:
    if "modality" not in names:
        return None
    found = _text(load("modality"))
    if found not in MODALITIES:
        raise InputError(f"{path}: 'modality' is {found!r}, expected one of {', '.join(MODALITIES)}")
    return found


def attribute(path: str, name: str, value: Any) -> Any:
    """One attribute from a stored value: a number, or for `elements` a list of symbols."""
    if name == "elements":
        return symbols(value)
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "uif":
        raise InputError(f"{path}: {name!r} must be one number, it has shape {array.shape} of {array.dtype}")
    return float(array.reshape(()))


def symbols(value: Any) -> list[str]:
    """Chemical symbols from a list of them, or from a text such as "Cu,Au"."""
    if isinstance(value, str):
        return [symbol for symbol in re.split(r"[\s,;]+", value) if symbol]
    return [part for entry in np.asarray(value).reshape(-1) for part in symbols(_text(entry))]


def _text(value: Any) -> str:
    array = np.asarray(value)
    return str(array.reshape(-1)[0]).strip() if array.size == 1 else str(value)
