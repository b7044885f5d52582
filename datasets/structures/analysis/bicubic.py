"""A smooth bicubic surface through scattered points, with its slopes.

Cubic B-splines on a grid of even knots, their coefficients by least squares with a small penalty on second
differences (P-splines: P. H. C. Eilers and B. D. Marx, Stat. Sci. 11, 89 (1996)), which fills where no atom
is without a word from the data and hardly touches where there are some. Slopes are derivatives of the
splines, what finite differences on a fine grid approach (paper 000: bicubic interpolation of heights, finite
differences).

Cost: a banded least-squares problem of (extent / spacing + 3)² coefficients, 16 of them per point.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.interpolate import BSpline
from scipy.sparse import csr_array, diags_array, eye_array, kron
from scipy.sparse.linalg import spsolve

from datasets.errors import InputError

FloatArray = npt.NDArray[np.float64]

SPACING = 2.5
"""Distance of knots [Å], the lattice constant of graphene: two atoms for every coefficient."""
PENALTY = 1e-4
"""Weight of the squared second differences of coefficients against that of one point."""
DEGREE = 3


@dataclass(frozen=True, eq=False)
class BicubicSurface:
    """Values over the plane; `knots` along x and y [Å] and `coefficients` (n_x, n_y)."""

    knots: tuple[FloatArray, FloatArray]
    coefficients: FloatArray

    @classmethod
    def fit(
        cls, points: FloatArray, values: FloatArray, *, spacing: float = SPACING, penalty: float = PENALTY
    ) -> BicubicSurface:
        """The surface through `values` (n,) at `points` (n, 2) as (x, y) [Å].

        A larger `penalty` smooths; quadratic surfaces are bent by it, planes never. Raises `InputError` for
        fewer than 16 points.
        """
        if len(points) < 16:
            raise InputError(f"a bicubic surface needs at least 16 points, there are {len(points)}")
        knots = (_knots(points[:, 0], spacing), _knots(points[:, 1], spacing))
        along_x, along_y = (_basis(points[:, axis], knots[axis]) for axis in (0, 1))
        n_x, n_y = along_x.shape[1], along_y.shape[1]
        design = _row_products(along_x, along_y)
        rough = kron(_second_differences(n_x), eye_array(n_y)) + kron(
            eye_array(n_x), _second_differences(n_y)
        )
        normal = (design.T @ design + penalty * rough).tocsc()
        found = spsolve(normal, design.T @ values)
        return cls(knots, np.asarray(found).reshape(n_x, n_y))

    def __call__(self, points: FloatArray) -> FloatArray:
        """Values (n,) at `points` (n, 2); beyond the outermost knots those of the nearest place inside."""
        return self._derivative(points, 0, 0)

    def gradient(self, points: FloatArray) -> FloatArray:
        """Slopes (n, 2) along x and y at `points` (n, 2), per Å."""
        slopes = np.stack([self._derivative(points, 1, 0), self._derivative(points, 0, 1)], axis=-1)
        return np.asarray(slopes, dtype=np.float64)

    def _derivative(self, points: FloatArray, of_x: int, of_y: int) -> FloatArray:
        parts = []
        for axis, order in ((0, of_x), (1, of_y)):
            knots = self.knots[axis]
            n = len(knots) - DEGREE - 1
            splines = BSpline(knots, np.eye(n), DEGREE)
            inside = np.clip(points[:, axis], knots[DEGREE], knots[-DEGREE - 1])
            parts.append(np.asarray(splines(inside, nu=order)))
        return np.asarray(np.einsum("pi,ij,pj->p", parts[0], self.coefficients, parts[1]))


def _knots(x: FloatArray, spacing: float) -> FloatArray:
    low, high = float(x.min()), float(x.max())
    n = max(1, round((high - low) / spacing))
    step = (high - low) / n
    return np.asarray(low + step * np.arange(-DEGREE, n + DEGREE + 1), dtype=np.float64)


def _basis(x: FloatArray, knots: FloatArray) -> csr_array:
    inside = np.clip(x, knots[DEGREE], knots[-DEGREE - 1])
    return csr_array(BSpline.design_matrix(inside, knots, DEGREE))


def _row_products(a: csr_array, b: csr_array) -> csr_array:
    """Every row the Kronecker product of the rows of `a` (n, k) and `b` (n, l): (n, k l)."""
    n = a.shape[0]
    width = DEGREE + 1
    columns = a.indices.reshape(n, width, 1) * b.shape[1] + b.indices.reshape(n, 1, width)
    values = a.data.reshape(n, width, 1) * b.data.reshape(n, 1, width)
    starts = np.arange(n + 1) * width**2
    return csr_array((values.ravel(), columns.ravel(), starts), shape=(n, a.shape[1] * b.shape[1]))


def _second_differences(n: int) -> csr_array:
    steps = diags_array([1.0, -2.0, 1.0], offsets=[0, 1, 2], shape=(n - 2, n))
    return csr_array(steps.T @ steps)
