"""The measurement: one xarray Dataset per modality, the same for real and simulated data.

Every axis is a coordinate with a `units` attribute. Frame: right-handed (x, y, z), the beam travels along +z,
an image is `[y, x]`; a tilt is an active rotation of the specimen (`rotations`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from ase.data import atomic_numbers
from scipy.spatial.transform import Rotation

from datasets.errors import InputError, StoreError, unknown_name

SCHEMA_VERSION = 1
EULER_SEQUENCE = "ZYX"
"""Intrinsic Euler sequence of (phi, theta, psi): R = Rz(phi) Ry(theta) Rx(psi), an active rotation."""


@dataclass(frozen=True)
class Modality:
    """The axes of one kind of measurement: `dims` of `counts`, for each coordinate its dimension and unit,
    and the dimensions of what may be recorded `beside`, also in electrons.
    """

    name: str
    dims: tuple[str, ...]
    coords: Mapping[str, tuple[str, str]]
    beside: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


_ANGLES = {"phi": ("tilt", "deg"), "theta": ("tilt", "deg"), "psi": ("tilt", "deg")}
_PIXELS = {"y": ("y", "Å"), "x": ("x", "Å")}

MODALITIES: dict[str, Modality] = {
    "adf": Modality("adf", ("tilt", "y", "x"), {**_ANGLES, **_PIXELS}),
    "4dstem": Modality(
        "4dstem",
        ("tilt", "scan", "ky", "kx"),
        {
            **_ANGLES,
            "scan_y": ("scan", "Å"),
            "scan_x": ("scan", "Å"),
            "ky": ("ky", "1/Å"),
            "kx": ("kx", "1/Å"),
        },
        beside={"adf": ("tilt", "scan")},
    ),
    "hrtem": Modality("hrtem", ("frame", "y", "x"), {"time": ("frame", "ms"), **_PIXELS}),
}

REQUIRED_ATTRS = (
    "modality",
    "schema_version",
    "dose_per_area",
    "dose_total",
    "pixel_size",
    "background",
    "elements",
)
"""dose_per_area [e⁻/Å² per image], dose_total [e⁻/Å² over all images], pixel_size [Å], background [e⁻/pixel],
elements (symbols of the species known to be present)."""

OPTICS_ATTRS = (
    "energy_eV",
    "semiangle_mrad",
    "defocus",
    "Cs",
    "focal_spread",
    "detector_inner_mrad",
    "detector_outer_mrad",
    "detector_binning",
    "source_sigma",
    "convergence_mrad",
    "aperture_mrad",
    "psf_sigma",
    "dqe",
)
"""Optional: energy_eV [eV], angles [mrad], defocus, Cs, focal_spread and source_sigma [Å]; of diffraction
patterns detector_binning: of how many points along each axis, evenly spaced within it, a pixel is the sum; of
an HRTEM frame also the semiangles of illumination and objective aperture [mrad], the detector's point spread
(standard deviation, beside the square of the pixel) [pixel], and the part of the electrons that it counts."""


def make_measurement(
    modality: str,
    counts: npt.NDArray[Any],
    coords: Mapping[str, npt.ArrayLike],
    *,
    dose_per_area: float,
    pixel_size: float,
    background: float,
    elements: Sequence[str],
    optics: Mapping[str, float] | None = None,
    beside: Mapping[str, npt.NDArray[Any]] | None = None,
) -> xr.Dataset:
    """A checked measurement from plain arrays.

    `counts` has the modality's dimensions (`MODALITIES[modality].dims`) in electrons per pixel; `coords`
    holds every coordinate of the modality in its unit. `dose_per_area` [e⁻/Å²] is per image. `beside` is what
    else was recorded (`Modality.beside`): of a 4D-STEM series `adf`, the electrons on an annular detector.
    Raises `InputError`.
    """
    if modality not in MODALITIES:
        raise unknown_name("modality", modality, MODALITIES)
    kind = MODALITIES[modality]
    if counts.ndim != len(kind.dims):
        raise InputError(
            f"counts of a {modality} measurement need dimensions ({', '.join(kind.dims)}), "
            f"got shape {counts.shape}"
        )
    data = xr.Dataset({"counts": (kind.dims, counts, {"units": "electron"})})
    for name, (dim, units) in kind.coords.items():
        if name not in coords:
            raise InputError(
                f"coordinate {name!r} [{units}] on {dim!r} is missing from the {modality} measurement"
            )
        values = np.asarray(coords[name], dtype=np.float64)
        if values.shape != (data.sizes[dim],):
            raise InputError(
                f"coordinate {name!r} has shape {values.shape}, "
                f"but counts has {data.sizes[dim]} along {dim!r}"
            )
        data = data.assign_coords({name: (dim, values, {"units": units})})
    for name, values in (beside or {}).items():
        if name not in kind.beside:
            raise unknown_name(f"variable of a {modality} measurement", name, kind.beside)
        data[name] = (kind.beside[name], values, {"units": "electron"})
    data.attrs = {
        "modality": modality,
        "schema_version": SCHEMA_VERSION,
        "dose_per_area": float(dose_per_area),
        "dose_total": float(dose_per_area) * counts.shape[0],
        "pixel_size": float(pixel_size),
        "background": float(background),
        "elements": elements if isinstance(elements, str) else list(elements),
        **{name: float(value) for name, value in (optics or {}).items()},
    }
    check_measurement(data)
    return data


def check_measurement(data: xr.Dataset, *, where: str = "measurement") -> None:
    """Hold a dataset to the schema; raise `InputError` with one sentence naming `where` and the field."""
    missing = [name for name in REQUIRED_ATTRS if name not in data.attrs]
    if missing:
        raise InputError(f"{where}: attribute {missing[0]!r} is missing")
    version = data.attrs["schema_version"]
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{where}: written with schema version {version}, this dosebench reads up to {SCHEMA_VERSION}; "
            "upgrade it"
        )
    name = data.attrs["modality"]
    if name not in MODALITIES:
        raise InputError(f"{where}: {unknown_name('modality', str(name), MODALITIES)}")
    kind = MODALITIES[name]
    _check_axes(data, kind, where)
    for variable in ("counts", *kind.beside):
        if variable in data:
            _check_counts(data[variable].values, f"{where}: {variable}")
    _check_attributes(data.attrs, where)


def _check_axes(data: xr.Dataset, kind: Modality, where: str) -> None:
    if "counts" not in data:
        raise InputError(f"{where}: variable 'counts' is missing")
    if data["counts"].dims != kind.dims:
        raise InputError(
            f"{where}: counts has dimensions {data['counts'].dims}, a {kind.name} one has {kind.dims}"
        )
    if 0 in data["counts"].shape:
        raise InputError(f"{where}: counts is empty, its shape is {data['counts'].shape}")
    for coord, (dim, units) in kind.coords.items():
        if coord not in data.coords:
            raise InputError(f"{where}: coordinate {coord!r} [{units}] on {dim!r} is missing")
        if data[coord].dims != (dim,):
            raise InputError(
                f"{where}: coordinate {coord!r} must lie on {dim!r}, it has dims {data[coord].dims}"
            )
        found = data[coord].attrs.get("units")
        if found != units:
            raise InputError(f"{where}: coordinate {coord!r} must have units {units!r}, it has {found!r}")
        if not np.isfinite(data[coord].values).all():
            raise InputError(f"{where}: coordinate {coord!r} holds a value that is not finite")
    for beside, dims in kind.beside.items():
        if beside in data and data[beside].dims != dims:
            raise InputError(f"{where}: {beside} has dimensions {data[beside].dims}, it must have {dims}")
    for axis in sorted({"x", "y", "kx", "ky"} & set(kind.coords)):
        step = np.diff(data[axis].values)
        if step.size and (step.min() <= 0 or np.ptp(step) > 1e-3 * step.mean()):
            raise InputError(f"{where}: coordinate {axis!r} must increase in even steps")
        if axis in ("kx", "ky"):
            continue
        size = float(data.attrs["pixel_size"])
        if step.size and abs(step.mean() - size) > 1e-3 * size:
            raise InputError(
                f"{where}: pixel_size is {size:g} Å, but coordinate {axis!r} has a step of {step.mean():g} Å"
            )


def _check_counts(counts: npt.NDArray[Any], where: str) -> None:
    if counts.dtype.kind not in "uif":
        raise InputError(f"{where} must be numbers, not {counts.dtype}")
    if counts.dtype.kind == "f" and not np.isfinite(counts).all():
        raise InputError(f"{where} holds {np.count_nonzero(~np.isfinite(counts))} values that are not finite")
    if counts.dtype.kind != "u" and counts.min() < 0:
        raise InputError(f"{where} holds {np.count_nonzero(counts < 0)} negative values")


def _check_attributes(attrs: Mapping[str, Any], where: str) -> None:
    for name in ("dose_per_area", "dose_total", "pixel_size"):
        if not attrs[name] > 0:
            raise InputError(f"{where}: attribute {name!r} must be positive, it is {attrs[name]!r}")
    if not attrs["background"] >= 0:
        raise InputError(
            f"{where}: attribute 'background' must not be negative, it is {attrs['background']!r}"
        )
    check_elements(attrs["elements"], where=where)


def check_elements(elements: Sequence[str], *, where: str) -> None:
    """Raise `InputError` unless `elements` is a non-empty list of chemical symbols, each one once."""
    if isinstance(elements, str) or not len(elements):
        raise InputError(
            f"{where}: 'elements' must be a non-empty list of chemical symbols, it is {elements!r}"
        )
    for symbol in elements:
        if symbol not in atomic_numbers or symbol == "X":
            raise InputError(f"{where}: unknown element {symbol!r} in 'elements'")
    if len(set(elements)) != len(elements):
        raise InputError(f"{where}: 'elements' names a species twice: {list(elements)}")


def rotations(data: xr.Dataset) -> Rotation:
    """The active specimen rotation of every tilt of `data`, from its `phi, theta, psi` [deg]."""
    angles = np.stack([data["phi"].values, data["theta"].values, data["psi"].values], axis=-1)
    return Rotation.from_euler(EULER_SEQUENCE, angles, degrees=True)


def pixel_axis(n: int, pixel_size: float) -> npt.NDArray[np.float64]:
    """Coordinates [Å] of `n` pixel centres, `pixel_size` [Å] apart, with pixel n // 2 at the origin."""
    return (np.arange(n, dtype=np.float64) - n // 2) * pixel_size
