"""Gain and read noise that are known, found again."""

import numpy as np
import pytest
import scipy.ndimage

from recon.preprocess.noise import Noise, estimate_noise, published_noise


def series(
    mean: float, gain: float = 1.0, read_noise: float = 0.0, n: int = 8, width: float = 2.5
) -> np.ndarray:
    """`n` images of a smooth texture of up to `mean` electrons in a disc, on a background of one."""
    y, x = np.mgrid[:120, :112]
    texture = scipy.ndimage.gaussian_filter(np.random.default_rng(5).normal(size=y.shape), width)
    blob = (np.hypot(y - 60, x - 56) < 34) * np.maximum(1 + texture / texture.std(), 0.0)
    blob = scipy.ndimage.gaussian_filter(blob, 2.0)
    expected = 1.0 + mean * blob / blob.max()
    rng = np.random.default_rng(0)
    counts = gain * rng.poisson(expected, (n, *expected.shape))
    return counts + rng.normal(0.0, read_noise, counts.shape)


def assert_within(values: np.ndarray, truth: float, *, bias: float, spread: float) -> None:
    """The mean of `values` is `truth` within 4 standard errors and `bias`, and they agree within `spread`: of
    values that do not, the standard error would allow anything.
    """
    assert values.std() < spread
    assert abs(values.mean() - truth) < 4 * values.std() / np.sqrt(len(values)) + bias


@pytest.mark.parametrize("mean", [3.0, 10.0, 100.0, 1000.0])
def test_counted_electrons_have_gain_one_and_no_read_noise(mean: float) -> None:
    noise = estimate_noise(series(mean))
    assert_within(noise.gain, 1.0, bias=0.03, spread=0.15)
    assert np.median(noise.read_noise) < 0.35


@pytest.mark.parametrize(("gain", "read_noise"), [(2.0, 1.0), (0.1, 0.2), (30.0, 40.0)])
@pytest.mark.parametrize("mean", [20.0, 200.0])
def test_gain_and_read_noise(mean: float, gain: float, read_noise: float) -> None:
    noise = estimate_noise(series(mean, gain, read_noise))
    assert_within(noise.gain / gain, 1.0, bias=0.03, spread=0.1)
    assert_within(noise.read_noise**2 / read_noise**2, 1.0, bias=0.1, spread=0.4)


def test_published_estimator_on_flat_counts() -> None:
    """Without structure the four pixels of a block are replicates, and the rule is right."""
    counts = np.random.default_rng(0).poisson(5.0, (8, 120, 112)).astype(float)
    assert_within(published_noise(counts).gain, 1.0, bias=0.01, spread=0.03)


def test_published_estimator_takes_structure_for_noise() -> None:
    """Why the paper multiplies by 0.55 by hand, and why it is not the default here."""
    images = series(300.0)
    assert published_noise(images).gain.mean() > 2.0
    assert estimate_noise(images).gain.mean() == pytest.approx(1.0, abs=0.1)


def test_published_read_noise_is_that_of_the_background() -> None:
    rng = np.random.default_rng(0)
    images = np.zeros((4, 120, 112))
    images[:, 40:80, 40:80] = 500.0
    noisy = rng.poisson(images + 2.0) + rng.normal(0.0, 3.0, images.shape)
    found = published_noise(noisy)
    np.testing.assert_allclose(found.gain, 1.0, atol=0.1)
    np.testing.assert_allclose(found.read_noise, 3.0, rtol=0.04)


def test_units() -> None:
    """Counts in another unit: gain and read noise in that unit."""
    images = series(50.0, 2.0, 1.0, n=2)
    one, ten = estimate_noise(images), estimate_noise(10 * images)
    np.testing.assert_allclose(ten.gain, 10 * one.gain, rtol=1e-6)
    np.testing.assert_allclose(ten.read_noise, 10 * one.read_noise, rtol=1e-6)


def test_pooled_and_power() -> None:
    noise = Noise(np.array([1.0, 3.0]), np.array([0.0, 2.0]))
    pooled = noise.pooled(0.5)
    assert pooled.gain.tolist() == [1.0, 1.0]
    assert pooled.read_noise.tolist() == [0.5, 0.5]
    assert noise.power(np.ones((2, 3, 3))) == pytest.approx((1.0 + 3.0 + 4.0) / 2)
    assert Noise.counting(2).power(np.full((2, 3, 3), 7.0)) == 7.0


def test_empty_images() -> None:
    empty = np.zeros((2, 32, 32))
    assert np.isfinite(estimate_noise(empty).gain).all()
    assert published_noise(empty).read_noise.tolist() == [0.0, 0.0]
