"""Tilt angles in error by half a degree about three axes, refined."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from datasets.errors import InputError
from datasets.schema import EULER_SEQUENCE
from recon.align.angles import refine_angles
from recon.preprocess.denoise import wiener
from recon.project.geometry import Geometry
from recon.project.sparse import SparseProjector
from recon.tomography.fista import fista


def test_half_a_degree_without_noise(
    misaligned: Callable[..., Any], angle_error: Callable[..., float]
) -> None:
    series = misaligned(angle=0.5)
    assert angle_error(series.nominal.rotations, series.turns) > 0.35
    geometry, found = refine_angles(series.images, series.nominal)
    assert angle_error(geometry.rotations, series.turns) < 0.1
    assert list(found.history) == sorted(found.history, reverse=True)
    again = Rotation.from_euler(EULER_SEQUENCE, found.angles, degrees=True)
    assert (again * geometry.rotations.inv()).magnitude().max() < 1e-6
    assert np.abs(found.shifts).max() < 0.05


def test_shifts_and_intensities_on_top(
    misaligned: Callable[..., Any], angle_error: Callable[..., float]
) -> None:
    series = misaligned(angle=0.5, shift=0.1, scale=0.03)
    geometry, found = refine_angles(series.images, series.nominal)
    assert angle_error(geometry.rotations, series.turns) < 0.12
    np.testing.assert_allclose(found.scales, series.scales / series.scales.mean(), atol=0.01)


def test_exact_angles_stay(misaligned: Callable[..., Any], angle_error: Callable[..., float]) -> None:
    """To what the convergence of the volume allows, which more iterations improve."""
    series = misaligned()
    errors = []
    for first_iter in (30, 80):
        geometry, _ = refine_angles(series.images, series.nominal, first_iter=first_iter)
        errors.append(angle_error(geometry.rotations, series.turns))
    assert errors[0] < 0.12
    assert errors[1] < 0.03


def test_a_common_rotation_is_not_found(misaligned: Callable[..., Any]) -> None:
    """The refined rotations keep the specimen turned as the nominal ones have it, on average."""
    series = misaligned(angle=0.5)
    geometry, _ = refine_angles(series.images, series.nominal, n_iter=20)
    common = (series.nominal.rotations.inv() * geometry.rotations).mean()
    assert np.rad2deg(common.magnitude()) < 1e-3


def test_against_a_given_volume(misaligned: Callable[..., Any], angle_error: Callable[..., float]) -> None:
    """The angles alone, one step, against the volume of the exact ones: there is no exchange to wait for."""
    series = misaligned(angle=0.5)
    axis = series.nominal.x
    exact = SparseProjector(Geometry(series.turns, axis, axis, axis, 0.4))
    volume = fista(exact, torch.from_numpy(series.images).float(), 100)
    before = volume.clone()
    geometry, found = refine_angles(series.images, series.nominal, volume=volume, n_iter=1, nuisance=False)
    assert angle_error(geometry.rotations, series.turns) < 0.07
    assert not found.shifts.any()
    assert torch.equal(volume, before)


def test_the_grid_moves_three_steps_at_most(
    misaligned: Callable[..., Any], angle_error: Callable[..., float]
) -> None:
    series = misaligned(angle=0.5, n_atom=20, n_tilt=6, n_pixel=32)
    before = angle_error(series.nominal.rotations, series.turns)
    geometry, _ = refine_angles(series.images, series.nominal, method="grid", n_round=1, first_iter=10)
    assert angle_error(geometry.rotations, series.turns) < before
    assert np.rad2deg((geometry.rotations * series.nominal.rotations.inv()).magnitude()).max() < 0.25


@pytest.mark.slow
@pytest.mark.parametrize(("peak", "bound"), [(None, 0.11), (300, 0.17), (60, 0.3)])
def test_a_particle_of_two_hundred_atoms(
    misaligned: Callable[..., Any], angle_error: Callable[..., float], peak: float | None, bound: float
) -> None:
    """With the volume known, the Cramér–Rao bound would be 0.05° at 300 counts and 0.11° at 60."""
    series = misaligned(n_atom=200, n_tilt=24, n_pixel=64, angle=0.5, peak=peak)
    images = series.images if peak is None else wiener(series.images + 1) - 1
    geometry, _ = refine_angles(images, series.nominal)
    assert angle_error(geometry.rotations, series.turns) < bound


@pytest.mark.slow
def test_a_tenth_of_the_work_of_the_grid_and_a_smaller_error(
    misaligned: Callable[..., Any], angle_error: Callable[..., float]
) -> None:
    series = misaligned(angle=0.5)
    by_step, _ = refine_angles(series.images, series.nominal)
    by_grid, _ = refine_angles(series.images, series.nominal, method="grid", n_round=7)
    assert angle_error(by_step.rotations, series.turns) < angle_error(by_grid.rotations, series.turns)


def test_a_callback_can_stop_it(misaligned: Callable[..., Any]) -> None:
    def callback(n: int, figures: Mapping[str, float]) -> None:
        assert figures["r_factor"] > 0
        raise StopIteration

    series = misaligned(angle=0.5, n_atom=20, n_tilt=6, n_pixel=32)
    _, found = refine_angles(series.images, series.nominal, callback=callback)
    assert found.rounds == 1


def test_bad_input(misaligned: Callable[..., Any]) -> None:
    series = misaligned(n_atom=20, n_tilt=6, n_pixel=32)
    with pytest.raises(InputError, match="method must be one of joint, grid, not 'guess'"):
        refine_angles(series.images, series.nominal, method="guess")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="must be at least 1"):
        refine_angles(series.images, series.nominal, n_iter=0)
    with pytest.raises(InputError, match="the volume is"):
        refine_angles(series.images, series.nominal, volume=torch.zeros(3, 3, 3))
