"""The transform makes noise of one strength, its inverse brings the expectation back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon.preprocess.anscombe import anscombe, inverse_anscombe


def draws(mean: float, gain: float, read_noise: float, n: int = 400_000) -> np.ndarray:
    rng = np.random.default_rng(0)
    return gain * rng.poisson(mean, n) + rng.normal(0.0, read_noise, n)


@pytest.mark.parametrize(("gain", "read_noise"), [(1.0, 0.0), (1.0, 0.5), (3.0, 2.0), (0.2, 0.0)])
@pytest.mark.parametrize("mean", [0.3, 0.5, 1.0, 3.0, 20.0, 150.0])
def test_inverse_of_the_expected_transform_is_the_mean(mean: float, gain: float, read_noise: float) -> None:
    counts = draws(mean, gain, read_noise)
    expected_transform = np.array([anscombe(counts, gain, read_noise).mean()])
    found = inverse_anscombe(expected_transform, gain, read_noise)[0]
    standard_error = np.sqrt((mean * gain**2 + read_noise**2) / len(counts))
    assert found == pytest.approx(mean * gain, rel=2e-3, abs=4 * standard_error)


def test_the_algebraic_inverse_would_be_biased() -> None:
    transformed = anscombe(draws(1.0, 1.0, 0.0)).mean()
    assert (transformed / 2) ** 2 - 3 / 8 < 0.85


@pytest.mark.parametrize(("gain", "read_noise"), [(1.0, 0.0), (2.0, 1.0)])
@pytest.mark.parametrize("mean", [4.0, 30.0, 1000.0])
def test_noise_is_of_unit_strength(mean: float, gain: float, read_noise: float) -> None:
    assert anscombe(draws(mean, gain, read_noise), gain, read_noise).std() == pytest.approx(1.0, abs=0.02)


def test_closed_form_of_makitalo_and_foi() -> None:
    """Their closed-form approximation (Poisson), which they state to be within a few hundredths."""
    d = np.linspace(1.5, 40.0, 200)
    root = np.sqrt(3 / 2)
    closed = d**2 / 4 + root / (4 * d) - 11 / (8 * d**2) + 5 * root / (8 * d**3) - 1 / 8
    np.testing.assert_allclose(inverse_anscombe(d), closed, atol=0.03, rtol=1e-3)


@pytest.mark.parametrize("read_noise", [0.0, 0.7])
def test_table_and_asymptote_meet(read_noise: float) -> None:
    d = np.linspace(19.0, 21.5, 2001)
    steps = np.diff(inverse_anscombe(d, 1.0, read_noise))
    assert steps.min() > 0
    np.testing.assert_allclose(steps, d[:-1] / 2 * (d[1] - d[0]), rtol=0.05)


def test_nothing_is_nothing() -> None:
    assert inverse_anscombe(anscombe(np.zeros(3))).tolist() == [0.0, 0.0, 0.0]
    assert inverse_anscombe(np.array([-1.0, 0.0])).tolist() == [0.0, 0.0]


@given(low=st.floats(-5, 500), more=st.floats(1e-3, 100), gain=st.floats(0.1, 10), read_noise=st.floats(0, 3))
def test_both_ways_rise(low: float, more: float, gain: float, read_noise: float) -> None:
    transformed = anscombe(np.array([low, low + more]), gain, read_noise)
    assert transformed[1] >= transformed[0]
    back = inverse_anscombe(transformed, gain, read_noise)
    assert back[1] >= back[0] >= 0
