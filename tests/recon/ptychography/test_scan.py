"""The detector of a reconstruction: its sampling points are those that the data are sums of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr
from ase import Atoms

from datasets.catalog import FourDStemCard, load_dataset
from datasets.errors import InputError
from datasets.imaging.four_d_stem import diffraction_patterns, make_plan
from datasets.imaging.potential import sliced_potential
from datasets.schema import make_measurement, pixel_axis
from recon.optics import interaction_constant
from recon.ptychography.places import Places
from recon.ptychography.scan import FINEST, Scan
from recon.ptychography.waves import WindowedMultislice

CLUSTER = Atoms("Au3Cu", positions=[[2, 0, 0], [0, 2.5, 1], [-2, -1, 2], [-1, -3, -2]])
DEFOCUS = -100.0


def recorded(binning: int) -> tuple[xr.Dataset, FourDStemCard]:
    """The noise-free patterns of 3 × 3 probes behind four atoms at rest, in pixels of 1/12.8 Å⁻¹, and their
    card.
    """
    card = load_dataset("cuau-150-4d").four_d_stem.model_copy(
        update={
            "phonons": 1,
            "phonon_sigma": 0.0,
            "potential_sampling": 0.1,
            "detector_outer_mrad": 55.0,
            "scan_step": 0.8,
            "n_scan": 3,
            "n_pixels": 32,
            "reciprocal_pixel_size": 1 / 12.8,
            "binning": binning,
        }
    )
    patterns = diffraction_patterns(CLUSTER, card, defocus=DEFOCUS, seed=np.random.SeedSequence(0)).patterns
    axis, k = pixel_axis(3, 0.8), card.detector_axis()
    y, x = (part.ravel() for part in np.meshgrid(axis, axis, indexing="ij"))
    zero = np.zeros(1)
    angles = dict.fromkeys(("phi", "theta", "psi"), zero)
    measurement = make_measurement(
        "4dstem",
        patterns[None],
        {**angles, "scan_y": y, "scan_x": x, "ky": k, "kx": k},
        dose_per_area=1 / 0.8**2,
        pixel_size=0.8,
        background=0.0,
        elements=["Au", "Cu"],
        optics={
            "energy_eV": 300e3,
            "semiangle_mrad": 21.0,
            "defocus": DEFOCUS,
            "detector_binning": float(binning),
        },
    )
    return measurement, card


def distance(measurement: xr.Dataset, card: FourDStemCard, fine: int | None = None) -> float:
    """Of the model's patterns from those of `measurement`, relative; with other sampling points if `fine`."""
    scan = Scan.of(measurement, card.sampling)
    seen = scan.detector if fine is None else replace(scan.detector, fine=fine)
    grid = make_plan(card, CLUSTER.positions, DEFOCUS).grid
    assert seen.voxel == pytest.approx(grid.sampling)
    potential = sliced_potential(CLUSTER, grid).array.transpose(0, 2, 1)
    model = WindowedMultislice(
        scan.lens,
        seen,
        spacing=grid.slice_thickness,
        entrance=grid.entrance + grid.slice_thickness / 2,
        electrons=scan.electrons,
        dtype=torch.float64,
    )
    slices = torch.as_tensor(interaction_constant(300e3) * potential.astype(float))
    places = Places(scan.positions, seen, (grid.origin, grid.origin), (grid.n, grid.n))
    patterns = measurement["counts"].values[0]
    return float(np.linalg.norm(model.patterns(slices, places).numpy() - patterns) / np.linalg.norm(patterns))


@pytest.mark.parametrize("binning", [1, 2, 4])
def test_patterns_agree_best_with_the_points_that_pixels_are_sums_of(binning: int) -> None:
    measurement, card = recorded(binning)
    assert Scan.of(measurement).detector.fine == binning
    error = distance(measurement, card)
    assert error < 0.003
    for other in {1, 2, 4} - {binning}:
        assert error < 0.7 * distance(measurement, card, other)


def test_many_points_are_thinned_and_none_stated_are_two(measured: xr.Dataset) -> None:
    assert "detector_binning" not in measured.attrs
    assert Scan.of(measured).detector.fine == 2
    assert Scan.of(measured.assign_attrs(detector_binning=16.0)).detector.fine == FINEST
    for wrong in (0.0, 1.5, float("nan")):
        with pytest.raises(InputError, match="detector_binning must be a whole number"):
            Scan.of(measured.assign_attrs(detector_binning=wrong))
