"""Atoms fitted to patterns: derivatives, accuracy beside that of the volume, and what noise may add."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch
import xarray as xr
from ase import Atoms

from datasets.errors import InputError
from recon import registry
from recon.base import Status
from recon.ptychography.atom_fit import AtomModel, loss_and_gradient
from recon.ptychography.atom_potential import gaussian_widths, phase_integrals
from recon.ptychography.atoms_4d import Atoms4D
from recon.ptychography.mset import MSET
from recon.ptychography.scan import Scan
from recon.ptychography.tilt_series import TiltSeries

Distances = Callable[[Atoms, Atoms], npt.NDArray[np.float64]]


def test_derivatives_by_positions_and_phases(measured: xr.Dataset, truth: Atoms) -> None:
    some = measured.isel(tilt=[1, 4])
    series = TiltSeries(some, Scan.of(some), slice_thickness=1.6, dtype=torch.float64)
    rng = np.random.default_rng(0)
    species = np.array(["CuAu".index(symbol) // 2 for symbol in truth.symbols])
    model = AtomModel(
        truth.positions + rng.normal(0, 0.1, (8, 3)),
        species,
        np.ones(8),
        phase_integrals(["Cu", "Au"], 300e3),
        gaussian_widths(0.1, 0.4),
    )
    _, by_place, by_phase = loss_and_gradient(series, model, "poisson")
    move, taller = rng.normal(size=(8, 3)), rng.normal(size=8)
    step = 1e-3

    def value(place: float, height: float) -> float:
        changed = AtomModel(
            model.positions + place * move, species, 1 + height * taller, model.profiles, model.widths
        )
        return loss_and_gradient(series, changed, "poisson")[0]

    slope = (value(step, 0) - value(-step, 0)) / (2 * step)
    assert slope == pytest.approx(np.sum(by_place * move), rel=0.02)
    slope = (value(0, step) - value(0, -step)) / (2 * step)
    assert slope == pytest.approx(np.sum(by_phase * model.profiles[species] * taller[:, None]), rel=0.01)


def test_closer_than_the_volume_it_starts_from(
    measured: xr.Dataset, truth: Atoms, distances: Distances
) -> None:
    numbers: list[int] = []
    start, fitted = (
        method.reconstruct(measured, rng=np.random.default_rng(0), callback=callback)
        for method, callback in (
            (MSET(n_iter=4), None),
            # in the pixels and slices that the counts were made in
            (Atoms4D(slice_thickness=1.6, voxel=None), lambda number, _: numbers.append(number)),
        )
    )
    assert numbers == list(range(1, len(numbers) + 1))  # those of the start and of both stages
    assert len(numbers) > MSET().n_iter + Atoms4D().n_iter
    assert fitted.status is Status.OK
    assert len(fitted.atoms) == len(truth)
    errors = [distances(truth, found.atoms) for found in (start, fitted)]
    assert np.sqrt(np.mean(errors[1] ** 2)) < 0.8 * np.sqrt(np.mean(errors[0] ** 2))
    assert errors[1].max() < 0.06
    apart = np.linalg.norm(fitted.atoms.positions[:, None] - truth.positions, axis=-1)
    assert list(fitted.atoms.symbols) == [truth.symbols[i] for i in apart.argmin(axis=1)]


def test_phases_are_those_of_the_scattering_factors() -> None:
    from abtem.parametrizations import LobatoParametrization

    from recon.optics import interaction_constant

    for symbol in ("O", "Cu", "Au"):
        factor = LobatoParametrization().projected_scattering_factor(symbol)(np.array([1e-8]))
        found = phase_integrals([symbol], 300e3).sum() / interaction_constant(300e3)
        assert found == pytest.approx(float(factor[0]), rel=0.05)


def test_what_it_cannot_do_it_says(measured: xr.Dataset) -> None:
    lacking = measured.copy()
    del lacking.attrs["energy_eV"]
    for series, reason in (
        (measured.assign_attrs(modality="adf"), "atoms-4d reconstructs 4dstem tilt series"),
        (lacking, "atoms-4d needs the attribute 'energy_eV'"),
        (measured.isel(tilt=[0, 1]), "mset needs at least 3 tilts"),
    ):
        supported, sentence = registry.get("atoms-4d").supports(series)
        assert not supported
        assert sentence.startswith(reason)
    for wrong in ("blur=-1", "voxel=0", "slice_thickness=0"):
        with pytest.raises(InputError, match=wrong.split("=")[0]):
            registry.get(f"atoms-4d[{wrong}]")
    with pytest.raises(InputError, match="cannot start from itself"):
        registry.get("atoms-4d[start=atoms-4d]")
    with pytest.raises(InputError, match="n_iter must be positive"):
        registry.get("atoms-4d[n_iter=0]")
