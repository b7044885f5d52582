"""Gaussian atoms on pixels: their sums, their places, and the adjoint of their derivatives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recon.align.atom_images import ALONG_X, ALONG_Y, CONSTANT, SQUARE, moments, render

SHAPE = (40, 36)


def one_atom(place: tuple[float, float], column: int) -> np.ndarray:
    """The image of g times what `column` weighs, of an atom of σ = 2 pixels."""
    weights = np.zeros((1, 1, 4))
    weights[..., column] = 1.0
    return np.asarray(render(np.array([[place]]), np.array([2.0]), weights, SHAPE)[0])


def test_moments_of_an_atom() -> None:
    """Sum 2πσ², centre of mass at its place (column, row), mean square distance 2σ²; to what is cut off."""
    image = one_atom((17.3, 20.6), CONSTANT)
    row, column = np.indices(SHAPE)
    assert image.sum() == pytest.approx(2 * np.pi * 4, rel=0.005)
    assert (image * column).sum() / image.sum() == pytest.approx(17.3, abs=0.005)
    assert (image * row).sum() / image.sum() == pytest.approx(20.6, abs=0.005)
    assert one_atom((17.3, 20.6), SQUARE).sum() / image.sum() == pytest.approx(8, rel=0.02)


def test_weights_by_distance() -> None:
    image = one_atom((17.3, 20.6), CONSTANT)
    row, column = np.indices(SHAPE)
    np.testing.assert_allclose(one_atom((17.3, 20.6), ALONG_X), image * (column - 17.3), atol=1e-12)
    np.testing.assert_allclose(one_atom((17.3, 20.6), ALONG_Y), image * (row - 20.6), atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_moments_are_the_adjoint(seed: int) -> None:
    """Wherever the atoms are, the border and beyond included."""
    rng = np.random.default_rng(seed)
    places, sigma = rng.uniform(-5, 45, (3, 7, 2)), rng.uniform(0.6, 3, 3)
    weights, images = rng.normal(size=(3, 7, 4)), rng.normal(size=(3, *SHAPE))
    one = np.sum(render(places, sigma, weights, SHAPE) * images)
    other = np.sum(weights * moments(places, sigma, images))
    assert one == pytest.approx(other, rel=1e-9, abs=1e-9)
