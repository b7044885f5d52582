"""The likelihood from pairs of atoms is that of the frame."""

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr
from ase import Atoms

from recon.graphene.information import atom_images, standardised_modes
from recon.graphene.multislice import FrameModel, Lens, frame_model
from recon.graphene.plane_likelihood import PlaneLikelihood

LENS = Lens(80e3, defocus=80.0, Cs=1e4, focal_spread=10.0)
NONE = np.empty((0, 2))


def _likelihood(data: xr.Dataset) -> tuple[FrameModel, PlaneLikelihood]:
    frame, x, y = data["counts"].values[0].astype(float), data["x"].values, data["y"].values
    model = frame_model(frame, x, y, data.attrs)
    return model, PlaneLikelihood.of(model, frame, x, y)


@pytest.fixture(scope="module")
def atoms(sheet: Callable[..., Atoms]) -> Atoms:
    return sheet(14.0, turn=11.0, scatter=0.05)


@pytest.fixture(scope="module")
def data(atoms: Atoms, frame_of: Callable[..., xr.Dataset]) -> xr.Dataset:
    return frame_of(atoms, lens=LENS, seed=4)


def test_it_is_the_likelihood_of_the_frame(atoms: Atoms, data: xr.Dataset) -> None:
    """bᵀI − ½ IᵀI of the images I of all atoms, mode by mode."""
    model, likelihood = _likelihood(data)
    flat = atoms.positions * [1, 1, 0]
    images = atom_images(model, flat).astype(float)
    whole = images.sum(axis=0)
    measured = standardised_modes(model, data["counts"].values[0].astype(float))
    expected = float(whole @ measured - 0.5 * whole @ whole)
    assert likelihood.value(flat[:, :2], NONE)[0] == pytest.approx(expected, rel=1e-3)
    there = likelihood.value(flat[:9, :2], NONE)[0] + likelihood.value(flat[9:, :2], flat[:9, :2])[0]
    assert there == pytest.approx(expected, rel=1e-3)


def test_its_slope_is_its_derivative(atoms: Atoms, data: xr.Dataset) -> None:
    _, likelihood = _likelihood(data)
    likelihood = likelihood.scaled(atoms.positions[:, :2])
    rng = np.random.default_rng(0)
    free, fixed = atoms.positions[:20, :2] + rng.normal(scale=0.1, size=(20, 2)), atoms.positions[20:, :2]
    along = rng.normal(size=free.shape)
    ahead, behind = (likelihood.value(free + s * 1e-5 * along, fixed)[0] for s in (1, -1))
    slope = float((likelihood.value(free, fixed)[1] * along).sum())
    assert slope == pytest.approx((ahead - behind) / 2e-5, rel=1e-4, abs=1e-3)


def test_the_amplitude_is_that_of_the_atoms(atoms: Atoms, frame_of: Callable[..., xr.Dataset]) -> None:
    """One, but for what is not linear; and an atom's odds are those of its own image, beside the others."""
    _, likelihood = _likelihood(frame_of(atoms, lens=LENS, dose=1e4))
    plane = atoms.positions[:, :2]
    scaled = likelihood.scaled(plane)
    assert scaled.amplitude == pytest.approx(1, abs=0.05)
    odds = scaled.alone(plane) - scaled.overlaps(plane).sum(axis=1)
    half = 0.5 * scaled.amplitude**2 * float(scaled.overlap(0))
    np.testing.assert_allclose(odds, half, rtol=0.25)


def test_atoms_settle_where_they_are(atoms: Atoms, frame_of: Callable[..., xr.Dataset]) -> None:
    """As near as the prior lets them where there is noise, and nearer where there is less of it."""
    rng = np.random.default_rng(1)
    plane = atoms.positions[:, :2]
    sites = plane + rng.normal(scale=0.08, size=plane.shape)
    errors = []
    for dose in (2e3, 8e3, 3e4):
        _, likelihood = _likelihood(frame_of(atoms, lens=LENS, dose=dose, seed=5))
        _, found = likelihood.scaled(sites).relaxed(sites, NONE, spread=0.08)
        errors.append(float(np.sqrt(np.mean((found - plane) ** 2))))
    assert errors[0] < 0.08
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.03
