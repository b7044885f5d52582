"""Atoms in from `.extxyz`, `.xyz` and `.cif` (through ASE) and `.mat` files; out as `.extxyz` and `.xyz`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.data import atomic_numbers

from datasets.errors import InputError
from datasets.formats.matlab import MatlabFile
from datasets.formats.outputs import check_writable, replacing
from datasets.formats.stored import check_file

READABLE = (".extxyz", ".xyz", ".cif", ".mat")
"""The types of file that structures are read from."""


def read_atoms(
    path: str | os.PathLike[str],
    *,
    coordinates: str | None = None,
    types: str | None = None,
    types_path: str | os.PathLike[str] | None = None,
    elements: Sequence[str] = (),
) -> Atoms:
    """The structure in a file: positions [Å], and for extxyz its `info` and arrays.

    An `.xyz`, `.extxyz` or `.cif` names its species; a `.cif` gives the atoms of one unit cell. A `.mat`
    holds a 3 × N (or N × 3) matrix of coordinates and a list of N types 1, 2, …, of which `elements` are the
    species; the types may lie in a file of their own, `types_path`, and one species needs none.
    `coordinates` and `types` name the variables; without them, the only ones of these shapes are taken.

    Raises `InputError` when a file is missing, damaged, holds no structure or several, or says something that
    is no atom.
    """
    path = os.fspath(path)
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in READABLE:
        known = f"{', '.join(READABLE[:-1])} or {READABLE[-1]}"
        raise InputError(
            f"{path}: a structure is read from a {known} file, not {suffix or 'one of no suffix'}"
        )
    check_file(path)
    if suffix == ".mat":
        return _read_matlab(path, coordinates, types, types_path, elements)
    if coordinates is not None or types is not None or types_path is not None or elements:
        raise InputError(
            f"{path}: coordinates, types, types_path and elements are said of .mat files only; "
            f"a {suffix} file names its own"
        )
    return _read_text(path, suffix)


def _read_text(path: str, suffix: str) -> Atoms:
    """The one structure in a file that ASE reads."""
    import ase.io

    try:
        if suffix == ".cif":
            frames = ase.io.read(path, index=":", format="cif")
        else:
            with open(path, encoding="utf-8") as stream:
                stream.readline()
                extended = "Properties=" in stream.readline()
            frames = ase.io.read(path, index=":", format="extxyz" if extended else "xyz")
    except KeyError as error:
        reason = f"unknown element {error.args[0]!r}" if error.args else "a key is missing"
        raise InputError(f"{path}: cannot be read as atoms ({reason})") from error
    except Exception as error:  # a damaged file makes the reader raise anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: cannot be read as atoms ({reason})") from error
    if len(frames) != 1:
        raise InputError(f"{path}: it holds {len(frames)} structures, expected one")
    atoms = frames[0]
    if not len(atoms):
        raise InputError(f"{path}: it holds no atoms")
    strange = np.flatnonzero(atoms.numbers == 0)
    if len(strange):
        raise InputError(f"{path}: atom {strange[0] + 1} is of no element ('X')")
    _check_finite(path, "a position", atoms.positions)
    if suffix == ".cif":
        _check_occupancy(path, atoms.info.get("occupancy"))
    return atoms


def _check_occupancy(path: str, occupancy: dict[str, dict[str, float]] | None) -> None:
    """A site that is empty or of another species in part is no atom."""
    for site, shares in (occupancy or {}).items():
        if len(shares) != 1 or min(shares.values()) < 1:
            said = ", ".join(f"{share:g} {species}" for species, share in shares.items())
            raise InputError(
                f"{path}: field _atom_site_occupancy: site {site} holds {said}, expected one whole atom; "
                "write out one arrangement of the atoms"
            )


def _read_matlab(
    path: str,
    coordinates: str | None,
    types: str | None,
    types_path: str | os.PathLike[str] | None,
    elements: Sequence[str],
) -> Atoms:
    """The structure in a `.mat`, see `read_atoms`."""
    if not elements:
        raise InputError(
            f"{path}: a .mat file numbers its species: say in `elements` which types 1, 2, … are"
        )
    for element in elements:
        if atomic_numbers.get(element, 0) == 0:
            raise InputError(f"{path}: elements: unknown element {element!r}")
    file = MatlabFile(path)
    tables = {name: shape for name, shape in file.shapes.items() if _is_table(shape)}
    chosen = _choose(path, file.shapes, tables, coordinates, "coordinates", "3 × N (or N × 3) matrix")
    positions = np.asarray(file.load(chosen), dtype=float)
    if positions.shape[0] == 3:
        positions = positions.T
    _check_finite(path, f"variable {chosen!r}: a coordinate", positions)
    if len(elements) == 1 and types is None and types_path is None:
        kinds = np.ones(len(positions), dtype=int)
    else:
        kinds = _read_types(path, file, types, types_path, len(positions), len(elements))
    return Atoms([elements[kind - 1] for kind in kinds], positions=positions)


def _read_types(
    path: str,
    file: MatlabFile,
    types: str | None,
    types_path: str | os.PathLike[str] | None,
    n_atoms: int,
    n_elements: int,
) -> npt.NDArray[np.int_]:
    """The types 1 to `n_elements` of all atoms, (n_atoms,), from `file` or the one at `types_path`."""
    if types_path is not None:
        path = os.fspath(types_path)
        check_file(path)
        file = MatlabFile(path)
    lists = {name: shape for name, shape in file.shapes.items() if _length(shape) == n_atoms}
    chosen = _choose(
        path, file.shapes, lists, types, "types", f"list of {n_atoms} whole numbers, one an atom,"
    )
    values = np.asarray(file.load(chosen), dtype=float).reshape(-1)
    wrong = np.flatnonzero(~np.isin(values, np.arange(1, n_elements + 1)))
    if len(wrong):
        raise InputError(
            f"{path}: variable {chosen!r}: the type of atom {wrong[0] + 1} is {values[wrong[0]]:g}, "
            f"expected a whole number from 1 to {n_elements}, as many as there are elements"
        )
    return values.astype(int)


def _choose(
    path: str,
    shapes: dict[str, tuple[int, ...]],
    fitting: dict[str, tuple[int, ...]],
    wanted: str | None,
    option: str,
    what: str,
) -> str:
    """The variable `wanted`, or the only `fitting` one."""
    listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "none"
    if wanted is not None:
        if wanted in fitting:
            return wanted
        if wanted in shapes:
            raise InputError(f"{path}: variable {wanted!r} has shape {shapes[wanted]}, expected a {what}")
        raise InputError(f"{path}: there is no array {wanted!r} in it; its arrays are: {listed}")
    if len(fitting) == 1:
        return next(iter(fitting))
    if not fitting:
        raise InputError(f"{path}: there is no {what} in it; its arrays are: {listed}")
    raise InputError(f"{path}: say in `{option}` which of its arrays to read: {', '.join(fitting)}")


def _is_table(shape: tuple[int, ...]) -> bool:
    return len(shape) == 2 and 3 in shape and min(shape) > 0


def _length(shape: tuple[int, ...]) -> int:
    """The length of a MATLAB vector, 0 for anything else."""
    return max(shape) if len(shape) == 2 and min(shape) == 1 else 0


def _check_finite(path: str, what: str, positions: npt.NDArray[Any]) -> None:
    wrong = np.flatnonzero(~np.isfinite(positions).all(axis=1))
    if len(wrong):
        raise InputError(f"{path}: {what} is not finite (atom {wrong[0] + 1})")


def write_atoms(path: str | os.PathLike[str], atoms: Atoms) -> None:
    """Write positions [Å] and species; `.extxyz` keeps `info` and every per-atom array too.

    An existing file is replaced. Raises `InputError`.
    """
    import ase.io

    path = os.fspath(path)
    suffix = check_writable(path, "a structure")
    with replacing(path) as part:
        ase.io.write(part, atoms, format=suffix.removeprefix("."))
