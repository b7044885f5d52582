"""Probes that stand elsewhere than they are said to, and a probe that is not what it is said to be."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr

from recon.ptychography.mset import mset
from recon.ptychography.scan import Scan
from recon.ptychography.scan_errors import ScanErrors
from recon.ptychography.tilt_series import TiltSeries


def reconstruct(measured: xr.Dataset, errors: ScanErrors) -> tuple[TiltSeries, float]:
    """The series after ten passes and the loss per pixel of the last."""
    series = TiltSeries(measured, Scan.of(measured), slice_thickness=3.2)
    losses: list[float] = []
    mset(
        series,
        10,
        step=1.5,
        loss="mixed",
        rng=np.random.default_rng(0),
        errors=errors,
        callback=lambda _, figures: losses.append(figures["loss"]),
    )
    return series, losses[-1]


def test_positions_come_back(measured: xr.Dataset) -> None:
    rng = np.random.default_rng(4)
    wrong = {
        axis: ("scan", measured[axis].values + rng.normal(0, 0.15, measured.sizes["scan"]), {"units": "Å"})
        for axis in ("scan_y", "scan_x")
    }
    said = measured.assign_coords(wrong)
    _, nominal = reconstruct(said, ScanErrors())
    series, refined = reconstruct(said, ScanErrors(positions=True))
    true = np.stack([measured["scan_y"].values, measured["scan_x"].values], axis=-1)
    near = np.hypot(*true.T) < 4.0  # where the atoms are
    before = series.scan.positions[near] - true[near]
    after = np.stack([places.positions[near] for places in series.places]) - true[near]
    spread = [np.sqrt(np.mean((off - off.mean(axis=-2, keepdims=True)) ** 2)) for off in (before, after)]
    assert spread[1] < 0.8 * spread[0]
    assert refined < nominal


def test_a_probe_out_of_focus_is_found(measured: xr.Dataset) -> None:
    said = measured.assign_attrs(defocus=float(measured.attrs["defocus"]) + 12.0)
    _, ideal = reconstruct(said, ScanErrors())
    series, refined = reconstruct(said, ScanErrors(probe=True))
    assert refined < ideal
    assert float(series.multislice.probe.abs().square().sum()) == pytest.approx(1, rel=1e-5)
    assert not torch.equal(series.multislice.probe, series.multislice.ideal)
