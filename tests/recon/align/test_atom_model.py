"""How images change with atoms and geometry: against finite differences, and by the adjoint."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from datasets.schema import pixel_axis
from recon.align.atom_model import N_ATOM, N_TILT, AtomImages, AtomModel
from recon.project.geometry import Geometry

N, TILTS = 6, 5


@pytest.fixture
def geometry() -> Geometry:
    x, y = pixel_axis(40, 0.4), pixel_axis(36, 0.4)
    return Geometry(Rotation.random(TILTS, random_state=0), x, y, x, 0.4)


@pytest.fixture
def model(geometry: Geometry) -> AtomModel:
    rng = np.random.default_rng(1)
    return AtomModel(
        rng.uniform(-3, 3, (N, 3)),
        rng.uniform(1, 2, N),
        geometry.rotations,
        rng.uniform(0.9, 1.1, TILTS),
        rng.uniform(-1, 1, (TILTS, 2)),
        rng.uniform(0.15, 0.4, TILTS),
    )


@pytest.mark.parametrize("number", range(N_ATOM + N_TILT))
def test_derivatives(geometry: Geometry, model: AtomModel, number: int) -> None:
    """By x, y, z and height of every atom, then by scale, shifts, turns and width of every tilt."""
    rng = np.random.default_rng(2)
    atoms, tilts = np.zeros((N, N_ATOM)), np.zeros((TILTS, N_TILT))
    if number < N_ATOM:
        atoms[:, number] = rng.normal(size=N)
    else:
        tilts[:, number - N_ATOM] = rng.normal(size=TILTS)
    step = np.concatenate([atoms.ravel(), tilts.ravel()])
    found = AtomImages(model, geometry).derivative(step)
    up, down = (AtomImages(model.moved(sign * 1e-5 * step), geometry).render() for sign in (1, -1))
    np.testing.assert_allclose(found, (up - down) / 2e-5, atol=1e-5 * np.abs(found).max())


def test_adjoint(geometry: Geometry, model: AtomModel) -> None:
    rng = np.random.default_rng(3)
    step, pixels = rng.normal(size=N * N_ATOM + TILTS * N_TILT), rng.normal(size=(TILTS, 36, 40))
    images = AtomImages(model, geometry)
    assert np.sum(images.derivative(step) * pixels) == pytest.approx(images.adjoint(pixels) @ step)


def test_squares(geometry: Geometry, model: AtomModel) -> None:
    """The squared norms of the derivatives by single numbers, on even weights."""
    images, weights = AtomImages(model, geometry), np.full((TILTS, 36, 40), 0.7)
    size = N * N_ATOM + TILTS * N_TILT
    norms = [np.sum((weights * images.derivative(unit)) ** 2) for unit in np.eye(size)]
    np.testing.assert_allclose(images.squares(weights), norms, rtol=0.05)


def test_heights_and_widths_stay_positive(model: AtomModel) -> None:
    step = np.full(N * N_ATOM + TILTS * N_TILT, -10.0)
    moved = model.moved(step)
    assert moved.heights.min() == 0
    np.testing.assert_allclose(moved.widths, model.widths / 2)
