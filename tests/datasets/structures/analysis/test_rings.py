"""Rings: known crystals, an independent implementation, surfaces, swapped species."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from ase import Atoms
from ase.build import bulk, graphene
from ase.spacegroup import crystal
from matscipy.ffi import distances_on_graph, find_sp_rings
from matscipy.neighbours import neighbour_list

from datasets.errors import InputError
from datasets.structures.analysis.coordination import network_formers
from datasets.structures.analysis.rings import find_rings

IntArray = npt.NDArray[np.intp]


def counted_by_matscipy(atoms: Atoms, cutoff: float, longest: int) -> IntArray:
    """Rings by length, 0 to `longest`, by Franzblau's algorithm in another code."""
    first, second, vector = neighbour_list("ijD", atoms, cutoff)
    counts = find_sp_rings(first, second, vector, distances_on_graph(first, second), longest + 2)
    return np.concatenate([counts, np.zeros(longest + 1, dtype=int)])[: longest + 1].astype(np.intp)


def cristobalite(n: int) -> Atoms:
    """Ideal β-cristobalite: silicon on diamond sites, oxygen halfway."""
    silicon = bulk("Si", "diamond", 7.16, cubic=True) * (n, n, n)
    i, d = neighbour_list("iD", silicon, 3.2)
    half = silicon.positions[i] + d / 2
    fractional = np.unique((silicon.cell.scaled_positions(half) % 1).round(6) % 1, axis=0)
    oxygen = Atoms(f"O{len(fractional)}", scaled_positions=fractional, cell=silicon.cell, pbc=True)
    return silicon + oxygen


@pytest.mark.parametrize("criterion", ["primitive", "king"])
def test_diamond_has_twelve_hexagons_through_every_atom(criterion: str) -> None:
    atoms = bulk("Si", "diamond", 5.431, cubic=True) * (3, 3, 3)
    rings = find_rings(atoms, cutoff=2.7, max_length=6, criterion=criterion)
    assert set(rings.lengths) == {6}
    assert set(np.bincount(rings.members.ravel(), minlength=len(atoms))) == {12}
    assert rings.per_former(np.ones(len(atoms), dtype=bool))[6] == pytest.approx(2)


@pytest.mark.parametrize("criterion", ["primitive", "king"])
def test_graphene_has_half_a_hexagon_per_atom(criterion: str) -> None:
    sheet = graphene(size=(12, 12, 1), vacuum=5)
    sheet.pbc = (True, True, False)
    rings = find_rings(sheet, cutoff=1.7, max_length=8, criterion=criterion)
    assert len(rings) == len(sheet) / 2
    assert set(rings.lengths) == {6}


def test_a_stone_wales_defect_has_two_pentagons_and_two_heptagons() -> None:
    sheet = graphene(size=(12, 12, 1), vacuum=5)
    sheet.pbc = (True, True, False)
    sheet.wrap()
    i, j, vector = neighbour_list("ijD", sheet, 1.6)
    bond = np.flatnonzero(np.linalg.norm(sheet.positions[i] - sheet.cell.sum(axis=0) / 2, axis=1) < 2)[0]
    first, second, along = i[bond], j[bond], vector[bond]
    middle = sheet.positions[first] + along / 2
    across = np.cross([0, 0, 1], along) / 2
    sheet.positions[first], sheet.positions[second] = middle - across, middle + across
    rings = find_rings(sheet, cutoff=1.7, max_length=8)
    counts = np.bincount(rings.lengths, minlength=9)
    assert (counts[5], counts[7]) == (2, 2)
    assert counts[6] == len(sheet) / 2 - 4


def test_cristobalite_has_two_sixfold_rings_per_silicon() -> None:
    atoms = cristobalite(3)
    formers = network_formers(atoms)
    for criterion in ("primitive", "king"):
        rings = find_rings(atoms, cutoff=1.8, max_length=12, criterion=criterion, roots=formers)
        assert set(rings.sizes(formers)) == {6}
        assert rings.per_former(formers)[6] == pytest.approx(2)
        assert rings.homopolar_bonds(formers).sum() == 0


def test_quartz_agrees_with_the_reference_on_its_network_of_silicon() -> None:
    """matscipy on the network of Si–Si neighbours: a different code, and a different graph."""
    sites = [(0.4697, 0, 2 / 3), (0.4133, 0.2672, 0.7855)]
    cell = [4.916, 4.916, 5.4054, 90, 90, 120]
    quartz = crystal(("Si", "O"), sites, spacegroup=154, cellpar=cell) * (6, 6, 5)
    formers = network_formers(quartz)
    sizes = np.bincount(find_rings(quartz, cutoff=1.75, max_length=16).sizes(formers), minlength=9)
    np.testing.assert_array_equal(sizes, counted_by_matscipy(quartz[formers], 3.3, 8))
    assert sizes[6] > 0
    assert sizes[8] > 0
    assert sizes[[3, 4, 5, 7]].sum() == 0


@pytest.mark.parametrize("seed", range(3))
def test_random_networks_agree_with_the_reference(seed: int) -> None:
    rng = np.random.default_rng(seed)
    atoms = Atoms("Si120", rng.uniform(0, 15, (120, 3)), cell=[15] * 3, pbc=False)
    mine = np.bincount(find_rings(atoms, cutoff=3.4, max_length=16).lengths, minlength=17)
    np.testing.assert_array_equal(mine, counted_by_matscipy(atoms, 3.4, 16))


def test_the_core_of_a_particle_has_the_rings_of_the_bulk() -> None:
    block = bulk("Si", "diamond", 5.431, cubic=True) * (8, 8, 8)
    radius = np.linalg.norm(block.positions - block.positions.mean(axis=0), axis=1)
    particle = Atoms(block.numbers[radius < 15], block.positions[radius < 15])
    rings = find_rings(particle, cutoff=2.7, max_length=10)
    everywhere = np.ones(len(particle), dtype=bool)
    core = radius[radius < 15] < 9
    assert rings.per_former(everywhere, core)[6] == pytest.approx(2)
    assert rings.per_former(everywhere)[6] < 1.8


def test_a_swapped_atom_breaks_the_order_of_the_rings_through_it() -> None:
    """What a reconstruction of silica is scored with: rings found by position, order by species."""
    atoms = cristobalite(3)
    labels = network_formers(atoms)
    rings = find_rings(atoms, cutoff=1.8, max_length=12)
    oxygen = int(np.flatnonzero(~labels)[0])
    labels[oxygen] = True
    broken = rings.homopolar_bonds(labels) > 0
    np.testing.assert_array_equal(broken, (rings.members == oxygen).any(axis=1))
    assert set(rings.homopolar_bonds(labels)[broken]) == {2}


def test_what_cannot_be_counted_is_refused() -> None:
    small = bulk("Si", "diamond", 5.431, cubic=True) * (2, 2, 2)
    with pytest.raises(InputError, match="too small for rings of up to 10"):
        find_rings(small, cutoff=2.7, max_length=10)
    with pytest.raises(InputError, match="too small"):
        find_rings(bulk("Si"), cutoff=2.7, max_length=6)
    with pytest.raises(InputError, match="'primitive' or 'king'"):
        find_rings(small, cutoff=2.7, criterion="kings")
