"""Every structure of the catalog, as dosebench hands it out, lies within the ranges of its card."""

import pytest
from ase.build import bulk

from datasets.catalog import load_structure, structure_names
from datasets.structures import make_structure
from datasets.structures.shipping import FOLDER, shipped
from datasets.structures.validate import validate

LARGE = {"si-19993", "sigesn-13982", "copdpt-18356", "sio2-7704"}
NAMES = [pytest.param(n, marks=pytest.mark.slow if n in LARGE else ()) for n in structure_names()]


@pytest.mark.parametrize("name", NAMES)
def test_it_lies_in_the_ranges_of_its_card(name: str) -> None:
    card = load_structure(name)
    assert card.expected, f"{name} has no ranges"
    rows = validate(make_structure(card.recipe), card)
    assert [(row.quantity, row.value, row.low, row.high) for row in rows if not row.within] == []


def test_a_crystal_does_not_pass_for_a_glass() -> None:
    """The ranges of amorphous silicon tell a diamond lattice, whose bonds and angles they hold."""
    crystal = bulk("Si", cubic=True) * (5, 5, 5)
    crystal.pbc = False
    rows = validate(crystal, load_structure("si-208"))
    assert {"crystalline_fraction", "bond_angle_std"} <= {row.quantity for row in rows if not row.within}


def test_what_is_shipped_belongs_to_a_card() -> None:
    """A recipe that changes leaves no stale file behind, and structures of long dynamics come along."""
    keys = {f"{name}-{load_structure(name).recipe.key()}.npz" for name in structure_names()}
    assert {path.name for path in FOLDER.glob("*.npz")} <= keys
    for name in LARGE:
        assert shipped(load_structure(name).recipe) is not None


@pytest.mark.parametrize("name", structure_names())
def test_shipped_atoms_say_who_made_them(name: str) -> None:
    recipe = load_structure(name).recipe
    atoms = shipped(recipe)
    if atoms is not None:
        assert atoms.info["generator"] == recipe.generator
        assert (atoms.info["seed"], atoms.info["version"]) == (recipe.seed, recipe.version)
