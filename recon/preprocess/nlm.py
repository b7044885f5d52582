"""Denoising by non-local means of the Anscombe-transformed counts.

Non-local means (A. Buades, B. Coll and J.-M. Morel, CVPR 2005) with the noise's own variance taken off the
distance of two patches (Darbon et al., ISBI 2008), as scikit-image has it. Below a few electrons per pixel
the transform does not stabilise the noise; so there the filter is run again on what it returned with a part
`PARTS` of the counts mixed in, which is (nearly) Poisson of a higher mean (L. Azzari and A. Foi, IEEE Signal
Process. Lett. 23, 1086 (2016)). The electrons of each image are kept.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from skimage.restoration import denoise_nl_means

from recon.preprocess.noise import Noise
from recon.preprocess.stabilised import filter_stabilised, with_total

Array = npt.NDArray[np.float64]

PATCH = 5
"""Side [pixel] of the patches that are compared."""

DISTANCE = 7
"""How far away [pixel] a patch is looked for."""

CUTOFF = 0.6
"""Width of the weights relative to the noise; scikit-image's advice for its fast mode."""

PARTS = (1.0, 0.6, 0.3)
"""Part of the counts in each round."""

SPARSE = 1.0
"""Mean [electron per pixel] below which there is more than one round; above it more rounds leave more
noise."""


def nlm(counts: Array, noise: Noise | None = None) -> Array:
    """The images `counts` (n_tilt, n_y, n_x) less their noise, by default that of counted electrons.

    Atoms that no other patch resembles keep their noise: at 10 electrons per pixel and more hardly anything
    is taken away.
    """
    noise = noise or Noise.counting(len(counts))
    return np.stack(
        [
            _one(image, float(gain), float(read_noise))
            for image, gain, read_noise in zip(counts, noise.gain, noise.read_noise, strict=True)
        ]
    )


def _one(image: Array, gain: float, read_noise: float) -> Array:
    clean = image
    for part in PARTS if image.mean() < SPARSE * gain else PARTS[:1]:
        mixed = part * image + (1 - part) * clean
        clean = filter_stabilised(mixed, _means, gain * part**2, read_noise * part)
    return with_total(image, clean)


def _means(stable: Array) -> Array:
    return np.asarray(
        denoise_nl_means(
            stable, patch_size=PATCH, patch_distance=DISTANCE, h=CUTOFF, sigma=1.0, fast_mode=True
        )
    )
