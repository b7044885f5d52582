"""Denoising by a Wiener filter of wavelet coefficients.

The filter of `recon.preprocess.wiener` has one gain per frequency; this one follows the place too. The
coefficients c of an undecimated wavelet transform of the counts have signal and noise of power S and N, and
become c S / (S + N). S is the local mean square of the coefficients of a pilot, the globally filtered series
(empirical Wiener filter: Ghael, Sayeed and Baraniuk, Proc. SPIE 3169, 389 (1997)). The wavelets have unit
norm, so N is the variance of the counts around the place, known from the pilot: nothing is transformed to
stabilise it, at any dose.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pywt
import scipy.ndimage

from recon.preprocess.noise import Noise
from recon.preprocess.wiener import wiener

Array = npt.NDArray[np.float64]

WAVELET = "sym8"
"""Longer ones are no better, shorter ones worse at 10 electrons per pixel."""

N_LEVELS = 4
"""Scales, of 2 to 16 pixels; what is coarser is left as it is."""

LOCAL = 2.0
"""Standard deviation [pixel] of the neighbourhood of S; between 1 and 4 it makes no difference."""

EXTENT = 0.6
"""Standard deviation of the place that a wavelet sees, relative to its scale."""

FLOOR = 1e-3
"""Least variance of the counts, relative to their mean variance."""


def wavelet(counts: Array, noise: Noise | None = None) -> Array:
    """The images `counts` (n_tilt, n_y, n_x) less their noise, by default that of counted electrons.

    Better than the global filter where only part of the image is bright or detailed; where atoms fill it,
    worse, for wavelets part frequencies less sharply.
    """
    noise = noise or Noise.counting(len(counts))
    pilot = wiener(counts, noise.power(counts))
    return np.stack(
        [
            _one(image, guide, float(gain), float(read_noise))
            for image, guide, gain, read_noise in zip(
                counts, pilot, noise.gain, noise.read_noise, strict=True
            )
        ]
    )


def _one(image: Array, pilot: Array, gain: float, read_noise: float) -> Array:
    # The transform takes multiples of its coarsest scale and is periodic: a scale is added before, and at
    # least one behind, by reflection.
    scale = 2**N_LEVELS
    pad = [(scale, scale + -n % scale) for n in image.shape]
    mean_variance = gain * float(image.mean()) + read_noise**2
    if mean_variance <= 0:
        return image
    coefficients = pywt.swt2(np.pad(image, pad, mode="symmetric"), WAVELET, N_LEVELS)
    guide = np.pad(pilot, pad, mode="symmetric")
    pilots = pywt.swt2(guide, WAVELET, N_LEVELS)
    filtered = []
    for level, (coarse, details) in enumerate(coefficients):
        seen = scipy.ndimage.gaussian_filter(guide, EXTENT * 2 ** (N_LEVELS - level), mode="nearest")
        n = np.maximum(gain * seen + read_noise**2, FLOOR * mean_variance)
        gained = []
        for detail, clean in zip(details, pilots[level][1], strict=True):
            s = scipy.ndimage.gaussian_filter(clean**2, LOCAL, mode="nearest")
            gained.append(detail * s / (s + n))
        filtered.append((coarse, tuple(gained)))
    restored = pywt.iswt2(filtered, WAVELET)
    return np.asarray(restored[scale : scale + image.shape[0], scale : scale + image.shape[1]])
