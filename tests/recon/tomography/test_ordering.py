"""Orders and parts of a tilt series."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from datasets.errors import InputError
from datasets.schema import EULER_SEQUENCE
from recon.tomography.ordering import spread_order, spread_subsets

ANGLES = st.tuples(*(st.floats(-180, 180),) * 3)


def about_y(theta: np.ndarray) -> Rotation:
    return Rotation.from_euler("Y", theta[:, None], degrees=True)


def test_the_order_of_even_tilts() -> None:
    theta = np.arange(-90.0, 90.0, 11.25)
    order = theta[spread_order(about_y(theta))]
    np.testing.assert_allclose(order[:4], [-90, 0, -45, 45])
    np.testing.assert_allclose(np.sort(np.abs(order[4:8])), [22.5, 22.5, 67.5, 67.5])


@pytest.mark.parametrize("theta", [np.arange(-90.0, 90.0, 9.0), np.arange(-70.0, 71.0, 3.5)])
def test_successive_tilts_look_from_different_directions(theta: np.ndarray) -> None:
    order = theta[spread_order(about_y(theta))]
    step = np.abs((np.diff(order) + 90) % 180 - 90)
    assert step.mean() > 40
    assert step.min() > 5 * np.diff(theta)[0] - 30


@settings(deadline=None)
@given(st.lists(ANGLES, min_size=1, max_size=12), st.data())
def test_every_tilt_once(angles: list[tuple[float, float, float]], data: st.DataObject) -> None:
    turns = Rotation.from_euler(EULER_SEQUENCE, angles, degrees=True)
    n_subset = data.draw(st.integers(1, len(angles)))
    parts = spread_subsets(turns, n_subset)
    assert sorted(tilt for part in parts for tilt in part) == list(range(len(angles)))
    assert len(parts) == n_subset
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_parts_cover_all_directions() -> None:
    theta = np.arange(-90.0, 90.0, 9.0)
    for part in spread_subsets(about_y(theta), 4):
        ordered = np.sort(theta[part])
        assert np.diff(ordered, append=ordered[0] + 180).max() <= 63


def test_more_parts_than_tilts_are_refused() -> None:
    with pytest.raises(InputError, match="number of tilts"):
        spread_subsets(about_y(np.array([0.0, 10.0])), 3)
