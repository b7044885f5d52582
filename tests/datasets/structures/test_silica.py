"""Silica: the crystal it starts from, exact cuts in which all hangs together, and a glass that is one."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from datasets.catalog import StructureRecipe, load_structure
from datasets.errors import InputError
from datasets.structures import make_structure
from datasets.structures.molecular_dynamics import simulate_dynamics
from datasets.structures.potentials import SILICA_VASHISHTA
from datasets.structures.silica import BOND, DENSITY, Parameters, crystal, cut
from datasets.structures.validate import validate


def bonds(atoms: Atoms) -> np.ndarray:
    """Whether atoms (n, n) are a Si and an O closer than BOND."""
    distances = np.linalg.norm(atoms.positions[:, None] - atoms.positions, axis=2)
    return (distances < BOND) & (atoms.numbers[:, None] != atoms.numbers)


def particle(seed: int = 0, **parameters: object) -> StructureRecipe:
    short = {"n_silicon": 40, "n_oxygen": 78, "melt_time": 1.5, "quench_time": 1, "anneal_time": 1}
    return StructureRecipe(generator="silica", seed=seed, parameters={**short, **parameters})


@pytest.mark.parametrize("n_silicon", [40, 300])
def test_the_crystal_is_silica_of_the_density_of_glass(n_silicon: int) -> None:
    atoms = crystal(n_silicon)
    assert atoms.get_chemical_formula(empirical=True) == "O2Si"
    density = atoms.get_masses().sum() / 0.602214 / atoms.get_volume()
    assert density == pytest.approx(DENSITY, rel=1e-4)
    silicon, oxygen = (atoms.positions[atoms.numbers == z] for z in (14, 8))
    box = atoms.cell.lengths()
    counts = KDTree(oxygen, boxsize=box).query_ball_point(silicon, 1.6, return_length=True)
    assert set(counts) == {4}
    counts = KDTree(silicon, boxsize=box).query_ball_point(oxygen, 1.6, return_length=True)
    assert set(counts) == {2}


@given(seed=st.integers(0, 2**32), n_silicon=st.integers(40, 200), missing=st.integers(0, 10))
@settings(max_examples=20)
def test_a_cut_has_exactly_its_atoms_and_all_hang_together(seed: int, n_silicon: int, missing: int) -> None:
    rng = np.random.default_rng(seed)
    atoms = cut(crystal(n_silicon), n_silicon, 2 * n_silicon - missing, rng)
    assert np.count_nonzero(atoms.numbers == 14) == n_silicon
    assert len(atoms) == 3 * n_silicon - missing
    bound = bonds(atoms)
    assert connected_components(bound)[0] == 1
    coordination = bound.sum(axis=1)
    assert coordination[atoms.numbers == 14].min() >= 2
    assert np.mean(coordination[atoms.numbers == 14]) > 3
    assert set(coordination[atoms.numbers == 8]) <= {1, 2}
    inner = np.linalg.norm(atoms.positions, axis=1) < 3.5
    assert set(coordination[inner & (atoms.numbers == 14)]) <= {4}


@pytest.fixture(scope="module")
def glass() -> Atoms:
    return make_structure(particle(1))


def test_a_particle_has_its_counts_and_no_stray_atoms(glass: Atoms) -> None:
    assert glass.get_chemical_formula() == "O78Si40"
    np.testing.assert_allclose(glass.positions.mean(axis=0), 0, atol=1e-9)
    assert not glass.pbc.any()
    assert connected_components(bonds(glass))[0] == 1


def test_a_particle_bonds_silicon_to_oxygen_and_nothing_to_its_like(glass: Atoms) -> None:
    distances = np.linalg.norm(glass.positions[:, None] - glass.positions, axis=2)
    bound = bonds(glass)
    assert 1.58 < distances[bound].mean() < 1.66
    np.fill_diagonal(distances, np.inf)
    alike = glass.numbers[:, None] == glass.numbers
    assert distances[alike & (glass.numbers == 14)].min() > 2.2
    assert distances[alike & (glass.numbers == 8)].min() > 2.0
    assert bound.sum(axis=1)[glass.numbers == 14].mean() > 3.3  # most are at the surface


def test_the_same_seed_gives_the_same_particle_and_another_seed_another(glass: Atoms) -> None:
    again, other = make_structure(particle(1)), make_structure(particle(2))
    np.testing.assert_array_equal(glass.positions, again.positions)
    away = KDTree(glass.positions).query(other.positions)[0]
    assert np.sqrt(np.mean(away**2)) > 0.5


def test_the_melt_forgets_the_crystal() -> None:
    """Before the network forms, atoms have gone farther than from one Si to the next."""
    start = crystal(40)
    melt = simulate_dynamics(start, SILICA_VASHISHTA, Parameters().schedule()[:2], seed=3, timestep=0.002)
    moved = (melt.positions - start.positions) / start.cell.lengths()
    moved = (moved - np.rint(moved)) * start.cell.lengths()
    assert np.sqrt(np.mean(np.sum(moved**2, axis=1))) > 3.1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sio2-300", "sio2-300[seed=2]", "sio2-7704"])
def test_a_particle_of_the_catalog_is_what_the_literature_says(name: str) -> None:
    card = load_structure(name)
    outside = [row for row in validate(make_structure(card.recipe), card) if not row.within]
    assert not outside


def test_wrong_parameters_are_named_before_any_work() -> None:
    with pytest.raises(InputError, match="n_oxygen must be within 11 of 80"):
        make_structure(particle(n_oxygen=60))
    with pytest.raises(InputError, match=r"'n_silicone'.*did you mean 'n_silicon'"):
        make_structure(particle(n_silicone=60))
    with pytest.raises(InputError, match="'timestep'"):
        make_structure(particle(timestep=5))
    with pytest.raises(InputError, match="n_oxygen must be from"):
        cut(crystal(40), 40, 160, np.random.default_rng(0))
