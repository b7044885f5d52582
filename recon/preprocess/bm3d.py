"""Denoising by block matching and 3D filtering, as in paper 003.

Each image is Anscombe-transformed, brought to [0.15, 0.85], filtered by BM3D (K. Dabov, A. Foi, V. Katkovnik
and K. Egiazarian, IEEE Trans. Image Process. 16, 2080 (2007)), brought back by the exact unbiased inverse and
scaled to its counts by least squares. The authors' package `bm3d` is for non-commercial use only and is not
installed by default.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from datasets.errors import InputError
from recon.preprocess.noise import Noise
from recon.preprocess.stabilised import filter_stabilised, nearest_to

Array = npt.NDArray[np.float64]

RANGE = 0.7
"""Range of the image that BM3D sees, in the middle of [0, 1] (published)."""

STANDARD_DEVIATION = 0.96
"""Standard deviation that the transformed counts are said to have (published)."""


def bm3d(counts: Array, noise: Noise | None = None) -> Array:
    """The images `counts` (n_tilt, n_y, n_x) less their noise, by default that of counted electrons.

    At a mean below about one electron per pixel the transform no longer stabilises the noise, and faint
    detail goes. Raises `InputError` when the package is missing.
    """
    noise = noise or Noise.counting(len(counts))
    profile = _profile()
    return np.stack(
        [
            _one(image, float(gain), float(read_noise), profile)
            for image, gain, read_noise in zip(counts, noise.gain, noise.read_noise, strict=True)
        ]
    )


def _profile() -> object:
    """The package's normal profile on one thread: with more, sums end in another order and results vary."""
    try:
        from bm3d import BM3DProfile
    except ImportError as error:
        raise InputError(
            "denoise=bm3d needs the package bm3d, for non-commercial use: pip install 'dosebench[bm3d]'"
        ) from error
    profile = BM3DProfile()
    profile.num_threads = 1
    return profile


def _one(image: Array, gain: float, read_noise: float, profile: object) -> Array:
    from bm3d import bm3d as filter_white_noise

    def white(stable: Array) -> Array:
        least, extent, margin = float(stable.min()), float(np.ptp(stable)), (1 - RANGE) / 2
        scaled = (stable - least) / extent * RANGE + margin
        filtered = filter_white_noise(scaled, STANDARD_DEVIATION * RANGE / extent, profile)
        return np.asarray((filtered - margin) / RANGE * extent + least)

    return nearest_to(image, filter_stabilised(image, white, gain, read_noise))
