"""How a projection changes with its alignment, and the least-squares step that follows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from recon.align.shift import derivative
from recon.project.geometry import Geometry

FloatArray = npt.NDArray[np.float64]

SCALE, SHIFT, TURN = slice(0, 1), slice(1, 3), slice(3, 6)
"""Where the parameters of a projection are: its scale, its shift along x and y [Å], and the vector ω [rad]
of a small rotation of the specimen about the axes of the laboratory."""


def derivative_images(
    images: FloatArray, geometry: Geometry, moments: FloatArray | None = None
) -> FloatArray:
    """Derivatives (n_tilt, 3 or 6, n_y, n_x) of the projections by scale, shift and, with `moments`, ω.

    A rotation by ω moves the density at r by ω × r, and what is moved by u changes its projection by
    −∇·(projection of u V). As x and y of a point are those of its pixel, all three rotations need no more
    than the projection P and its depth moment M = Σ V z: ∂P/∂ω = (∂_y M, −∂_x M, y ∂_x P − x ∂_y P).
    Derivatives are spectral, for the specimen lies within the field. Two projections and four transforms
    take the place of the twelve projections that central differences would need.
    """
    size = geometry.pixel_size
    along_x, along_y = derivative(images, 2) / size, derivative(images, 1) / size
    parts = [images, -along_x, -along_y]
    if moments is not None:
        turn = geometry.y[:, None] * along_x - geometry.x * along_y
        parts += [derivative(moments, 1) / size, -derivative(moments, 2) / size, turn]
    return np.stack(parts, axis=1)


def step(
    residuals: FloatArray,
    derivatives: FloatArray,
    *,
    weights: FloatArray | None = None,
    damping: float = 0.0,
) -> FloatArray:
    """The parameters (n_tilt, n) that minimise Σ w (residual − derivatives · parameters)² of each tilt.

    `residuals` (n_tilt, n_y, n_x) are measured minus calculated. The normal equations are of size n for each
    tilt; `damping` is Marquardt's, relative to their diagonal. Directions that change nothing stay zero.
    """
    n_tilt, n = derivatives.shape[:2]
    rows = derivatives.reshape(n_tilt, n, -1)
    weighted = rows if weights is None else rows * weights.reshape(n_tilt, 1, -1)
    normal = weighted @ rows.transpose(0, 2, 1)
    right = weighted @ residuals.reshape(n_tilt, -1, 1)
    diagonal = np.sqrt(np.einsum("tii->ti", normal))
    diagonal[diagonal == 0] = 1.0
    scaled = normal / (diagonal[:, :, None] * diagonal[:, None, :]) + damping * np.eye(n)
    found = np.linalg.pinv(scaled, rcond=1e-9, hermitian=True) @ (right / diagonal[:, :, None])
    return np.asarray(found[:, :, 0] / diagonal)
