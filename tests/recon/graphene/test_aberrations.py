"""What a frame says of its own lens, on frames drawn by the forward model itself."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from ase import Atoms

from recon.graphene.aberrations import fit_spherical_aberration
from recon.graphene.descent import Posterior
from recon.graphene.gradient import frame_model, refine_lens
from recon.graphene.multislice import FrameModel, Lens
from recon.graphene.prior import Sheet
from recon.graphene.topology import bonds

LENS = Lens(80e3, defocus=80.0, Cs=1e4, focal_spread=10.0)


def models_of(measurement: xr.Dataset) -> Callable[[float], FrameModel]:
    frame, x, y = (
        measurement["counts"].values[0].astype(float),
        measurement["x"].values,
        measurement["y"].values,
    )
    return lambda Cs: frame_model(frame, x, y, {**measurement.attrs, "Cs": Cs})


@pytest.fixture(scope="module")
def flake(sheet: Callable[..., Atoms]) -> Atoms:
    return sheet(14.0, height=0.5)


@pytest.mark.parametrize("start", [-1e4, 0.0, 2.5e4])
def test_cs_and_height_come_out_of_an_exact_frame(
    flake: Atoms, frame_of: Callable[..., xr.Dataset], start: float
) -> None:
    frame = frame_of(flake, dose=1e6, n=96, lens=LENS)
    lower = flake.positions - [0.0, 0.0, 1.5]
    found = fit_spherical_aberration(frame["counts"].values[0], lower, start, models_of(frame))
    assert found.Cs == pytest.approx(1e4, abs=200)
    assert found.height == pytest.approx(1.5, abs=0.05)


def test_its_standard_errors_are_those_of_many_draws(
    flake: Atoms, frame_of: Callable[..., xr.Dataset]
) -> None:
    found = []
    for seed in range(12):
        frame = frame_of(flake, dose=2e4, n=96, lens=LENS, seed=seed)
        found.append(
            fit_spherical_aberration(frame["counts"].values[0], flake.positions, 1e4, models_of(frame))
        )
    pulls = np.array([[(f.Cs - 1e4) / f.errors[0], f.height / f.errors[1]] for f in found])
    # the square sum of 12 standard normal numbers lies within these limits 99.9 times of 100
    assert (((pulls**2).sum(axis=0) > 1.9) & ((pulls**2).sum(axis=0) < 34.8)).all()


def test_a_flat_sheet_is_near_enough(flake: Atoms, frame_of: Callable[..., xr.Dataset]) -> None:
    frame = frame_of(flake, dose=1e6, n=96, lens=LENS)
    flat = flake.positions * [1.0, 1.0, 0.0]
    found = fit_spherical_aberration(frame["counts"].values[0], flat, 0.0, models_of(frame))
    assert found.Cs == pytest.approx(1e4, abs=1500)
    assert found.height == pytest.approx(0.0, abs=0.6)


def test_a_posterior_goes_on_with_the_lens_that_was_found(
    flake: Atoms, frame_of: Callable[..., xr.Dataset]
) -> None:
    frame = frame_of(flake, dose=1e6, n=96, lens=LENS)
    counts, model_of = frame["counts"].values[0], models_of(frame)
    posterior = Posterior(model_of(0.0), counts, Sheet(bonds(flake.positions)), 300.0)
    before = posterior.likelihood(flake.positions)[0]
    placed = refine_lens(posterior, flake.positions, model_of)
    assert posterior.likelihood(placed)[0] < 0.1 * before
    assert replace(posterior.model.lens, Cs=1e4) == LENS
