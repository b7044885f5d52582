"""Threshold doses: analytic crossings, censoring at both ends, laws, and intervals that cover."""

import math

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmarks.preset import Criterion
from benchmarks.threshold import crossing, threshold, thresholds
from datasets.errors import InputError

DOSES = np.array([1e2, 1e3, 1e4, 1e5])
ERROR = Criterion(metric="tracing_error", value=0.05)
CLASSIFIED = Criterion(metric="classification", value=0.95)
CURVES = arrays(np.float64, (4,), elements=st.floats(0, 1) | st.just(math.nan))


def cross(values, limit=0.05) -> float:
    return float(crossing(DOSES, values, limit, lower_is_better=True))


def test_a_line_in_log_dose_is_crossed_exactly() -> None:
    values = 0.5 - 0.2 * np.log10(DOSES / 1e2)
    assert cross(values, 0.2) == pytest.approx(10**3.5)
    assert crossing(DOSES, -values, -0.2, lower_is_better=False) == pytest.approx(10**3.5)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 0, 0, 0], -math.inf),
        ([1, 1, 1, 1], math.inf),
        ([0, 0, 0, 1], math.inf),
        ([0.1, 0, 0, 0], 10**2.5),
        ([0, 0.1, 0, 0], 10**3.5),
        ([0.1, 0.05, 0.05, 0.05], 1e3),
        ([math.nan, 0, 0, 0], 1e3),
        ([0, 0, math.nan, 0], 1e5),
        ([0, 0, 0, math.nan], math.inf),
        ([math.inf, 0, 0, 0], 1e3),
    ],
)
def test_known_crossings(values, expected) -> None:
    """Met once and lost again does not count; what has no value is not met."""
    assert cross(values) == pytest.approx(expected)


@pytest.mark.parametrize(("value", "expected"), [(0.01, -math.inf), (0.2, math.inf), (math.nan, math.inf)])
def test_a_single_dose_only_censors(value, expected) -> None:
    assert crossing([1e3], [value], 0.05, lower_is_better=True) == expected


@given(CURVES)
def test_before_it_is_not_met_and_after_it_stays_met(values) -> None:
    dose, met = cross(values), values <= 0.05
    assert met[dose < DOSES].all()
    if dose > -math.inf:
        assert not met[dose > DOSES][-1]
        assert dose == math.inf or DOSES[0] <= dose <= DOSES[-1]


@given(CURVES, arrays(np.float64, (4,), elements=st.floats(0, 1)))
def test_a_better_curve_needs_no_higher_dose(values, gain) -> None:
    assert cross(values * (1 - gain)) <= cross(values) * (1 + 1e-9)


@given(CURVES, st.floats(0, 1), st.floats(0, 1))
def test_a_stricter_limit_needs_no_lower_dose(values, a, b) -> None:
    assert cross(values, min(a, b)) >= cross(values, max(a, b)) * (1 - 1e-9)


@given(arrays(np.float64, (3, 2, 4), elements=st.floats(0, 1)))
def test_curves_are_crossed_one_by_one(values) -> None:
    together = crossing(DOSES, values, 0.3, lower_is_better=True)
    assert together.shape == (3, 2)
    np.testing.assert_array_equal(together, [[cross(curve, 0.3) for curve in row] for row in values])


@settings(max_examples=30)
@given(arrays(np.float64, (2, 3, 4), elements=st.floats(0, 1)), st.integers(0, 100))
def test_all_criteria_must_be_met(values, seed) -> None:
    """The threshold of two criteria is the larger of theirs, and the seed decides all that is random."""
    both = threshold(DOSES, [values, 1 - values[::-1]], [ERROR, CLASSIFIED], seed=seed, n_bootstrap=50)
    one = threshold(DOSES, [values], [ERROR], seed=seed, n_bootstrap=50)
    other = threshold(DOSES, [1 - values[::-1]], [CLASSIFIED], seed=seed, n_bootstrap=50)
    assert both.dose == max(one.dose, other.dose)
    assert both.low <= both.high
    assert both == threshold(
        DOSES, [values, 1 - values[::-1]], [ERROR, CLASSIFIED], seed=seed, n_bootstrap=50
    )


