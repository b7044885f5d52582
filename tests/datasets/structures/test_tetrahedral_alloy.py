"""The random tetrahedral alloy: exact numbers, bonds of each kind, a random arrangement, nobody too close."""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
import numpy.typing as npt
import pytest
from ase import Atoms
from scipy.spatial import cKDTree

from datasets.catalog import StructureRecipe, load_structure
from datasets.errors import InputError
from datasets.structures import make_structure
from datasets.structures.shipping import shipped
from datasets.structures.valence_force_field import CONTACT, SPECIES
from datasets.structures.validate import validate

COUNTS = {"Si": 99, "Ge": 101, "Sn": 100}


def recipe(seed: int, **parameters: object) -> StructureRecipe:
    return StructureRecipe(generator="tetrahedral_alloy", seed=seed, parameters=parameters)


@pytest.fixture(scope="module")
def particle() -> Atoms:
    return make_structure(recipe(3, counts=COUNTS, quench_time=10.0))


def natural_length(atoms: Atoms, pairs: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
    length = np.array([SPECIES[symbol].bond_length for symbol in atoms.symbols])
    return np.asarray((length[pairs[:, 0]] + length[pairs[:, 1]]) / 2)


def bonds(atoms: Atoms) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Pairs closer than 1.18 times the sum of their radii, and their lengths [Å]."""
    pairs = cKDTree(atoms.positions).query_pairs(3.6, output_type="ndarray")
    length = np.linalg.norm(np.subtract(*atoms.positions[pairs.T]), axis=1)
    near = length < 1.18 * natural_length(atoms, pairs)
    return pairs[near], length[near]


def test_numbers_are_exact(particle: Atoms) -> None:
    assert {s: list(particle.symbols).count(s) for s in COUNTS} == COUNTS
    np.testing.assert_allclose(particle.positions.mean(axis=0), 0, atol=1e-9)


@pytest.mark.parametrize("kind", list(combinations_with_replacement(COUNTS, 2)))
def test_bonds_have_the_length_of_their_kind(particle: Atoms, kind: tuple[str, str]) -> None:
    """Between their natural length and the mean of the alloy, nearer to the natural one.

    a** of Cai and Thorpe, Phys. Rev. B 46, 15872 (1992), is about 0.7.
    """
    pairs, length = bonds(particle)
    symbols = np.array(particle.get_chemical_symbols())
    ends = np.sort(symbols[pairs], axis=1)
    these = length[(ends == sorted(kind)).all(axis=1)]
    natural = (SPECIES[kind[0]].bond_length + SPECIES[kind[1]].bond_length) / 2
    alloy = np.mean([species.bond_length for species in SPECIES.values()])
    expected = alloy + 0.7 * (natural - alloy)
    assert len(these) > 30
    assert these.mean() == pytest.approx(expected, abs=0.07)
    assert these.std() < 0.15


def test_species_are_spread_at_random(particle: Atoms) -> None:
    """Warren–Cowley parameters are 0 within three sampling errors of about 500 bonds."""
    pairs, _ = bonds(particle)
    symbols = np.array(particle.get_chemical_symbols())
    both = symbols[np.concatenate([pairs, pairs[:, ::-1]])]
    for centre in COUNTS:
        around = both[both[:, 0] == centre, 1]
        for other in COUNTS:
            share = COUNTS[other] / len(particle)
            error = np.sqrt((1 - share) / share / (len(around) / 2))
            assert 1 - np.mean(around == other) / share == pytest.approx(0, abs=3 * error)


def test_the_network_stays_fourfold_and_others_keep_away(particle: Atoms) -> None:
    pairs, length = bonds(particle)
    coordination = np.bincount(pairs.ravel(), minlength=len(particle))
    distance = np.linalg.norm(particle.positions, axis=1)
    inner = distance < np.percentile(distance, 95) - 4
    assert 3.8 < coordination[inner].mean() < 4.1
    assert coordination.min() >= 2
    assert length.min() > 2.1
    near = cKDTree(particle.positions).query_pairs(4.0, output_type="ndarray")
    apart = np.linalg.norm(np.subtract(*particle.positions[near.T]), axis=1) / natural_length(particle, near)
    between = (apart > 1.18) & (apart < CONTACT - 0.08)
    assert np.count_nonzero(between) < 0.02 * len(pairs)


def test_seeds() -> None:
    small = {"counts": {"Si": 30, "Sn": 30}, "quench_time": 6.0}
    one, again, other = (make_structure(recipe(s, **small)) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.positions, again.positions)
    np.testing.assert_array_equal(one.numbers, again.numbers)
    assert (one.numbers != other.numbers).any()


@pytest.mark.parametrize("name", ["sigesn-300", "sigesn-13982"])
def test_the_catalog_ships_it(name: str) -> None:
    card = load_structure(name)
    atoms = shipped(card.recipe)
    assert atoms is not None
    counts = card.recipe.parameters["counts"]
    assert {s: list(atoms.symbols).count(s) for s in counts} == counts


@pytest.mark.parametrize("name", ["sigesn-300", pytest.param("sigesn-13982", marks=pytest.mark.slow)])
def test_what_is_shipped_lies_in_its_ranges(name: str) -> None:
    card = load_structure(name)
    assert [row for row in validate(make_structure(card.recipe), card) if not row.within] == []


def test_wrong_parameters_are_named() -> None:
    with pytest.raises(InputError, match="the elements are Si, Ge, Sn, not C"):
        make_structure(recipe(1, counts={"C": 30}))
    with pytest.raises(InputError, match="20 atoms or more"):
        make_structure(recipe(1, counts={"Si": 10}))
