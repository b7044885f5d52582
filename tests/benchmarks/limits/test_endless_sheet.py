"""The endless flat sheet: its elasticity, and its information against that of a finite one."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.limits.endless_sheet import BASIS, EDGES, SheetModes, elasticity, sheet_modes, waves
from benchmarks.limits.graphene import sheet_bound
from datasets.schema import pixel_axis
from recon.graphene.multislice import FrameModel, Lens

PIXEL = 0.18


def _modes(defocus: float, Cs: float = 0.0, n_cells: int = 12) -> SheetModes:
    return sheet_modes(Lens(80e3, defocus, Cs, 10.0, point_spread=0.07), PIXEL, n_cells)


def test_a_flat_sheet_is_stable_and_bends_as_the_fourth_power() -> None:
    stiffness = elasticity(48)
    assert np.linalg.eigvalsh(stiffness).min() > 0
    lengths = np.hypot(*waves(48).T)
    up = np.zeros(6)
    up[[2, 5]] = np.sqrt(0.5)
    near, far = (int(np.argsort(lengths)[k]) for k in (12, 60))
    energies = [float((up @ np.linalg.inv(stiffness[k]).real @ up) ** -1) for k in (near, far)]
    power = np.log(energies[1] / energies[0]) / np.log(lengths[far] / lengths[near])
    assert power == pytest.approx(4, abs=0.15)
    area = abs(np.linalg.det(EDGES))
    rigidity = 2 * energies[1] / (area * (2 * np.pi * lengths[far]) ** 4)
    assert 1.0 < rigidity < 2.2  # eV; 1.4 to 1.9 by most potentials and by DFT


def test_a_finite_sheet_is_told_as_much_of_the_frame_alone() -> None:
    n = np.arange(5)
    corners = np.stack(np.meshgrid(n, n), axis=-1).reshape(-1, 2) @ EDGES
    plane = (corners[:, None] + BASIS).reshape(-1, 2)
    flat = np.column_stack([plane - plane.mean(axis=0), np.zeros(len(plane))])
    axis = pixel_axis(144, PIXEL)
    for defocus in (80.0, 10.0):
        lens = Lens(80e3, defocus, 1e4, 10.0, point_spread=0.07)
        finite = sheet_bound(FrameModel(axis, axis, lens, dose=8e3), flat)
        endless = sheet_modes(lens, PIXEL, 12).precision(8e3)
        assert endless.z == pytest.approx(finite.rms()[2], rel=0.06)
        # atoms at the edge overlap with fewer
        assert endless.plane == pytest.approx(finite.rms()[0], rel=0.12)


def test_errors_fall_as_the_root_of_the_dose_and_with_the_energy_more_slowly() -> None:
    modes = _modes(80.0, 1e4, 18)
    alone = modes.precision(2e3).z / modes.precision(3.2e4).z
    informed = modes.precision(2e3, 1000.0).z / modes.precision(3.2e4, 1000.0).z
    assert alone == pytest.approx(4)
    assert informed == pytest.approx(2, rel=0.15)  # dose^(-1/4)


def test_in_focus_heights_show_and_the_lattice_does_not() -> None:
    focus, card = _modes(0.0).precision(8e3), _modes(80.0, 1e4).precision(8e3)
    assert focus.z < 0.75 * card.z
    assert focus.plane > 5 * card.plane


def test_focus_on_either_side_tells_as_much() -> None:
    # with phase contrast alone; what carbon absorbs makes a difference of some percent
    over, under = (_modes(d).precision(8e3, 300.0) for d in (-60.0, 60.0))
    assert over.z == pytest.approx(under.z, rel=0.15)
