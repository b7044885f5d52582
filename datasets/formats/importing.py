"""From a file of another program to a checked measurement: nothing is guessed, what is missing is asked."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import xarray as xr

from datasets.errors import InputError, unknown_name
from datasets.formats.angles import Convention
from datasets.formats.arrange import (
    ASKED_AS,
    OPTICS_OF_SCANS,
    ImportState,
    arrange_coordinates,
    arrange_counts,
    arrange_scan,
)
from datasets.formats.hdf5 import read_hdf5
from datasets.formats.matlab import read_matlab
from datasets.formats.mrc import read_mrc
from datasets.formats.numpy_files import read_npy, read_npz
from datasets.formats.patterns import Layout
from datasets.formats.stored import HDF5_SUFFIXES, StoredArray, check_file, split_variable, symbols
from datasets.schema import MODALITIES, OPTICS_ATTRS, check_elements, make_measurement

MRC_SUFFIXES = (".mrc", ".mrcs", ".st", ".rec", ".ali")
SUFFIXES = (".npz", ".npy", ".mat", *MRC_SUFFIXES, *HDF5_SUFFIXES)

LEAST_ENERGY = 5e3
"""Below this [eV] an energy was meant in keV."""
CONFLICT = 0.01
"""Relative difference above which an option that overrides a file's own value is noted in the measurement."""


def import_measurement(
    file: str | os.PathLike[str],
    *,
    modality: str = "adf",
    axes: str | Sequence[str] | None = None,
    pixel_size: float | None = None,
    angles: str | os.PathLike[str] | None = None,
    angle_convention: Convention | None = None,
    dose: float | None = None,
    background: float | None = None,
    elements: str | Sequence[str] | None = None,
    energy_eV: float | None = None,
    reciprocal_pixel_size: float | None = None,
    semiangle_mrad: float | None = None,
    defocus: float | None = None,
    variable: str | None = None,
    gain: float | None = None,
    offset: float | None = None,
    centre: str | None = None,
    flip: str | None = None,
    turn: float | None = None,
) -> xr.Dataset:
    """The measurement in `file`, checked against `datasets.schema`.

    `file` is `.npz`, `.npy`, `.mat` (version 5 or 7.3), MRC (`.mrc .mrcs .st .rec .ali`) or HDF5 (`.h5 .hdf5
    .emd .hspy`), with the array's name in `variable` or as `FILE.mat:variable` where the file holds several.
    `axes` names the array's axes in the order in which the file's own program shows them ("y,x,tilt" for most
    MATLAB stacks). `angles` is a file for `read_angles` and `angle_convention` says what they turn
    (`to_active`); angles named phi, theta, psi inside an `.npz` are active. `pixel_size` [Å], `dose` [e⁻/Å²
    per image], `background` [e⁻/pixel], `energy_eV` [eV], `semiangle_mrad`, `defocus` [Å, underfocus
    positive]. Of diffraction patterns, whose scan may have two axes, scan_y and scan_x, and whose one tilt
    none, `pixel_size` is the step of the scan and `reciprocal_pixel_size` [1/Å] that of the patterns;
    `centre`, `flip` and `turn` say how they lie on the detector (`datasets.formats.patterns.Layout`), and
    what they show has to agree with the beam that is stated. Intensities that are not electrons become
    (value − `offset`) / `gain`, with `gain` per electron.

    Coordinates x and y grow with the array's index. In a picture with its first row on top, y points down,
    and in the right-handed frame the beam then goes away from the viewer; images taken from the other side
    have to be flipped first, or the answer is mirrored. Where the file gives no coordinates, the origin of
    the specimen is at pixel n // 2. An option wins over what the file says; a difference above 1 % is noted
    in the attribute `import_notes`, as is everything else that was converted. Raises `InputError`, naming at
    once all options that are missing.
    """
    path, inside = split_variable(file)
    if inside is not None and variable not in (None, inside):
        raise InputError(f"{path}: {inside!r} and --variable {variable!r} name two arrays; give one")
    positive = {
        "--pixel-size": pixel_size,
        "--dose": dose,
        "--gain": gain,
        "--energy": energy_eV,
        "--reciprocal-pixel-size": reciprocal_pixel_size,
        "--semiangle": semiangle_mrad,
    }
    _check_options(modality, positive, background, angle_convention)
    layout = Layout.of(centre, flip, turn)
    if modality != "4dstem" and layout.given:
        raise InputError(
            f"--centre, --flip and --rotate-detector are for diffraction patterns, not {modality}"
        )
    if offset is not None and not np.isfinite(offset):
        raise InputError(f"--offset must be finite, it is {offset:g}")
    if elements is not None:
        check_elements(symbols(elements), where="--elements")
    check_file(path)
    stored = _read(path, inside or variable, modality)
    state = ImportState(path, modality)
    if stored.ignored:
        state.notes.append(f"arrays that were not used: {', '.join(stored.ignored)}")
    given = {
        "pixel_size": pixel_size,
        "dose_per_area": dose,
        "background": background,
        "elements": symbols(elements) if elements is not None else None,
        "energy_eV": energy_eV,
        "semiangle_mrad": semiangle_mrad,
        "defocus": defocus,
    }
    attributes = _attributes(state, stored, given)
    if reciprocal_pixel_size is None:
        reciprocal_pixel_size = stored.attributes.get("reciprocal_pixel_size")
    counts = arrange_counts(state, stored, MODALITIES[modality].dims, axes, gain, offset)
    coords = arrange_coordinates(
        state,
        stored,
        counts,
        modality,
        attributes.get("pixel_size"),
        angles,
        angle_convention,
        rescale=pixel_size is not None,
        reciprocal_pixel_size=reciprocal_pixel_size,
    )
    if counts is None or state.missing:
        raise _missing(state, stored, MODALITIES[modality].dims, counts is not None)
    if modality == "4dstem":
        counts = arrange_scan(state, stored, counts, coords, attributes, layout, reciprocal_pixel_size)
    data = _make(path, modality, counts, coords, attributes, stored.beside)
    notes = [*stored.attributes.get("import_notes", ()), *state.notes]
    if notes:
        data.attrs["import_notes"] = notes
    return data


