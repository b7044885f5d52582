"""Vacancies and turned bonds: found where they are, at doses that show them, and nowhere else."""

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr
from ase import Atoms
from scipy.spatial.distance import cdist

from recon import registry
from recon.base import Status
from recon.graphene.defects import log_prior, occupied, turned_bond
from recon.graphene.multislice import Lens, frame_model
from recon.graphene.plane_likelihood import PlaneLikelihood
from recon.graphene.prior import Sheet
from recon.graphene.topology import FoundSheet, bonds, find_sheet

LENS = Lens(80e3, defocus=80.0, Cs=1e4, focal_spread=10.0)


def _found(data: xr.Dataset) -> FoundSheet:
    frame, x, y = data["counts"].values[0].astype(float), data["x"].values, data["y"].values
    return find_sheet(frame_model(frame, x, y, data.attrs), frame, x, y)


def _nearest(atoms: Atoms, n: int = 1) -> np.ndarray:  # type: ignore[type-arg]
    """The `n` atoms nearest to the middle."""
    return np.argsort(np.hypot(*(atoms.positions[:, :2] - atoms.positions[:, :2].mean(axis=0)).T))[:n]


def _turn(atoms: Atoms) -> np.ndarray:  # type: ignore[type-arg]
    """Turn the bond of the atom in the middle and let it settle; its middle [Å]."""
    first = int(_nearest(atoms)[0])
    neighbours = bonds(atoms.positions)
    second = int(neighbours[first, 0])
    ends = atoms.positions[[first, second], :2]
    middle, along = ends.mean(axis=0), ends[1] - ends[0]
    along = along / np.hypot(*along)
    axes = np.array([along, [-along[1], along[0]]])
    template = turned_bond()
    nearest = cdist((atoms.positions[:, :2] - middle) @ axes.T, template.places)
    inside = nearest.min(axis=1) < 0.3
    atoms.positions[inside, :2] += template.moved[nearest[inside].argmin(axis=1)] @ axes
    return np.asarray(middle)


def test_a_turned_bond_is_at_rest_and_its_atoms_have_three_neighbours() -> None:
    template = turned_bond()
    places = template.places + template.moved
    ends = places[:2]
    np.testing.assert_allclose(ends[0], -ends[1], atol=1e-3)
    assert abs(ends[0, 0]) < 0.01  # across the bond that it was
    assert 1.25 < np.hypot(*(ends[0] - ends[1])) < 1.42  # shorter, as it is known to be
    neighbours = bonds(places)
    assert (neighbours[:6] >= 0).all()
    distances = np.linalg.norm(places[neighbours[:6]] - places[:6, None], axis=-1)
    assert (distances > 1.25).all()
    assert (distances < 1.6).all()


@pytest.mark.parametrize("turn", [0.0, 17.0])
def test_a_turned_bond_is_found(
    turn: float, sheet: Callable[..., Atoms], frame_of: Callable[..., xr.Dataset]
) -> None:
    atoms = sheet(18.0, turn=turn)
    middle = _turn(atoms)
    atoms.positions[:, :2] += np.random.default_rng(0).normal(scale=0.05, size=(len(atoms), 2))
    found = _found(frame_of(atoms, dose=4e3, lens=LENS, seed=1))
    assert len(found.positions) == len(atoms)
    assert cdist(found.positions, atoms.positions[:, :2]).min(axis=0).max() < 0.5
    assert len(found.turned) == 1
    assert np.hypot(*(found.turned[0] - middle)) < 0.2
    assert len(found.missing) == 0


