"""Ordered particles: the lattice, and an order parameter counted anew."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from datasets.catalog import StructureRecipe, load_structure
from datasets.errors import InputError
from datasets.structures import make_structure
from datasets.structures.validate import validate


def particle(seed: int = 0, **parameters: object) -> Atoms:
    return make_structure(StructureRecipe(generator="ordered_alloy", seed=seed, parameters=parameters))


def counted_order(atoms: Atoms, c: float = 3.71) -> float:
    """S from the layers of a particle along z, as if nothing were known of how it was made."""
    layer = np.rint((atoms.positions[:, 2] - atoms.positions[0, 2]) / (c / 2)).astype(int)
    iron = atoms.numbers == 26
    even = layer % 2 == 0
    return abs(iron[even].mean() - iron[~even].mean())


@given(seed=st.integers(0, 2**32), order=st.floats(0, 1))
@settings(max_examples=15)
def test_the_order_parameter_is_what_was_asked_for(seed: int, order: float) -> None:
    atoms = particle(seed, n_atoms=500, order_parameter=order, orientation="lattice")
    assert atoms.info["order_parameter"] == pytest.approx(order, abs=0.01)
    assert counted_order(atoms) == pytest.approx(order, abs=0.01)


def test_distances_are_those_of_the_tetragonal_lattice() -> None:
    atoms = particle(1, n_atoms=400, displacement=0, order_parameter=1, orientation="lattice")
    distances = cKDTree(atoms.positions).query(atoms.positions, k=2)[0][:, 1]
    np.testing.assert_allclose(distances, np.hypot(3.86 / 2, 3.71 / 2))
    iron, platinum = (atoms.positions[atoms.numbers == z] for z in (26, 78))
    within = cKDTree(iron).query(iron, k=2)[0][:, 1]
    np.testing.assert_allclose(np.median(within), 3.86 / np.sqrt(2))
    assert cKDTree(iron).query(platinum)[0].min() == pytest.approx(np.hypot(3.86, 3.71) / 2)


def test_exchanging_atoms_keeps_the_composition() -> None:
    perfect, mixed = (particle(2, n_atoms=300, order_parameter=s) for s in (1.0, 0.4))
    assert perfect.get_chemical_formula() == mixed.get_chemical_formula()
    assert mixed.info["antisites"] > 0
    assert perfect.info["antisites"] == 0


def test_seeds_and_displacements() -> None:
    one, again, other = (particle(s, n_atoms=300) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.positions, again.positions)
    assert len(one) == len(other)
    assert np.abs(one.positions - other.positions).max() > 1
    still, moved = (particle(3, n_atoms=300, displacement=d) for d in (0.0, 0.1))
    moves = np.linalg.norm(still.positions - moved.positions, axis=1)
    assert np.sqrt(np.mean(moves**2)) == pytest.approx(0.1, rel=0.1)


def test_an_unknown_element_is_one_sentence() -> None:
    with pytest.raises(InputError, match="unknown element 'Fx'"):
        particle(0, n_atoms=20, elements=("Fx", "Pt"))


@pytest.mark.parametrize("name", ["fept", "fept[seed=2]"])
def test_structures_of_the_catalog_are_what_their_cards_say(name: str) -> None:
    card = load_structure(name)
    rows = validate(make_structure(card.recipe), card)
    assert [row for row in rows if not row.within] == []
