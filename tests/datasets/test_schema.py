"""The measurement schema: what is right passes, and each way of being wrong gets its own sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from datasets.errors import InputError, StoreError
from datasets.schema import (
    MODALITIES,
    SCHEMA_VERSION,
    check_measurement,
    make_measurement,
    pixel_axis,
    rotations,
)

N_TILT, N_Y, N_X = 4, 6, 5


def adf(counts: np.ndarray | None = None, **changes: Any) -> xr.Dataset:
    """A small valid measurement, with `changes` to coordinates or keyword arguments."""
    coords = {
        "phi": np.zeros(N_TILT),
        "theta": np.linspace(-60, 60, N_TILT),
        "psi": np.zeros(N_TILT),
        "y": pixel_axis(N_Y, 0.4),
        "x": pixel_axis(N_X, 0.4),
    }
    keywords: dict[str, Any] = {
        "dose_per_area": 1e3,
        "pixel_size": 0.4,
        "background": 1.0,
        "elements": ["Cu", "Au"],
    }
    for name, value in changes.items():
        (coords if name in coords else keywords)[name] = value
    if counts is None:
        counts = np.ones((N_TILT, N_Y, N_X), dtype=np.uint16)
    return make_measurement("adf", counts, coords, **keywords)


def test_dose_total_is_the_sum_over_images() -> None:
    assert adf().attrs["dose_total"] == N_TILT * 1e3


def test_every_axis_has_units() -> None:
    data = adf()
    assert {name: data[name].attrs["units"] for name in data.coords} == {
        "phi": "deg",
        "theta": "deg",
        "psi": "deg",
        "y": "Å",
        "x": "Å",
    }


def test_pixel_axis_has_its_origin_on_a_pixel() -> None:
    for n in (6, 7):
        axis = pixel_axis(n, 0.3)
        assert axis[n // 2] == 0
        assert np.allclose(np.diff(axis), 0.3)


def test_theta_turns_x_towards_z_as_the_frame_says() -> None:
    turned = rotations(adf(theta=[90.0, 0, 0, 0])).apply([[0.0, 0.0, 1.0]] * N_TILT)
    assert np.allclose(turned[0], [1, 0, 0])  # x' = x cos(theta) + z sin(theta)


@given(angles=st.tuples(*[st.floats(-180, 180)] * 3))
def test_rotations_are_the_product_of_the_three_axis_rotations(angles: tuple[float, float, float]) -> None:
    phi, theta, psi = np.deg2rad(angles)
    about_z = [[np.cos(phi), -np.sin(phi), 0], [np.sin(phi), np.cos(phi), 0], [0, 0, 1]]
    about_y = [[np.cos(theta), 0, np.sin(theta)], [0, 1, 0], [-np.sin(theta), 0, np.cos(theta)]]
    about_x = [[1, 0, 0], [0, np.cos(psi), -np.sin(psi)], [0, np.sin(psi), np.cos(psi)]]
    data = adf(phi=[angles[0]] * N_TILT, theta=[angles[1]] * N_TILT, psi=[angles[2]] * N_TILT)
    expected = np.array(about_z) @ np.array(about_y) @ np.array(about_x)
    assert np.allclose(rotations(data).as_matrix()[0], expected, atol=1e-12)
    assert isinstance(rotations(data), Rotation)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"counts": np.ones((N_Y, N_X))}, "need dimensions (tilt, y, x), got shape (6, 5)"),
        ({"counts": np.full((N_TILT, N_Y, N_X), np.nan)}, "120 values that are not finite"),
        ({"counts": -np.ones((N_TILT, N_Y, N_X))}, "120 negative values"),
        ({"counts": np.ones((N_TILT, N_Y, N_X), dtype=complex)}, "counts must be numbers, not complex128"),
        ({"theta": [0.0, 1.0]}, "coordinate 'theta' has shape (2,), but counts has 4 along 'tilt'"),
        ({"psi": [0.0, 1.0, np.nan, 0.0]}, "coordinate 'psi' holds a value that is not finite"),
        ({"x": [0.0, 0.4, 0.8, 1.3, 1.7]}, "coordinate 'x' must increase in even steps"),
        ({"x": -pixel_axis(N_X, 0.4)}, "coordinate 'x' must increase in even steps"),
        ({"pixel_size": 0.5}, "pixel_size is 0.5 Å, but coordinate"),
        ({"elements": ["Cu", "Qq"]}, "unknown element 'Qq'"),
        ({"elements": ["Cu", "Cu"]}, "names a species twice"),
        ({"elements": []}, "non-empty list of chemical symbols"),
        ({"elements": "Cu"}, "non-empty list of chemical symbols"),
        ({"dose_per_area": 0.0}, "'dose_per_area' must be positive"),
        ({"dose_per_area": float("nan")}, "'dose_per_area' must be positive"),
        ({"background": -1.0}, "'background' must not be negative"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        adf(**changes)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_coordinate_or_attribute_is_named() -> None:
    data = adf()
    with pytest.raises(InputError, match=r"coordinate 'theta' .* is missing"):
        check_measurement(data.drop_vars("theta"))
    for name in ("background", "elements"):
        broken = data.copy()
        del broken.attrs[name]
        with pytest.raises(InputError, match=f"attribute '{name}' is missing"):
            check_measurement(broken)


def test_wrong_units_are_named() -> None:
    data = adf()
    data["theta"].attrs["units"] = "rad"
    with pytest.raises(InputError, match="must have units 'deg', it has 'rad'"):
        check_measurement(data)


def test_a_newer_schema_is_refused() -> None:
    data = adf()
    data.attrs["schema_version"] = SCHEMA_VERSION + 1
    with pytest.raises(StoreError, match=rf"schema version {SCHEMA_VERSION + 1}.*upgrade"):
        check_measurement(data)


def test_an_unknown_modality_answers_with_the_nearest() -> None:
    with pytest.raises(InputError, match="unknown modality '4dsterm'; did you mean '4dstem'"):
        make_measurement(
            "4dsterm", np.ones((1, 1, 1)), {}, dose_per_area=1, pixel_size=1, background=0, elements=["C"]
        )


@pytest.mark.parametrize("name", sorted(MODALITIES))
def test_each_modality_can_be_made_and_checked(name: str) -> None:
    kind = MODALITIES[name]
    sizes = {dim: 3 + i for i, dim in enumerate(kind.dims)}
    coords = {coord: np.arange(sizes[dim], dtype=float) for coord, (dim, _) in kind.coords.items()}
    data = make_measurement(
        name,
        np.ones(tuple(sizes.values()), int),
        coords,
        dose_per_area=1,
        pixel_size=1,
        background=0,
        elements=["C"],
    )
    assert data["counts"].dims == kind.dims
    assert set(data.coords) == set(kind.coords)
