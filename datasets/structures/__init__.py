"""What is imaged: one module per generator, each with its `Parameters` (a card) and `generate`."""

from __future__ import annotations

import importlib
import pkgutil

from ase import Atoms

from datasets.cards import parse_card
from datasets.catalog import StructureCard
from datasets.errors import InputError, unknown_name


def generator_names() -> list[str]:
    """The names of all generators: the modules of this package."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def make_structure(card: StructureCard) -> Atoms:
    """The structure that `card` describes; the same card gives the same positions [Å].

    `info` carries `name, generator, seed, version`. Raises `InputError` for an unknown generator or
    parameter, and for a version of the generator that this dosebench does not have.
    """
    if card.generator not in generator_names():
        raise unknown_name("structure generator", card.generator, generator_names())
    module = importlib.import_module(f"{__name__}.{card.generator}")
    where = f"structure {card.generator}"
    if card.version != module.VERSION:
        raise InputError(f"{where}: version {card.version} is asked for, this dosebench has {module.VERSION}")
    atoms: Atoms = module.generate(parse_card(module.Parameters, card.parameters, where=where), card.seed)
    name = f"{atoms.get_chemical_formula()}-{card.generator}-{card.seed}"
    atoms.info = {"name": name, "generator": card.generator, "seed": card.seed, "version": card.version}
    return atoms
