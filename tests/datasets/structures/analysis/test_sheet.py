"""Sheets of known tilt, displacement and bonds."""

import numpy as np
import numpy.typing as npt
import pytest
from ase import Atoms
from ase.build import graphene
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from datasets.errors import InputError
from datasets.structures.analysis.ripples import height_spectrum
from datasets.structures.analysis.sheet import bond_changes, displacements, levelled

BOND = 1.42


def flake(radius: float = 16.0, turn: float = 0.0, bond: float = BOND) -> Atoms:
    cell = graphene(a=bond * np.sqrt(3), vacuum=5.0).repeat((30, 30, 1))
    xy = cell.positions[:, :2] - cell.positions[:, :2].mean(axis=0)
    xy = xy[np.hypot(*xy.T) < radius] @ Rotation.from_euler("z", -turn, degrees=True).as_matrix()[:2, :2]
    return Atoms(f"C{len(xy)}", np.column_stack([xy, np.zeros(len(xy))]))


@settings(max_examples=20, deadline=None)
@given(tilt=st.floats(-25, 25), azimuth=st.floats(0, 180), lift=st.floats(-5, 5))
def test_tilt_is_removed_and_nothing_else(tilt: float, azimuth: float, lift: float) -> None:
    positions = flake().positions
    positions[:, 2] = 0.6 * np.cos(2 * np.pi * positions[:, 0] / 7.0)
    flat = levelled(positions)
    axis = np.array([np.cos(np.deg2rad(azimuth)), np.sin(np.deg2rad(azimuth)), 0.0])
    turned = Rotation.from_rotvec(np.deg2rad(tilt) * axis).apply(positions) + np.array([0, 0, lift])
    again = levelled(turned)
    # vertical residuals weigh ripples differently on a tilted sheet: to second order the same plane
    assert np.sqrt(np.mean((again - flat) ** 2)) < 0.03
    assert abs(again[:, 2].mean()) < 1e-9
    slopes = np.linalg.lstsq(again[:, :2] - again[:, :2].mean(axis=0), again[:, 2], rcond=None)[0]
    assert np.abs(slopes).max() < 0.01
    distance = np.linalg.norm(turned[1:] - turned[0], axis=1)
    np.testing.assert_allclose(np.linalg.norm(again[1:] - again[0], axis=1), distance)


def test_levelling_needs_nothing_of_few_atoms() -> None:
    assert levelled(np.empty((0, 3))).shape == (0, 3)
    np.testing.assert_allclose(levelled(np.array([[1.0, 2.0, 3.0]])), [[1, 2, 0]])


@pytest.mark.parametrize("turn", [0.0, 13.0, 31.0, 47.0])
def test_a_perfect_sheet_has_no_displacement(turn: float) -> None:
    found = displacements(flake(turn=turn, bond=1.44))
    np.testing.assert_allclose(found.displacement, 0, atol=1e-9)
    assert found.bond == pytest.approx(1.44)
    # the direction of a bond is defined up to 60° and two kinds of atoms
    assert (found.turn - turn - 30) % 60 == pytest.approx(0, abs=1e-6) or (
        found.turn - turn
    ) % 60 == pytest.approx(0, abs=1e-6)
    stretched = displacements(flake(turn=turn, bond=1.44), bond=BOND)
    radial = np.linalg.norm(stretched.displacement, axis=1)
    np.testing.assert_allclose(radial, np.linalg.norm(stretched.sites, axis=1) * 0.02 / BOND, atol=1e-6)


def test_a_known_displacement_comes_back() -> None:
    atoms = flake()
    xy = atoms.positions[:, :2].copy()
    true: npt.NDArray[np.float64] = 0.15 * np.stack(
        [np.sin(2 * np.pi * xy[:, 1] / 16), np.cos(2 * np.pi * xy[:, 0] / 16)], axis=-1
    )
    atoms.positions[:, :2] += true
    found = displacements(atoms, bond=BOND)
    assert len(found.index) == len(atoms)
    # up to a small rigid motion, which is not displacement
    rest = found.displacement - true
    design = np.column_stack([np.ones(len(xy)), xy])
    rest -= design @ np.linalg.lstsq(design, rest, rcond=None)[0]
    assert np.abs(rest).max() < 1e-3


def test_what_is_not_connected_is_left_out() -> None:
    atoms = flake(8.0)
    lone = atoms + Atoms("C", positions=[[40.0, 0, 0]])
    assert len(displacements(lone).index) == len(atoms)
    with pytest.raises(InputError, match="only 1 of 3 atoms"):
        displacements(Atoms("C3", positions=[[0, 0, 0], [5, 0, 0], [10, 0, 0]]))


def test_bonds_of_a_stretched_sheet() -> None:
    atoms = flake(bond=BOND * 1.03)
    found = bond_changes(atoms)
    np.testing.assert_allclose(found.change, 0.03, atol=1e-9)
    n = len(atoms)
    assert n < len(found.change) < 1.5 * n  # three halves of a bond per atom, fewer at the rim
    assert found.middle.shape == (len(found.change), 3)


def test_the_spectrum_of_an_answer_in_its_cell_is_that_of_its_ripple() -> None:
    """A cos(q x) has |h(q)|² = A²/4, at ± q."""
    atoms = graphene(a=2.46, vacuum=5.0).repeat((16, 16, 1))
    atoms.pbc = (True, True, False)
    fractional = atoms.get_scaled_positions()
    atoms.positions[:, 2] = 0.8 * np.cos(2 * np.pi * 2 * fractional[:, 0])
    spectrum = height_spectrum(atoms)
    assert spectrum.power.max() == pytest.approx(0.8**2 / 4, rel=1e-6)
    q = 2 * np.pi * 2 / (16 * 2.46 * np.sqrt(3) / 2)
    assert spectrum.q[np.argmax(spectrum.power)] == pytest.approx(q, rel=1e-6)
