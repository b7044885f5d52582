"""Images of Gaussian atoms against their formula, and derivatives against their adjoint and differences."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from recon.atoms.gaussian_images import GaussianAtoms

SHAPE = (30, 26)
ORIGIN = np.array([-13.0, -15.0])
ROWS = Rotation.from_euler("ZYX", [[3, 10, 2], [0, 70, -4], [8, -35, 5]], degrees=True).as_matrix()[:, :2]


def some_atoms(seed: int, n: int = 12) -> GaussianAtoms:
    rng = np.random.default_rng(seed)
    positions = rng.uniform(-14, 14, (n, 3))  # some of the windows are cut off by the image
    return GaussianAtoms.at(positions, rng.uniform(0.7, 2.5, n), np.ascontiguousarray(ROWS), ORIGIN, SHAPE)


def test_projection_is_the_formula_within_reach() -> None:
    atoms = some_atoms(0)
    heights = np.random.default_rng(1).uniform(0.5, 2.0, 12)
    y, x = np.arange(SHAPE[0])[:, None], np.arange(SHAPE[1])
    expected = np.zeros((3, *SHAPE))
    for tilt in range(3):
        for a, sigma in enumerate(atoms.sigma):
            d2 = (x - atoms.u[tilt, a]) ** 2 + (y - atoms.v[tilt, a]) ** 2
            expected[tilt] += heights[a] * np.exp(-d2 / (2 * sigma**2)) / (2 * np.pi * sigma**2)
    assert np.abs(atoms.project(heights) - expected).max() < 0.02 * expected.max()
    far = np.exp(-0.5 * 3.2**2)
    assert expected.sum() * (1 - 2 * far) < atoms.project(heights).sum() <= expected.sum()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_moments_are_the_adjoint_of_differentiate(seed: int) -> None:
    atoms, rng = some_atoms(seed), np.random.default_rng(seed)
    constant, linear, quadratic = rng.normal(size=12), rng.normal(size=(12, 3)), rng.normal(size=12)
    images = rng.normal(size=(3, *SHAPE)).astype(np.float32)
    made = atoms.differentiate(constant, linear, quadratic).astype(np.float64)
    moments = atoms.moments(images)
    forward = (made * images).sum()
    back = (moments * np.column_stack([constant, linear, quadratic])).sum()
    assert forward == pytest.approx(back, abs=1e-4 * np.linalg.norm(made) * np.linalg.norm(images))


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
    atoms = GaussianAtoms.at(np.zeros((1, 3)), np.array([2.0]), np.ascontiguousarray(ROWS), ORIGIN, SHAPE)
    overlaps = atoms.overlaps(np.ones((3, *SHAPE), dtype=np.float32))
    np.testing.assert_allclose(overlaps, np.pi * 2.0**2, rtol=1e-3)
