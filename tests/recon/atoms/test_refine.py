"""Refinement of Gaussian atoms whose positions, intensities and width are known."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from ase import Atoms
from scipy.spatial.transform import Rotation

from datasets.errors import InputError
from datasets.schema import pixel_axis
from recon.atoms.gauss_newton import LinearisedFit
from recon.atoms.refine import MAX_MOVE, refine
from recon.atoms.refine_published import refine_published
from recon.project.gaussian_atoms import GaussianAtoms
from recon.project.geometry import Geometry

PIXEL, SIGMA = 0.4, 0.5
ImagesOf = Callable[..., npt.NDArray[np.float64]]


@pytest.fixture(scope="module")
def geometry() -> Geometry:
    axis = pixel_axis(48, PIXEL)
    turns = Rotation.from_euler("y", np.arange(-75.0, 76.0, 10.0)[:, None], degrees=True)
    return Geometry(turns, axis, axis, axis, PIXEL)


@pytest.fixture(scope="module")
def truth(cluster: Callable[..., Atoms]) -> Atoms:
    return cluster(55, ("Cu", "Au"), seed=4)


@pytest.fixture(scope="module")
def images(truth: Atoms, geometry: Geometry, images_of: ImagesOf) -> npt.NDArray[np.float64]:
    return 1000 * images_of(truth, geometry.rotations, geometry.x, geometry.y)


def displaced(truth: Atoms, by: float, seed: int = 0) -> npt.NDArray[np.float64]:
    return truth.positions + np.random.default_rng(seed).normal(scale=by, size=(len(truth), 3))


def rms(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(np.sum((a - b) ** 2, axis=1))))


def labels_of(atoms: Atoms) -> npt.NDArray[np.int64]:
    return (atoms.numbers == 79).astype(np.int64)


def test_noise_free_atoms_are_found_again(
    truth: Atoms, geometry: Geometry, images: npt.NDArray[np.float64]
) -> None:
    """From 0.2 Å off per axis to a thousandth of an Å, with the width and the intensities unknown."""
    start = displaced(truth, 0.2)
    found = refine(start, labels_of(truth), images, geometry, n_iter=20)
    assert rms(found.positions, truth.positions) < 2e-3
    np.testing.assert_allclose(found.widths, SIGMA, rtol=5e-3)
    expected = 1000 * (truth.numbers / 79) ** 1.7 * 2 * np.pi * (SIGMA / PIXEL) ** 2
    np.testing.assert_allclose(found.heights, expected, rtol=0.02)
    assert found.stats["r_factor"] < 0.02
    assert found.stats["displacement"] == pytest.approx(rms(start, truth.positions), rel=0.02)


@pytest.mark.parametrize("sharing", ["atom", "species", "all"])
def test_what_is_shared_is_equal(
    truth: Atoms, geometry: Geometry, images: npt.NDArray[np.float64], sharing: str
) -> None:
    labels = labels_of(truth)
    start = displaced(truth, 0.05)
    found = refine(start, labels, images, geometry, heights=sharing, widths=sharing, n_iter=3)  # type: ignore[arg-type]
    different = {"atom": len(truth), "species": 2, "all": 1}[sharing]
    assert len(np.unique(found.heights)) == len(np.unique(found.widths)) == different


def test_images_of_unequal_sharpness_place_and_brightness(truth: Atoms, geometry: Geometry) -> None:
    """Known, they leave no error; one width for all makes the light atoms, beside heavy ones, err most."""
    rng = np.random.default_rng(5)
    n_tilt = len(geometry.rotations)
    shifts, scales = rng.uniform(-1, 1, (n_tilt, 2)), rng.uniform(0.9, 1.1, n_tilt)
    blur = rng.permutation(np.linspace(0, 0.4, n_tilt))
    heights = 100 * truth.numbers.astype(float)
    images = GaussianAtoms.at(
        truth.positions / PIXEL,
        np.full(len(truth), SIGMA / PIXEL),
        np.ascontiguousarray(geometry.rotations.as_matrix()[:, :2]),
        np.array([geometry.x[0], geometry.y[0]]) / PIXEL,
        geometry.projection_shape[1:],
        shifts=shifts / PIXEL,
        blur=blur / PIXEL**2,
        scales=scales,
    ).project(heights)
    start, labels = displaced(truth, 0.1), labels_of(truth)
    known = refine(start, labels, images, geometry, shifts=shifts, scales=scales, blur=blur, n_iter=20)
    even = refine(start, labels, images, geometry, shifts=shifts, scales=scales, n_iter=20)
    assert rms(known.positions, truth.positions) < 2e-3
    np.testing.assert_allclose(known.heights, heights, rtol=0.01)
    np.testing.assert_allclose(known.widths, np.sqrt(SIGMA**2 + 0.2), rtol=5e-3)
    assert rms(even.positions, truth.positions) > 5 * rms(known.positions, truth.positions)


def test_counts_are_used_as_well_as_they_can_be(
    truth: Atoms, geometry: Geometry, images: npt.NDArray[np.float64]
) -> None:
    """With Poisson noise the error is that of the bound for weights that know the counts, within a fifth."""
    labels, background = labels_of(truth), 2.0
    expected = images / 20 + background
    errors = []
    for seed in range(3):
        counts = np.random.default_rng(seed).poisson(expected)
        found = refine(
            displaced(truth, 0.1, seed), labels, counts - background, geometry, background=background
        )
        errors.append(rms(found.positions, truth.positions))
    rows = np.ascontiguousarray(geometry.rotations.as_matrix()[:, :2])
    origin = np.full(2, geometry.x[0] / PIXEL)
    sigma = np.full(len(truth), SIGMA / PIXEL)
    atoms = GaussianAtoms.at(truth.positions / PIXEL, sigma, rows, origin, (48, 48))
    heights = (truth.numbers / 79) ** 1.7 * 50 * 2 * np.pi * (SIGMA / PIXEL) ** 2
    groups = np.arange(len(truth))
    alone = LinearisedFit(atoms, heights, (1 / expected).astype(np.float32), groups, groups)
    bound = PIXEL * np.sqrt(np.mean([np.trace(np.linalg.inv(b.reshape(3, 3))) for b in alone.blocks]))
    assert bound < np.mean(errors) < 1.4 * bound


def test_blocks_are_the_curvature_of_an_atom_that_stands_alone(geometry: Geometry) -> None:
    rows = np.ascontiguousarray(geometry.rotations.as_matrix()[:, :2])
    atoms = GaussianAtoms.at(np.zeros((1, 3)), np.array([2.0]), rows, np.array([-24.0, -24.0]), (48, 48))
    ones, group = np.ones((len(rows), 48, 48), dtype=np.float32), np.zeros(1, dtype=np.int64)
    fit = LinearisedFit(atoms, np.array([5.0]), ones, group, group)
    for axis in range(3):
        step = np.zeros((1, 3))
        step[0, axis] = 1.0
        applied = fit.apply((step, np.zeros(1), np.zeros(1)), 0.0, np.zeros(1))[0]
        np.testing.assert_allclose(
            applied[0], fit.blocks.reshape(3, 3)[axis], atol=0.03 * fit.of_positions[0]
        )


def test_no_atom_goes_further_than_allowed(geometry: Geometry, images: npt.NDArray[np.float64]) -> None:
    start = np.random.default_rng(1).uniform(-7, 7, (20, 3))
    found = refine(start, np.zeros(20, dtype=np.int64), images, geometry)
    assert np.linalg.norm(found.positions - start, axis=1).max() <= MAX_MOVE * (1 + 1e-9)
    assert found.heights.min() > 0
    assert np.isfinite(found.positions).all()


def test_a_gain_is_no_reason_to_move(
    truth: Atoms, geometry: Geometry, images: npt.NDArray[np.float64]
) -> None:
    labels, start = labels_of(truth), displaced(truth, 0.05)
    one = refine(start, labels, images, geometry, n_iter=3)
    ten = refine(start, labels, 10 * images, geometry, gain=10.0, n_iter=3)
    np.testing.assert_allclose(ten.positions, one.positions, atol=1e-4)
    np.testing.assert_allclose(ten.heights, 10 * one.heights, rtol=1e-3)


def test_nothing_to_refine(geometry: Geometry) -> None:
    empty = np.zeros(geometry.projection_shape)
    none = refine(np.empty((0, 3)), np.empty(0, dtype=np.int64), empty, geometry)
    assert none.positions.shape == (0, 3)
    start = np.ones((2, 3))
    for method in (refine, refine_published):
        dark = method(start, np.zeros(2, dtype=np.int64), empty, geometry)
        np.testing.assert_array_equal(dark.positions, start)


def test_arrays_that_do_not_fit_together(geometry: Geometry) -> None:
    empty, labels = np.ones(geometry.projection_shape), np.zeros(2, dtype=np.int64)
    with pytest.raises(InputError, match="positions"):
        refine(np.zeros((3, 3)), labels, empty, geometry)
    with pytest.raises(InputError, match="geometry needs"):
        refine(np.zeros((2, 3)), labels, empty[1:], geometry)
    with pytest.raises(InputError, match="shared by atom, species, all"):
        refine(np.zeros((2, 3)), labels, empty, geometry, widths="pixel")  # type: ignore[arg-type]


def test_published_descent_improves_heavy_atoms(
    truth: Atoms, geometry: Geometry, images: npt.NDArray[np.float64]
) -> None:
    """Bright atoms come near; B stays in its bounds, and the width follows from it."""
    labels, start = labels_of(truth), displaced(truth, 0.1)
    found = refine_published(start, labels, images, geometry, source=0.3)
    gold = labels == 1
    assert rms(found.positions[gold], truth.positions[gold]) < 0.3 * rms(start[gold], truth.positions[gold])
    factors = 8 * np.pi**2 * (found.widths**2 - 0.3**2 - PIXEL**2 / 12)
    assert factors.min() > 5 - 1e-6
    assert factors.max() < 15 + 1e-6
    assert factors[gold][0] == pytest.approx(8 * np.pi**2 * (SIGMA**2 - 0.3**2 - PIXEL**2 / 12), rel=0.02)