def _check_options(
    modality: str,
    positive: Mapping[str, float | None],
    background: float | None,
    angle_convention: str | None,
) -> None:
    if modality not in MODALITIES:
        raise unknown_name("modality", modality, MODALITIES)
    for option, value in positive.items():
        if value is not None and not 0 < value < np.inf:
            raise InputError(f"{option} must be positive, it is {value:g}")
    if background is not None and not 0 <= background < np.inf:
        raise InputError(f"--background must not be negative, it is {background:g}")
    energy = positive["--energy"]
    if energy is not None and energy < LEAST_ENERGY:
        raise InputError(f"--energy is in eV, so {energy:g} is too little; 300 keV are 300e3")
    if angle_convention is not None and angle_convention not in get_args(Convention):
        raise InputError(f"--angle-convention must be active or passive, it is {angle_convention!r}")


def _read(path: str, variable: str | None, modality: str) -> StoredArray:
    suffix = os.path.splitext(path)[1].lower()
    if suffix == ".npz":
        return read_npz(path, variable=variable, modality=modality)
    if suffix == ".mat":
        return read_matlab(path, variable=variable, modality=modality)
    if suffix in HDF5_SUFFIXES:
        return read_hdf5(path, variable=variable, modality=modality)
    if suffix not in SUFFIXES:
        raise InputError(
            f"{path}: files of type {suffix or 'none'!r} are not read; known: {', '.join(SUFFIXES)}"
        )
    if variable is not None:
        raise InputError(
            f"{path}: a {suffix} file holds one array, so --variable {variable!r} has no meaning"
        )
    return read_npy(path) if suffix == ".npy" else read_mrc(path, modality=modality)


def _attributes(state: ImportState, stored: StoredArray, given: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: value for name, value in stored.attributes.items() if name != "import_notes"}
    x = stored.coords.get("x")
    if "pixel_size" not in found and x is not None and x.size > 1:
        found["pixel_size"] = abs(float(np.diff(x).mean()))
    for name, value in given.items():
        if value is None:
            needed = state.modality == "4dstem" and not stored.exported
            if name in ASKED_AS and name not in found and (needed or name not in OPTICS_OF_SCANS):
                state.ask(name, stored.hints.get(name))
            continue
        if name in found and _differs(found[name], value):
            state.notes.append(f"{name} is {_show(value)} as said, the file has {_show(found[name])}")
        found[name] = value
    return found


def _differs(one: Any, other: Any) -> bool:
    if isinstance(one, list):
        return one != other
    return bool(abs(one - other) > CONFLICT * max(abs(one), abs(other)))


def _show(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else f"{value:g}"


def _missing(state: ImportState, stored: StoredArray, dims: tuple[str, ...], axes_known: bool) -> InputError:
    """One sentence that names every option that is needed."""
    missing = "; ".join(state.missing)
    if axes_known:
        return InputError(f"{state.path}: the file does not say it all, give also {missing}")
    raster = "scan" in dims and stored.values.ndim > len(dims)
    example = "tilt,scan_y,scan_x,ky,kx" if raster else ",".join((*dims[1:], dims[0]))
    called = f", the file calls them {stored.hints['axes']}" if "axes" in stored.hints else ""
    return InputError(
        f"{state.path}: say which axis is which with --axes, e.g. --axes {example} "
        f"(the array's shape is {stored.values.shape}{called})"
        + (f"; give also {missing}" if missing else "")
    )


def _make(
    path: str,
    modality: str,
    counts: npt.NDArray[Any],
    coords: Mapping[str, npt.NDArray[np.float64]],
    attributes: Mapping[str, Any],
    beside: Mapping[str, npt.NDArray[Any]],
) -> xr.Dataset:
    try:
        return make_measurement(
            modality,
            counts,
            coords,
            dose_per_area=attributes["dose_per_area"],
            pixel_size=attributes["pixel_size"],
            background=attributes["background"],
            elements=attributes["elements"],
            optics={name: attributes[name] for name in OPTICS_ATTRS if name in attributes},
            beside=beside,
        )
    except InputError as error:
        raise InputError(f"{path}: {str(error).removeprefix('measurement: ')}") from error