def test_an_interval_that_reaches_beyond_the_doses() -> None:
    """One structure is always solved, one never: the mean is never, and a resample may be either."""
    values = np.stack([np.zeros((2, 4)), np.ones((2, 4))])
    found = threshold(DOSES, [values], [ERROR])
    assert (found.dose, found.low, found.high) == (math.inf, -math.inf, math.inf)
    assert found.censored == "above"
    assert found.text == "> 1e+05 (< 100 to > 1e+05)"


def test_in_words() -> None:
    curve = np.array([0.1, 0, 0, 0])
    inside = threshold(DOSES, [np.tile(curve, (2, 2, 1))], [ERROR])
    assert (inside.censored, inside.text) == ("", "316")
    below = threshold(DOSES, [np.zeros((1, 1, 4))], [ERROR])
    assert (below.censored, below.text) == ("below", "< 100")
    spread = threshold(DOSES, [np.stack([curve, 2 * curve])[:, None]], [ERROR])
    assert spread.text.startswith("464 (316 to ")


def test_one_replicate_without_a_value_is_not_met() -> None:
    values = np.zeros((1, 3, 4))
    values[0, 1, 3] = math.nan
    assert threshold(DOSES, [values], [ERROR]).dose == math.inf


def test_intervals_cover() -> None:
    """Lines in log dose, displaced at random: the 95 % interval holds the true threshold about that often.

    A percentile bootstrap of twelve structures falls a little short, which is why it may be 85 %.
    """
    rng = np.random.default_rng(1)
    true, trials = 10**3.4, 300
    line = 0.3 - 0.1 * np.log10(DOSES / true)
    covered = 0
    for trial in range(trials):
        of_structure = rng.normal(0, 0.03, (12, 1, 1))
        of_cell = rng.normal(0, 0.02, (12, 2, 4))
        values = line + of_structure + of_cell
        criterion = Criterion(metric="tracing_error", value=0.3)
        found = threshold(DOSES, [values], [criterion], n_bootstrap=300, seed=trial)
        covered += found.low <= true <= found.high
    assert 0.85 <= covered / trials <= 0.99


@pytest.mark.parametrize("doses", [[1e3, 1e2], [0.0, 1e2], [1e2, 1e2], []])
def test_bad_doses(doses) -> None:
    with pytest.raises(InputError, match="must be positive and ascend"):
        crossing(doses, np.zeros(len(doses)), 0.1, lower_is_better=True)


def test_bad_values() -> None:
    with pytest.raises(InputError, match="2 criteria need as many arrays"):
        threshold(DOSES, [np.zeros((1, 1, 4))], [ERROR, CLASSIFIED])
    with pytest.raises(InputError, match="must have shape"):
        threshold(DOSES, [np.zeros((1, 4))], [ERROR])


def results_of(error: np.ndarray, status: np.ndarray | None = None) -> xr.Dataset:
    """Results with a tracing error (dataset, dose, replicate, reconstructor)."""
    dims = ("dataset", "dose", "replicate", "reconstructor")
    n, _, _, m = error.shape
    return xr.Dataset(
        {
            "tracing_error": (dims, error),
            "status": (dims, np.zeros(error.shape, np.int8) if status is None else status),
        },
        coords={
            "dataset": [f"cuau-150[seed={i}]" for i in range(n)],
            "base": ("dataset", ["cuau-150"] * n),
            "engine": ("dataset", ["linear"] + ["multislice"] * (n - 1)),
            "dose": DOSES,
            "reconstructor": [f"method-{i}" for i in range(m)],
            "kind": ("reconstructor", ["reconstructor"] * m),
        },
    )


