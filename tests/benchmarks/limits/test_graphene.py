"""The bound for the heights of a sheet: how it goes with dose, and what knowing graphene is worth."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.limits.graphene import SheetBound, sheet_bound, stiffness
from datasets.schema import pixel_axis
from recon.graphene.multislice import FrameModel, Lens
from recon.graphene.prior import BOND

AXIS = pixel_axis(72, 0.18)


def _patch() -> np.ndarray:  # type: ignore[type-arg]
    cell = np.array([[1.5, np.sqrt(3) / 2], [1.5, -np.sqrt(3) / 2]]) * BOND
    corners = np.stack(np.meshgrid(np.arange(3), np.arange(3)), axis=-1).reshape(-1, 2) @ cell
    plane = np.concatenate([corners, corners + np.array([BOND, 0])])
    plane -= plane.mean(axis=0)
    return np.column_stack([plane, np.zeros(len(plane))])


def _bound(dose: float, temperature: float | None = None, defocus: float = 80.0) -> SheetBound:
    model = FrameModel(AXIS, AXIS, Lens(80e3, defocus, 1e4, 10.0), dose=dose)
    return sheet_bound(model, _patch(), temperature=temperature)


def test_without_prior_errors_fall_as_the_root_of_the_dose() -> None:
    few, many = _bound(1e5).rms(), _bound(4e5).rms()
    np.testing.assert_allclose(few / many, 2, rtol=0.01)


def test_depth_is_what_a_frame_knows_least_of() -> None:
    x, y, z = _bound(8e3).rms()
    assert z > 10 * max(x, y)


@settings(max_examples=5, deadline=None)
@given(dose=st.floats(1e3, 1e7))
def test_knowing_graphene_never_harms(dose: float) -> None:
    alone, informed = _bound(dose), _bound(dose, 300.0)
    assert (informed.rms() < alone.rms()).all()
    assert informed.levelled() < alone.levelled()
    assert informed.levelled() <= informed.rms()[2]


def test_a_cold_sheet_is_known_better_than_a_hot_one() -> None:
    assert _bound(8e3, 100.0).levelled() < _bound(8e3, 1000.0).levelled()


def test_least_squares_on_noisy_frames_reaches_the_bound() -> None:
    """Heights and places of 18 atoms fitted to frames of the whole forward model, not of its information."""
    dose = 1e8  # so high that the frame is linear in what it leaves open
    model = FrameModel(AXIS, AXIS, Lens(80e3, 80.0, 1e4, 10.0), dose=dose, dtype=torch.float64)
    positions = _patch()
    steps = 1e-3 * np.eye(positions.size).reshape(-1, *positions.shape)
    with torch.no_grad():
        expected = model.expected(torch.as_tensor(positions)).numpy()
        ahead, behind = (
            np.array([model.expected(torch.as_tensor(positions + s * d)).numpy().ravel() for d in steps])
            for s in (1, -1)
        )
    jacobian = (ahead - behind).T / 2e-3
    weighted = jacobian / expected.reshape(-1, 1)
    fit = np.linalg.solve(jacobian.T @ weighted, weighted.T)
    rng = np.random.default_rng(0)
    off = np.array([fit @ (rng.poisson(expected) - expected).ravel() for _ in range(400)])
    reached = np.sqrt((off**2).mean(axis=0).reshape(-1, 3).mean(axis=0))
    bound = sheet_bound(model, positions).rms()
    np.testing.assert_allclose(reached, bound, rtol=0.06)


@pytest.mark.parametrize("temperature", [None, 300.0])
def test_an_unknown_defocus_costs_the_mean_height_and_nothing_of_the_shape(temperature: float | None) -> None:
    model = FrameModel(AXIS, AXIS, Lens(80e3, 80.0, 1e4, 10.0), dose=8e3)
    known = sheet_bound(model, _patch(), temperature=temperature)
    fitted = sheet_bound(model, _patch(), temperature=temperature, unknown={"defocus": 50.0})
    assert fitted.levelled() == pytest.approx(known.levelled(), rel=1e-3)
    assert fitted.rms()[2] ** 2 == pytest.approx(50.0**2 + known.rms()[2] ** 2, rel=0.01)
    both = sheet_bound(model, _patch(), temperature=temperature, unknown={"defocus": 50.0, "Cs": 1e5})
    assert both.rms()[2] >= fitted.rms()[2] - 1e-6
    assert both.levelled() == pytest.approx(known.levelled(), rel=0.02)


def test_an_aberration_that_is_known_well_costs_nothing() -> None:
    model = FrameModel(AXIS, AXIS, Lens(80e3, 80.0, 1e4, 10.0), dose=8e3)
    known, fitted = (sheet_bound(model, _patch(), unknown=u).rms() for u in ({}, {"Cs": 1.0}))
    np.testing.assert_allclose(fitted, known, rtol=1e-3)


def test_what_the_energy_adds_is_never_negative() -> None:
    rippled = _patch()
    rippled[:, 2] = 0.3 * np.sin(rippled[:, 0])
    assert np.linalg.eigvalsh(stiffness(rippled, 300.0)).min() > -1e-6


def test_at_low_dose_the_prior_halves_the_error_of_height() -> None:
    assert _bound(8e3, 300.0).levelled() < 0.5 * _bound(8e3).levelled()


def test_levelling_takes_off_a_plane_and_nothing_else() -> None:
    positions = _patch()
    tilt = np.zeros((3 * len(positions), 1))
    tilt[2::3, 0] = 0.1 + 0.3 * positions[:, 0] - 0.2 * positions[:, 1]
    assert SheetBound(positions, tilt @ tilt.T).levelled() == pytest.approx(0, abs=1e-6)
    assert SheetBound(positions, np.eye(3 * len(positions))).rms() == pytest.approx([1, 1, 1])
