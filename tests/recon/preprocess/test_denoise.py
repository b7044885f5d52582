"""Denoising: what it must leave, and what it must gain."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from datasets.errors import InputError
from datasets.schema import EULER_SEQUENCE, pixel_axis
from recon.preprocess.denoise import denoise


@pytest.fixture(scope="module")
def clean(images_of, cluster) -> np.ndarray:  # type: ignore[no-untyped-def]
    turns = Rotation.from_euler(EULER_SEQUENCE, [(0.0, t, 0.0) for t in range(-60, 61, 20)], degrees=True)
    images: np.ndarray = images_of(cluster(40), turns, pixel_axis(64, 0.4), pixel_axis(60, 0.4))
    return images


@pytest.mark.parametrize("method", ["wiener", "gaussian"])
@pytest.mark.parametrize("peak", [0.3, 3.0, 30.0])
def test_less_error_than_the_counts(clean: np.ndarray, method: str, peak: float) -> None:
    counts = np.random.default_rng(0).poisson(peak * clean).astype(float)
    better = denoise(counts, method, sigma=0.5)  # type: ignore[arg-type]
    assert np.mean((better - peak * clean) ** 2) < 0.8 * np.mean((counts - peak * clean) ** 2)


@pytest.mark.parametrize("method", ["none", "wiener", "gaussian"])
def test_electrons_are_kept(clean: np.ndarray, method: str) -> None:
    counts = np.random.default_rng(0).poisson(clean).astype(float)
    kept = denoise(counts, method, sigma=0.8)  # type: ignore[arg-type]
    np.testing.assert_allclose(kept.sum(axis=(1, 2)), counts.sum(axis=(1, 2)), rtol=1e-3)


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


def test_empty_images_stay_empty() -> None:
    assert not denoise(np.zeros((3, 8, 8)), "wiener").any()


def test_unknown_method() -> None:
    with pytest.raises(InputError, match="denoise must be one of none, wiener, gaussian"):
        denoise(np.zeros((1, 2, 2)), "magic")  # type: ignore[arg-type]
