"""Molecules cut from a sheet: complete valences, and pyrene where the sheet is whole."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms

from datasets.errors import InputError
from datasets.structures.analysis.patches import HYDROGEN_BOND, Patch, bond_patch, bonds_of, inner_bonds

BOND = 1.42


def _sheet(n: int = 7, *, scatter: float = 0.0, height: float = 0.0) -> Atoms:
    cell = np.array([[1.5, np.sqrt(3) / 2], [1.5, -np.sqrt(3) / 2]]) * BOND
    cells = np.stack(np.meshgrid(np.arange(n), np.arange(n)), axis=-1).reshape(-1, 2)
    plane = ((cells @ cell)[:, None] + np.array([[0.0, 0.0], [BOND, 0.0]])).reshape(-1, 2)
    plane -= plane.mean(axis=0)
    positions = np.column_stack([plane, height * np.sin(plane[:, 0] / 2)])
    positions += np.random.default_rng(3).normal(scale=scatter, size=positions.shape) if scatter else 0.0
    return Atoms(f"C{len(positions)}", positions)


def _middle_bond(sheet: Atoms) -> tuple[int, int]:
    bonds = inner_bonds(sheet)
    middles = [np.linalg.norm(sheet.positions[list(bond)].mean(axis=0)) for bond in bonds]
    return bonds[int(np.argmin(middles))]


def _valences(patch: Patch) -> list[int]:
    atoms = patch.atoms
    distances = atoms.get_all_distances()
    carbon = atoms.numbers == 6
    near = np.where(np.outer(carbon, carbon), distances < 1.3 * BOND, distances < 1.2) & (distances > 0)
    return [int(n) for n in near.sum(axis=1)]


@pytest.mark.parametrize(("scatter", "height"), [(0.0, 0.0), (0.04, 0.6)])
def test_the_rings_about_a_bond_are_pyrene(scatter: float, height: float) -> None:
    sheet = _sheet(scatter=scatter, height=height)
    first, second = _middle_bond(sheet)
    patch = bond_patch(sheet, first, second)
    assert patch.atoms.get_chemical_formula() == "C16H10"
    assert (patch.index[0], patch.index[1]) == (first, second)
    np.testing.assert_array_equal(patch.atoms.positions[:16], sheet.positions[patch.index])
    valences = _valences(patch)
    assert valences == [3] * 16 + [1] * 10


def test_hydrogen_lies_where_bonds_were_cut() -> None:
    sheet = _sheet(scatter=0.03, height=0.4)
    patch = bond_patch(sheet, *_middle_bond(sheet))
    neighbours = bonds_of(sheet)
    assert len(patch.atoms) == 26
    for hydrogen in patch.atoms.positions[16:]:
        lengths = np.linalg.norm(patch.atoms.positions[:16] - hydrogen, axis=1)
        at = int(np.argmin(lengths))
        assert lengths[at] == pytest.approx(HYDROGEN_BOND)
        cut = [j for j in neighbours[patch.index[at]] if j not in patch.index]
        steps = sheet.positions[cut] - patch.atoms.positions[at]
        along = steps @ (hydrogen - patch.atoms.positions[at]) / np.linalg.norm(steps, axis=1)
        assert along.max() == pytest.approx(HYDROGEN_BOND)


def test_where_the_sheet_ends_valences_are_complete_too() -> None:
    sheet = _sheet(5)
    bonds = inner_bonds(sheet)
    assert len(bonds) > 0
    for first, second in bonds:
        patch = bond_patch(sheet, first, second)
        assert _valences(patch) == [3] * 16 + [1] * 10
        assert abs(patch.atoms.positions[16:, 2]).max() < 1e-9


def test_bonds_at_a_vacancy_have_no_whole_rings() -> None:
    sheet = _sheet(9)
    middle = int(np.argmin(np.linalg.norm(sheet.positions, axis=1)))
    rim = bonds_of(sheet)[middle]
    del sheet[middle]
    rim = [j - (j > middle) for j in rim]
    beside = bonds_of(sheet)[rim[0]]
    bond = next((i, j) for i in beside for j in bonds_of(sheet)[i] if j != rim[0])
    with pytest.raises(InputError, match="no whole rings"):
        bond_patch(sheet, *bond)
    assert not {atom for bond in inner_bonds(sheet) for atom in bond} & {*rim, *beside}


def test_the_normal_is_across_the_sheet() -> None:
    sheet = _sheet()
    sheet.rotate(20, "y")
    patch = bond_patch(sheet, *_middle_bond(sheet))
    tilt = np.deg2rad(20)
    np.testing.assert_allclose(patch.normal, [np.sin(tilt), 0, np.cos(tilt)], atol=1e-9)
    assert patch.length == pytest.approx(BOND)


def test_bonds_that_are_none_or_at_the_edge_are_refused() -> None:
    sheet = _sheet(4)
    with pytest.raises(InputError, match="not bonded"):
        bond_patch(sheet, 0, len(sheet) - 1)
    lonely = next(i for i, near in enumerate(bonds_of(sheet)) if len(near) == 1)
    with pytest.raises(InputError, match="no whole rings"):
        bond_patch(sheet, lonely, bonds_of(sheet)[lonely][0])
