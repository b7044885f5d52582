"""A mixture model of peak intensities: noise that piles up at zero, and one bump per species."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Z_EXPONENT = 1.7
"""ADF intensity goes about as this power of the atomic number (paper 004, Sec. I): a starting point."""
RATIO_BOUNDS = (0.6, 2.2)
"""How far the intensity ratio of neighbouring species may be from that power law."""
WIDTH = 0.12
"""Usual relative width of a species' bump; counts as much as `WIDTH_WEIGHT` atoms."""
WIDTH_WEIGHT = 8.0
WIDTH_BOUNDS = (0.03, 0.25)
"""Relative widths of a species' bump: a wider one would swallow noise."""
NOISE_BOUND = 0.75
"""Spread of the noise relative to the lightest species' mean: a wider one would swallow the species."""
BUMP_BOUND = 0.7
"""Mean of the noise, where it is a bump, relative to the lightest species' mean."""
BUMP_WIDTH = 0.2
"""Its spread, likewise."""
STARTS = (1.0, 0.85, 0.7, 0.55)
"""Starting means of the heaviest species, relative to the brightest peaks."""
MAX_STEPS = 200
TINY = 1e-12

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Mixture:
    """A fitted mixture: `means` and `widths` of the species, lightest first, and `responsibilities`.

    Those are (2 + n_species, n): the share of each component in each peak, the two noise components first.
    """

    means: FloatArray
    widths: FloatArray
    responsibilities: FloatArray
    log_likelihood: float


def fit_mixture(
    intensities: FloatArray, numbers: npt.ArrayLike, exponent: float = Z_EXPONENT, *, bump: bool = False
) -> Mixture:
    """The most likely mixture for positive `intensities` (n,) of peaks, of species with atomic `numbers`,
    whose intensities go about as this `exponent` of them.

    Noise is an exponential (what positivity leaves of empty space) plus half a Gaussian (what stands out of
    it), or with `bump` a Gaussian that lies anywhere below the species, as the maxima of smooth noise do;
    every species is a Gaussian. How many peaks belong to each is free and may be none, so a volume
    without noise and one with thousands of noise peaks are the same case. Fitted by expectation maximisation
    from each of `STARTS`; the ratios of the means and all widths are bounded, so that no species drifts
    into the noise.
    """
    ratios = np.sort(np.asarray(numbers, dtype=np.float64)) ** exponent
    ratios /= ratios[-1]
    brightest = float(np.sort(intensities)[-5:].mean())
    fits = [_maximise(intensities, ratios, start * brightest, bump) for start in STARTS]
    return max(fits, key=lambda fit: fit.log_likelihood)


def _maximise(x: FloatArray, ratios: FloatArray, heaviest: float, bump: bool) -> Mixture:
    n_species = len(ratios)
    means, widths = heaviest * ratios, 0.2 * heaviest * ratios
    decay, spread = 0.03 * means[0], 0.3 * means[0]
    middle, sides = (0.4 * means[0], 1.0) if bump else (0.0, 2.0)
    shares = np.concatenate([[0.25, 0.25], np.full(n_species, 0.5 / n_species)])
    total = -np.inf
    for _ in range(MAX_STEPS):
        log = np.empty((2 + n_species, len(x)))
        log[0] = -x / decay - np.log(decay)
        log[1] = -0.5 * ((x - middle) / spread) ** 2 - np.log(spread / sides * np.sqrt(2 * np.pi))
        log[2:] = -0.5 * ((x - means[:, None]) / widths[:, None]) ** 2
        log[2:] -= np.log(widths * np.sqrt(2 * np.pi))[:, None]
        log += np.log(shares + TINY)[:, None]
        peak = log.max(axis=0)
        each = peak + np.log(np.exp(log - peak).sum(axis=0))
        shared = np.exp(log - each)
        shares = (shared.sum(axis=1) + 0.1) / (len(x) + 0.1 * len(shared))
        means, widths = _species(x, shared[2:], means, ratios)
        wide = 2.0 * (0.1 * means[0]) ** 2
        if bump:
            middle = (shared[1] @ x + 2.0 * 0.4 * means[0]) / (shared[1].sum() + 2.0)
            middle = min(middle, BUMP_BOUND * means[0])
        found = np.sqrt((shared[1] @ (x - middle) ** 2 + wide) / (shared[1].sum() + 2.0))
        spread = min(found, (BUMP_WIDTH if bump else NOISE_BOUND) * means[0])
        decay = min((shared[0] @ x + 0.02 * means[0]) / (shared[0].sum() + 1.0), 0.3 * spread)
        converged = abs(each.sum() - total) < 1e-6 * len(x)
        total = float(each.sum())
        if converged:
            break
    return Mixture(means, widths, shared, total)


def _species(
    x: FloatArray, shared: FloatArray, means: FloatArray, ratios: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """New means and widths, heaviest species first: each is bounded by the one above it."""
    means, widths = means.copy(), np.empty_like(means)
    for species in reversed(range(len(means))):
        n = shared[species].sum()
        if n > 0.5:
            means[species] = shared[species] @ x / n
        if species + 1 < len(means):
            expected = ratios[species] / ratios[species + 1]
            lowest, highest = RATIO_BOUNDS[0] * expected, min(RATIO_BOUNDS[1] * expected, 0.95)
            means[species] = np.clip(
                means[species], min(lowest, highest) * means[species + 1], highest * means[species + 1]
            )
        squares = shared[species] @ (x - means[species]) ** 2 + WIDTH_WEIGHT * (WIDTH * means[species]) ** 2
        bounds = np.array(WIDTH_BOUNDS) * means[species]
        widths[species] = np.clip(np.sqrt(squares / (n + WIDTH_WEIGHT)), *bounds)
    return means, widths
