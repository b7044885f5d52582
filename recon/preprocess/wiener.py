"""Denoising by one linear filter for the whole series."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.fft


def wiener(counts: npt.NDArray[np.float64], noise_power: float | None = None) -> npt.NDArray[np.float64]:
    """The linear filter of least mean squared error, S / (S + N) in Fourier space.

    Poisson noise is white with the mean count as its power N, so nothing is left to choose (another noise
    gives its variance per pixel as `noise_power`): the power S of the signal is what the radial mean of the
    power spectrum, over all tilts, holds above N. Rings within two standard errors of N hold no signal and
    are dropped; the zero frequency stays.
    """
    n_tilt, n_y, n_x = counts.shape
    noise = float(counts.mean()) if noise_power is None else noise_power
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
