"""Lists of electrons: the same counts again, bit for bit, and smaller than the array where they are few."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from datasets.events import decode_events, encode_events, from_events, is_sparse, to_events
from datasets.schema import make_measurement


@settings(max_examples=60)
@given(
    counts=arrays.arrays(
        st.sampled_from([np.uint8, np.uint16]),
        arrays.array_shapes(min_dims=2, max_dims=4, max_side=6),
        elements=st.sampled_from([0, 0, 0, 0, 1, 2, 250]),
    )
)
def test_any_counts_come_back(counts: np.ndarray) -> None:
    again = decode_events(encode_events(counts), counts.shape, counts.dtype)
    np.testing.assert_array_equal(again, counts)
    assert again.dtype == counts.dtype


def test_distances_of_any_length() -> None:
    for gap, n_bytes in ((3, 1), (255, 1), (256, 2), (70_000, 3)):
        counts = np.zeros((2, gap), dtype=np.uint8)
        counts[0, 0] = counts[1, 0] = 1
        parts = encode_events(counts)
        assert parts.shape == (n_bytes, 2)
        np.testing.assert_array_equal(decode_events(parts, counts.shape, counts.dtype), counts)


def patterns(mean: float) -> xr.Dataset:
    rng = np.random.default_rng(0)
    shape = (2, 9, 16, 16)
    k = np.arange(16) * 0.1
    zero, place = np.zeros(2), np.arange(9.0)
    return make_measurement(
        "4dstem",
        rng.poisson(mean, shape).astype(np.uint8),
        {"phi": zero, "theta": zero, "psi": zero, "scan_y": place, "scan_x": place, "ky": k, "kx": k},
        dose_per_area=1.0,
        pixel_size=1.0,
        background=0.0,
        elements=["Au"],
        beside={"adf": np.ones(shape[:2], dtype=np.uint8)},
    )


def test_a_measurement_comes_back_whole() -> None:
    data = patterns(0.05)
    assert is_sparse(data["counts"])
    stored = to_events(data)
    assert "counts" not in stored
    again = from_events(stored)
    xr.testing.assert_identical(again, data)
    assert again["counts"].dtype == data["counts"].dtype
    assert from_events(data) is data


@pytest.mark.parametrize("mean", [0.5, 20.0])
def test_patterns_of_many_electrons_stay_arrays(mean: float) -> None:
    assert not is_sparse(patterns(mean)["counts"])
    assert not is_sparse(patterns(0.01)["counts"].astype(float))
