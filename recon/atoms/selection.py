"""Which atoms are there: Bayes factors of single atoms, and the places where the counts ask for one.

The estimate Â of one intensity, its neighbours free to answer, is normal about the true one with the variance
σ² of `recon.atoms.covariance`. Atoms of a species have intensities normal about μ with standard deviation τ,
and what makes atoms of a species look unlike, channelling and whatever else the model leaves out, makes
nothing look like something: the odds for an atom are N(Â; μ, σ² + τ²) / N(Â; 0, σ² + τ²), with the least τ of
all species below. They grow with Â, and where σ is small they are against whatever has less than about half
the intensity of an atom.

How many atoms, and how many maxima of noise, stand above given odds is told by `recon.atoms.detection`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.ndimage
import torch
from scipy.spatial import KDTree

from recon.atoms.poisson_fit import Series, State
from recon.project.gaussian_atoms import Images
from recon.project.geometry import Geometry
from recon.project.projector import Projector

FloatArray = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

PROPOSED = 0.5
"""Doubt with which a further atom is looked for: from a third of one's intensity on, for its neighbours
have taken a part of it. Once it is fitted, it is judged with all doubt."""
N_SPREAD = 100_000
"""Voxels that stand for a whole volume."""


@dataclass(frozen=True)
class Species:
    """The intensities of each species, lightest first: `means` and `spreads` (n_species,), and their
    `shares`."""

    means: FloatArray
    spreads: FloatArray
    shares: FloatArray

    def log_odds(
        self, heights: FloatArray, variances: FloatArray, doubt: float = 1.0
    ) -> tuple[FloatArray, Labels]:
        """ln of the Bayes factor for an atom against nothing, (n,), and the likeliest species (n,).

        `heights` (n,) are estimated without a prior, with `variances` (n,). Nothing looks like something by
        `doubt` times the least spread of a species.
        """
        total, nothing = variances[:, None] + self.spreads**2, variances + (doubt * self.spreads.min()) ** 2
        log = (
            -0.5 * (heights[:, None] - self.means) ** 2 / total
            - 0.5 * np.log(total / nothing[:, None])
            + 0.5 * (heights**2 / nothing)[:, None]
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


@dataclass(frozen=True)
class Candidates:
    """Places (n, 3) [Å] where an atom of intensity `heights` (n,) would raise the odds by `log_odds` (n,)."""

    positions: FloatArray
    heights: FloatArray
    log_odds: FloatArray

    def less(self, energies: FloatArray) -> Candidates:
        """The same with `energies` (n,) taken from their log odds, best first."""
        log_odds = self.log_odds - energies
        order = np.argsort(-log_odds, kind="stable")
        return Candidates(self.positions[order], self.heights[order], log_odds[order])

    def where(self, chosen: npt.NDArray[np.bool_]) -> Candidates:
        """Those that are `chosen` (n,)."""
        return Candidates(self.positions[chosen], self.heights[chosen], self.log_odds[chosen])


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

    def anywhere(self) -> tuple[FloatArray, float]:
        """1/I (m,) at voxels spread over the volume, and the volume [Å³]."""
        step = max(1, round((self.information.size / N_SPREAD) ** (1 / 3)))
        volume = self.information.size * self.geometry.pixel_size**3
        return np.asarray(1 / self.information[::step, ::step, ::step].astype(np.float64)).ravel(), volume


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
    `positions`, as well as voxels can tell.

    Best odds first.
    """
    score, known, geometry = found.score, found.information, found.geometry
    # no alternative has better odds than that of the intensity itself, ½ S²/I
    there = (score > 0) & (score**2 > 2 * max(least, 0.0) * known)
    odds = np.full(score.shape, -np.inf, dtype=np.float32)
    variances = 1 / known[there].astype(np.float64)
    odds[there] = species.log_odds(score[there] * variances, variances, PROPOSED)[0]
    reach = 2 * round(0.5 * min_distance / geometry.pixel_size) + 1
    highest = scipy.ndimage.maximum_filter(odds, reach)
    k, j, i = np.nonzero((odds > least) & (odds == highest))
    points = np.stack([geometry.x[i], geometry.y[j], geometry.z[k]], axis=1)
    log_odds, heights = odds[k, j, i].astype(np.float64), (score / known)[k, j, i].astype(np.float64)
    order = np.argsort(-log_odds, kind="stable")
    if len(points) and len(positions):
        # the place itself is up to half the diagonal of a voxel from its centre
        nearest = min_distance - 0.5 * np.sqrt(3) * geometry.pixel_size
        order = order[KDTree(positions).query(points[order])[0] >= nearest]
    return Candidates(points[order], heights[order], log_odds[order])
