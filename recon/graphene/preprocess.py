"""From raw frames to clean ones: flat field, dead pixels, denoising, and the average of a few frames (paper
000).

The flat field is the frame smoothed by a Gaussian of σ = 20 pixels, dead pixels lie more than 5σ from their
eight neighbours, and five consecutive frames are averaged for the first estimate of the atoms. Denoisers are
those of `recon.preprocess.denoise`; the paper's BM3D is an optional package.

Cost per frame of n pixels: the flat field 2 · 161 n multiply-adds, the neighbours a median of 8, registration
two FFTs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.ndimage

from datasets.errors import InputError
from recon.preprocess.denoise import Denoise, denoise
from recon.preprocess.noise import Noise

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

FlatField = Literal["none", "divide", "subtract"]
"""Nothing is done; divided by its smoothed self, which undoes an uneven gain; that subtracted, as
published."""

FLAT_SIGMA = 20.0
"""Standard deviation [pixel] of the background estimate (published, for 256² pixels)."""
DEAD_THRESHOLD = 5.0
"""Robust standard deviations from the neighbours beyond which a pixel is dead (published)."""
N_AVERAGE = 5
"""Consecutive frames averaged (published)."""
TO_SIGMA = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""
REGISTRATION_SIGMA = 2.0
"""Gaussian [pixel] that frames are smoothed by before they are compared: single pixels hold noise only."""
UPSAMPLE = 50
"""Shifts are found to this part of a pixel."""


@dataclass(frozen=True)
class Cleaned:
    """`frames` (n_frame, n_y, n_x) without artefacts, and where pixels were `dead` (n_frame, n_y, n_x)."""

    frames: FloatArray
    dead: BoolArray


def remove_artefacts(
    frames: npt.ArrayLike,
    *,
    how: FlatField = "divide",
    sigma: float = FLAT_SIGMA,
    threshold: float = DEAD_THRESHOLD,
) -> Cleaned:
    """`frames` (n_frame, n_y, n_x) with dead pixels replaced and the flat field removed.

    Dead pixels go first, or they would be smeared into the flat field. A `threshold` of 0 keeps all pixels.
    """
    images = np.asarray(frames, dtype=np.float64)
    dead = np.zeros(images.shape, dtype=bool)
    if threshold > 0:
        dead = np.stack([dead_pixels(image, threshold) for image in images])
        images = np.stack([without_dead(image, mask) for image, mask in zip(images, dead, strict=True)])
    return Cleaned(np.stack([flat_field(image, how, sigma=sigma) for image in images]), dead)


def flat_field(image: FloatArray, how: FlatField = "divide", *, sigma: float = FLAT_SIGMA) -> FloatArray:
    """`image` (n_y, n_x) without what varies slowly, its mean kept.

    Not for a specimen whose own image varies over `sigma` [pixel]. Poisson noise stays Poisson's only where
    the gain was even. At the edges the smoothing is one-sided and leaves about sigma times the slope there.
    """
    if how == "none":
        return image
    slow = scipy.ndimage.gaussian_filter(image, sigma, mode="nearest")
    if how == "subtract":
        return image - slow + image.mean()
    if not slow.min() > 0:
        raise InputError("a flat field is divided by where it is positive; use flat_field=subtract")
    return np.asarray(image * (image.mean() / slow))


def dead_pixels(image: FloatArray, threshold: float = DEAD_THRESHOLD) -> BoolArray:
    """Pixels (n_y, n_x) of `image` farther than `threshold` σ from the median of their eight neighbours.

    σ is 1.4826 times the median absolute deviation of all pixels from their neighbours. Medians, because a
    dead pixel would otherwise take its neighbours with it.
    """
    difference = image - np.median(_neighbours(image), axis=0)
    spread = TO_SIGMA * float(np.median(np.abs(difference - np.median(difference))))
    if spread == 0:
        return np.zeros(image.shape, dtype=bool)
    return np.asarray(np.abs(difference) > threshold * spread)


def without_dead(image: FloatArray, dead: BoolArray) -> FloatArray:
    """`image` (n_y, n_x) with every `dead` pixel replaced by the mean of its neighbours that live.

    Round by round from the rim inwards where a whole patch is dead.
    """
    image, dead = image.copy(), dead.copy()
    while dead.any():
        alive = _neighbours((~dead).astype(np.float64), "zero")
        total, number = (alive * _neighbours(image)).sum(axis=0), alive.sum(axis=0)
        now = dead & (number > 0)
        if not now.any():
            raise InputError("a frame has no pixel that is alive")
        image[now] = total[now] / number[now]
        dead &= ~now
    return image


def _neighbours(image: FloatArray, edge: Literal["linear", "zero"] = "linear") -> FloatArray:
    """The eight neighbours (8, n_y, n_x) of every pixel; beyond the edge the image goes on as a line, or is
    zero."""
    n_y, n_x = image.shape
    wide = np.pad(image, 1) if edge == "zero" else np.pad(image, 1, mode="reflect", reflect_type="odd")
    steps = [(i, j) for i in range(3) for j in range(3) if (i, j) != (1, 1)]
    return np.stack([wide[i : i + n_y, j : j + n_x] for i, j in steps])


def drift(frames: FloatArray, target: int, *, max_shift: float) -> FloatArray:
    """Shifts (n_frame, 2) along (y, x) [pixel] of `frames` (n_frame, n_y, n_x) against frame `target`.

    A frame moved by minus its shift lies on the target. The peak of the cross-correlation is sought within
    `max_shift` [pixel] of none, because a lattice correlates with itself at every lattice vector: for
    graphene less than half of the shortest, 1.2 Å, unless something says more of where to look.
    """
    smooth = scipy.ndimage.gaussian_filter(
        frames, (0, REGISTRATION_SIGMA, REGISTRATION_SIGMA), mode="nearest"
    )
    smooth -= scipy.ndimage.gaussian_filter(smooth, (0, FLAT_SIGMA, FLAT_SIGMA), mode="nearest")
    window = np.outer(*(np.hanning(n + 2)[1:-1] for n in frames.shape[1:]))
    spectra = scipy.fft.fft2(smooth * window)
    shifts = np.zeros((len(frames), 2))
    for k in range(len(frames)):
        if k != target:
            shifts[k] = _shift_within(spectra[k], spectra[target], max_shift)
    return shifts


def _shift_within(
    moved: npt.NDArray[np.complex128], reference: npt.NDArray[np.complex128], bound: float
) -> FloatArray:
    product = moved * reference.conj()
    correlation = scipy.fft.ifft2(product).real
    frequencies = [np.fft.fftfreq(n) for n in product.shape]
    steps = np.meshgrid(*(f * n for f, n in zip(frequencies, product.shape, strict=True)), indexing="ij")
    correlation[np.hypot(*steps) > bound] = -np.inf
    whole = np.unravel_index(np.argmax(correlation), correlation.shape)
    start = np.array([axis[whole] for axis in steps])
    # the same sum between pixels, as two matrix products (Guizar-Sicairos, Opt. Lett. 33, 156 (2008))
    fine = [start[axis] + np.arange(-UPSAMPLE, UPSAMPLE + 1) / UPSAMPLE for axis in (0, 1)]
    along = [np.exp(2j * np.pi * np.outer(f, k)) for f, k in zip(fine, frequencies, strict=True)]
    best = np.unravel_index(np.argmax((along[0] @ product @ along[1].T).real), (len(fine[0]), len(fine[1])))
    return np.array([fine[0][best[0]], fine[1][best[1]]])


def average(
    frames: npt.ArrayLike, target: int = 0, *, n: int = N_AVERAGE, max_shift: float = 0.0
) -> FloatArray:
    """The mean (n_y, n_x) of the `n` of `frames` (n_frame, n_y, n_x) about `target`, brought onto it.

    `max_shift` [pixel] bounds the drift that is looked for; 0 takes the frames as they lie. Pixels that a
    moved frame does not cover are averaged over the others.
    """
    images = np.asarray(frames, dtype=np.float64)
    first = int(np.clip(target - n // 2, 0, max(len(images) - n, 0)))
    chosen, own = images[first : first + n], target - first
    if max_shift <= 0 or len(chosen) == 1:
        return np.asarray(chosen.mean(axis=0))
    total, weight = np.zeros(images.shape[1:]), np.zeros(images.shape[1:])
    for image, shift in zip(chosen, drift(chosen, own, max_shift=max_shift), strict=True):
        covered = scipy.ndimage.shift(np.ones_like(image), -shift, order=1, mode="constant")
        covered = np.where(covered > 1 - 1e-9, 1.0, 0.0)
        total += covered * scipy.ndimage.shift(image, -shift, order=3, mode="nearest")
        weight += covered
    return np.asarray(total / weight)  # the target itself is not moved: every pixel has a weight


def clean(
    counts: npt.ArrayLike,
    target: int = 0,
    *,
    pixel_size: float,
    how: FlatField = "divide",
    method: Denoise = "wiener",
    n_average: int = N_AVERAGE,
    max_drift: float = 1.2,
) -> FloatArray:
    """Frame `target` of `counts` (n_frame, n_y, n_x) as the first estimate of the atoms is made from.

    Artefacts removed, averaged over `n_average` frames about it that drifted less than `max_drift` [Å], and
    denoised by `method`: after the average, where there is less noise to take for structure.
    """
    frames = remove_artefacts(counts, how=how).frames
    mean = average(frames, target, n=n_average, max_shift=max_drift / pixel_size)
    noise = Noise(np.array([1.0 / min(n_average, len(frames))]), np.zeros(1))
    return denoise(np.maximum(mean, 0.0)[None], method, noise=noise)[0]
