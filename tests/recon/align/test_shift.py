"""Shifts by the Fourier shift theorem: exact on band-limited images, unitary, and black at the border."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from datasets.errors import InputError
from datasets.schema import pixel_axis
from recon.align.shift import derivative, shift_images, shift_profiles

FloatArray = npt.NDArray[np.float64]
SHIFT = st.floats(-5, 5)


@pytest.mark.parametrize("shape", [(40, 48), (41, 47)])
def test_gaussian_atoms_move_exactly(
    shape: tuple[int, int], cluster: Callable[..., Atoms], images_of: Callable[..., FloatArray]
) -> None:
    atoms, still = cluster(30), Rotation.identity(1)
    y, x = (pixel_axis(n, 0.4) for n in shape)
    before, after = images_of(atoms, still, x, y), images_of(atoms, still, x - 0.7, y + 0.33)
    moved = shift_images(before, np.array([[0.7, -0.33]]) / 0.4)
    # a Gaussian of 1.25 pixels is band-limited to exp(−(1.25 π)²/2) = 4e-4 at the highest frequency
    np.testing.assert_allclose(moved, after, atol=5e-4 * before.max())


@given(dx=SHIFT, dy=SHIFT, n_x=st.integers(2, 9), n_y=st.integers(2, 9))
@settings(max_examples=50, deadline=None)
def test_the_shift_back_is_the_adjoint(dx: float, dy: float, n_x: int, n_y: int) -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 1, n_y, n_x))
    there, back = np.array([[dx, dy]]), np.array([[-dx, -dy]])
    left = np.sum(shift_images(one, there, border="wrap") * other)
    right = np.sum(one * shift_images(other, back, border="wrap"))
    assert left == pytest.approx(right, abs=1e-12)


@given(dx=SHIFT, dy=SHIFT, n_x=st.sampled_from([5, 9, 15]), n_y=st.sampled_from([3, 7, 11]))
@settings(max_examples=50, deadline=None)
def test_the_shift_back_is_the_inverse(dx: float, dy: float, n_x: int, n_y: int) -> None:
    """On odd axes, which have no frequency without a sign, for any image."""
    image = np.random.default_rng(1).normal(size=(1, n_y, n_x))
    there = shift_images(image, np.array([[dx, dy]]), border="wrap")
    back = shift_images(there, np.array([[-dx, -dy]]), border="wrap")
    np.testing.assert_allclose(back, image, atol=1e-12)
    assert np.sum(there**2) == pytest.approx(np.sum(image**2))
    assert there.sum() == pytest.approx(image.sum(), abs=1e-11)


def test_whole_pixels_roll() -> None:
    images = np.random.default_rng(2).normal(size=(2, 8, 9))
    moved = shift_images(images, np.array([[3.0, -2.0], [0.0, 1.0]]), border="wrap")
    np.testing.assert_allclose(moved[0], np.roll(images[0], (-2, 3), axis=(0, 1)), atol=1e-12)
    np.testing.assert_allclose(moved[1], np.roll(images[1], 1, axis=0), atol=1e-12)


def test_nothing_comes_in_at_the_border() -> None:
    moved = shift_images(np.ones((1, 8, 9)), np.array([[2.0, -1.0]]))
    expected = np.ones((8, 9))
    expected[:, :2] = expected[-1:] = 0
    np.testing.assert_allclose(moved[0], expected, atol=1e-12)


def test_white_noise_stays_white() -> None:
    """Linear interpolation by half a pixel would quarter its variance."""
    noise = np.random.default_rng(3).normal(size=(40, 33, 33))
    moved = shift_images(noise, np.full((40, 2), 0.5), border="wrap")
    assert moved.var() == pytest.approx(noise.var())


def test_profiles_move_as_images_do() -> None:
    profiles = np.random.default_rng(4).normal(size=(3, 12))
    shifts = np.array([0.3, -1.7, 2.0])
    images = shift_images(profiles[:, :, None], np.stack([0 * shifts, shifts], axis=-1), border="wrap")
    np.testing.assert_allclose(shift_profiles(profiles, shifts), images[:, :, 0], atol=1e-12)


@pytest.mark.parametrize("n", [16, 17])
def test_derivative_of_a_wave(n: int) -> None:
    wave = 2 * np.pi * 3 * np.arange(n) / n
    images = np.broadcast_to(np.sin(wave)[:, None], (2, n, 5))
    np.testing.assert_allclose(derivative(images, 1)[1, :, 2], 6 * np.pi / n * np.cos(wave), atol=1e-12)
    np.testing.assert_allclose(derivative(images, 2), 0, atol=1e-12)


def test_unknown_border() -> None:
    with pytest.raises(InputError, match="border must be one of zero, wrap, not 'grow'"):
        shift_images(np.zeros((1, 4, 4)), np.zeros((1, 2)), border="grow")  # type: ignore[arg-type]
