"""A structure from elsewhere: the atoms of an `.xyz`, `.extxyz`, `.cif` or `.mat` file.

A card names the file relative to itself (without a card, relative to the working directory). What counts is
what is in it: its SHA-256 is put into the parameters when the card is loaded and stands for the file in every
content key, so that a changed file is another structure, and a moved one is not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from ase import Atoms
from pydantic import Field, field_validator
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from datasets.cards import Card
from datasets.errors import InputError
from datasets.structures.workspace import Workspace

VERSION = 1
CLOSEST = 0.5
"""No two atoms of any material are closer than this [Å]; H₂, the shortest of all bonds, is 0.74 Å long."""


class Parameters(Card):
    """Which file, and what is done with its atoms."""

    path: str
    """An `.xyz`, `.extxyz`, `.cif` or `.mat` file."""
    types_path: str | None = None
    """The `.mat` file that holds the types, where they are not in `path`."""
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    """SHA-256 of the file, or of `path` and `types_path` one after the other; filled in where not stated."""
    coordinates: str | None = None
    """The variable of a `.mat` with the coordinates, 3 × N or N × 3; needed where there are several."""
    types: str | None = None
    """The variable of a `.mat` with the types 1, 2, … of the N atoms; needed where there are several."""
    elements: tuple[str, ...] = ()
    """The species of types 1, 2, … of a `.mat`."""
    scale: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Å per unit of length in the file: 1 for Å, 10 for nm, the voxel for pixels."""
    repeat: tuple[int, int, int] = (1, 1, 1)
    """Unit cells along each axis of a crystal: the atoms of so many cells, as a particle in vacuum."""
    centre: Literal["mean", "box", "keep"] = "mean"
    """What comes to lie on the origin: the mean of the positions, the middle of their bounding box, or the
    origin of the file.
    """
    rotation: tuple[float, float, float] | Literal["random"] = (0.0, 0.0, 0.0)
    """The turn about the origin: angles (phi, theta, psi) [deg] about z, y and x, as of a tilt, or `random`:
    one for each seed.
    """

    @field_validator("repeat")
    @classmethod
    def _some_cells(cls, repeat: tuple[int, int, int]) -> tuple[int, int, int]:
        if min(repeat) < 1:
            raise ValueError("there must be at least one cell along each axis")
        return repeat


def generate(parameters: Parameters, seed: int, work: Workspace) -> Atoms:
    """The atoms of the file, scaled, repeated, centred and turned [Å]; `seed` is for a random turn only.

    A periodic structure becomes a particle: its cell is forgotten, and atoms are where the file says, on
    whichever side of the cell. Raises `InputError` naming the file and the field.
    """
    from datasets.formats import read_atoms

    found = _digest(parameters.path, parameters.types_path)
    if parameters.sha256 not in (None, found):
        raise InputError(_mismatch(parameters.path, str(parameters.sha256), found))
    atoms = read_atoms(
        parameters.path,
        coordinates=parameters.coordinates,
        types=parameters.types,
        types_path=parameters.types_path,
        elements=parameters.elements,
    )
    if parameters.repeat != (1, 1, 1):
        if atoms.cell.rank < 3:
            raise InputError(f"{parameters.path}: repeat: it has no unit cell to repeat")
        atoms = atoms.repeat(parameters.repeat)
    positions = atoms.positions * parameters.scale
    _check_distances(parameters.path, positions)
    if parameters.centre == "mean":
        positions -= positions.mean(axis=0)
    elif parameters.centre == "box":
        positions -= (positions.min(axis=0) + positions.max(axis=0)) / 2
    if parameters.rotation == "random":
        turn = Rotation.random(rng=np.random.default_rng(np.random.SeedSequence(seed)))
    else:
        turn = Rotation.from_euler("ZYX", parameters.rotation, degrees=True)
    return Atoms(numbers=atoms.numbers, positions=turn.apply(positions))


def with_content(parameters: Mapping[str, Any], folder: Path | None) -> dict[str, Any]:
    """`parameters` with absolute paths, relative ones starting at `folder`, and the SHA-256 of the content.

    Raises `InputError` for a file that is missing or does not have the SHA-256 that is stated.
    """
    filled = dict(parameters)
    for name in ("path", "types_path"):
        if isinstance(filled.get(name), str):
            filled[name] = str((folder or Path()).joinpath(filled[name]).resolve())
    if not isinstance(filled.get("path"), str):
        return filled  # the generator's own card says what is missing
    found = _digest(filled["path"], filled.get("types_path"))
    stated = filled.setdefault("sha256", found)
    if stated is None:
        filled["sha256"] = found
    elif stated != found:
        raise InputError(_mismatch(filled["path"], stated, found))
    return filled


def _digest(*paths: str | None) -> str:
    """SHA-256 of the content of all files, one after the other."""
    from datasets.formats.stored import check_file

    digest = hashlib.sha256()
    for path in paths:
        if path is not None:
            check_file(path)
            digest.update(Path(path).read_bytes())
    return digest.hexdigest()


def _mismatch(path: str, stated: str, found: str) -> str:
    return f"{path}: its SHA-256 is {found}, not {stated} as stated: it is another file, or was changed since"


def _check_distances(path: str, positions: npt.NDArray[np.float64]) -> None:
    if len(positions) < 2:
        return
    found = KDTree(positions).query(positions, k=2)
    distances, neighbours = np.asarray(found[0])[:, 1], np.asarray(found[1])[:, 1]
    first = int(np.argmin(distances))
    if distances[first] < CLOSEST:
        raise InputError(
            f"{path}: atoms {first + 1} and {neighbours[first] + 1} are {distances[first]:.3g} Å apart, "
            f"expected {CLOSEST} Å or more: an atom is there twice, or the unit is not Å (see scale)"
        )
