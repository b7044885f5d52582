"""Known doses come back, whatever the bins, the gain and the way the electrons are drawn."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.errors import InputError
from recon.graphene.calibrate import (
    PUBLISHED_DOSES,
    calibrate_dose,
    expected_histogram,
    kl_divergence,
    relative_edges,
    sparse_image,
)

PIXEL = 0.16
N = 192


@pytest.fixture(scope="module")
def expected() -> npt.NDArray[np.float64]:
    """A honeycomb of waves, contrast 5 % rms."""
    y, x = np.mgrid[:N, :N] * PIXEL
    k = 2 * np.pi / 2.13
    image = sum(np.cos(k * (x * np.cos(a) + y * np.sin(a))) for a in np.deg2rad([0, 60, 120]))
    return np.asarray(1 + 0.04 * image)


@settings(max_examples=20, deadline=None)
@given(dose=st.floats(2e3, 3e4), gain=st.floats(0.1, 50.0), seed=st.integers(0, 99), drawn=st.booleans())
def test_a_known_dose_comes_back_within_five_percent(
    expected: npt.NDArray[np.float64], dose: float, gain: float, seed: int, drawn: bool
) -> None:
    rng = np.random.default_rng(seed)
    mean = dose * PIXEL**2
    counts = sparse_image(expected, mean, rng) if drawn else rng.poisson(mean * expected)
    trials = dose * np.array([0.5, 0.7, 0.95, 1.3, 1.6])
    found = calibrate_dose(gain * counts, 7 * expected, PIXEL, trial_doses=trials, unit=gain)
    assert found.dose_per_area == pytest.approx(dose, rel=0.05)
    assert found.dose_per_pixel == pytest.approx(found.dose_per_area * PIXEL**2)
    assert found.low < found.dose_per_area < found.high
    assert found.high - found.low < 0.12 * dose
    assert found.minimum <= found.divergence.min() + 1e-9


def test_the_interval_holds_the_truth_as_often_as_it_says(expected: npt.NDArray[np.float64]) -> None:
    rng = np.random.default_rng(3)
    dose, small = 8e3, expected[:96, :96]
    inside = 0
    for _ in range(60):
        found = calibrate_dose(rng.poisson(dose * PIXEL**2 * small), small, PIXEL, unit=1.0)
        inside += found.low <= dose <= found.high
    assert inside >= 51  # 57 of 60 expected; binomial: below 51 once in 130


def test_the_minimum_does_not_depend_on_the_bins(expected: npt.NDArray[np.float64]) -> None:
    counts = np.random.default_rng(1).poisson(8e3 * PIXEL**2 * expected)
    found = [calibrate_dose(counts, expected, PIXEL, n_bins=n, unit=1.0) for n in (16, 32, 64, 96)]
    half_width = 0.5 * (found[1].high - found[1].low)
    assert np.ptp([one.dose_per_area for one in found]) < half_width


def test_the_divergence_has_its_minimum_at_the_dose_as_in_the_published_table(
    expected: npt.NDArray[np.float64],
) -> None:
    counts = np.random.default_rng(2).poisson(8e3 * PIXEL**2 * expected)
    found = calibrate_dose(counts, expected, PIXEL, unit=1.0)
    assert found.trial_doses[np.argmin(found.divergence)] == 8e3
    assert len(found.divergence) == len(PUBLISHED_DOSES)
    assert (np.diff(found.divergence[:4]) < 0).all()
    assert (np.diff(found.divergence[3:]) > 0).all()


def test_a_wrong_contrast_is_taken_for_noise(expected: npt.NDArray[np.float64]) -> None:
    """Of relative variance 1/n + c²: with no contrast in the model, the dose is 1 / (1/n + c²)."""
    mean = 8e3 * PIXEL**2
    counts = np.random.default_rng(5).poisson(mean * expected)
    flat = calibrate_dose(counts, np.ones(100), PIXEL, unit=1.0)
    assert flat.dose_per_pixel == pytest.approx(1 / (1 / mean + expected.var()), rel=0.05)


def test_the_expected_histogram_is_that_of_many_draws(expected: npt.NDArray[np.float64]) -> None:
    rng = np.random.default_rng(4)
    counts = rng.poisson(30.0 * np.broadcast_to(expected, (20, N, N))) + rng.uniform(-0.5, 0.5, (20, N, N))
    edges = relative_edges(counts[0], 24)
    share = np.histogram(counts / 30.0, edges)[0] / counts.size
    levels = np.sort(expected.ravel())[::16]
    np.testing.assert_allclose(expected_histogram(levels, 30.0, edges), share, atol=8e-4)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(1e-3, 1)), min_size=2, max_size=20))
def test_the_divergence_is_never_negative(pairs: list[tuple[float, float]]) -> None:
    p, q = np.array(pairs).T
    if p.sum() > 1e-6:
        assert kl_divergence(p, q) >= -1e-12
        assert kl_divergence(p, p) == pytest.approx(0, abs=1e-12)


def test_a_dose_out_of_reach_is_one_sentence(expected: npt.NDArray[np.float64]) -> None:
    counts = np.random.default_rng(0).poisson(1e5 * PIXEL**2 * expected)
    with pytest.raises(InputError, match="no minimum between 2250 and 24000"):
        calibrate_dose(counts, expected, PIXEL, unit=1.0)
    with pytest.raises(InputError, match="positive mean"):
        calibrate_dose(np.zeros((8, 8)), expected, PIXEL)
