"""Alignment and intensity normalisation along the tilt axis by the common line."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from datasets.errors import InputError
from recon.align.alignment import Alignment
from recon.align.center_of_mass import center_of_mass
from recon.align.gauge import with_mean_one
from recon.align.shift import derivative, shift_profiles
from recon.align.support import specimen_masks
from recon.project.geometry import Geometry, is_single_axis

FloatArray = npt.NDArray[np.float64]


def common_line(
    projections: FloatArray,
    geometry: Geometry,
    *,
    background: float = 0.0,
    n_round: int = 20,
    tolerance: float = 1e-3,
) -> Alignment:
    """Shifts along y and intensities of `projections` (n_tilt, n_y, n_x) from their sums over x.

    A specimen tilted about y keeps the profile m(y) = Σ_x b that its projections share, so that the profile
    of image i is s_i m(y − d_i). The profile m is the mean of the aligned and normalised ones, its noise
    filtered by what their scatter shows (a noisy derivative would pass for signal); d_i and s_i
    are the least squares fit to it, weighted by the inverse variance of a Poisson profile on `background`
    [electron per pixel]; both are repeated until no d changes by `tolerance` [pixel]. Shifts are Fourier
    phases. Shifts along x are those of `center_of_mass`, where the shifts along y start as well. Scott et
    al., Nature 483, 444 (2012); Xu et al., Nat. Mater. 14, 1099 (2015).

    Multiple scattering makes intensities depend on the tilt, and what this takes for an error of intensity
    includes that. Raises `InputError` unless all tilts are about y.
    """
    if not is_single_axis(geometry.rotations):
        raise InputError("the common line needs tilts about y only; align by center_of_mass instead")
    start = center_of_mass(projections, geometry)
    masks = specimen_masks(projections)
    profiles = np.where(masks, projections, 0.0).sum(axis=2)
    n_y = profiles.shape[1]
    pad = n_y // 4  # what is shifted out must not come in at the other end
    profiles = np.pad(profiles, ((0, 0), (pad, pad)))
    widths = np.pad(masks.sum(axis=2).mean(axis=0), pad)
    shifts, scales = start.shifts[:, 1] / geometry.pixel_size, profiles.sum(axis=1)
    scales = with_mean_one(scales)
    history: list[float] = []
    for _ in range(n_round):
        aligned = shift_profiles(profiles, -shifts) / scales[:, None]
        mean = _without_noise(aligned)
        variance = np.maximum(mean, 0) + background * widths
        weight = 1 / np.maximum(variance, 1e-2 * variance.max())
        rows = np.stack([mean, -derivative(mean[None], 1)[0]])
        normal = (rows * weight) @ rows.T
        steps = ((aligned - mean) * weight) @ rows.T @ np.linalg.pinv(normal)
        steps[:, 1] -= steps[:, 1].mean()
        shifts, scales = shifts + steps[:, 1], with_mean_one(scales * (1 + steps[:, 0]))
        history.append(float(np.sqrt(np.mean(steps[:, 1] ** 2))))
        if np.abs(steps[:, 1]).max() < tolerance:
            break
    found = np.stack([start.shifts[:, 0], (shifts - shifts.mean()) * geometry.pixel_size], axis=-1)
    return dataclasses.replace(
        start, shifts=found, scales=scales, rounds=len(history), history=tuple(history)
    )


def _without_noise(aligned: FloatArray) -> FloatArray:
    """The mean of profiles (n_tilt, n_y), each frequency times the part of its power that is not noise."""
    spectra = np.fft.rfft(aligned)
    mean = spectra.mean(axis=0)
    noise = np.mean(np.abs(spectra - mean) ** 2, axis=0) / max(len(aligned) - 1, 1)
    power = np.abs(mean) ** 2
    gain = np.where(power > noise, 1 - noise / np.maximum(power, np.finfo(float).tiny), 0.0)
    return np.asarray(np.fft.irfft(mean * gain, n=aligned.shape[1]))
