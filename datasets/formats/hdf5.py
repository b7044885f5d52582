"""HDF5 files: EMD and HyperSpy ones through RosettaSciIO with their calibrations, bare ones by path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from datasets.formats.stored import HDF5, StoredArray, check_room, choose_variable, reading, stored_ndims

_ANGSTROM = {"å": 1.0, "a": 1.0, "ang": 1.0, "angstrom": 1.0, "angstroms": 1.0, "ångström": 1.0}
LENGTH_UNITS = {**_ANGSTROM, "pm": 1e-2, "nm": 10.0, "um": 1e4, "µm": 1e4, "μm": 1e4, "mm": 1e7, "m": 1e10}
"""Length units in Å, in lower case, as files spell them."""

AXIS_NAMES = {
    "x": "x",
    "width": "x",
    "y": "y",
    "height": "y",
    "tilt": "tilt",
    "tilts": "tilt",
    "tilt_angle": "tilt",
    "tilt angle": "tilt",
    "angle": "tilt",
    "angles": "tilt",
    "theta": "tilt",
    "alpha": "tilt",
    "α": "tilt",
    "projection": "tilt",
    "frame": "frame",
    "time": "frame",
}
"""The names that files give to axes, in lower case, and the schema's; any other name is asked about."""

_SQUARE = 1e-3


def read_hdf5(path: str, *, variable: str | None, modality: str) -> StoredArray:
    """The array in an HDF5 file.

    EMD and HyperSpy files are read by RosettaSciIO; `variable` is then the title of a signal. Any other file,
    and any `variable` that is the path of a dataset (`FILE.h5:/path/to/data`), is read as it is stored, which
    says nothing about its axes. Tilt angles are never taken from a file's axes, which cannot say how the
    specimen turned. Raises `InputError`.
    """
    import h5py

    ndims = stored_ndims(modality)
    shapes: dict[str, tuple[int, ...]] = {}

    def collect(name: str, item: Any) -> None:
        complex_pair = h5py.check_string_dtype(getattr(item, "dtype", np.dtype(object))) is None
        if isinstance(item, h5py.Dataset) and complex_pair and item.dtype.kind in "buifcV" and item.shape:
            shapes[name] = item.shape

    with reading(path, HDF5), h5py.File(path, "r") as file:
        file.visititems(collect)
        kind = _kind(file)
    inside = variable.strip("/") if variable is not None else None
    if kind is not None and inside not in shapes:
        return _read_signal(path, kind, variable, ndims)
    chosen = choose_variable(path, shapes, inside, *ndims)
    with reading(path, HDF5), h5py.File(path, "r") as file:
        check_room(path, file[chosen].shape, file[chosen].dtype.itemsize)
        return StoredArray(np.asarray(file[chosen][()]))


def _kind(file: Any) -> str | None:
    from rsciio.emd._api import is_EMD_NCEM, is_EMD_Velox

    if is_EMD_NCEM(file) or is_EMD_Velox(file):
        return "emd"
    return "hspy" if str(file.attrs.get("file_format", "")).lower() == "hyperspy" else None


def _read_signal(path: str, kind: str, variable: str | None, ndims: tuple[int, ...]) -> StoredArray:
    with reading(path, HDF5):
        if kind == "emd":
            from rsciio.emd import file_reader

            found = file_reader(path)
        else:
            from rsciio.hspy import file_reader

            found = file_reader(path)
    signals: dict[str, Mapping[str, Any]] = {}
    for signal in found:
        title = str(_nested(signal, "metadata", "General", "title") or "data")
        unique = title if title not in signals else f"{title} {len(signals) + 1}"
        signals[unique] = signal
    shapes = {title: tuple(np.shape(signal["data"])) for title, signal in signals.items()}
    chosen = signals[choose_variable(path, shapes, variable, *ndims)]
    return signal_array(chosen)


def signal_array(signal: Mapping[str, Any]) -> StoredArray:
    """A signal as RosettaSciIO gives it: its array, the axes it names, its pixel size [Å] and energy [eV]."""
    named = [AXIS_NAMES.get(str(axis.get("name") or "").strip().lower()) for axis in signal["axes"]]
    complete = None not in named and len(set(named)) == len(named)
    attributes: dict[str, float] = {}
    hints: dict[str, str] = {}
    sizes = {
        name: _angstroms(axis) for name, axis in zip(named, signal["axes"], strict=True) if name in ("x", "y")
    }
    if len(sizes) == 2 and None not in sizes.values():
        along_x, along_y = sizes["x"], sizes["y"]
        assert along_x is not None
        assert along_y is not None
        if abs(along_x - along_y) <= _SQUARE * along_x:
            attributes["pixel_size"] = along_x
        else:
            hints["pixel_size"] = (
                f"the file says {along_x:g} Å along x and {along_y:g} Å along y, pixels must be square"
            )
    elif len(sizes) == 2:
        hints["pixel_size"] = f"the file gives no length for a pixel ({_units(signal['axes'])})"
    energy = _nested(signal, "metadata", "Acquisition_instrument", "TEM", "beam_energy")
    if energy is not None:
        attributes["energy_eV"] = 1e3 * float(energy)
    axes = tuple(str(name) for name in named) if complete else None
    if axes is None:
        hints["axes"] = ", ".join(str(axis.get("name") or "?") for axis in signal["axes"])
    return StoredArray(np.asarray(signal["data"]), axes=axes, attributes=attributes, hints=hints)


def _angstroms(axis: Mapping[str, Any]) -> float | None:
    unit = LENGTH_UNITS.get(str(axis.get("units") or "").strip().lower())
    scale = axis.get("scale")
    return None if unit is None or scale is None else abs(float(scale)) * unit


def _units(axes: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{axis.get('name') or '?'} in {axis.get('units') or 'no unit'}" for axis in axes)


def _nested(tree: Mapping[str, Any], *keys: str) -> Any:
    found: Any = tree
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found
