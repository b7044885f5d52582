"""Artefacts that were put in are taken out, and nothing else is."""

import numpy as np
import numpy.typing as npt
import pytest
import scipy.fft
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.errors import InputError
from recon.graphene.preprocess import (
    average,
    clean,
    dead_pixels,
    drift,
    flat_field,
    remove_artefacts,
    without_dead,
)

FloatArray = npt.NDArray[np.float64]
N, PIXEL, MEAN = 192, 0.16, 200.0


def honeycomb(dy: float = 0.0, dx: float = 0.0, width: float = 9.0) -> FloatArray:
    """A lattice of shortest vector 2.46 Å under an envelope of `width` [Å], moved by (dy, dx) pixels."""
    y, x = (np.mgrid[:N, :N] - np.array([dy, dx])[:, None, None]) * PIXEL
    k = 4 * np.pi / (np.sqrt(3) * 2.46)
    waves = sum(np.cos(k * (x * np.cos(a) + y * np.sin(a))) for a in np.deg2rad([0, 60, 120]))
    envelope = np.exp(-0.5 * ((x - 14) ** 2 + (y - 17) ** 2) / width**2)
    return np.asarray(MEAN * (1 + 0.04 * waves * envelope))


def shading() -> FloatArray:
    y, x = np.mgrid[:N, :N] / N - 0.5
    return np.asarray(1 + 0.15 * x - 0.2 * y**2 + 0.1 * x * y)


@pytest.mark.parametrize(("how", "left"), [("divide", 0.008), ("subtract", 0.012)])
def test_uneven_gain_is_removed(how: str, left: float) -> None:
    """Down to a part of the 20 % that were there: one-sided smoothing leaves the most at the edges."""
    flat = flat_field(honeycomb() * shading(), how)  # type: ignore[arg-type]
    ratio = flat / honeycomb()
    ratio /= ratio.mean()
    assert np.std(shading() / shading().mean()) > 0.045
    assert np.std(ratio[20:-20, 20:-20]) < left
    assert flat.mean() == pytest.approx((honeycomb() * shading()).mean(), rel=0.02)


def test_an_even_field_is_left_as_it_is() -> None:
    even = np.full((64, 64), 7.0)
    np.testing.assert_allclose(flat_field(even, "divide"), even)
    np.testing.assert_allclose(flat_field(even, "subtract"), even)
    assert flat_field(even, "none") is even


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 999), dose=st.floats(60, 1000))
def test_dead_pixels_are_found_and_few_others(seed: int, dose: float) -> None:
    rng = np.random.default_rng(seed)
    frame = rng.poisson(dose * honeycomb() / MEAN).astype(float)
    places = rng.choice(N * N, 40, replace=False)
    broken = frame.copy()
    broken.flat[places[:25]] = 0.0
    broken.flat[places[25:]] = 4 * dose
    found = dead_pixels(broken)
    assert found.flat[places].sum() >= 39  # one may lie in a cluster that is its own neighbourhood
    assert found.sum() - found.flat[places].sum() <= 2
    repaired = without_dead(broken, found)
    error = (repaired - dose * honeycomb() / MEAN).flat[places]
    assert np.sqrt(np.mean(error**2)) < 1.3 * np.sqrt(dose) * np.sqrt(1 / 8 + 0.05) + 0.1 * dose


def test_noise_free_frames_have_no_dead_pixels() -> None:
    assert not dead_pixels(honeycomb(width=1e3)).any()
    assert not dead_pixels(np.ones((16, 16))).any()


def test_a_dead_patch_is_filled_from_its_rim() -> None:
    y, x = np.mgrid[:32, :32]
    image = 5.0 + 0.1 * x + 0.2 * y
    dead = np.zeros((32, 32), dtype=bool)
    dead[10:14, 12:17] = True
    filled = without_dead(np.where(dead, 1e6, image), dead)
    np.testing.assert_array_equal(filled[~dead], image[~dead])
    assert np.abs(filled - image)[dead].max() < 0.5
    with pytest.raises(InputError, match="no pixel that is alive"):
        without_dead(image, np.ones((32, 32), dtype=bool))


def test_dead_pixels_are_gone_before_the_flat_field_sees_them() -> None:
    frame = np.random.default_rng(0).poisson(honeycomb() * shading()).astype(float)
    reference = flat_field(frame)
    frame[50, 60] = 1e7
    cleaned = remove_artefacts(frame[None])
    assert cleaned.dead[0, 50, 60]
    assert cleaned.dead.sum() <= 2
    cleaned.frames[cleaned.dead] = reference[cleaned.dead[0]]
    assert np.abs(cleaned.frames[0] / reference - 1).max() < 0.02


def test_drift_of_a_noisy_lattice_is_found() -> None:
    rng = np.random.default_rng(0)
    true = np.array([[0, 0], [3.3, -2.1], [-1.4, 5.2], [0.6, 0.0], [-4.0, -3.0]])
    frames = rng.poisson(np.stack([honeycomb(*s) for s in true])).astype(float)
    found = drift(frames, 0, max_shift=1.2 / PIXEL)
    assert np.abs(found - true).max() < 0.3  # 0.05 Å
    # averaged, the lattice is as it was and the noise is that of five frames
    mean = average(frames, 0, max_shift=1.2 / PIXEL)
    inner = (slice(12, -12),) * 2
    assert np.std((mean - honeycomb())[inner]) < 1.15 * np.sqrt(MEAN / 5)


def test_shifts_are_exact_without_noise() -> None:
    rng = np.random.default_rng(1)
    k = scipy.fft.fftfreq(N)
    smooth = np.exp(-((k[:, None] ** 2 + k**2) / 0.06**2)) * scipy.fft.fft2(rng.normal(size=(N, N)))

    def moved(dy: float, dx: float) -> FloatArray:
        return np.asarray(
            scipy.fft.ifft2(smooth * np.exp(-2j * np.pi * (k[:, None] * dy + k * dx))).real * 20 + 100
        )

    true = np.array([[0, 0], [2.36, -1.72]])
    found = drift(np.stack([moved(*s) for s in true]), 0, max_shift=8)
    np.testing.assert_allclose(found, true, atol=0.06)


def test_the_window_of_frames_stays_within_the_series() -> None:
    frames = np.arange(7.0)[:, None, None] * np.ones((1, 8, 8))
    assert average(frames, 0)[0, 0] == 2
    assert average(frames, 3)[0, 0] == 3
    assert average(frames, 6)[0, 0] == 4
    assert average(frames[:3], 1)[0, 0] == 1


@pytest.mark.parametrize("method", ["none", "wiener", "wavelet", "bm3d"])
def test_clean_frames_are_nearer_to_the_truth(method: str) -> None:
    """What is left of the noise of one frame after five are averaged and denoised."""
    rng = np.random.default_rng(2)
    frames = rng.poisson(np.broadcast_to(honeycomb() * shading(), (5, N, N))).astype(float)
    cleaned = clean(frames, pixel_size=PIXEL, method=method)  # type: ignore[arg-type]
    error = np.std((cleaned / cleaned.mean() - honeycomb() / MEAN)[20:-20, 20:-20])
    one_frame = 1 / np.sqrt(MEAN)
    assert error < (0.48 if method == "none" else 0.25) * one_frame
