"""Images of Gaussian atoms against their formula, and what changes them against its adjoint."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from recon.project.gaussian_atoms import GaussianAtoms

SHAPE = (30, 26)
ORIGIN = np.array([-13.0, -15.0])
ROWS = Rotation.from_euler("ZYX", [[3, 10, 2], [0, 70, -4], [8, -35, 5]], degrees=True).as_matrix()[:, :2]
HEIGHT, ALONG_X, ALONG_Y, VARIANCE = range(4)


def some_atoms(seed: int, n: int = 12, precision: type = np.float32) -> GaussianAtoms:
    """Of different widths, blurred and dimmed from image to image; some windows are cut off by the image."""
    rng = np.random.default_rng(seed)
    positions, sigma = rng.uniform(-14, 14, (n, 3)), rng.uniform(0.7, 2.5, n)
    atoms = GaussianAtoms.at(
        positions,
        sigma,
        np.ascontiguousarray(ROWS),
        ORIGIN,
        SHAPE,
        shifts=rng.uniform(-1, 1, (3, 2)),
        blur=rng.uniform(0, 2, 3),
        scales=rng.uniform(0.8, 1.2, 3),
    )
    return replace(atoms, precision=precision)


def one_atom(weight: int) -> np.ndarray:
    """The image of a single weight of an atom of σ = 2 pixels at column 17.3 and row 20.6 of 36 and 40."""
    place = np.array([[17.3]]), np.array([[20.6]])
    atoms = GaussianAtoms(*place, np.array([2.0]), np.eye(2)[None], (40, 36), reach=3.5, precision=np.float64)
    return np.asarray(atoms.render(np.eye(4)[[weight]])[0])


def test_moments_of_an_atom() -> None:
    """Sum 1, centre of mass at its place, mean square distance 2σ²; to what is cut off."""
    image = one_atom(HEIGHT)
    row, column = np.indices(image.shape)
    square = (column - 17.3) ** 2 + (row - 20.6) ** 2
    assert image.sum() == pytest.approx(1, rel=0.005)
    assert (image * column).sum() / image.sum() == pytest.approx(17.3, abs=0.005)
    assert (image * row).sum() / image.sum() == pytest.approx(20.6, abs=0.005)
    assert (image * square).sum() / image.sum() == pytest.approx(8, rel=0.02)


def test_what_moves_and_what_blurs_an_atom() -> None:
    """The gradient is G d/σ², and ∂G/∂σ² is G (|d|²/2σ² − 1)/σ²."""
    image = one_atom(HEIGHT)
    row, column = np.indices(image.shape)
    x, y = column - 17.3, row - 20.6
    np.testing.assert_allclose(one_atom(ALONG_X), image * x / 4, atol=1e-12)
    np.testing.assert_allclose(one_atom(ALONG_Y), image * y / 4, atol=1e-12)
    np.testing.assert_allclose(one_atom(VARIANCE), image * ((x**2 + y**2) / 8 - 1) / 4, atol=1e-12)


def test_projection_is_the_formula_within_reach() -> None:
    atoms = some_atoms(0)
    heights = np.random.default_rng(1).uniform(0.5, 2.0, 12)
    y, x = np.arange(SHAPE[0])[:, None], np.arange(SHAPE[1])
    expected = np.zeros((3, *SHAPE))
    assert atoms.scales is not None
    for tilt in range(3):
        for a, variance in enumerate(atoms.variances[tilt]):
            d2 = (x - atoms.u[tilt, a]) ** 2 + (y - atoms.v[tilt, a]) ** 2
            one = heights[a] * np.exp(-d2 / (2 * variance)) / (2 * np.pi * variance)
            expected[tilt] += atoms.scales[tilt] * one
    assert np.abs(atoms.project(heights) - expected).max() < 0.02 * expected.max()
    far = np.exp(-0.5 * 3.2**2)
    assert expected.sum() * (1 - 2 * far) < atoms.project(heights).sum() <= expected.sum()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_moments_are_the_adjoint_of_render(seed: int, by_tilt: bool) -> None:
    """Wherever the atoms are, the border and beyond included."""
    for precision, tolerance in ((np.float32, 1e-4), (np.float64, 1e-12)):
        atoms, rng = some_atoms(seed, precision=precision), np.random.default_rng(seed)
        weights = rng.normal(size=(3, 12, 5) if by_tilt else (12, 5))
        images = rng.normal(size=(3, *SHAPE)).astype(precision)
        made = atoms.render(weights).astype(np.float64)
        forward = (made * images).sum()
        back = (atoms.moments(images, by_tilt=by_tilt) * weights).sum()
        assert forward == pytest.approx(back, abs=tolerance * np.linalg.norm(made) * np.linalg.norm(images))


def test_images_narrower_than_an_atom() -> None:
    atoms = GaussianAtoms.at(
        np.zeros((1, 3)), np.array([9.0]), np.ascontiguousarray(ROWS), np.array([-3.0, -15.0]), (30, 7)
    )
    weights, images = np.ones((1, 5)), np.ones((3, 30, 7), dtype=np.float32)
    made = atoms.render(weights)
    assert made.shape == images.shape
    assert np.sum(made) == pytest.approx(float(np.sum(atoms.moments(images))), rel=1e-4)


def test_threads_change_nothing() -> None:
    atoms = some_atoms(3, 700)
    images = np.random.default_rng(3).normal(size=(3, *SHAPE)).astype(np.float32)
    one = atoms.project(np.ones(700)), atoms.moments(images)
    torch.set_num_threads(3)
    try:
        several = atoms.project(np.ones(700)), atoms.moments(images)
    finally:
        torch.set_num_threads(1)
    np.testing.assert_array_equal(one[0], several[0])
    np.testing.assert_array_equal(one[1], several[1])


def test_overlaps_of_even_images_are_those_of_gaussians() -> None:
    """∫ f² exp(−|d|²/v) = π f² v."""
    scales, blur = np.array([1.0, 0.5, 2.0]), np.array([0.0, 1.0, 2.0])
    atoms = GaussianAtoms.at(
        np.zeros((1, 3)),
        np.array([2.0]),
        np.ascontiguousarray(ROWS),
        ORIGIN,
        SHAPE,
        blur=blur,
        scales=scales,
    )
    overlaps = atoms.overlaps(np.ones((3, *SHAPE), dtype=np.float32))
    np.testing.assert_allclose(overlaps[:, 0], np.pi * scales**2 * (4.0 + blur), rtol=3e-3)
