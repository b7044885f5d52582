"""Which atoms are there: Bayes factors of single atoms, and the places where the counts ask for one.

The estimate Â of one intensity, its neighbours free to answer, is normal about the true one with the variance
σ² of `recon.atoms.covariance`. Atoms of a species have intensities normal about μ with standard deviation τ,
so the logarithm of the odds for an atom against nothing is that of N(Â; μ, σ² + τ²) / N(Â; 0, σ²): it grows
with Â, and where σ is small it is against whatever has less than about half the intensity of an atom.

The odds grow with Â, so under noise alone they exceed C where Â/σ exceeds some level u, and what is looked at
are the maxima of a smooth random field: in a volume V there are on average

    V |Λ|^½ (u² − 1) exp(−u²/2) / (2π)²,   Λ = mean over tilts of P_tᵀ P_t / 2w²

of them above u (R. J. Adler, The Geometry of Random Fields, 1981, ch. 6), w the width of an atom's image. The
cost C of an atom is where this is the number of false atoms that is allowed. The truth does not enter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.ndimage
import torch
from scipy.spatial import KDTree

from recon.atoms.gaussian_images import Images
from recon.atoms.poisson_fit import Series, State
from recon.project.geometry import Geometry
from recon.project.projector import Projector

FloatArray = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

N_TYPICAL = 32
"""Quantiles that stand for the uncertainties of all intensities."""
LEVELS = (15.0, 1501)
"""Significances looked through: up to the first, at so many steps."""


@dataclass(frozen=True)
class Species:
    """The intensities of each species, lightest first: `means` and `spreads` (n_species,), and their
    `shares`."""

    means: FloatArray
    spreads: FloatArray
    shares: FloatArray

    def log_odds(self, heights: FloatArray, variances: FloatArray) -> tuple[FloatArray, Labels]:
        """ln of the Bayes factor for an atom against nothing, (n,), and the likeliest species (n,).

        `heights` (n,) are estimated without a prior, with `variances` (n,).
        """
        total = variances[:, None] + self.spreads**2
        log = (
            -0.5 * (heights[:, None] - self.means) ** 2 / total
            - 0.5 * np.log(total / variances[:, None])
            + 0.5 * (heights**2 / variances)[:, None]
            + np.log(self.shares)
        )
        top = log.max(axis=1)
        return np.asarray(top + np.log(np.exp(log - top[:, None]).sum(axis=1))), log.argmax(axis=1)

    def learnt(self, heights: FloatArray, variances: FloatArray, limits: tuple[float, float]) -> Species:
        """The species as atoms of free `heights` (n,) and `variances` (n,) show them: one step of EM.

        A spread is what the errors of the estimates leave over, between `limits` relative to the mean.
        """
        total = variances[:, None] + self.spreads**2
        log = -0.5 * (heights[:, None] - self.means) ** 2 / total - 0.5 * np.log(total) + np.log(self.shares)
        belongs = np.exp(log - log.max(axis=1, keepdims=True))
        belongs /= belongs.sum(axis=1, keepdims=True)
        means, spreads = self.means.copy(), self.spreads.copy()
        for k in range(len(means)):
            sure = belongs[:, k] / total[:, k]
            if belongs[:, k].sum() < 3:
                continue
            means[k] = sure @ heights / sure.sum()
            excess = sure @ ((heights - means[k]) ** 2 - variances) / sure.sum()
            spreads[k] = np.clip(np.sqrt(max(excess, 0.0)), limits[0] * means[k], limits[1] * means[k])
        shares = (belongs.sum(axis=0) + 1) / (len(heights) + len(means))
        return Species(means, spreads, shares)


def places(positions: FloatArray, bond: float, min_distance: float) -> tuple[FloatArray, float]:
    """Points (m, 3) where another atom could be, and the volume [Å³] of each.

    They are within 1.5 `bond` of an atom and at least `min_distance` [Å] from every one.
    """
    step = bond / 4
    low, high = positions.min(axis=0) - 1.5 * bond, positions.max(axis=0) + 1.5 * bond
    axes = [np.arange(start, stop, step) for start, stop in zip(low, high, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    distance = KDTree(positions).query(points, distance_upper_bound=1.5 * bond)[0]
    return points[(distance >= min_distance) & np.isfinite(distance)], step**3


def _curvature(width: float, rows: FloatArray) -> float:
    """|Λ|^½ [1/Å³] of the field that atoms of `width` [Å] are looked for in, by the `rows` of the
    rotations."""
    by_axis = np.einsum("tki,tkj->ij", rows, rows) / len(rows) / (2 * width**2)
    return float(np.sqrt(max(np.linalg.det(by_axis), 0.0)))


def resolved(volume: float, width: float, rows: FloatArray) -> float:
    """How many places of atoms of `width` [Å] the images tell apart in `volume` [Å³] (resolution
    elements)."""
    return volume * _curvature(width, rows) / (2 * np.pi) ** 1.5


def false_maxima(levels: FloatArray, width: float, rows: FloatArray) -> FloatArray:
    """How many maxima per Å³ noise has above `levels` [standard deviations], for atoms of `width` [Å].

    `rows` (n_tilt, 2, 3) are the first two rows of every rotation.
    """
    density = _curvature(width, rows) / (2 * np.pi) ** 2
    above = np.maximum(levels, np.sqrt(3))  # below, the formula falls again
    return np.asarray(density * (above**2 - 1) * np.exp(-(above**2) / 2))


def cost_of_atom(
    species: Species, variances: FloatArray, volume: float, width: float, rows: FloatArray, n_false: float
) -> float:
    """The log odds, at least 0, above which noise has `n_false` maxima on average.

    `variances` (m,) are those that an intensity would be known with at as many places of `volume` [Å³] each.
    """
    if not len(variances):
        return 0.0
    typical = np.quantile(variances, (np.arange(N_TYPICAL) + 0.5) / N_TYPICAL)
    levels = np.linspace(0, LEVELS[0], LEVELS[1])
    heights = levels * np.sqrt(typical)[:, None]
    odds = species.log_odds(heights.ravel(), np.repeat(typical, len(levels)))[0].reshape(heights.shape)
    density = len(variances) * volume * false_maxima(levels, width, rows)

    def excess(cost: float) -> float:
        at = np.array([np.searchsorted(row, cost) for row in odds])
        return float(
            np.where(at < len(levels), density[np.minimum(at, len(levels) - 1)], 0.0).mean() - n_false
        )

    low, high = 0.0, float(odds[:, -1].max())
    if high <= 0 or excess(low) <= 0:
        return 0.0
    while high - low > 0.01:
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return high


@dataclass(frozen=True)
class Candidates:
    """Places (n, 3) [Å] where an atom of intensity `heights` (n,) would raise the odds by `log_odds` (n,)."""

    positions: FloatArray
    heights: FloatArray
    log_odds: FloatArray


@dataclass(frozen=True)
class Evidence:
    """For one more atom at every voxel (n_z, n_y, n_x): its `score` and the `information` on its intensity.

    S(x) = Σ_t Σ_p w (n − λ) K(p − P_t x) and I(x) = κ Σ_t Σ_p w K², with w the inverse variance and κ the
    part of its information that an atom keeps when its neighbours are free: its intensity is S/I, with
    variance 1/I.
    """

    score: Images
    information: Images
    geometry: Geometry

    def variances(self, points: FloatArray) -> FloatArray:
        """1/I (m,) at the voxels nearest to `points` (m, 3) [Å]; those outside the volume are left out."""
        geometry = self.geometry
        first = np.array([geometry.x[0], geometry.y[0], geometry.z[0]])
        index = np.rint((points - first) / geometry.pixel_size).astype(np.int64)[:, ::-1]
        index = index[np.all((index >= 0) & (index < self.score.shape), axis=1)]
        return np.asarray(1 / self.information[tuple(index.T)].astype(np.float64))


def evidence(series: Series, state: State, projector: Projector, independent: float) -> Evidence:
    """The evidence for one more atom than in `state`, from back-projections of two filtered images per tilt.

    `independent` is κ.
    """
    pixel = series.geometry.pixel_size
    sigma = state.width / pixel
    near, weights = series.near[:, 0], state.weights
    scores, squares = np.empty_like(state.model), np.empty_like(state.model)
    for tilt, weight in enumerate(weights):
        moved = -series.shifts[tilt, ::-1] / pixel
        residual = weight * (series.counts[tilt] - state.model[tilt])
        matched = near[tilt] * scipy.ndimage.gaussian_filter(residual, sigma, mode="constant")
        squared = scipy.ndimage.gaussian_filter(weight, sigma / np.sqrt(2), mode="nearest")
        squared *= near[tilt] ** 2 / (4 * np.pi * sigma**2)
        if np.any(moved):
            matched, squared = (
                scipy.ndimage.shift(image, moved, order=1, mode="nearest") for image in (matched, squared)
            )
        scores[tilt], squares[tilt] = matched, squared
    score, information = (
        projector.adjoint(torch.as_tensor(images).to(projector.dtype)).cpu().numpy()
        for images in (scores, squares)
    )
    information = independent * np.maximum(information, 1e-6 * information.max())
    return Evidence(score, information, series.geometry)


def candidates(
    found: Evidence, species: Species, positions: FloatArray, *, least: float, min_distance: float
) -> Candidates:
    """Local maxima of the odds for one more atom above `least`, at least `min_distance` [Å] from all
    `positions`.

    Best odds first.
    """
    score, known, geometry = found.score, found.information, found.geometry
    # no alternative has better odds than that of the intensity itself, ½ S²/I
    there = (score > 0) & (score**2 > 2 * max(least, 0.0) * known)
    odds = np.full(score.shape, -np.inf, dtype=np.float32)
    variances = 1 / known[there].astype(np.float64)
    odds[there] = species.log_odds(score[there] * variances, variances)[0]
    reach = 2 * round(0.5 * min_distance / geometry.pixel_size) + 1
    highest = scipy.ndimage.maximum_filter(odds, reach)
    k, j, i = np.nonzero((odds > least) & (odds == highest))
    points = np.stack([geometry.x[i], geometry.y[j], geometry.z[k]], axis=1)
    log_odds, heights = odds[k, j, i].astype(np.float64), (score / known)[k, j, i].astype(np.float64)
    order = np.argsort(-log_odds, kind="stable")
    if len(points) and len(positions):
        order = order[KDTree(positions).query(points[order])[0] >= min_distance]
    return Candidates(points[order], heights[order], log_odds[order])
