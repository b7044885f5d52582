"""Noise suppression of a tilt series before it is reconstructed."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.ndimage

from datasets.errors import InputError

Denoise = Literal["none", "wiener", "gaussian"]


def denoise(
    counts: npt.NDArray[np.float64], method: Denoise, *, sigma: float = 0.0
) -> npt.NDArray[np.float64]:
    """The images `counts` (n_tilt, n_y, n_x) [electrons per pixel] with less noise.

    `gaussian` is a convolution with a Gaussian of `sigma` [pixel]; `wiener` is `wiener`; `none` leaves them.
    Raises `InputError` for another method.
    """
    if method == "none":
        return counts
    if method == "wiener":
        return wiener(counts)
    if method == "gaussian":
        return np.asarray(scipy.ndimage.gaussian_filter(counts, (0.0, sigma, sigma), mode="nearest"))
    raise InputError(f"denoise must be one of {', '.join(get_args(Denoise))}, not {method!r}")


def wiener(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The linear filter of least mean squared error for Poisson counts, S / (S + N) in Fourier space.

    Poisson noise is white with the mean count as its power N, so nothing is left to choose: the power S of
    the signal is what the radial mean of the power spectrum, over all tilts, holds above N. Rings within two
    standard errors of N hold no signal and are dropped; the zero frequency stays.
    """
    n_tilt, n_y, n_x = counts.shape
    noise = float(counts.mean())
    if noise <= 0:
        return counts
    spectra = scipy.fft.fft2(counts, norm="ortho")
    q_y, q_x = scipy.fft.fftfreq(n_y)[:, None], scipy.fft.fftfreq(n_x)[None, :]
    ring = np.rint(np.hypot(q_y, q_x) * max(n_y, n_x)).astype(np.int64)
    samples = np.bincount(ring.ravel()) * n_tilt
    power = np.bincount(ring.ravel(), weights=(np.abs(spectra) ** 2).sum(axis=0).ravel()) / np.maximum(
        samples, 1
    )
    error = noise * np.sqrt(2.0 / np.maximum(samples, 1))
    signal = np.where(power > noise + 2 * error, power - noise, 0.0)
    gain = signal / (signal + noise)
    gain[0] = 1.0
    return np.asarray(scipy.fft.ifft2(spectra * gain[ring], norm="ortho").real)
