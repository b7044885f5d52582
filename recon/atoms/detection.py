"""How many atoms and how many false ones stand above given odds, and what an atom must bring to be kept.

The odds of `recon.atoms.selection` grow with the intensity Â, so an intensity of significance u = Â/σ has
the log odds o(u), and above them there are

    A(o) = N Σ_s share_s P(N(μ_s, σ² + τ_s²) > σ u(o))        of N atoms, and
    F(o) = V |Λ|^½ (u² − 1) exp(−u²/2) / (2π)²,   Λ = mean over tilts of P_tᵀ P_t / 2w²

maxima of noise in a volume V (R. J. Adler, The Geometry of Random Fields, 1981, ch. 6), w the width of an
atom's image. What is looked at are the highest points of a smooth random field, and there are more of them
than a test at one place would say. The cost of an atom is where F + N − A, false and missed together, is
least, or higher where F would exceed the number of false atoms that is allowed. Of atoms with odds o the part
A′ / (A′ + F′) are atoms: their confidence. The truth does not enter.

Atoms hold together: an atom that stands apart from all others is rarer than one among them, and the space
that it could stand in is larger. Both regions are judged by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.stats
from scipy.spatial import KDTree

from recon.atoms.selection import Species

FloatArray = npt.NDArray[np.float64]

N_TYPICAL = 32
"""Quantiles that stand for the uncertainties of all intensities."""
LEVELS = np.concatenate([np.linspace(0, 15, 1501), np.geomspace(15.01, 1e5, 800)])
"""Significances looked through: finely where noise is, and up to where half an atom is at any dose."""
ODDS = np.linspace(-5, 60, 1301)
"""Log odds looked through."""
FAR = 1.5
"""In units of the shortest bond: atoms nearer than this are neighbours."""
LEAST_TOLD = 1e-3
"""Odds that a smaller part of the atoms exceeds are taken for no better than those that as many do."""
LEAST_NEIGHBOURS = 2
"""An atom with fewer neighbours stands apart."""


def stands_apart(points: FloatArray, positions: FloatArray, bond: float) -> npt.NDArray[np.bool_]:
    """Which of `points` (m, 3) have fewer than `LEAST_NEIGHBOURS` of `positions` (n, 3) [Å] within 1.5
    `bond`; a point that is itself one of them is not its own neighbour.
    """
    if not len(points) or not len(positions):
        return np.ones(len(points), dtype=bool)
    near = KDTree(positions).query_ball_point(points, FAR * bond, return_length=True)
    itself = KDTree(positions).query(points)[0] == 0
    return np.asarray(near - itself < LEAST_NEIGHBOURS)


def places(positions: FloatArray, bond: float, min_distance: float) -> tuple[FloatArray, float]:
    """Points (m, 3) among the atoms where another one could be, and the volume [Å³] of each.

    They do not stand apart, and are at least `min_distance` [Å] from every atom.
    """
    step = bond / 4
    low, high = positions.min(axis=0) - FAR * bond, positions.max(axis=0) + FAR * bond
    axes = [np.arange(start, stop, step) for start, stop in zip(low, high, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    distance = KDTree(positions).query(points, distance_upper_bound=FAR * bond)[0]
    points = points[(distance >= min_distance) & np.isfinite(distance)]
    return points[~stands_apart(points, positions, bond)], step**3


def false_maxima(levels: FloatArray, width: float, rows: FloatArray) -> FloatArray:
    """How many maxima per Å³ noise has above `levels` [standard deviations], for atoms of `width` [Å].

    `rows` (n_tilt, 2, 3) are the first two rows of every rotation.
    """
    by_axis = np.einsum("tki,tkj->ij", rows, rows) / len(rows) / (2 * width**2)
    density = np.sqrt(max(np.linalg.det(by_axis), 0.0)) / (2 * np.pi) ** 2
    above = np.maximum(levels, np.sqrt(3))  # below, the formula falls again
    return np.asarray(density * (above**2 - 1) * np.exp(-(above**2) / 2))


@dataclass(frozen=True)
class Detection:
    """What stands above the log odds `ODDS` in one region: `atoms` (m,) of `n_atoms`, and `false` (m,)
    maxima of noise."""

    atoms: FloatArray
    false: FloatArray
    n_atoms: float

    @classmethod
    def of(
        cls,
        species: Species,
        known: FloatArray,
        n_atoms: float,
        elsewhere: FloatArray,
        volume: float,
        width: float,
        rows: FloatArray,
    ) -> Detection:
        """The region of `n_atoms` whose intensities have variances like `known` (n,), and of `volume` [Å³]
        where they would have variances like `elsewhere` (m,).
        """
        if not len(known):
            return cls(np.zeros(len(ODDS)), np.zeros(len(ODDS)), 0.0)
        atoms = np.zeros(len(ODDS))
        for variance, at in _significance(species, known):
            scatter = np.sqrt(variance + species.spreads**2)
            tail = scipy.stats.norm.sf((np.sqrt(variance) * at[:, None] - species.means) / scatter)
            atoms += n_atoms / N_TYPICAL * tail @ species.shares
        false = np.zeros(len(ODDS))
        if len(elsewhere):
            for _, at in _significance(species, elsewhere):
                false += volume / N_TYPICAL * false_maxima(at, width, rows)
        return cls(atoms, false, n_atoms)

    def cost(self, n_false: float) -> float:
        """The log odds from which on an atom is kept, such that at most `n_false` are expected false."""
        best = int(np.argmin(self.false + self.n_atoms - self.atoms))
        allowed = np.flatnonzero(self.false <= n_false)
        return float(max(ODDS[best], ODDS[allowed[0]] if len(allowed) else ODDS[-1], 0.0))

    def expected(self, cost: float) -> tuple[float, float]:
        """How many atoms are expected to be false, and how many to be missed, above `cost`."""
        return (
            float(np.interp(cost, ODDS, self.false)),
            float(self.n_atoms - np.interp(cost, ODDS, self.atoms)),
        )

    def confidence(self, odds: FloatArray) -> FloatArray:
        """The probability (n,) that what has the log `odds` (n,) is an atom."""
        middle = (ODDS[1:] + ODDS[:-1]) / 2
        right, wrong = -np.diff(self.atoms), -np.diff(self.false)
        told = self.atoms[1:] > LEAST_TOLD * self.n_atoms
        if not told.any():
            return np.zeros(len(odds))
        middle, right, wrong = middle[told], right[told], wrong[told]
        part = np.where(right + wrong > 0, right / np.maximum(right + wrong, np.finfo(float).tiny), 1.0)
        return np.asarray(np.interp(odds, middle, np.minimum.accumulate(part[::-1])[::-1]))


def _significance(species: Species, variances: FloatArray) -> list[tuple[float, FloatArray]]:
    """Typical ones of `variances` (n,), each with the significances (m,) of intensities with log odds
    `ODDS`."""
    typical = np.quantile(variances, (np.arange(N_TYPICAL) + 0.5) / N_TYPICAL)
    found = []
    for variance in typical.tolist():
        odds = species.log_odds(LEVELS * np.sqrt(variance), np.full(len(LEVELS), variance))[0]
        found.append((variance, np.interp(ODDS, odds, LEVELS, left=0.0, right=2 * LEVELS[-1])))
    return found
