"""Coordination, bond angles, network formers, Warren–Cowley parameters of structures that are known."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.structures.analysis.analysis import Analysis
from datasets.structures.analysis.bond_angles import bond_angles
from datasets.structures.analysis.coordination import (
    coordination_numbers,
    covalent_bonds,
    homopolar,
    network_formers,
)
from datasets.structures.analysis.neighbours import pairs_within, with_images
from datasets.structures.analysis.short_range_order import warren_cowley


def ordered(kind: str) -> Atoms:
    """4 × 4 × 4 cells of L1₀ or L1₂ order."""
    symbols = {"L10": ["Fe", "Pt", "Pt", "Fe"], "L12": ["Pt", "Fe", "Fe", "Fe"]}[kind]
    atoms = bulk("Pt", "fcc", 3.85, cubic=True)
    atoms.symbols[:] = symbols
    return atoms * (4, 4, 4)


@pytest.mark.parametrize(("lattice", "a", "n"), [("fcc", 3.92, 12), ("diamond", 5.43, 4), ("sc", 3.0, 6)])
def test_coordination_of_crystals(lattice: str, a: float, n: int) -> None:
    analysis = Analysis(bulk("Si", lattice, a, cubic=True) * (5, 5, 5))
    assert set(coordination_numbers(analysis.core_bonds)) == {n}


def test_angles_of_diamond_and_fcc() -> None:
    diamond = Analysis(bulk("Si", "diamond", 5.43, cubic=True) * (4, 4, 4))
    angles = bond_angles(diamond.bonds, diamond.core)
    assert len(angles) == 6 * len(diamond.atoms)
    np.testing.assert_allclose(angles, np.degrees(np.arccos(-1 / 3)), atol=1e-6)
    fcc = Analysis(bulk("Pt", "fcc", 3.92, cubic=True) * (4, 4, 4))
    values, counts = np.unique(bond_angles(fcc.bonds, fcc.core).round(3), return_counts=True)
    np.testing.assert_array_equal(values, [60, 90, 120, 180])
    np.testing.assert_array_equal(counts / len(fcc.atoms), [24, 12, 24, 6])


def test_angles_of_kinds() -> None:
    water = Atoms("OH2", [[0, 0, 0], [1, 0, 0], [0, 1, 0]])
    bonds = pairs_within(water, 1.1)
    everywhere = np.ones(3, dtype=bool)
    assert bond_angles(bonds, everywhere, water, ("H", "O", "H")) == pytest.approx([90])
    assert len(bond_angles(bonds, everywhere, water, ("O", "H", "O"))) == 0


@pytest.mark.parametrize("kind", ["L10", "L12"])
def test_warren_cowley_of_ordered_alloys_is_minus_a_third(kind: str) -> None:
    analysis = Analysis(ordered(kind))
    assert warren_cowley(analysis.core_bonds, analysis.atoms, "Fe", "Pt")[0] == pytest.approx(-1 / 3)
    assert warren_cowley(analysis.core_bonds, analysis.atoms, "Pt", "Fe")[0] == pytest.approx(-1 / 3)


@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0.2, 0.8))
@settings(max_examples=10, deadline=None)
def test_warren_cowley_of_a_random_alloy_is_zero(seed: int, share: float) -> None:
    atoms = bulk("Pt", "fcc", 3.85, cubic=True) * (6, 6, 6)
    atoms.numbers[np.random.default_rng(seed).random(len(atoms)) < share] = 26
    bonds = pairs_within(atoms, 3.2)
    assert abs(warren_cowley(bonds, atoms, "Fe", "Pt")[0]) < 0.08


def test_phase_separation_is_positive() -> None:
    atoms = bulk("Pt", "fcc", 3.85, cubic=True) * (6, 6, 6)
    atoms.numbers[atoms.positions[:, 0] < 11] = 26
    assert warren_cowley(pairs_within(atoms, 3.2), atoms, "Fe", "Pt")[0] > 0.5


def test_homopolar_bonds_and_formers() -> None:
    chain = Atoms("SiOOSiSi", [[0, 0, 0], [1.6, 0, 0], [3.05, 0, 0], [4.65, 0, 0], [7.0, 0, 0]])
    np.testing.assert_array_equal(network_formers(chain), [True, False, False, True, True])
    bonds = covalent_bonds(pairs_within(chain, 4), chain)
    assert len(bonds.first) == 8
    assert homopolar(bonds, chain).sum() == 4  # O–O and Si–Si, both ways


def test_images_are_those_that_the_neighbour_list_sees() -> None:
    atoms = bulk("Si")  # two atoms in a skew cell
    points, owners = with_images(atoms, 6.0)
    distance = np.linalg.norm(points - atoms.positions[0], axis=1)
    near = (distance > 1e-6) & (distance < 5)
    pairs = pairs_within(atoms, 5)
    mine = pairs.distance[pairs.first == 0]
    np.testing.assert_allclose(np.sort(distance[near]), np.sort(mine))
    assert set(owners) == {0, 1}
