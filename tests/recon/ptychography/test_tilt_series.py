"""One volume behind all patterns: its derivative, its slices, its memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.ndimage import gaussian_filter

from recon.memory import shortage
from recon.ptychography.scan import Scan
from recon.ptychography.tilt_series import Slicing, TiltSeries, memory_needed


@pytest.fixture(scope="module")
def series(measured: xr.Dataset) -> TiltSeries:
    """Three tilts, in double precision."""
    some = measured.isel(tilt=[0, 5, 9])
    return TiltSeries(some, Scan.of(some), slice_thickness=1.2, dtype=torch.float64)


def blob(seed: int) -> torch.Tensor:
    """A smooth positive volume in the middle of the cube."""
    noise = np.random.default_rng(seed).normal(size=(32, 32, 32))
    axis = np.arange(32) - 16
    envelope = np.exp(-(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2) / 50)
    smooth = gaussian_filter(noise, 1.5) * envelope
    return torch.as_tensor(0.02 * np.abs(smooth) / smooth.std())


def test_derivative_by_the_volume(series: TiltSeries) -> None:
    volume, along = blob(0), blob(1)
    for tilt in range(len(series)):
        value, gradient = series.gradient(volume, tilt, "poisson")
        step = 1e-4
        above, below = (series.gradient(volume + s * step * along, tilt, "poisson")[0] for s in (1, -1))
        assert (above - below) / (2 * step) == pytest.approx(float((gradient * along).sum()), rel=1e-5)
        assert value > 0


def test_slicing_and_its_adjoint() -> None:
    rng = np.random.default_rng(0)
    for n, thickness in ((12, 4), (10, 3), (7, 7), (5, 1)):
        slicing = Slicing(n, thickness)
        volume = torch.as_tensor(rng.normal(size=(n, 3, 3)))
        slices = torch.as_tensor(rng.normal(size=(slicing.n_slices, 3, 3)))
        assert slicing.slices(volume).shape == slices.shape
        forth, back = (slicing.slices(volume) * slices).sum(), (volume * slicing.adjoint(slices)).sum()
        assert float(forth) == pytest.approx(float(back))
        assert float(slicing.slices(volume).sum()) == pytest.approx(float(volume.sum()))


def test_grids_follow_detector_and_scan(measured: xr.Dataset) -> None:
    scan = Scan.of(measured)
    assert scan.detector.voxel == pytest.approx(0.4)
    assert scan.volume_size == 32
    assert scan.scan_step == pytest.approx(1.6)
    finer = Scan.of(measured, voxel=0.2)
    assert finer.detector.voxel == pytest.approx(0.2)
    assert finer.volume_size == 64
    assert finer.detector.length == pytest.approx(12.8)
    wide = Scan.of(measured.assign_attrs(defocus=-400.0))
    assert wide.detector.periods == 2  # the probe is wider than one period of the detector
    assert wide.detector.voxel == pytest.approx(0.4)


def test_memory_is_said_before_work(measured: xr.Dataset) -> None:
    needed = memory_needed(measured, Scan.of(measured), 2.0)
    assert 1e8 < needed < 2e9
    assert memory_needed(measured, Scan.of(measured, voxel=0.05), 2.0) > 50 * (needed - 5e8)
    assert shortage("mset", 1e6) == ""
    assert "needs 9.3e+05 GiB of memory" in shortage("mset", 1e15)