def test_engines_are_kept_apart() -> None:
    """Linear images are another kind of data: their threshold is a row of its own."""
    error = np.ones((3, 4, 2, 1))
    error[0] = 0
    table = thresholds(results_of(error), [ERROR]).set_index("engine")
    assert table.loc["linear", "text"] == "< 100"
    assert table.loc["multislice", "text"] == "> 1e+05"
    assert table.loc["multislice", "n_structures"] == 2


def test_what_was_not_run_is_in_no_threshold() -> None:
    """Neither a replicate that lacks a dose, nor a structure, nor doses at which only others were run."""
    error, status = np.zeros((3, 4, 2, 3)), np.zeros((3, 4, 2, 3), np.int8)
    status[1, 3, 0, 0] = -1
    status[2, 3, :, 1] = -1
    status[1:, 2:, :, 2] = -1
    error[:, 0] = 1
    table = thresholds(results_of(np.where(status < 0, math.nan, error), status), [ERROR])
    found = table.set_index(["engine", "reconstructor"]).loc["multislice"]
    assert (found["dose"] > 100).all()
    assert (found["dose"] <= 1e3).all()
    assert found["n_replicates"].tolist() == [2, 2, 2]
    assert found["n_structures"].tolist() == [2, 1, 2]
    assert found["max_dose"].tolist() == [1e5, 1e5, 1e3]


def test_replicates_count_at_the_doses_that_they_have() -> None:
    """The mean at a dose is that of what was run; n is that of the doses about the interval."""
    values = np.zeros((1, 3, 4))
    values[0, :, 0] = [0.1, 0.2, 0.3]
    ran = np.ones(values.shape, dtype=bool)
    ran[0, 1:, 2:] = False
    whole, part = (threshold(DOSES, [values], [ERROR], ran=r) for r in (None, ran))
    assert part == whole
    assert (part.n_replicates, part.dose > 100) == (3, True)
    values[0, 1:, 2:] = 99
    assert threshold(DOSES, [values], [ERROR], ran=ran) == whole
    late = np.array([[[0.1, 0.1, 0.1, 0.0], [0.2, 0.3, 0.1, 0.0], [0.3, 0.2, 0.1, 0.0]]])
    single = threshold(DOSES, [late], [ERROR], ran=ran)
    assert single.n_replicates == 1
    assert single.low == single.dose == single.high
    with pytest.raises(InputError, match="a replicate must have been run at every dose"):
        threshold(DOSES, [values], [ERROR], ran=np.zeros(values.shape, dtype=bool))


def test_structures_without_a_dose_in_common_have_no_threshold() -> None:
    status = np.zeros((3, 4, 2, 1), np.int8)
    status[1, 0], status[2, 1] = -1, -1
    table = thresholds(results_of(np.zeros((3, 4, 2, 1)), status), [ERROR])
    assert table["engine"].tolist() == ["linear"]


def test_a_metric_that_is_not_there() -> None:
    with pytest.raises(InputError, match="'classification' is not in these results"):
        thresholds(results_of(np.zeros((1, 4, 1, 1))), [CLASSIFIED])


def test_a_method_that_was_not_run_on_a_structure_has_no_threshold_there() -> None:
    error, status = np.zeros((2, 4, 2, 2)), np.zeros((2, 4, 2, 2), np.int8)
    error[1, ..., 0], status[1, ..., 0] = math.nan, -1
    table = thresholds(results_of(error, status), [ERROR]).set_index(["engine", "reconstructor"])
    assert ("multislice", "method-0") not in table.index
    assert table.loc[("linear", "method-0"), "censored"] == "below"
    assert table.loc[("multislice", "method-1"), "censored"] == "below"


def test_an_image_without_noise_is_no_dose_that_could_be_needed() -> None:
    error = np.ones((1, 4, 1, 1))
    error[0, 3] = 0
    noise_free = results_of(error).assign_coords(dose=[*DOSES[:3], math.inf])
    (row,) = thresholds(noise_free, [ERROR]).to_dict("records")
    assert row["text"] == "> 1e+04"
    assert thresholds(noise_free.isel(dose=[3]), [ERROR]).empty
