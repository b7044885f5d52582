"""The rock-salt particle: its lattice, exact displacement, neutral cuts, seeds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import KDTree

from datasets.catalog import StructureRecipe, load_dataset, load_structure
from datasets.errors import InputError
from datasets.structures import make_structure


def particle(seed: int = 0, **parameters: object) -> StructureRecipe:
    return StructureRecipe(generator="rock_salt", seed=seed, parameters=parameters)


def test_the_papers_particle_has_its_atoms_and_size() -> None:
    atoms = make_structure(load_dataset("bao-987").structure)
    assert len(atoms) == 987
    assert 31 < np.ptp(atoms.positions, axis=0).mean() < 44  # "about 4 nm"
    np.testing.assert_allclose(atoms.positions.mean(axis=0), 0, atol=1e-9)
    assert load_structure("bao-987").recipe == load_dataset("bao-987").structure


def test_every_neighbour_is_of_the_other_kind_half_a_lattice_constant_away() -> None:
    atoms = make_structure(particle(2, n_atoms=500, displacement=0))
    distances, neighbours = KDTree(atoms.positions).query(atoms.positions, k=2)
    np.testing.assert_allclose(distances[:, 1], 5.54 / 2, rtol=1e-9)
    assert (atoms.numbers[neighbours[:, 1]] != atoms.numbers).all()
    inside = np.linalg.norm(atoms.positions, axis=1) < 6
    counts = KDTree(atoms.positions).query_ball_point(atoms.positions[inside], 3, return_length=True) - 1
    assert set(counts) == {6}


def test_displacements_from_the_perfect_lattice_are_20_pm() -> None:
    moved, perfect = (
        make_structure(particle(3, n_atoms=400, displacement=d, orientation="lattice")) for d in (0.2, 0.0)
    )
    displacements = moved.positions - perfect.positions
    assert np.sqrt(np.mean(np.sum(displacements**2, axis=1))) == pytest.approx(0.2, rel=1e-9)


@given(seed=st.integers(0, 2**32), n_atoms=st.integers(20, 300))
@settings(max_examples=15)
def test_any_particle_has_exactly_its_atoms_and_nearly_as_many_of_either(seed: int, n_atoms: int) -> None:
    atoms = make_structure(particle(seed, n_atoms=n_atoms))
    assert len(atoms) == n_atoms
    excess = 2 * np.count_nonzero(atoms.numbers == 56) - n_atoms
    assert abs(excess) <= 2 * n_atoms ** (2 / 3)  # only the surface can be uneven


def test_the_same_seed_gives_the_same_particle_and_another_seed_another_shape() -> None:
    one, again, other = (make_structure(particle(s, n_atoms=150)) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.positions, again.positions)
    spread = [np.sort(np.linalg.eigvalsh(np.cov(a.positions.T))) for a in (one, other)]
    assert np.abs(spread[0] - spread[1]).max() > 0.1


def test_other_rock_salts_and_wrong_elements() -> None:
    atoms = make_structure(particle(n_atoms=64, cation="Na", anion="Cl", lattice_constant=5.64))
    assert set(atoms.symbols) == {"Na", "Cl"}
    with pytest.raises(InputError, match="structure rock_salt: unknown element 'Xy'"):
        make_structure(particle(n_atoms=20, anion="Xy"))
