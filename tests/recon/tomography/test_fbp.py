"""Filtered back-projection against what it inverts exactly."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from datasets.errors import InputError
from datasets.schema import EULER_SEQUENCE, pixel_axis
from recon.project.geometry import Geometry
from recon.project.projector import make_projector
from recon.tomography.fbp import angular_weights, fbp, tilt_angles, tilt_axis


def turns_of(theta: np.ndarray, phi: float = 0.0) -> Rotation:
    angles = [(phi, t, 0.0) for t in theta]
    return Rotation.from_euler(EULER_SEQUENCE, angles, degrees=True)


@pytest.mark.parametrize("phi", [0.0, 12.0])
@pytest.mark.parametrize("even", [True, False])
def test_many_projections_of_a_gaussian_give_it_back(phi: float, even: bool) -> None:
    theta = np.arange(60) * 3.0 - 90
    if not even:  # twice as dense on one side
        theta = np.concatenate([np.arange(45) * 2.0 - 90, np.arange(30) * 3.0])
    axis, sigma, pixel = pixel_axis(40, 0.5), 1.5, 0.5
    geometry = Geometry(turns_of(theta, phi), axis, pixel_axis(32, 0.5), axis, pixel)
    centre = np.array([2.0, -1.5, 3.0])
    images = []
    for turn in geometry.rotations:
        at = turn.apply(centre)
        images.append(
            np.outer(
                np.exp(-0.5 * ((geometry.y - at[1]) / sigma) ** 2),
                np.exp(-0.5 * ((axis - at[0]) / sigma) ** 2),
            )
        )
    projections = torch.as_tensor(np.array(images)) * math.sqrt(2 * math.pi) * sigma / pixel
    volume = fbp(make_projector(geometry, dtype=torch.float64), projections, positivity=False).numpy()
    parts = [np.exp(-0.5 * ((getattr(geometry, a) - centre[i]) / sigma) ** 2) for i, a in enumerate("xyz")]
    assert np.abs(volume - np.einsum("x,y,z->zyx", *parts)).max() < 0.03


def test_a_window_smooths_and_keeps_the_sum() -> None:
    axis = pixel_axis(32, 0.5)
    geometry = Geometry(turns_of(np.arange(60) * 3.0), axis, axis, axis, 0.5)
    projector = make_projector(geometry, dtype=torch.float64)
    projections = torch.rand(geometry.projection_shape, dtype=torch.float64)
    plain = fbp(projector, projections, positivity=False)
    hann = fbp(projector, projections, window="hann", positivity=False)
    low = fbp(projector, projections, cutoff=0.5, positivity=False)
    assert hann.std() < plain.std()
    assert low.std() < plain.std()


@given(st.lists(st.floats(-1.5, 1.5), min_size=3, max_size=30, unique=True))
def test_weights_are_positive_and_never_more_than_half_a_turn(angles: list[float]) -> None:
    weights = angular_weights(np.array(angles))
    assert np.all(weights >= 0)
    assert weights.sum() <= math.pi + 1e-9


def test_weights_of_known_schemes() -> None:
    full = np.radians(np.arange(60) * 3.0 - 90)
    np.testing.assert_allclose(angular_weights(full), math.pi / 60)
    both_ends = np.radians(np.linspace(-90, 90, 21))  # -90 and 90 are the same projection: half each
    expected = np.full(21, math.pi / 20)
    expected[[0, -1]] /= 2
    np.testing.assert_allclose(angular_weights(both_ends), expected)
    wedge = np.radians(np.linspace(-60, 60, 25))  # nothing stands for the missing wedge
    np.testing.assert_allclose(angular_weights(wedge), math.radians(5.0))
    uneven = np.radians([-90, -80, -70, -60, -55, -50, -45])
    np.testing.assert_allclose(np.degrees(angular_weights(uneven))[1:-1], [10, 10, 7.5, 5, 5])


def test_tilt_axis_and_angles() -> None:
    theta = np.linspace(-70, 65, 20)
    axis, off = tilt_axis(turns_of(theta, phi=15.0))
    np.testing.assert_allclose(axis, [0, 1, 0], atol=1e-12)
    assert off == pytest.approx(0.0, abs=1e-6)
    np.testing.assert_allclose(np.degrees(tilt_angles(turns_of(theta), axis)), theta)


def test_two_axes_are_refused() -> None:
    angles = [(0.0, t, 0.0) for t in (-60, 0, 60)] + [(0.0, 0.0, t) for t in (-60, 60)]
    axis = pixel_axis(8, 0.5)
    turns = Rotation.from_euler(EULER_SEQUENCE, angles, degrees=True)
    projector = make_projector(Geometry(turns, axis, axis, axis, 0.5))
    with pytest.raises(InputError, match="about one axis"):
        fbp(projector, torch.zeros(projector.geometry.projection_shape))
