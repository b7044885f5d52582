"""Denoising: what it must leave, and what it must gain."""

import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datasets.errors import InputError
from recon.preprocess.denoise import Denoise, denoise
from recon.preprocess.noise import Noise

PACKAGED: list[Denoise] = ["wiener", "gaussian", "nlm", "wavelet", "tv"]
"""The methods that need no optional package; the tests of BM3D are at the end."""


def error(images: np.ndarray, truth: np.ndarray) -> float:
    return float(np.sqrt(np.mean((images - truth) ** 2)))


@pytest.mark.parametrize("method", ["wiener", "gaussian", "wavelet", "tv"])
@pytest.mark.parametrize("peak", [0.3, 3.0, 30.0])
def test_less_error_than_the_counts(clean: np.ndarray, method: Denoise, peak: float) -> None:
    counts = np.random.default_rng(0).poisson(peak * clean).astype(float)
    better = denoise(counts, method, sigma=0.5)
    assert error(better, peak * clean) < 0.9 * error(counts, peak * clean)


@pytest.mark.parametrize("peak", [0.3, 1.0, 300.0])
def test_nlm_gains_at_low_dose_and_harms_little_at_high(clean: np.ndarray, peak: float) -> None:
    counts = np.random.default_rng(0).poisson(peak * clean).astype(float)
    allowed = 0.9 if peak <= 1 else 1.01
    assert error(denoise(counts, "nlm"), peak * clean) < allowed * error(counts, peak * clean)


@pytest.mark.parametrize(
    ("method", "kept"),
    [
        ("none", 1e-9),
        ("wiener", 1e-3),
        ("gaussian", 1e-3),
        ("wavelet", 0.02),
        ("tv", 1e-9),
        ("nlm", 1e-9),
    ],
)
def test_electrons_are_kept(clean: np.ndarray, method: Denoise, kept: float) -> None:
    counts = np.random.default_rng(0).poisson(clean).astype(float)
    better = denoise(counts, method, sigma=0.8)
    np.testing.assert_allclose(better.sum(axis=(1, 2)), counts.sum(axis=(1, 2)), rtol=kept)


@pytest.mark.parametrize("method", PACKAGED)
@settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(level=st.floats(0.5, 1e4), n_y=st.integers(24, 40), n_x=st.integers(24, 40))
def test_a_constant_stays(method: Denoise, level: float, n_y: int, n_x: int) -> None:
    """Noise-free and without structure there is nothing to take away."""
    images = np.full((2, n_y, n_x), level)
    np.testing.assert_allclose(denoise(images, method, sigma=1.0), images, rtol=2e-3)


@pytest.mark.parametrize("method", ["wiener", "wavelet", "nlm", "tv"])
@pytest.mark.parametrize("level", [0.5, 4.0, 60.0])
def test_pure_noise_becomes_flat_and_keeps_its_mean(method: Denoise, level: float) -> None:
    counts = np.random.default_rng(0).poisson(level, (6, 48, 48)).astype(float)
    flat = denoise(counts, method)
    assert flat.std() < 0.3 * counts.std()
    assert flat.mean() == pytest.approx(counts.mean(), rel=0.02)


@pytest.mark.parametrize("method", ["wiener", "wavelet", "nlm", "tv"])
def test_another_unit_with_its_noise_is_the_same(clean: np.ndarray, method: Denoise) -> None:
    """Electrons times a gain, denoised with that gain, are the denoised electrons times it."""
    counts = np.random.default_rng(0).poisson(2 * clean + 1).astype(float)
    seven = Noise(np.full(len(counts), 7.0), np.zeros(len(counts)))
    np.testing.assert_allclose(
        denoise(7.0 * counts, method, noise=seven), 7.0 * denoise(counts, method), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("method", ["wiener", "wavelet", "nlm", "tv"])
def test_read_noise_that_is_known_is_taken_off(clean: np.ndarray, method: Denoise) -> None:
    rng = np.random.default_rng(0)
    expected = 3 * clean + 1
    counts = rng.poisson(expected) + rng.normal(0.0, 2.0, clean.shape)
    known = Noise(np.ones(len(clean)), np.full(len(clean), 2.0))
    better = error(denoise(counts, method, noise=known), expected)
    assert better < 0.65 * error(counts, expected)
    assert better <= 1.02 * error(denoise(counts, method), expected)


@pytest.mark.parametrize("method", PACKAGED)
def test_empty_images_stay_empty(method: Denoise) -> None:
    assert not denoise(np.zeros((3, 24, 24)), method, sigma=1.0).any()


@pytest.mark.parametrize("method", PACKAGED)
def test_repeats_bit_for_bit(clean: np.ndarray, method: Denoise) -> None:
    counts = np.random.default_rng(0).poisson(clean[:2]).astype(float)
    once = denoise(counts.copy(), method, sigma=1.0)
    np.testing.assert_array_equal(once, denoise(counts, method, sigma=1.0))


def test_wiener_gains_with_dose_and_ends_at_the_identity(clean: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    kept = []
    for peak in (1.0, 100.0, 1e8):
        counts = rng.poisson(peak * clean).astype(float)
        kept.append(np.linalg.norm(denoise(counts, "wiener") - counts) / np.linalg.norm(counts))
    assert kept[0] > kept[1] > kept[2]
    assert kept[2] < 1e-4


def test_wiener_of_pure_noise_is_flat() -> None:
    counts = np.random.default_rng(0).poisson(4.0, (10, 32, 32)).astype(float)
    assert denoise(counts, "wiener").std() < 0.1 * counts.std()


def test_none_changes_nothing() -> None:
    images = np.ones((1, 4, 4))
    assert denoise(images, "none") is images


def test_unknown_method() -> None:
    with pytest.raises(InputError, match="denoise must be one of none, wiener, gaussian"):
        denoise(np.zeros((1, 2, 2)), "magic")  # type: ignore[arg-type]


class TestBM3D:
    """The published method, where its package is installed."""

    @pytest.fixture(autouse=True)
    def _package(self) -> None:
        pytest.importorskip("bm3d")

    def test_less_error_and_the_electrons_kept(self, clean: np.ndarray) -> None:
        expected = 10 * clean[:2] + 1
        counts = np.random.default_rng(0).poisson(expected).astype(float)
        better = denoise(counts, "bm3d")
        assert error(better, expected) < 0.9 * error(counts, expected)
        np.testing.assert_allclose(better.sum(axis=(1, 2)), counts.sum(axis=(1, 2)), rtol=0.05)

    def test_pure_noise_becomes_flat_and_keeps_its_mean(self) -> None:
        counts = np.random.default_rng(0).poisson(4.0, (2, 48, 48)).astype(float)
        flat = denoise(counts, "bm3d")
        assert flat.std() < 0.2 * counts.std()
        assert flat.mean() == pytest.approx(counts.mean(), rel=0.01)

    def test_a_constant_stays(self) -> None:
        for level in (0.0, 5.0):
            images = np.full((1, 24, 24), level)
            np.testing.assert_array_equal(denoise(images, "bm3d"), images)

    def test_least_squares_scale(self, clean: np.ndarray) -> None:
        """The published last step: the residual is orthogonal to the image."""
        counts = np.random.default_rng(0).poisson(5 * clean[:1]).astype(float)
        better = denoise(counts, "bm3d")
        assert abs(((counts - better) * better).sum()) < 1e-9 * (better**2).sum()


def test_missing_bm3d_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bm3d", None)
    with pytest.raises(InputError, match=r"pip install 'dosebench\[bm3d\]'"):
        denoise(np.ones((1, 8, 8)), "bm3d")
