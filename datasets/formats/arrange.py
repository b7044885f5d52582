"""The array and the coordinates of an import, in the order, units and convention of the schema."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from datasets.errors import InputError
from datasets.formats.angles import EULER_NAMES, Convention, read_angles, to_active
from datasets.formats.patterns import Layout, arrange_patterns
from datasets.formats.stored import RASTER, StoredArray, stored_ndims
from datasets.schema import MODALITIES, pixel_axis

ASKED_AS = {
    "pixel_size": "--pixel-size [Å]",
    "angles": "--angles FILE",
    "angle_convention": "--angle-convention active|passive",
    "dose_per_area": "--dose [e⁻/Å² per image]",
    "background": "--background [e⁻/pixel]",
    "elements": "--elements, such as Cu,Au",
    "reciprocal_pixel_size": "--reciprocal-pixel-size [1/Å]",
    "energy_eV": "--energy [eV]",
    "semiangle_mrad": "--semiangle [mrad]",
    "defocus": "--defocus [Å], underfocus positive, 0 in focus",
}
ASKED_OF_SCANS = {
    "pixel_size": "--pixel-size [Å], the step of the scan",
    "dose_per_area": "--dose [e⁻/Å² per tilt]",
}
"""What is asked in other words of a scan with diffraction patterns."""
OPTICS_OF_SCANS = ("energy_eV", "semiangle_mrad", "defocus")
"""Without these no pattern can be computed."""


@dataclass
class ImportState:
    """What is known so far, what is still missing, and what was decided."""

    path: str
    modality: str = "adf"
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    raster: tuple[int, int] | None = None
    """The positions (n_y, n_x) of a scan whose two axes were made one."""

    def ask(self, name: str, hint: str | None = None) -> None:
        words = ASKED_OF_SCANS.get(name) if self.modality == "4dstem" else None
        self.missing.append((words or ASKED_AS[name]) + (f" ({hint})" if hint else ""))


def arrange_counts(
    state: ImportState,
    stored: StoredArray,
    dims: tuple[str, ...],
    axes: str | Sequence[str] | None,
    gain: float | None,
    offset: float | None,
) -> npt.NDArray[Any] | None:
    """The array in the order of the schema's `dims`, in electrons; None while its axes are not known.

    Raises `InputError` for values that are not electron counts.
    """
    values = stored.values
    names = _axes(axes, dims) if axes is not None else None
    expected = names or dims
    if values.ndim != len(expected) and not (
        names is None and "scan" in dims and values.ndim == len(dims) + 1
    ):
        raise InputError(
            f"{state.path}: the array has {values.ndim} dimensions, shape {values.shape}; "
            f"expected {len(expected)} ({', '.join(expected)})"
            + ("; of diffraction patterns say --modality 4dstem" if _scanned(values, dims) else "")
        )
    if values.dtype.kind == "c":
        raise InputError(f"{state.path}: the array is complex ({values.dtype}), expected electron counts")
    if values.dtype.kind not in "buif":
        raise InputError(f"{state.path}: the array holds {values.dtype}, expected numbers")
    if not values.size:
        raise InputError(f"{state.path}: the array is empty, its shape is {values.shape}")
    order = names or stored.axes
    values = _electrons(state, _native(values), gain, offset)
    if order is None:
        return None
    if set(RASTER) <= set(order):
        return _one_scan_axis(state, values, order, dims)
    if sorted(order) != sorted(dims):
        wanted = f"expected {', '.join(dims)}; name them with --axes"
        raise InputError(f"{state.path}: its axes are {', '.join(order)}, {wanted}")
    return np.ascontiguousarray(values.transpose([order.index(dim) for dim in dims]))


def _scanned(values: npt.NDArray[Any], dims: tuple[str, ...]) -> bool:
    """Whether an array is rather a scan with diffraction patterns."""
    return "scan" not in dims and values.ndim in stored_ndims("4dstem")


def _axes(axes: str | Sequence[str], dims: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(name.strip() for name in (axes.split(",") if isinstance(axes, str) else axes))
    raster = [dim for dim in dims if dim != "scan"] + list(RASTER)
    if "scan" in dims and sorted(names) in (sorted(raster), sorted(set(raster) - {"tilt"})):
        return names
    if sorted(names) != sorted(dims):
        scans = " (or scan_y, scan_x in place of scan; one tilt needs no tilt)" if "scan" in dims else ""
        if {"kx", "ky"} & set(names) - set(dims):
            scans = " (of diffraction patterns say --modality 4dstem)"
        raise InputError(f"--axes must name each of {', '.join(dims)} once{scans}, it is {','.join(names)!r}")
    return names


def _one_scan_axis(
    state: ImportState, values: npt.NDArray[Any], order: tuple[str, ...], dims: tuple[str, ...]
) -> npt.NDArray[Any]:
    """Diffraction patterns with two axes of the scan in the schema's order, row by row; one tilt needs no
    axis.
    """
    if "tilt" not in order:
        values, order = values[None], ("tilt", *order)
    wanted = [name for dim in dims for name in (RASTER if dim == "scan" else (dim,))]
    values = values.transpose([order.index(name) for name in wanted])
    n_tilt, n_y, n_x, *pattern = values.shape
    state.raster = (n_y, n_x)
    return np.ascontiguousarray(values.reshape(n_tilt, n_y * n_x, *pattern))


def _native(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same numbers in the byte order of this machine, in a type that every later step reads."""
    if values.dtype.kind == "b":
        return values.astype(np.uint8)
    if values.dtype.kind == "f" and values.dtype.itemsize not in (4, 8):
        return values.astype(np.float32 if values.dtype.itemsize < 4 else np.float64)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _electrons(
    state: ImportState, values: npt.NDArray[Any], gain: float | None, offset: float | None
) -> npt.NDArray[Any]:
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise InputError(
            f"{state.path}: {np.count_nonzero(~np.isfinite(values))} of its values are not finite; "
            "replace dead pixels before importing"
        )
    if gain is not None or offset is not None:
        values = (values - np.float64(offset or 0.0)) / np.float64(gain or 1.0)
        state.notes.append(f"counts = (stored value - {offset or 0:g}) / {gain or 1:g}")
    least = float(values.min())
    if least < 0:
        gain, offset = gain or 1.0, offset or 0.0
        zero = _round_down(least * gain + offset)
        raise InputError(
            f"{state.path}: {np.count_nonzero(values < 0)} values are negative (the least is {least:g}), "
            f"which no electron count is; move the zero with --offset {zero:g} "
            f"and add {(offset - zero) / gain:g} to --background"
        )
    return values


