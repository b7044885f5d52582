"""What is imaged: one module per generator, each with its `Parameters` (a card), `VERSION` and `generate`.

    generate(parameters, seed, work) -> ase.Atoms, positions in Å centred on the origin

Structures are kept: those in `shipped/` come with dosebench, others below the data root by content key.
Molecular dynamics is chaotic: the same seed gives the same atoms on the same machine with the same libraries,
another sample of the same kind elsewhere. What was stored is what counts, and its `info` says who made it.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from ase import Atoms

from datasets.cards import parse_card
from datasets.catalog import StructureRecipe
from datasets.errors import InputError, unknown_name
from datasets.pieces import has_piece, join, read_piece, write_piece
from datasets.store import atoms_to_dataset, dataset_to_atoms
from datasets.structures.shipping import shipped
from datasets.structures.workspace import Workspace

GENERATORS = (
    "amorphous_silicon",
    "fcc_particle",
    "film",
    "from_file",
    "graphene",
    "metallic_glass",
    "nanoparticle",
    "ordered_alloy",
    "rock_salt",
    "silica",
    "tetrahedral_alloy",
)


def make_structure(
    recipe: StructureRecipe, *, root: str | None = None, progress: bool = False, use_shipped: bool = True
) -> Atoms:
    """The structure of `recipe`: shipped with dosebench, stored below `root`, or made now (and stored there).

    `info` carries `name, generator, seed, version`. Raises `InputError`
    for an unknown generator or parameter, and for a version of the generator that this dosebench does not
    have.
    """
    if recipe.generator not in GENERATORS:
        raise unknown_name("structure generator", recipe.generator, GENERATORS)
    module = importlib.import_module(f"{__name__}.{recipe.generator}")
    where = f"structure {recipe.generator}"
    if recipe.version != module.VERSION:
        raise InputError(
            f"{where}: version {recipe.version} is asked for, this dosebench has {module.VERSION}"
        )
    parameters = parse_card(module.Parameters, recipe.parameters, where=where)
    url = None if root is None else join(root, "structures", recipe.key())
    kept = shipped(recipe) if use_shipped else None
    if kept is not None:
        return kept
    if url is not None and has_piece(url):
        return dataset_to_atoms(read_piece(url))
    work = Workspace(_checkpoints(url), progress)
    atoms: Atoms = module.generate(parameters, recipe.seed, work)
    name = f"{atoms.get_chemical_formula()}-{recipe.generator}-{recipe.seed}"
    atoms.info = {
        **atoms.info,
        "name": name,
        "generator": recipe.generator,
        "seed": recipe.seed,
        "version": recipe.version,
    }
    if url is not None:
        write_piece(url, atoms_to_dataset(atoms))
    work.clear()
    return atoms


def _checkpoints(url: str | None) -> Path | None:
    """Where long work on the structure stored at `url` keeps checkpoints: only on a disk of this machine."""
    return None if url is None or "://" in url else Path(f"{url}.work")
