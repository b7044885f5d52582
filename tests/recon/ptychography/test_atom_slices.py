"""Atoms drawn into slices: how much, where, and the derivatives."""

from __future__ import annotations

import numpy as np
import pytest

from recon.ptychography.atom_slices import SliceGrid

GRID = SliceGrid(32, 0.4, 7, 2.0, -6.0)
WIDTHS = np.array([0.2, 0.4, 0.8])


def test_an_atom_has_its_phase_wherever_it_stands() -> None:
    rng = np.random.default_rng(0)
    positions, phases = rng.uniform(-3, 3, (5, 3)), rng.uniform(0.1, 1, (5, 3))
    drawn = GRID.draw(positions, phases, WIDTHS)
    assert drawn.sum() * GRID.voxel**2 == pytest.approx(phases.sum(), rel=5e-3)
    profile = drawn.sum(axis=(1, 2)) * GRID.voxel**2
    heights = GRID.entrance + GRID.spacing * np.arange(GRID.n_slices)
    centre = (phases.sum(axis=1) @ positions[:, 2]) / phases.sum()
    assert profile @ heights / profile.sum() == pytest.approx(centre, abs=0.01)


def test_an_atom_on_a_slice_is_in_that_slice_alone_and_one_beyond_in_the_last() -> None:
    for height, slices in ((-2.0, [2]), (-1.0, [2, 3]), (9.0, [6]), (-9.0, [0])):
        drawn = GRID.draw(np.array([[0.1, 0.2, height]]), np.ones((1, 3)), WIDTHS)
        assert np.flatnonzero(drawn.sum(axis=(1, 2)) > 1e-9).tolist() == slices


def test_atoms_over_the_edge_do_no_harm() -> None:
    drawn = GRID.draw(np.array([[6.3, 0.0, 0.0], [40.0, 0.0, 0.0]]), np.ones((2, 3)), WIDTHS)
    assert np.isfinite(drawn).all()
    assert 0.3 < drawn.sum() * GRID.voxel**2 / 3 < 0.8


def test_derivatives() -> None:
    rng = np.random.default_rng(1)
    positions, phases = rng.uniform(-4, 4, (6, 3)), rng.uniform(0.1, 1, (6, 3))
    weights = rng.normal(size=(GRID.n_slices, GRID.n, GRID.n))
    by_place, by_phase = GRID.adjoint(weights, positions, phases, WIDTHS)
    move, change = rng.normal(size=positions.shape), rng.normal(size=phases.shape)

    def value(step: float, other: float) -> float:
        drawn = GRID.draw(positions + step * move, phases + other * change, WIDTHS)
        return float(np.sum(weights * drawn.astype(np.float64)))

    step = 1e-3
    assert (value(step, 0) - value(-step, 0)) / (2 * step) == pytest.approx(np.sum(by_place * move), rel=1e-3)
    assert (value(0, step) - value(0, -step)) / (2 * step) == pytest.approx(
        np.sum(by_phase * change), rel=1e-3
    )