def _round_down(value: float) -> float:
    """The next number of three digits below `value`."""
    if value == 0:
        return 0.0
    digits = 2 - math.floor(math.log10(abs(value)))
    return float(Decimal(value).quantize(Decimal(1).scaleb(-digits), rounding=ROUND_FLOOR))


def arrange_coordinates(
    state: ImportState,
    stored: StoredArray,
    counts: npt.NDArray[Any] | None,
    modality: str,
    pixel_size: float | None,
    angles: str | os.PathLike[str] | None,
    convention: Convention | None,
    *,
    rescale: bool,
    reciprocal_pixel_size: float | None = None,
) -> dict[str, npt.NDArray[np.float64]]:
    """Every coordinate of the modality, with active angles [deg]; asks for what is missing.

    With `rescale`, coordinates x and y of the file are brought to `pixel_size` [Å]; positions of
    scans come from the raster where the file has none. Raises `InputError` when the angles do not fit the
    projections.
    """
    kind = MODALITIES[modality]
    coords = dict(stored.coords)
    if "theta" not in kind.coords and (angles is not None or convention is not None):
        raise InputError(
            f"{state.path}: a {modality} measurement has no tilt angles, so --angles has no meaning"
        )
    if "theta" in kind.coords:
        coords.update(_angles(state, stored, counts, angles, convention))
    for axis in {"x", "y"} & set(kind.coords):
        found = coords.get(axis)
        if found is None and pixel_size is not None and counts is not None:
            coords[axis] = pixel_axis(counts.shape[kind.dims.index(axis)], pixel_size)
        elif found is not None and found.size > 1 and rescale and pixel_size is not None:
            coords[axis] = found * (pixel_size / np.diff(found).mean())
    if state.raster is not None and pixel_size is not None:
        y, x = np.meshgrid(*(pixel_axis(n, pixel_size) for n in state.raster), indexing="ij")
        coords |= {"scan_y": y.reshape(-1), "scan_x": x.reshape(-1)}
    if {"ky", "kx"} & set(kind.coords) - set(coords) and reciprocal_pixel_size is None:
        state.ask("reciprocal_pixel_size")
    for name, (dim, unit) in kind.coords.items():
        derived = {*EULER_NAMES, "x", "y", "ky", "kx", *(RASTER if state.raster is not None else ())}
        if name not in coords and name not in derived and counts is not None:
            state.missing.append(f"an array {name!r} [{unit}] along {dim} (in an .npz)")
    return coords


