"""Seconds and memory of the gradient that multislice electron tomography takes of one tilt."""

from __future__ import annotations

import torch

from benchmarks.multislice_speed import vacuum_series
from recon.ptychography.scan import Scan
from recon.ptychography.tilt_series import TiltSeries


class Gradient:
    """One tilt of the small particle's series: 256 probes, patterns of 64 × 64, a volume of 64³ voxels."""

    params = ([3.2, 0.4], ["poisson", "mixed"])
    param_names = ("slice_thickness", "loss")
    timeout = 300

    def setup(self, slice_thickness: float, loss: str) -> None:
        """Make the series, and one gradient so that everything is there."""
        torch.set_num_threads(1)
        measurement = vacuum_series("cuau-150-4d").isel(tilt=[3])
        self.series = TiltSeries(measurement, Scan.of(measurement), slice_thickness=slice_thickness)
        self.volume = torch.full_like(self.series.zeros(), 1e-3)
        self.time_tilt(slice_thickness, loss)

    def time_tilt(self, slice_thickness: float, loss: str) -> None:
        """Turn, slice, all probes forth and back, turn back."""
        self.series.gradient(self.volume, 0, loss)  # type: ignore[arg-type]

    def peakmem_tilt(self, slice_thickness: float, loss: str) -> None:
        """The most memory of the process."""
        self.time_tilt(slice_thickness, loss)
