"""The image of one atom, by species: a radial function, read from noise-free images rather than assumed.

    E(p) = Σ_a A_a K_s(a)(|p − P_t x_a|),   K_s(r) = Σ_j c_sj B_j(r),   c ≥ 0

with cubic B-splines B_j on even knots, mirrored at r = 0 so that K is smooth there, and ending at `reach`
with two continuous derivatives. All c of all species are fitted at once by non-negative least squares with a
weak penalty on their third differences, which decides only where the data do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.interpolate import BSpline
from scipy.optimize import nnls

FloatArray = npt.NDArray[np.float64]

REACH = 2.5
"""Å. Where the image of an atom ends; what lies beyond is below a hundredth of its peak, and a broad
pedestal.
"""

KNOT_SPACING = 0.125
"""Å. Renders a Gaussian atom of 0.23 Å, the sharpest here, to 6e-4 of its peak; twice as coarse, to 2 %."""

SMOOTHNESS = 1e-4
"""Weight of the penalty on third differences, relative to the mean square of a species' design."""

TABLE = 4096
"""Steps of r² in a table: linear interpolation is then off by less than 1e-5 of the peak."""


@dataclass(frozen=True)
class AtomKernels:
    """K and D = −K'/r of every species at even steps of r² from 0 to `reach`², (n_species, 2, n_step + 1).

    `names` are the chemical symbols, in the order of the tables; K is in electrons per pixel and unit dose, D
    in that per Å².
    """

    names: tuple[str, ...]
    tables: FloatArray
    reach: float

    @classmethod
    def gaussian(
        cls, names: tuple[str, ...], weights: npt.ArrayLike, sigma: npt.ArrayLike, reach: float
    ) -> AtomKernels:
        """Normal distributions of integral `weights` and standard deviation `sigma` [Å], one per species."""
        square = table_squares(reach)
        integral, spread = (np.asarray(given, dtype=float)[:, None] for given in (weights, sigma))
        value = integral / (2 * np.pi * spread**2) * np.exp(-square / (2 * spread**2))
        return cls(names, np.stack([value, value / spread**2], axis=1), reach)

    @classmethod
    def splines(
        cls, names: tuple[str, ...], coefficients: FloatArray, reach: float, spacing: float
    ) -> AtomKernels:
        """Those of B-spline `coefficients` (n_species, n_basis)."""
        r = np.sqrt(table_squares(reach))
        value, slope = basis(r, reach, spacing)
        return cls(names, np.stack([coefficients @ value, coefficients @ slope], axis=1), reach)

    def __call__(self, species: int, r: npt.ArrayLike) -> FloatArray:
        """K of a species at distances `r` [Å]."""
        square = np.asarray(r, dtype=float) ** 2
        return np.interp(square, table_squares(self.reach), self.tables[species, 0], right=0.0)

    def integral(self) -> FloatArray:
        """∫ K 2π r dr of every species [electron per pixel and unit dose, × Å²]."""
        return np.asarray(np.pi * np.trapezoid(self.tables[:, 0], table_squares(self.reach), axis=1))


def table_squares(reach: float) -> FloatArray:
    """r² [Å²] of the entries of a table."""
    return np.linspace(0, reach**2, TABLE + 1)


def n_basis(reach: float, spacing: float) -> int:
    """How many B-splines there are."""
    return max(round(reach / spacing) - 1, 1)


def basis(r: FloatArray, reach: float, spacing: float) -> tuple[FloatArray, FloatArray]:
    """B_j(r) and −B_j'(r)/r, each (n_basis, len(r)).

    B_j is the cubic B-spline centred on j · step plus its mirror image at −j · step; step = reach / (n + 1),
    so that the last one ends at `reach`.
    """
    n = n_basis(reach, spacing)
    step = reach / (n + 1)
    spline = BSpline.basis_element(np.arange(-2.0, 3.0), extrapolate=False)
    slope = spline.derivative()
    x = r / step
    value, minus = np.empty((n, len(r))), np.empty((n, len(r)))
    for j in range(n):
        both = [(x - j, 1.0), (x + j, 1.0)] if j else [(x, 1.0)]
        value[j] = sum(np.nan_to_num(spline(t)) for t, _ in both)
        gradient = sum(np.nan_to_num(slope(t)) for t, _ in both)
        curvature = sum(np.nan_to_num(slope.derivative()(t)) for t, _ in both)
        with np.errstate(invalid="ignore", divide="ignore"):
            minus[j] = -np.where(x > 1e-6, gradient / x, curvature) / step**2
    return value, minus


def third_differences(n: int) -> FloatArray:
    """The matrix (n, n) of third differences of coefficients mirrored at 0 and zero from n on."""
    rows = np.zeros((n, n))
    for row in range(n):
        for offset, weight in zip(range(-1, 3), (-1.0, 3.0, -3.0, 1.0), strict=True):
            column = abs(row + offset)
            if column < n:
                rows[row, column] += weight
    return rows


def solve_coefficients(normal: FloatArray, right: FloatArray, n_species: int) -> FloatArray:
    """c ≥ 0 (n_species, n_basis) of the least-squares problem with `normal` matrix and `right` side, flat."""
    n = len(right) // n_species
    penalty = np.zeros_like(normal)
    rough = third_differences(n)
    for species in range(n_species):
        own = slice(species * n, (species + 1) * n)
        penalty[own, own] = SMOOTHNESS * np.trace(normal[own, own]) / n * rough.T @ rough
    values, vectors = np.linalg.eigh(normal + penalty)
    values = np.maximum(values, 1e-14 * values[-1])
    root = np.sqrt(values)[:, None] * vectors.T
    found, _ = nnls(root, (vectors.T @ right) / np.sqrt(values), maxiter=100 * len(right))
    return found.reshape(n_species, n)
