"""Electron localisation by DFT: one pair of electrons, benzene's symmetry, and the table and its fit."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from datasets.errors import InputError
from datasets.structures.analysis.localisation_by_dft import (
    HEIGHTS,
    fit_polynomial,
    localisation,
    localisation_of_bonds,
    spread_bonds,
    write_localisation,
)
from datasets.structures.analysis.patches import Patch, inner_bonds
from datasets.structures.analysis.sheet import BOND

HYDROGEN = Atoms("H2", [[0.0, 0.0, -0.37], [0.0, 0.0, 0.37]])


def _sheet(n: int = 8) -> Atoms:
    cell = np.array([[1.5, np.sqrt(3) / 2], [1.5, -np.sqrt(3) / 2]]) * BOND
    cells = np.stack(np.meshgrid(np.arange(n), np.arange(n)), axis=-1).reshape(-1, 2)
    plane = ((cells @ cell)[:, None] + np.array([[0.0, 0.0], [BOND, 0.0]])).reshape(-1, 2)
    plane -= plane.mean(axis=0)
    z = 0.2 * plane[:, 0]
    scatter = np.random.default_rng(0).normal(scale=0.02, size=(len(plane), 3))
    return Atoms(f"C{len(plane)}", np.column_stack([plane, z]) + scatter)


def _measure(patch: Patch) -> np.ndarray:  # type: ignore[type-arg]
    return np.full(len(HEIGHTS), patch.length)


def test_without_gpaw_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gpaw.elf", None)
    with pytest.raises(InputError, match=r"pip install 'dosebench\[dft\]'"):
        localisation(HYDROGEN, np.zeros((1, 3)))


def test_a_single_pair_of_electrons_is_wholly_localised() -> None:
    pytest.importorskip("gpaw")
    points = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.3], [0.3, 0.0, 0.1]])
    np.testing.assert_allclose(localisation(HYDROGEN, points), 1, atol=0.01)
    with pytest.raises(InputError, match="within 3 Å"):
        localisation(HYDROGEN, np.array([[9.0, 0.0, 0.0]]))


def test_rows_hold_what_the_sheet_is_like_at_the_bond() -> None:
    sheet = _sheet()
    chosen = spread_bonds(sheet, 5)
    rows = list(localisation_of_bonds(sheet, chosen, _measure))
    assert [(row.first, row.second) for row in rows] == chosen
    changes = [row.bond_length_change for row in rows]
    assert changes == sorted(changes)
    for row in rows:
        assert row.localisation[0] == pytest.approx(BOND * (1 + row.bond_length_change))
        assert row.gradient == pytest.approx(0.2, abs=0.03)  # the sheet's tilt
        assert abs(row.height) < 0.1  # which its plane has taken off
        assert abs(row.shear) < 0.05


def test_a_table_goes_on_where_it_stopped(tmp_path: Path) -> None:
    sheet, path = _sheet(), tmp_path / "folder" / "bonds.csv"

    class Stopped(Exception):
        pass

    def breaks(patch: Patch) -> np.ndarray:  # type: ignore[type-arg]
        if len(path.read_text().splitlines()) > 2:
            raise Stopped
        return _measure(patch)

    with pytest.raises(Stopped):
        write_localisation(sheet, 6, path, breaks)
    before = path.read_text()
    write_localisation(sheet, 6, path, _measure)
    after = path.read_text()
    assert after.startswith(before)
    assert len(after.splitlines()) == 7
    assert len(set(after.splitlines())) == 7
    write_localisation(sheet, 6, path, breaks)
    assert path.read_text() == after


def test_bonds_are_spread_from_the_shortest_to_the_longest() -> None:
    sheet = _sheet()
    lengths = sorted(sheet.get_distance(i, j) for i, j in inner_bonds(sheet))
    found = [sheet.get_distance(i, j) for i, j in spread_bonds(sheet, 4)]
    assert found[0] == pytest.approx(lengths[0])
    assert found[-1] == pytest.approx(lengths[-1])
    with pytest.raises(InputError, match="were asked for"):
        spread_bonds(sheet, 10_000)


def test_a_fit_finds_a_polynomial_within_its_errors() -> None:
    rng = np.random.default_rng(1)
    x = np.linspace(-0.1, 0.1, 60)
    truth = np.array([3.0, -1.0, 0.5])
    exact = fit_polynomial(x, np.polyval(truth, x), 2)
    np.testing.assert_allclose(exact.coefficients, truth, atol=1e-9)
    draws = [fit_polynomial(x, np.polyval(truth, x) + rng.normal(scale=0.01, size=60), 2) for _ in range(300)]
    spread = np.std([d.coefficients for d in draws], axis=0)
    np.testing.assert_allclose(np.mean([d.standard_errors for d in draws], axis=0), spread, rtol=0.15)
    assert np.mean([d.residual for d in draws]) == pytest.approx(0.01, rel=0.05)
    with pytest.raises(InputError, match="needs 4 points"):
        fit_polynomial(x[:3], x[:3], 2)
