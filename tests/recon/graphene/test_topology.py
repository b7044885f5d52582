"""Atoms of a noisy frame, in the plane: however the sheet lies, and no atom where there is none."""

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from recon.graphene.multislice import Lens, frame_model
from recon.graphene.topology import bonds, find_sheet

UNDERFOCUS = Lens(80e3, defocus=80.0, Cs=1e4, focal_spread=10.0)
DARK = Lens(80e3, defocus=-20.0, Cs=-2e4, focal_spread=30.0)


def _found(data: xr.Dataset) -> np.ndarray:  # type: ignore[type-arg]
    frame, x, y = data["counts"].values[0].astype(float), data["x"].values, data["y"].values
    return find_sheet(frame_model(frame, x, y, data.attrs), frame, x, y).positions


@pytest.mark.parametrize("turn", [0.0, 11.0, 30.0, 47.0])
def test_every_atom_is_found_and_no_other(
    turn: float, sheet: Callable[..., Atoms], frame_of: Callable[..., xr.Dataset]
) -> None:
    atoms = sheet(18.0, turn=turn, scatter=0.05)
    found = _found(frame_of(atoms, lens=UNDERFOCUS, seed=3))
    assert len(found) == len(atoms)
    assert cdist(found, atoms.positions[:, :2]).min(axis=1).max() < 0.5


@pytest.mark.parametrize("turn", [11.0, 47.0])
def test_dark_atoms_through_a_lens_that_hardly_resolves_them(
    turn: float, sheet: Callable[..., Atoms], frame_of: Callable[..., xr.Dataset]
) -> None:
    atoms = sheet(18.0, turn=turn, scatter=0.05)
    found = _found(frame_of(atoms, lens=DARK, seed=3, dose=3e4))
    distances = cdist(found, atoms.positions[:, :2])
    assert distances.min(axis=0).max() < 0.5
    assert len(found) <= 1.03 * len(atoms)


def test_a_vacancy_is_found(sheet: Callable[..., Atoms], frame_of: Callable[..., xr.Dataset]) -> None:
    atoms = sheet(18.0)
    middle = int(np.hypot(*atoms.positions[:, :2].T).argmin())
    hole = atoms.positions[middle, :2]
    del atoms[middle]
    found = _found(frame_of(atoms, dose=3e4, lens=UNDERFOCUS, seed=1))
    assert len(found) == len(atoms)
    assert np.hypot(*(found - hole).T).min() > 1.0


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(0, 60))
def test_bonds_are_mutual_short_and_at_most_three(seed: int, n: int) -> None:
    positions = np.random.default_rng(seed).uniform(0, 9, size=(n, 2))
    found = bonds(positions)
    assert found.shape == (n, 3)
    for atom, neighbours in enumerate(found):
        there = neighbours[neighbours >= 0]
        assert len(set(there.tolist())) == len(there)
        assert all(atom in found[j] for j in there)
        assert (np.hypot(*(positions[there] - positions[atom]).T) < 1.25 * 1.4210).all()
