"""The networks that come with the package: no atoms where there are none, memory and time bounded, and worth
it.
"""

import time
import tracemalloc

import numpy as np
import pytest
import xarray as xr

from datasets.corpus.families import draw
from datasets.corpus.series import Acquisition, make_series
from datasets.schema import make_measurement, pixel_axis
from recon import registry
from recon.base import Status
from recon.neural.augmentation import UNetAugmentation

METHODS = ["unet"]


def nothing(level: float) -> xr.Dataset:
    """Images of nothing but the noise of a background of `level` [electrons per pixel]."""
    axis, theta = pixel_axis(56, 0.35), np.linspace(-70, 70, 24)
    counts = np.random.default_rng(0).poisson(level, (24, 56, 56)).astype(np.uint32)
    coords = {"phi": 0 * theta, "theta": theta, "psi": 0 * theta, "y": axis, "x": axis}
    return make_measurement(
        "adf", counts, coords, dose_per_area=1e3, pixel_size=0.35, background=level, elements=["Si"]
    )


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("level", [0.0, 0.01, 1.0, 50.0])
def test_nothing_is_found_in_nothing(name: str, level: float) -> None:
    answer = registry.get(name).reconstruct(nothing(level), rng=np.random.default_rng(0))
    assert answer.status is Status.OK
    assert len(answer.atoms) == 0


@pytest.mark.parametrize("name", METHODS)
def test_a_held_out_material_is_found(name: str) -> None:
    """A glass that was never shown, linear images with a wedge: nearly all atoms, and better than chance."""
    took = Acquisition(0.35, 30, 68, 400.0, 0.0, 0.38, 0.1, 1.5, 0, 0, 0, 0, 0)
    atoms = draw("metallic-glass", np.random.SeedSequence(5))
    data = make_series(atoms, took, np.random.default_rng(0)).measurement
    answer = registry.get(name).reconstruct(data, rng=np.random.default_rng(0))
    distance = np.linalg.norm(answer.atoms.positions[:, None] - atoms.positions, axis=2)
    assert (distance.min(axis=0) < 0.8).mean() > 0.85
    assert abs(len(answer.atoms) - len(atoms)) < 0.2 * len(atoms)


@pytest.mark.slow
def test_a_large_volume_in_minutes_and_bounded_memory() -> None:
    """256³ voxels of 0.35 Å: under two minutes on two cores, holding little but the volumes."""
    volume = np.random.default_rng(0).random((256, 256, 256)).astype(np.float32)
    method = UNetAugmentation()
    method.redraw(volume[:32, :32, :32])
    tracemalloc.start()
    begin = time.perf_counter()
    drawn = method.redraw(volume)
    seconds = time.perf_counter() - begin
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert drawn.shape == (1, 256, 256, 256)
    assert seconds < 120
    assert peak < 5 * volume.nbytes
