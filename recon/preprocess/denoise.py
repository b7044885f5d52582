"""Noise suppression of a tilt series before it is reconstructed."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import scipy.ndimage

from datasets.errors import InputError
from recon.preprocess.bm3d import bm3d
from recon.preprocess.nlm import nlm
from recon.preprocess.noise import Noise
from recon.preprocess.total_variation import total_variation
from recon.preprocess.wavelet import wavelet
from recon.preprocess.wiener import wiener

Denoise = Literal["none", "wiener", "gaussian", "bm3d", "nlm", "wavelet", "tv"]


def denoise(
    counts: npt.NDArray[np.float64],
    method: Denoise,
    *,
    sigma: float = 0.0,
    noise: Noise | None = None,
) -> npt.NDArray[np.float64]:
    """The images `counts` (n_tilt, n_y, n_x) [electrons per pixel] with less noise.

    `gaussian` is a convolution with a Gaussian of `sigma` [pixel]; `none` leaves them; the others are
    functions of this package. `noise` is that of `recon.preprocess.noise`, by default of counted electrons;
    `gaussian` has no use for it. Raises `InputError` for another method, and for `bm3d` when its package is
    missing.
    """
    if method == "none":
        return counts
    if method == "wiener":
        return wiener(counts, None if noise is None else noise.power(counts))
    if method == "gaussian":
        return np.asarray(scipy.ndimage.gaussian_filter(counts, (0.0, sigma, sigma), mode="nearest"))
    if method == "bm3d":
        return bm3d(counts, noise)
    if method == "nlm":
        return nlm(counts, noise)
    if method == "wavelet":
        return wavelet(counts, noise)
    if method == "tv":
        return total_variation(counts, noise)
    raise InputError(f"denoise must be one of {', '.join(get_args(Denoise))}, not {method!r}")
