"""Dense random packing: soft spheres pushed apart until none overlap, the plainest model of a glass.

Points are thrown into a ball and moved down the energy ½ Σ max(0, d − r)² of a harmonic repulsion (Durian,
Phys. Rev. Lett. 75, 4780 (1995)). Unlike molecular dynamics it knows no element and takes milliseconds;
unlike a crystal it has no order that a network could learn by heart.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.spatial import cKDTree

FloatArray = npt.NDArray[np.float64]

FRACTION = 0.62
"""Part of the volume that the spheres fill; random close packing ends at 0.64 (Scott and Kilgour, 1969)."""


def random_packing(
    n_points: int, diameters: FloatArray, rng: np.random.Generator, *, n_iter: int = 200
) -> FloatArray:
    """`n_points` centres (n_points, 3) [Å] of spheres with `diameters` (n_points,) [Å], packed into a ball.

    A wall as soft as the spheres holds them in. Time grows in proportion to the points and to `n_iter`.
    """
    volume = np.pi / 6 * np.sum(diameters**3) / FRACTION
    radius = (3 * volume / (4 * np.pi)) ** (1 / 3)
    directions = rng.normal(size=(n_points, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    start = directions * radius * rng.random((n_points, 1)) ** (1 / 3)

    def energy(flat: FloatArray) -> tuple[float, FloatArray]:
        points = flat.reshape(-1, 3)
        pairs = cKDTree(points).query_pairs(float(diameters.max()), output_type="ndarray")
        apart = points[pairs[:, 0]] - points[pairs[:, 1]]
        distance = np.maximum(np.linalg.norm(apart, axis=1), 1e-9)
        overlap = np.maximum(diameters[pairs].mean(axis=1) - distance, 0)
        push = (overlap / distance)[:, None] * apart
        reach = np.maximum(np.linalg.norm(points, axis=1), 1e-9)
        beyond = np.maximum(reach - radius, 0)
        gradient = (beyond / reach)[:, None] * points
        np.add.at(gradient, pairs[:, 0], -push)
        np.add.at(gradient, pairs[:, 1], push)
        return 0.5 * float(np.sum(overlap**2) + np.sum(beyond**2)), gradient.ravel()

    found = minimize(energy, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": n_iter})
    points = found.x.reshape(-1, 3)
    return np.asarray(points - points.mean(axis=0))
