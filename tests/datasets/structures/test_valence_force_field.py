"""The valence force field: an exact gradient, the crystals' moduli, bonds kept and others apart."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from datasets.errors import InputError
from datasets.structures.valence_force_field import NEWTON_PER_METRE, SPECIES, ValenceForceField

ELASTIC = {
    # lattice constant [Å], c11, c12 [GPa]: Landolt-Börnstein; α-Sn of Price, Rowe and Nicklow (1971)
    "Si": (5.431, 165.7, 63.9),
    "Ge": (5.658, 128.5, 48.3),
    "Sn": (6.489, 69.0, 29.3),
}


def block(symbol: str) -> npt.NDArray[np.float64]:
    """Positions of 216 atoms of the diamond structure, surfaces free [Å]."""
    lattice_constant = 4 * SPECIES[symbol].bond_length / np.sqrt(3)
    return np.asarray(bulk(symbol, "diamond", a=lattice_constant, cubic=True).repeat(3).positions)


def bonds_of(positions: npt.NDArray[np.float64], length: float) -> npt.NDArray[np.intp]:
    return np.asarray(cKDTree(positions).query_pairs(1.1 * length, output_type="ndarray"))


def random_alloy(seed: int) -> tuple[ValenceForceField, npt.NDArray[np.float64]]:
    """A distorted block of silicon with random species."""
    rng = np.random.default_rng(seed)
    positions = block("Si")
    bonds = bonds_of(positions, 2.35)
    field = ValenceForceField([str(s) for s in rng.choice(list(SPECIES), len(positions))], bonds)
    return field, positions + rng.normal(scale=0.3, size=positions.shape)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=5, deadline=None)
def test_the_gradient_is_that_of_the_energy(seed: int) -> None:
    field, positions = random_alloy(seed)
    contacts = field.contacts(positions)
    _, gradient = field.energy(positions, contacts)
    direction = np.random.default_rng(seed).normal(size=positions.shape)
    step = 1e-5
    ahead, behind = (field.energy(positions + s * step * direction, contacts)[0] for s in (1, -1))
    # a contact that opens within the step leaves an error of its stiffness times the step
    assert np.sum(gradient * direction) == pytest.approx((ahead - behind) / (2 * step), rel=1e-4)
    assert contacts.length.size > 0
    np.testing.assert_allclose(gradient.sum(axis=0), 0, atol=1e-8)


@pytest.mark.parametrize("symbol", list(SPECIES))
def test_force_constants_are_those_of_the_elastic_constants(symbol: str) -> None:
    lattice_constant, c11, c12 = ELASTIC[symbol]
    species = SPECIES[symbol]
    assert species.stretching == pytest.approx(lattice_constant * (c11 + 3 * c12) / 40, rel=0.01)
    assert species.bending == pytest.approx(lattice_constant * (c11 - c12) / 40, rel=0.01)
    assert species.bond_length == pytest.approx(lattice_constant * np.sqrt(3) / 4, rel=0.002)


@pytest.mark.parametrize("symbol", list(SPECIES))
def test_a_crystal_is_at_rest_and_has_its_shear_modulus(symbol: str) -> None:
    """An inner atom, with its 4 halves of bonds and 6 angles, fills a³/8. Stretched along x, pressed along y,
    its energy is (c₁₁ − c₁₂) ε² with c₁₁ − c₁₂ = 4β/a; blown up, (c₁₁ + 2c₁₂) 3ε²/2, c₁₁ + 2c₁₂ = 3α/a.
    """
    species = SPECIES[symbol]
    tetrahedron = np.array([[0, 0, 0], [1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)
    tetrahedron *= species.bond_length
    field = ValenceForceField([symbol] * 5, np.array([[0, 1], [0, 2], [0, 3], [0, 4]]))
    energy, gradient = field.energy(tetrahedron)
    assert energy == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(gradient, 0, atol=1e-10)
    lattice_constant = 4 * species.bond_length / np.sqrt(3)
    volume, strain = lattice_constant**3 / 8, 1e-4
    sheared = field.energy(tetrahedron * [1 + strain, 1 - strain, 1])[0] / (volume * strain**2)
    assert sheared == pytest.approx(4 * species.bending * NEWTON_PER_METRE / lattice_constant, rel=1e-3)
    blown = field.energy(tetrahedron * (1 + strain))[0] / 2 / (1.5 * volume * strain**2)
    assert blown == pytest.approx(3 * species.stretching * NEWTON_PER_METRE / lattice_constant, rel=1e-3)


def test_relaxing_leaves_a_crystal_and_finds_it_again() -> None:
    positions = block("Ge")
    field = ValenceForceField(["Ge"] * len(positions), bonds_of(positions, 2.45))
    pushed = positions + np.random.default_rng(0).normal(scale=0.1, size=positions.shape)
    relaxed = field.relax(pushed, force=1e-5)
    inner = field.bonds
    length = np.linalg.norm(np.subtract(*relaxed[inner.pairs.T]), axis=1)
    np.testing.assert_allclose(length, 2.45, atol=2e-3)


def test_atoms_that_are_not_bonded_are_pushed_apart() -> None:
    """Two dimers laid across each other end as dimers, no contact shorter than 1.3 bonds."""
    positions = np.array([[0, 0, 0], [2.35, 0, 0], [1.2, -1.1, 0.5], [1.2, 1.3, 0.5]])
    field = ValenceForceField(["Si"] * 4, np.array([[0, 1], [2, 3]]))
    relaxed = field.relax(positions)
    distance = np.linalg.norm(relaxed[:, None] - relaxed, axis=2)
    assert distance[0, 1] == pytest.approx(2.35, abs=1e-3)
    assert distance[2, 3] == pytest.approx(2.35, abs=1e-3)
    assert distance[:2, 2:].min() > 1.3 * 2.35 - 0.01


def test_an_element_without_constants_is_named() -> None:
    with pytest.raises(InputError, match="knows Si, Ge, Sn, not Cu"):
        ValenceForceField(["Si", "Cu"], np.array([[0, 1]]))
