"""Whether there is anything in a series beside its background: a network asked about noise alone draws atoms
into it.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy.ndimage import gaussian_filter

SMOOTH = 2.0
"""Standard deviation [Å] of the Gaussian that the sum of all images is smoothed with: the size of a small
particle.
"""
LEAST = 5.0
"""Standard deviations above the background that count as something; noise alone gets there once in about 10⁴
series.
"""


def presence(measurement: xr.Dataset) -> float:
    """How far the sum of all images rises above the known background anywhere, in standard deviations of its
    noise.

    Infinite where there are counts and no background, zero where there are none. What tilts leave near the
    axis adds up, and that is most of a particle.
    """
    counts = measurement["counts"].values.sum(axis=0, dtype=np.float64)
    expected = float(measurement.attrs["background"]) * measurement.sizes["tilt"]
    if expected == 0:
        return np.inf if counts.any() else 0.0
    sigma = SMOOTH / float(measurement.attrs["pixel_size"])
    above = gaussian_filter(counts - expected, sigma, mode="constant")
    return float(above.max() / np.sqrt(expected / (4 * np.pi * sigma**2)))
