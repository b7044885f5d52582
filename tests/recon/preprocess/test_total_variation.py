"""Poisson total variation: the minimum it must reach, the weight it must choose."""

import numpy as np
import pytest
from scipy.special import xlogy

from recon.preprocess.total_variation import choose_weight, minimise


@pytest.fixture(scope="module")
def disc() -> np.ndarray:
    y, x = np.mgrid[:48, :48]
    return np.where(np.hypot(y - 24, x - 22) < 14, 8.0, 2.0)


def objective(u: np.ndarray, image: np.ndarray, weight: float) -> float:
    d_y, d_x = np.zeros_like(u), np.zeros_like(u)
    d_y[:-1], d_x[:, :-1] = np.diff(u, axis=0), np.diff(u, axis=1)
    return float((u - xlogy(image, u)).sum() + weight * np.hypot(d_y, d_x).sum())


def test_no_weight_leaves_the_counts_and_a_great_one_their_mean(disc: np.ndarray) -> None:
    image = np.random.default_rng(0).poisson(disc).astype(float)
    np.testing.assert_allclose(minimise(image, 1e-4), image, atol=0.02)
    np.testing.assert_allclose(minimise(image, 50.0, n_iter=2000), image.mean(), rtol=1e-3)


def test_no_neighbour_is_better(disc: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    image = rng.poisson(disc).astype(float)
    least = minimise(image, 0.3, n_iter=3000)
    at_least = objective(least, image, 0.3)
    for step in (1e-3, 1e-2, 0.1):
        for _ in range(10):
            assert objective(least * np.exp(step * rng.normal(size=image.shape)), image, 0.3) > at_least
    assert objective(minimise(image, 0.3), image, 0.3) < at_least + 1e-4 * abs(at_least)


@pytest.mark.parametrize("dose", [0.2, 2.0, 50.0])
def test_the_weight_is_nearly_the_best(disc: np.ndarray, dose: float) -> None:
    counts = np.random.default_rng(1).poisson(dose * disc, (3, *disc.shape)).astype(float)

    def error(weight: float) -> float:
        return float(np.mean([(minimise(image, weight) - dose * disc) ** 2 for image in counts]))

    chosen = choose_weight(counts)
    best = min(error(c / np.sqrt(counts.mean())) for c in 2.0 ** np.arange(-4, 4))
    assert error(chosen) < 1.3 * best