def arrange_scan(
    state: ImportState,
    stored: StoredArray,
    counts: npt.NDArray[Any],
    coords: dict[str, npt.NDArray[np.float64]],
    attributes: Mapping[str, Any],
    layout: Layout,
    reciprocal_pixel_size: float | None,
) -> npt.NDArray[Any]:
    """Diffraction patterns as `layout` says, with their ky and kx put into `coords`.

    Those of a file that was a measurement before stay as they are, unless something is said. Raises
    `InputError` (`datasets.formats.patterns`).
    """
    own = {axis: stored.coords[axis] for axis in ("ky", "kx") if axis in stored.coords}
    if stored.exported and not layout.given and reciprocal_pixel_size is None:
        return counts
    if stored.beside and set(layout.flip) & set(RASTER):
        raise InputError(
            f"{state.path}: annular images lie beside its patterns, so its scan cannot be turned"
        )
    for axis, values in own.items():
        if values.size != counts.shape[2 + ("ky", "kx").index(axis)] or values.size < 2:
            return counts  # the schema's own sentence says what is wrong
    found = {axis: float(np.diff(values).mean()) for axis, values in own.items()}
    y, x = (reciprocal_pixel_size or found[axis] for axis in ("ky", "kx"))
    centre = (-own["ky"][0] / found["ky"], -own["kx"][0] / found["kx"]) if len(own) == 2 else None
    counts, coords["ky"], coords["kx"] = arrange_patterns(
        state.path, counts, state.raster, layout, (y, x), attributes, centre, state.notes.append
    )
    return counts


def _angles(
    state: ImportState,
    stored: StoredArray,
    counts: npt.NDArray[Any] | None,
    angles: str | os.PathLike[str] | None,
    convention: Convention | None,
) -> dict[str, npt.NDArray[np.float64]]:
    inside = "theta" in stored.coords
    if angles is None and not inside:
        state.ask("angles")
        if convention is None:
            state.ask("angle_convention")
        return {}
    if angles is not None:
        euler, source = read_angles(angles), os.fspath(angles)
        if inside:
            state.notes.append(f"angles are those of {os.path.basename(source)}, not the file's own")
    else:
        columns = [stored.coords.get(name, np.zeros_like(stored.coords["theta"])) for name in EULER_NAMES]
        if len({column.shape for column in columns}) > 1:
            raise InputError(f"{state.path}: phi, theta and psi have {[c.size for c in columns]} values")
        euler, source = np.stack(columns, axis=-1), state.path
        convention = convention or "active"
    if counts is not None and len(euler) != counts.shape[0]:
        raise InputError(
            f"{source}: {len(euler)} angles for the {counts.shape[0]} projections of {state.path}"
        )
    if convention is None:
        state.ask("angle_convention")
        return {}
    if convention == "passive":
        state.notes.append("passive angles were turned into active ones")
    return dict(zip(EULER_NAMES, to_active(euler, convention).T, strict=True))
