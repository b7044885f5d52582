"""LOWESS in the plane: robust locally weighted regression of heights on (x, y).

W. S. Cleveland, J. Am. Stat. Assoc. 74, 829 (1979); for several variables W. S. Cleveland and S. J. Devlin,
J. Am. Stat. Assoc. 83, 596 (1988). About every point a plane is fitted to its nearest neighbours, weighted by
the tricube of their distance; points far off their plane are weighted down by the bisquare of their residual
and the fit is repeated. (The well-known implementation, in statsmodels, takes one variable only.)

How many neighbours: as many as leave-one-out prediction errors are smallest for, which for a linear smoother
follow from its own residuals, r / (1 − leverage).

Cost: n points times k neighbours times 9 multiply-adds a fit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

FloatArray = npt.NDArray[np.float64]

FRACTIONS = (0.02, 0.05, 0.1, 0.2, 0.35, 0.6, 1.0)
"""Parts of all points that a neighbourhood may hold."""
N_ROBUST = 2
"""Rounds of bisquare weights (Cleveland)."""
FEWEST = 8


def lowess(
    points: FloatArray,
    values: FloatArray,
    *,
    fraction: float | None = None,
    n_robust: int = N_ROBUST,
    fractions: Sequence[float] = FRACTIONS,
) -> FloatArray:
    """`values` (n,) at `points` (n, 2), smoothed: (n,). Planes come back exactly.

    `fraction` of the points makes a neighbourhood; None chooses among `fractions` by leave-one-out errors.
    Fewer than eight points are replaced by their mean.
    """
    if len(points) < FEWEST:
        return np.full(len(points), values.mean() if len(values) else 0.0)
    if fraction is None:
        errors = [_prediction_error(points, values, one) for one in fractions]
        fraction = fractions[int(np.argmin(errors))]
    robust = np.ones(len(points))
    smooth, _ = _planes(points, values, robust, fraction)
    for _ in range(n_robust):
        residual = values - smooth
        scale = 6 * float(np.median(np.abs(residual)))
        if scale <= 1e-12 * max(float(np.abs(values).max()), 1e-300):
            break
        robust = np.clip(1 - (residual / scale) ** 2, 0, 1) ** 2
        smooth, _ = _planes(points, values, np.maximum(robust, 1e-6), fraction)
    return smooth


def _prediction_error(points: FloatArray, values: FloatArray, fraction: float) -> float:
    """Mean square error when each value is predicted from the others."""
    smooth, leverage = _planes(points, values, np.ones(len(points)), fraction)
    return float(np.mean(((values - smooth) / np.maximum(1 - leverage, 1e-6)) ** 2))


def _planes(
    points: FloatArray, values: FloatArray, robust: FloatArray, fraction: float
) -> tuple[FloatArray, FloatArray]:
    """The local fits (n,), and by how much each follows its own value (n,)."""
    k = min(len(points), max(FEWEST, round(fraction * len(points))))
    distance, near = (np.asarray(found) for found in KDTree(points).query(points, k=k))
    reach = 1.0001 * distance[:, -1:] + 1e-12
    weight = (1 - (distance / reach) ** 3) ** 3 * robust[near]
    offsets = points[near] - points[:, None, :]
    design = np.concatenate([np.ones((*near.shape, 1)), offsets / reach[..., None]], axis=-1)
    weighted = (design * weight[..., None]).swapaxes(1, 2)
    normal = weighted @ design
    normal[:, range(3), range(3)] += 1e-12 * weight.sum(axis=1, keepdims=True)
    inverse = np.linalg.inv(normal)
    fit = (inverse[:, :1, :] @ (weighted @ values[near][..., None]))[:, 0, 0]
    own = weight[:, 0] * inverse[:, 0, 0]  # the first neighbour of a point is itself, at no distance
    return np.asarray(fit), np.asarray(own)
