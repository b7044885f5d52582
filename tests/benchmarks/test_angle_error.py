"""The error of a tilt series' geometry, with known answers."""

import numpy as np
import pytest
import xarray as xr
from scipy.spatial.transform import Rotation

from benchmarks.metrics.angle_error import geometry_scores
from datasets.schema import EULER_SEQUENCE, rotations


@pytest.fixture
def true() -> xr.Dataset:
    theta, zero = np.linspace(-70, 90, 200), np.zeros(200)
    angles = {"phi": ("tilt", zero), "theta": ("tilt", theta), "psi": ("tilt", zero)}
    return xr.Dataset({**angles, "shift_x": ("tilt", zero), "shift_y": ("tilt", zero)})


def test_the_truth_has_no_error(true: xr.Dataset) -> None:
    assert geometry_scores(true, true) == pytest.approx({"angle_error": 0, "shift_error": 0}, abs=1e-6)


def test_normal_errors_of_each_angle(true: xr.Dataset) -> None:
    """The rms per axis is that of each Euler angle, up to ±90°."""
    rng = np.random.default_rng(0)
    errors = {name: ("tilt", true[name].values + rng.normal(scale=0.5, size=200)) for name in ("phi", "psi")}
    found = true.assign(**errors, theta=("tilt", true["theta"].values + rng.normal(scale=0.5, size=200)))
    assert geometry_scores(found, true)["angle_error"] == pytest.approx(0.5, rel=0.08)


def test_a_turned_and_moved_specimen_is_no_error(true: xr.Dataset) -> None:
    turn = rotations(true) * Rotation.from_euler("xyz", [3, -2, 1], degrees=True)
    angles = turn.as_euler(EULER_SEQUENCE, degrees=True)
    moves = rotations(true).apply([0.3, -0.2, 0.4])
    found = xr.Dataset(
        {
            **{name: ("tilt", angles[:, i]) for i, name in enumerate(("phi", "theta", "psi"))},
            "shift_x": ("tilt", moves[:, 0]),
            "shift_y": ("tilt", moves[:, 1]),
        }
    )
    assert geometry_scores(found, true) == pytest.approx({"angle_error": 0, "shift_error": 0}, abs=1e-6)


def test_shifts_in_picometres(true: xr.Dataset) -> None:
    signs = np.where(np.random.default_rng(1).random(200) < 0.5, -0.05, 0.05)
    found = true.assign(shift_x=("tilt", signs), shift_y=("tilt", -signs))
    assert geometry_scores(found, true)["shift_error"] == pytest.approx(5.0, rel=0.05)
