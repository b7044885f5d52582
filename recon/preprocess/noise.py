"""Gain and read noise of the images, from the images.

An image is taken for z = gain · Poisson(mean / gain) + Normal(0, read_noise²): its variance is a straight
line in its mean, of slope `gain` and intercept `read_noise`². Two estimators: `estimate_noise`, which sees
the image through a high-pass filter, and `published_noise`, that of paper 003's public code.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.ndimage

from recon.preprocess.mask import object_mask

Array = npt.NDArray[np.float64]

ORDER = 4
"""Order of the differences in y and in x. The second order lets more of sharp atoms through, the sixth has
fewer independent pixels."""

NEIGHBOURHOOD = 3.0
"""Standard deviation [pixel] of the neighbourhood that foretells a pixel's mean without its own noise."""

N_ROUNDS = 3
"""Rounds of re-weighting; the second already changes the estimate by less than its error."""

MARGIN = 3
"""Width [pixel] that is added to the mask of the published estimator (there 20 in images of about 1000)."""


@dataclass(frozen=True)
class Noise:
    """Noise of a series: `gain` (n_tilt,), what one electron adds to a count; `read_noise` (n_tilt,), a
    standard deviation in the unit of the counts.
    """

    gain: Array
    read_noise: Array

    @classmethod
    def counting(cls, n_tilt: int) -> Noise:
        """That of counted electrons: Poisson."""
        return cls(np.ones(n_tilt), np.zeros(n_tilt))

    def power(self, counts: Array) -> float:
        """The mean variance of a pixel of `counts` (n_tilt, n_y, n_x)."""
        return float((self.gain * counts.mean(axis=(1, 2)) + self.read_noise**2).mean())

    def pooled(self, factor: float = 1.0) -> Noise:
        """Every image given the series' mean, times `factor` (paper 003 uses 0.55 for CoPdPt)."""
        return Noise(
            np.full_like(self.gain, factor * self.gain.mean()),
            np.full_like(self.read_noise, factor * self.read_noise.mean()),
        )


def estimate_noise(images: Array) -> Noise:
    """The noise of each of `images` (n_tilt, n_y, n_x), little disturbed by what they show.

    r, the image filtered by fourth differences in y and x (of unit norm), holds no signal where that is
    smooth over five pixels, so E[r²] = gain · m + read_noise², with m the mean under the filter. m is as
    noisy as r, which would flatten the line; the neighbourhood's mean z, which shares m's signal and none of
    its noise, serves as the instrumental variable: gain = cov(z, r²) / cov(z, m). Pixels are weighted by the
    inverse variance of r².

    Not for images sampled more coarsely than their band limit at high dose (atoms then pass the filter and
    the gain comes out too high), nor for one of uniform brightness, where slope and intercept cannot be told
    apart. One of a single value is taken for counted electrons.
    """
    estimates = np.array([_through_high_pass(np.asarray(image, dtype=np.float64)) for image in images])
    return Noise(estimates[:, 0], estimates[:, 1])


def published_noise(images: Array, *, margin: int = MARGIN) -> Noise:
    """The noise of each of `images` (n_tilt, n_y, n_x) as in paper 003's public code.

    Gain: blocks of 2 × 2 pixels taken as four replicates, Σ variance · mean / Σ mean². Read noise: variance
    less gain times mean of the pixels outside the object mask, none if that is negative. What the image
    varies by within two pixels counts as noise: right only at low dose.
    """
    gain, read_noise = [], []
    for image in images:
        n_y, n_x = (2 * (n // 2) for n in image.shape)
        block = image[:n_y, :n_x].reshape(n_y // 2, 2, n_x // 2, 2).swapaxes(1, 2).reshape(-1, 4)
        mean, variance = block.mean(axis=1), block.var(axis=1, ddof=1)
        gain.append(float((variance * mean).sum() / max((mean**2).sum(), np.finfo(float).tiny)))
        empty = image[~object_mask(image, margin=margin)]
        read_noise.append(np.sqrt(max(empty.var(ddof=1) - gain[-1] * empty.mean(), 0.0)))
    return Noise(np.array(gain), np.array(read_noise))


def _through_high_pass(image: Array) -> tuple[float, float]:
    if np.ptp(image) == 0:
        return 1.0, 0.0
    kernel = (np.poly1d([1.0, -1.0]) ** ORDER).coeffs
    kernel = kernel / np.linalg.norm(kernel)
    reach = ORDER // 2
    square = _separable(image, kernel) ** 2
    mean = _separable(image, kernel**2)
    neighbours = _neighbourhood(image, reach)
    inner = (slice(reach, -reach), slice(reach, -reach))
    r, m, z = (values[inner].ravel() for values in (square, mean, neighbours))
    gain, variance = 1.0, 0.0
    floor = 1e-2 * max(float(z.mean()), np.finfo(float).tiny)
    for _ in range(N_ROUNDS):
        weight = 1 / np.maximum(gain * np.maximum(z, 0) + variance, max(gain, 1e-3) * floor) ** 2
        weight /= weight.sum()
        deviation = weight * (z - weight @ z)
        covariance = float(deviation @ m)
        if covariance <= 0:
            break
        gain = max(float(deviation @ r) / covariance, 0.0)
        variance = max(float(weight @ r - gain * (weight @ m)), 0.0)
    return gain, float(np.sqrt(variance))


def _separable(image: Array, kernel: Array) -> Array:
    along_y = scipy.ndimage.convolve1d(image, kernel, axis=0, mode="reflect")
    return np.asarray(scipy.ndimage.convolve1d(along_y, kernel, axis=1, mode="reflect"))


def _neighbourhood(image: Array, reach: int) -> Array:
    """The Gaussian mean around each pixel without the square that the high-pass filter sees around it or
    beside."""
    radius = int(4 * NEIGHBOURHOOD)
    line = np.exp(-0.5 * (np.arange(-radius, radius + 1) / NEIGHBOURHOOD) ** 2)
    core = line[radius - reach : radius + reach + 1]
    whole = _separable(image, line) - _separable(image, core)
    return np.asarray(whole / (line.sum() ** 2 - core.sum() ** 2))
