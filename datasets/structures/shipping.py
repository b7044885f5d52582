"""Structures that come with dosebench: made once by long molecular dynamics, so that everybody has the same.

`python -m datasets.structures.shipping NAME` makes one anew and writes its file, about 12 bytes per atom.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from ase import Atoms

from datasets.catalog import StructureCard, StructureRecipe, load_structure

FOLDER = Path(__file__).parent / "shipped"
RESOLUTION = 1e-4
"""Positions are kept as whole multiples of this [Å]."""


def shipped(recipe: StructureRecipe) -> Atoms | None:
    """The structure of exactly this recipe as it comes with dosebench; None where it does not."""
    for path in FOLDER.glob(f"*-{recipe.key()}.npz"):
        with np.load(path) as file:
            positions = file["positions"] * RESOLUTION
            return Atoms(
                file["numbers"],
                positions,
                cell=file["cell"],
                pbc=file["pbc"],
                info=json.loads(str(file["info"])),
            )
    return None


def ship(card: StructureCard, atoms: Atoms) -> Path:
    """Write the file of `card`'s structure, and remove those of its earlier recipes."""
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob(f"{card.name}-{'?' * 16}.npz"):
        old.unlink()
    path = FOLDER / f"{card.name}-{card.recipe.key()}.npz"
    np.savez_compressed(
        path,
        numbers=atoms.numbers.astype(np.uint8),
        positions=np.rint(atoms.positions / RESOLUTION).astype(np.int32),
        cell=atoms.cell.array,
        pbc=atoms.pbc,
        info=json.dumps(atoms.info),
    )
    return path


def main(name: str, root: str | None = None) -> None:
    """Make the structure `name` of the catalog and ship it; a stopped run goes on below the data root."""
    from datasets.store import data_root
    from datasets.structures import make_structure

    card = load_structure(name)
    atoms = make_structure(card.recipe, root=root or data_root(), progress=True, use_shipped=False)
    print(ship(card, atoms))


if __name__ == "__main__":
    main(*sys.argv[1:])
