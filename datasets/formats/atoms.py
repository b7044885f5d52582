"""Atoms in and out as `.extxyz` and `.xyz`, through ASE."""

from __future__ import annotations

import os

import numpy as np
from ase import Atoms

from datasets.errors import InputError
from datasets.formats.outputs import check_suffix, check_writable, replacing
from datasets.formats.stored import check_file


def read_atoms(path: str | os.PathLike[str]) -> Atoms:
    """The structure in an `.extxyz` or `.xyz` file: positions [Å], and for extxyz its `info` and arrays.

    Raises `InputError` when the file is missing, damaged, or holds no structure or several.
    """
    import ase.io

    path = os.fspath(path)
    check_suffix(path, "a structure")
    check_file(path)
    try:
        with open(path, encoding="utf-8") as stream:
            stream.readline()
            extended = "Properties=" in stream.readline()
        frames = ase.io.read(path, index=":", format="extxyz" if extended else "xyz")
    except Exception as error:  # a damaged file makes the reader raise anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: cannot be read as atoms ({reason})") from error
    if len(frames) != 1:
        raise InputError(f"{path}: it holds {len(frames)} structures, expected one")
    atoms = frames[0]
    if not len(atoms):
        raise InputError(f"{path}: it holds no atoms")
    if not np.isfinite(atoms.positions).all():
        raise InputError(f"{path}: a position is not finite")
    return atoms


def write_atoms(path: str | os.PathLike[str], atoms: Atoms) -> None:
    """Write positions [Å] and species; `.extxyz` keeps `info` and every per-atom array too.

    An existing file is replaced. Raises `InputError`.
    """
    import ase.io

    path = os.fspath(path)
    suffix = check_writable(path, "a structure")
    with replacing(path) as part:
        ase.io.write(part, atoms, format=suffix.removeprefix("."))
