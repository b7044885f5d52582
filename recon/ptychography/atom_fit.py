"""Positions, heights and profiles of atoms from all diffraction patterns at once, by quasi-Newton descent.

The model is the multislice of `waves` through atoms drawn into slices (`atom_slices`), each with a height
and the profile of its species; the loss is that of all counts. L-BFGS starts from the curvature that a thin,
fully seen phase object would have, 2 D ∫ (∂φ)² for D electrons per Å² in the whole series (`losses`), in
which every variable is of order one.

Cost of an evaluation: one pass of `mset` without its rotations; 10 to 20 are enough.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import Bounds, minimize

from recon.base import Callback
from recon.ptychography.atom_slices import SliceGrid
from recon.ptychography.losses import Loss
from recon.ptychography.tilt_series import TiltSeries

FloatArray = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

BOUND = 6.0
"""Heights stay below this many times that of their species: of the lightest one, until species are told."""


@dataclass(frozen=True)
class AtomModel:
    """Atoms at `positions` (n, 3) [Å], of `species` (n,), with `heights` (n,) relative to their species,
    whose `profiles` (n_species, n_gaussians) [rad Å²] are phases of Gaussians of `widths` (n_gaussians,) [Å].
    """

    positions: FloatArray
    species: Labels
    heights: FloatArray
    profiles: FloatArray
    widths: FloatArray

    @property
    def phases(self) -> FloatArray:
        """Phase of each atom's Gaussians (n, n_gaussians) [rad Å²]."""
        return self.heights[:, None] * self.profiles[self.species]

    def of(self, some: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> AtomModel:
        """Some of the atoms."""
        return replace(
            self, positions=self.positions[some], species=self.species[some], heights=self.heights[some]
        )

    def overlap(self) -> FloatArray:
        """∫ φ² of the profile of each species [rad² Å²], (n_species,)."""
        sums = self.widths[:, None] ** 2 + self.widths**2
        return np.einsum("sg,sh,gh->s", self.profiles, self.profiles, 1 / (2 * np.pi * sums))

    def slope(self) -> FloatArray:
        """∫ (∂φ/∂x)² of the profile of each species [rad²], (n_species,)."""
        sums = self.widths[:, None] ** 2 + self.widths**2
        return np.einsum("sg,sh,gh->s", self.profiles, self.profiles, 1 / (2 * np.pi * sums**2))


def slice_grid(series: TiltSeries) -> SliceGrid:
    """The slices of a tilt series."""
    thickness = series.slicing.thickness
    entrance = ((thickness - 1) / 2 - series.n // 2) * series.voxel
    return SliceGrid(series.n, series.voxel, series.slicing.n_slices, thickness * series.voxel, entrance)


def loss_and_gradient(
    series: TiltSeries, model: AtomModel, loss: Loss
) -> tuple[float, FloatArray, FloatArray]:
    """The loss of all tilts and its derivatives by positions (n, 3) and by phases (n, n_gaussians)."""
    grid, phases = slice_grid(series), model.phases
    by_place, by_phase = np.zeros_like(model.positions), np.zeros_like(phases)
    total = 0.0
    for tilt, rotation in enumerate(series.scan.rotations):
        turned = rotation.apply(model.positions)
        slices = torch.as_tensor(grid.draw(turned, phases, model.widths)).to(series.device, series.dtype)
        found = series.multislice.gradient(slices, series.places[tilt], series.counts[tilt], loss)
        total += found.loss
        place, phase = grid.adjoint(found.phases.cpu().numpy(), turned, phases, model.widths)
        by_place += rotation.apply(place, inverse=True)
        by_phase += phase
    return total, by_place, by_phase


def fit_atoms(
    series: TiltSeries,
    model: AtomModel,
    n_iter: int,
    *,
    loss: Loss,
    heights: bool = True,
    profiles: bool = True,
    callback: Callback | None = None,
) -> AtomModel:
    """The model of least loss after at most `n_iter` steps of L-BFGS from `model`: positions always,
    `heights` of single atoms and `profiles` of species if asked for.
    """
    electrons = 2 * series.scan.electrons / series.scan.scan_step**2 * len(series)
    overlap, slope = model.overlap()[model.species], model.slope()[model.species]
    own = 1 / (4 * np.pi * model.widths**2)
    counted = np.array([np.sum(model.heights[model.species == s] ** 2) for s in range(len(model.profiles))])
    scales = (
        1 / np.sqrt(electrons * np.repeat((model.heights**2 * slope)[:, None], 3, axis=1)),
        1 / np.sqrt(electrons * overlap),
        1 / np.sqrt(electrons * np.maximum(counted, 1.0)[:, None] * own),
    )
    free = (True, heights, profiles)
    start = (model.positions, model.heights, model.profiles)
    pixels = sum(counts.numel() for counts in series.counts)

    def unpacked(x: FloatArray) -> AtomModel:
        values, at = [], 0
        for value, scale, moves in zip(start, scales, free, strict=True):
            if moves:
                values.append(value + scale * x[at : at + value.size].reshape(value.shape))
                at += value.size
            else:
                values.append(value)
        return replace(model, positions=values[0], heights=values[1], profiles=values[2])

    def objective(x: FloatArray) -> tuple[float, FloatArray]:
        trial = unpacked(x)
        value, by_place, by_phase = loss_and_gradient(series, trial, loss)
        by_height = np.sum(by_phase * trial.profiles[trial.species], axis=1)
        by_profile = np.zeros_like(trial.profiles)
        np.add.at(by_profile, trial.species, by_phase * trial.heights[:, None])
        parts = zip((by_place, by_height, by_profile), scales, free, strict=True)
        return value, np.concatenate([(part * scale).ravel() for part, scale, moves in parts if moves])

    low = [
        np.full(model.positions.size, -np.inf),
        -model.heights / scales[1],
        (-model.profiles / scales[2]).ravel(),
    ]
    high = [
        np.full(model.positions.size, np.inf),
        (BOUND - model.heights) / scales[1],
        np.full(model.profiles.size, np.inf),
    ]
    lower, upper = (
        np.concatenate([part for part, moves in zip(side, free, strict=True) if moves])
        for side in (low, high)
    )
    steps = 0

    def report(intermediate_result) -> None:  # type: ignore[no-untyped-def]
        nonlocal steps
        steps += 1
        if callback is not None:
            callback(steps, {"loss": float(intermediate_result.fun) / pixels})  # StopIteration ends it

    found = minimize(
        objective,
        np.zeros(len(lower)),
        jac=True,
        method="L-BFGS-B",
        bounds=Bounds(lower, upper),
        callback=report,
        options={"maxiter": n_iter, "maxfun": 2 * n_iter, "ftol": 0.0, "gtol": 0.0},
    )
    return unpacked(found.x)
