"""Whether there is anything: noise is nothing, a particle at the lowest doses is something."""

import numpy as np
import pytest
import xarray as xr

from datasets.corpus.families import draw
from datasets.corpus.series import Acquisition, make_series
from datasets.schema import make_measurement, pixel_axis
from recon.neural.presence import LEAST, presence


def noise(level: float, seed: int) -> xr.Dataset:
    axis, theta = pixel_axis(48, 0.35), np.linspace(-70, 70, 20)
    counts = np.random.default_rng(seed).poisson(level, (20, 48, 48)).astype(np.uint32)
    coords = {"phi": 0 * theta, "theta": theta, "psi": 0 * theta, "y": axis, "x": axis}
    told = {"dose_per_area": 1e3, "pixel_size": 0.35, "background": level, "elements": ["Si"]}
    return make_measurement("adf", counts, coords, **told)  # type: ignore[arg-type]


@pytest.mark.parametrize("level", [0.0, 0.003, 0.1, 10.0])
def test_noise_is_nothing(level: float) -> None:
    assert max(presence(noise(level, seed)) for seed in range(8)) < LEAST


def test_a_particle_is_something() -> None:
    """At eight electrons an atom and as much background as the worst of the training has."""
    took = Acquisition(0.35, 40, 75, 8.0, 10.0, 0.4, 0, 1.5, 0, 0, 0, 0, 0)
    series = make_series(draw("amorphous-metal", np.random.SeedSequence(4)), took, np.random.default_rng(0))
    assert presence(series.measurement) > LEAST


def test_counts_without_a_background_are_something() -> None:
    data = noise(0.0, 0)
    assert presence(data) == 0
    data["counts"][3, 20, 20] = 1
    assert presence(data) == np.inf