def test_vacancies_and_pairs_of_them_are_found_and_nothing_else(
    sheet: Callable[..., Atoms], frame_of: Callable[..., xr.Dataset]
) -> None:
    for n in (1, 2):
        atoms = sheet(18.0, turn=11.0, scatter=0.05)
        first = int(_nearest(atoms)[0])
        gone = [first, int(bonds(atoms.positions)[first, 0])][:n]
        holes = atoms.positions[gone, :2].copy()
        del atoms[gone]
        found = _found(frame_of(atoms, dose=6e3, lens=LENS, seed=n))
        assert len(found.missing) == n
        assert cdist(found.missing, holes).min(axis=0).max() < 0.4
        assert len(found.turned) == 0
        assert len(found.positions) == len(atoms)
        assert cdist(found.unseen, holes).min() > 2  # the lattice goes on outside, not in a hole


def test_an_intact_sheet_has_no_defects(
    sheet: Callable[..., Atoms], frame_of: Callable[..., xr.Dataset]
) -> None:
    atoms = sheet(18.0, turn=23.0, height=0.5, scatter=0.07)
    for seed in range(3):
        found = _found(frame_of(atoms, dose=4e3, lens=LENS, seed=seed))
        assert (len(found.missing), len(found.turned)) == (0, 0)


def test_a_vacancy_has_odds_against_it_and_atoms_for_them(
    sheet: Callable[..., Atoms], frame_of: Callable[..., xr.Dataset]
) -> None:
    """From any start: all sites full, or none."""
    whole = sheet(18.0)
    missing = int(_nearest(whole)[0])
    there = np.arange(len(whole)) != missing
    data = frame_of(whole[there], dose=8e3, lens=LENS, seed=0)
    frame, x, y = data["counts"].values[0].astype(float), data["x"].values, data["y"].values
    likelihood = PlaneLikelihood.of(frame_model(frame, x, y, data.attrs), frame, x, y)
    sites = whole.positions[:, :2]
    for start in (np.ones(len(sites), dtype=bool), np.zeros(len(sites), dtype=bool)):
        np.testing.assert_array_equal(occupied(likelihood, sites, bonds(sites), start), there)


def test_the_prior_of_sites_is_that_of_their_neighbours(sheet: Callable[..., Atoms]) -> None:
    """What is lost where an atom is taken out inside the sheet: its three neighbours' votes."""
    sites = sheet(18.0).positions[:, :2]
    neighbours, full = bonds(sites), np.ones(len(sites), dtype=bool)
    first = int(_nearest(sheet(18.0))[0])
    one, two = full.copy(), full.copy()
    one[first] = False
    two[[first, neighbours[first, 0]]] = False
    coupling = (log_prior(neighbours, full) - log_prior(neighbours, one)) / 3
    assert coupling > 0
    assert log_prior(neighbours, full) - log_prior(neighbours, two) == pytest.approx(4 * coupling)


def test_multislice_map_holds_with_a_vacancy_and_a_turned_bond(
    sheet: Callable[..., Atoms], frame_of: Callable[..., xr.Dataset]
) -> None:
    """As many atoms, in their places; three at the vacancy have two bonds, all others inside three."""
    for defect in ("vacancy", "turned"):
        atoms = sheet(12.0)
        if defect == "turned":
            _turn(atoms)
        else:
            del atoms[_nearest(atoms)]
        data = frame_of(atoms, n=96, dose=2e4, lens=LENS, seed=3)
        answer = registry.get("multislice-map[n_samples=20,n_iter=20,temperature=300]").reconstruct(
            data, rng=np.random.default_rng(0)
        )
        assert answer.status is Status.OK
        assert len(answer.atoms) == len(atoms)
        assert cdist(answer.atoms.positions[:, :2], atoms.positions[:, :2]).min(axis=0).max() < 0.3
        centre = atoms.positions[:, :2].mean(axis=0)
        inner = np.hypot(*(answer.atoms.positions[:, :2] - centre).T) < 3.5
        counts = (bonds(answer.atoms.positions) >= 0).sum(axis=1)
        assert np.count_nonzero(counts[inner] == 2) == (3 if defect == "vacancy" else 0)
        energy, forces = Sheet(bonds(answer.atoms.positions)).energy(answer.atoms.positions)
        assert np.isfinite(energy)
        assert np.isfinite(forces).all()
