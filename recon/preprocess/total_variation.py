"""Denoising by Poisson likelihood and total variation.

The image is the u ≥ 0 that minimises Σ(u − y log u) + λ Σ|∇u|, isotropic total variation by forward
differences (Le, Chartrand and Asaki, J. Math. Imaging Vis. 27, 257 (2007)), solved by the primal–dual method
of Chambolle and Pock (J. Math. Imaging Vis. 40, 120 (2011), algorithm 1). λ is that which best foretells
held-out electrons: each electron falls by lot into one of two images, which are again Poisson and independent
(thinning: Neufeld et al., Biostatistics 25, 270 (2024)). So it follows dose and object without the truth.
Total variation takes λ Σ|∇u| electrons away, at low dose most of them; they are given back by a factor. The
unbiased risk estimate (PURE) linearises u in single electrons and chose a λ two to four times too small.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from recon.preprocess.noise import Noise
from recon.preprocess.stabilised import with_total

Array = npt.NDArray[np.float64]
Single = npt.NDArray[np.float32]

START = 0.25
"""λ from which the search starts, times the square root of the mean count; λ scales as the noise of y/u."""

N_STEPS = 8
"""Most steps of the search, each a factor of two in λ."""

N_ITER = 150
"""Iterations of the primal–dual method; twice as many move the image by less than a hundredth of its
noise."""

SAMPLES = 3
"""Images of the series from which λ is chosen; the noise of the estimate falls with their pixels."""

KEPT = 0.8
"""Part of the electrons that λ is tried on."""


def total_variation(counts: Array, noise: Noise | None = None) -> Array:
    """The images `counts` (n_tilt, n_y, n_x) of least Poisson likelihood and total variation; one λ for the
    series.

    `noise` is by default that of counted electrons; read noise of variance r² electrons is taken for the
    Poisson noise of r² more electrons per pixel, which has the same mean and variance. Atoms come out as
    plateaus.
    """
    noise = noise or Noise.counting(len(counts))
    gain = noise.gain[:, None, None]
    offset = (noise.read_noise**2)[:, None, None] / gain**2
    electrons = np.maximum(counts / gain + offset, 0.0)
    if electrons.max() <= 0:
        return counts
    weight = choose_weight(electrons)
    return gain * (np.stack([_fit(image, weight) for image in electrons]) - offset)


def choose_weight(electrons: Array) -> float:
    """The λ of least held-out error for the series `electrons` (n_tilt, n_y, n_x), downhill from
    `START`."""
    chosen = np.linspace(0, len(electrons) - 1, min(SAMPLES, len(electrons))).round().astype(int)
    rng = np.random.default_rng(0)
    whole = np.floor(electrons[chosen] + rng.random(electrons[chosen].shape)).astype(np.int64)
    kept = rng.binomial(whole, KEPT).astype(np.float64)
    held_out = (whole - kept) * KEPT / (1 - KEPT)

    @cache
    def at(power: int) -> float:
        weight = START * 2.0**power / np.sqrt(kept.mean())
        tried = np.stack([_fit(image, weight) for image in kept])
        return float((tried**2 - 2 * tried * held_out).mean())

    best = 0
    step = -1 if at(-1) < at(1) else 1
    while abs(best) < N_STEPS and at(best + step) < at(best):
        best += step
    left, middle, right = at(best - 1), at(best), at(best + 1)
    curvature = left - 2 * middle + right
    shift = 0.5 * (left - right) / curvature if curvature > 0 else 0.0
    return float(START * 2.0 ** (best + np.clip(shift, -1.0, 1.0)) / np.sqrt(electrons.mean()))


def _fit(image: Array, weight: float) -> Array:
    return with_total(image, minimise(image, weight))


def minimise(image: Array, weight: float, n_iter: int = N_ITER) -> Array:
    """The u (n_y, n_x) that minimises Σ(u − image log u) + weight Σ|∇u|, in single precision."""
    scale = np.sqrt(max(float(image.mean()), 1e-12))
    primal = np.float32(scale / weight / np.sqrt(8.0))
    dual = 1 / (8 * primal)
    data = (4 * primal * image).astype(np.float32)
    u: Single = np.full(image.shape, image.mean(), dtype=np.float32)
    leading = u
    p_y: Single = np.zeros_like(u)
    p_x: Single = np.zeros_like(u)
    for _ in range(n_iter):
        p_y[:-1] += dual * (leading[1:] - leading[:-1])
        p_x[:, :-1] += dual * (leading[:, 1:] - leading[:, :-1])
        excess = np.sqrt(np.maximum((p_y**2 + p_x**2) / np.float32(weight**2), 1))
        p_y /= excess
        p_x /= excess
        divergence = p_y + p_x
        divergence[1:] -= p_y[:-1]
        divergence[:, 1:] -= p_x[:, :-1]
        v = u + primal * (divergence - 1)
        new = np.asarray((v + np.sqrt(v**2 + data)) / 2, dtype=np.float32)
        leading = np.asarray(2 * new - u, dtype=np.float32)
        u = new
    return u.astype(np.float64)
