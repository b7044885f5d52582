"""Seconds and memory of multislice electron tomography on the sparse scan of paper 004, and as published.

    python -m benchmarks.multislice_speed [--probes N] [--device cpu|cuda] [--json]

The series is that of `cuau-1602-4d`: 20 tilts of 32 × 32 probes, patterns of 64 × 64 pixels of 1/25.6 Å⁻¹, a
volume of 128³ voxels of 0.4 Å. Time depends on its size and not on what the counts say, so they are drawn
from the vacuum pattern. A pass of ours is measured whole. A pass as published, one probe after the other
through 128 slices of the whole field, is measured on the first `--probes` of one tilt and multiplied up.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
import xarray as xr

from datasets.catalog import load_dataset
from datasets.imaging.diffraction_series import optics
from datasets.schema import make_measurement, pixel_axis
from recon.memory import peak_memory
from recon.optics import wavelength
from recon.ptychography.fourier_shear import rotate
from recon.ptychography.mset import MSET, mset
from recon.ptychography.mset_published import probe_by_probe
from recon.ptychography.scan import Scan
from recon.ptychography.tilt_series import TiltSeries

DATASET = "cuau-1602-4d"
DOSE = 625.0
"""e⁻/Å² per tilt: the paper's 1.25e4 in all."""


def vacuum_series(name: str = DATASET, dose: float = DOSE) -> xr.Dataset:
    """A measurement with the axes of a 4D-STEM dataset and the counts of nothing in the beam."""
    card = load_dataset(name)
    imaging = card.four_d_stem
    theta = card.theta()
    axis = pixel_axis(imaging.n_scan, imaging.scan_step)
    y, x = np.meshgrid(axis, axis, indexing="ij")
    k = imaging.detector_axis()
    zero = np.zeros(len(theta))
    inside = np.hypot(k[:, None], k) < 1e-3 * imaging.semiangle_mrad / wavelength(imaging.energy_eV)
    expected = inside * (dose * imaging.scan_step**2 / inside.sum())
    counts = np.random.default_rng(0).poisson(expected, (len(theta), imaging.n_scan**2, len(k), len(k)))
    return make_measurement(
        "4dstem",
        counts.astype(np.uint8),
        {
            "phi": zero,
            "theta": theta,
            "psi": zero,
            "scan_y": y.ravel(),
            "scan_x": x.ravel(),
            "ky": k,
            "kx": k,
        },
        dose_per_area=dose,
        pixel_size=imaging.scan_step,
        background=0.0,
        elements=["Au", "Cu"],
        optics=optics(card),
    )


def measure(measurement: xr.Dataset, n_probes: int, device: str) -> dict[str, float]:
    """Seconds of a pass by the clock and of all processors, ours and as published; peak memory [byte]."""
    ours = MSET()
    scan = Scan.of(measurement)
    series = TiltSeries(measurement, scan, slice_thickness=ours.slice_thickness, device=device)
    rng = np.random.default_rng(0)

    def one_pass() -> None:
        mset(series, 1, step=ours.step, loss=ours.loss, rng=rng)

    series.gradient(series.zeros(), 0, ours.loss)  # what is done once
    found = dict(zip(("seconds", "processor_seconds"), _timed(one_pass, device), strict=True))
    found["peak_memory"] = peak_memory()
    published = TiltSeries(
        measurement, Scan.of(measurement, whole=True), slice_thickness=scan.detector.voxel, device=device
    )
    probes = range(min(n_probes, len(scan.positions)))
    turned = rotate(published.zeros(), scan.rotations[0])
    probe_by_probe(published, turned, 0, probes[:1], 1.0, "amplitude")

    def some_probes() -> None:
        probe_by_probe(published, turned, 0, probes, 1.0, "amplitude")

    factor = len(scan.positions) * len(series) / len(probes)
    clock, processor = _timed(some_probes, device)
    found |= {"published_seconds": factor * clock, "published_processor_seconds": factor * processor}
    found["times_faster"] = found["published_seconds"] / found["seconds"]
    return found


def _timed(work: Callable[[], None], device: str) -> tuple[float, float]:
    clock, processor = time.perf_counter(), time.process_time()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - clock, time.process_time() - processor


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.multislice_speed", description=__doc__)
    parser.add_argument("--probes", type=int, default=20, help="probes of the published descent to time")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args(arguments)
    found = measure(vacuum_series(), chosen.probes, chosen.device)
    if chosen.json:
        print(json.dumps(found))
        return
    threads = torch.get_num_threads()
    print(f"{DATASET}, one pass over 20 tilts × 1024 probes, {chosen.device}, {threads} threads")
    print(f"  ours       {found['seconds']:9.1f} s  ({found['processor_seconds']:.1f} s of processors)")
    print(f"  published  {found['published_seconds']:9.0f} s  (from {chosen.probes} probes)")
    print(f"  {found['times_faster']:.0f} times faster; peak memory {found['peak_memory'] / 2**30:.2f} GiB")


if __name__ == "__main__":
    main()
