"""LOWESS: what it must leave as it is, and what it must take away."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon.graphene.local_regression import lowess


@given(
    slope=st.tuples(st.floats(-2, 2), st.floats(-2, 2)),
    offset=st.floats(-5, 5),
    fraction=st.sampled_from([0.05, 0.3, 1.0]),
    seed=st.integers(0, 99),
)
def test_planes_come_back(slope: tuple[float, float], offset: float, fraction: float, seed: int) -> None:
    points = np.random.default_rng(seed).uniform(-10, 10, (60, 2))
    values = points @ np.array(slope) + offset
    np.testing.assert_allclose(lowess(points, values, fraction=fraction), values, atol=1e-3)


def test_outliers_do_not_pull() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(-10, 10, (300, 2))
    values = 0.1 * points[:, 0] + rng.normal(scale=0.05, size=300)
    spoilt = values.copy()
    spoilt[::20] += 8.0
    robust = lowess(points, spoilt, fraction=0.2)
    plain = lowess(points, spoilt, fraction=0.2, n_robust=0)
    truth = 0.1 * points[:, 0]
    assert np.sqrt(np.mean((robust - truth) ** 2)) < 0.04
    assert np.sqrt(np.mean((plain - truth) ** 2)) > 0.3


def test_the_neighbourhood_follows_the_noise() -> None:
    """Without noise it is small enough for the ripple; in noise alone large, and what is left small."""
    rng = np.random.default_rng(1)
    points = rng.uniform(-20, 20, (600, 2))
    ripple = np.sin(2 * np.pi * points[:, 0] / 20)
    assert np.sqrt(np.mean((lowess(points, ripple) - ripple) ** 2)) < 0.06
    noise = rng.normal(size=600)
    assert np.std(lowess(points, noise)) < 0.2
    both = lowess(points, ripple + noise)
    assert np.sqrt(np.mean((both - ripple) ** 2)) < 0.35


def test_too_few_points_get_their_mean() -> None:
    values = np.array([1.0, 2.0, 6.0])
    assert lowess(np.eye(3)[:, :2], values) == pytest.approx([3, 3, 3])
    assert lowess(np.empty((0, 2)), np.empty(0)).shape == (0,)
