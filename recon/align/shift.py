"""Sub-pixel shifts and derivatives of images by the Fourier shift theorem."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import scipy.fft

from datasets.errors import InputError

FloatArray = npt.NDArray[np.float64]
Border = Literal["zero", "wrap"]


def shift_images(images: FloatArray, shifts: FloatArray, *, border: Border = "zero") -> FloatArray:
    """The `images` (n, n_y, n_x), image i moved by `shifts[i]` = (along x, along y) [pixel].

    Exact where an image is band-limited, which an ADF image on a fine enough grid is; white noise stays
    white, where linear interpolation would smooth it by an amount that depends on the shift. The highest
    frequency of an even axis has no sign and is multiplied by the cosine of its phase.

    `wrap` treats the images as periodic: what leaves at one border enters at the other, and the shift by
    −d is both the inverse (but for that highest frequency) and the adjoint. `zero` puts zeros, the background
    of a subtracted image, where pixels from outside the field would be seen; a specimen that the border
    cuts rings there. Raises `InputError` for another border.
    """
    if border not in get_args(Border):
        raise InputError(f"border must be one of {', '.join(get_args(Border))}, not {border!r}")
    n_y, n_x = images.shape[1:]
    shifts = np.asarray(shifts, dtype=np.float64)
    phase_x = _phases(n_x, shifts[:, 0])[:, None, : n_x // 2 + 1]
    phase_y = _phases(n_y, shifts[:, 1])[:, :, None]
    spectra = scipy.fft.rfft2(images)
    moved = np.asarray(scipy.fft.irfft2(spectra * phase_y * phase_x, s=(n_y, n_x)))
    if border == "zero":
        for axis, column in ((2, 0), (1, 1)):
            source = np.arange(images.shape[axis]) - shifts[:, column, None]
            outside = (source < -0.5) | (source > images.shape[axis] - 0.5)
            moved[np.broadcast_to(outside[:, None, :] if axis == 2 else outside[:, :, None], moved.shape)] = 0
    return moved


def shift_profiles(profiles: FloatArray, shifts: FloatArray) -> FloatArray:
    """The periodic `profiles` (n, n_y) moved by `shifts` (n,) [pixel]."""
    n = profiles.shape[-1]
    spectra = scipy.fft.rfft(profiles)
    return np.asarray(scipy.fft.irfft(spectra * _phases(n, np.asarray(shifts))[:, : n // 2 + 1], n=n))


def derivative(images: FloatArray, axis: int) -> FloatArray:
    """The derivative of periodic, band-limited `images` along `axis` [1/pixel]."""
    n = images.shape[axis]
    frequency = scipy.fft.rfftfreq(n)
    frequency[n / 2 == np.arange(len(frequency))] = 0.0  # the derivative of its cosine is zero on the grid
    shape = [1] * images.ndim
    shape[axis] = -1
    spectra = scipy.fft.rfft(images, axis=axis) * (2j * np.pi * frequency).reshape(shape)
    return np.asarray(scipy.fft.irfft(spectra, n=n, axis=axis))


def _phases(n: int, shifts: FloatArray) -> npt.NDArray[np.complex128]:
    """Factors (n_shift, n) of the frequencies of an axis of `n` pixels."""
    phase = np.exp(-2j * np.pi * scipy.fft.fftfreq(n) * shifts[:, None])
    if n % 2 == 0:
        phase[:, n // 2] = phase[:, n // 2].real
    return phase
