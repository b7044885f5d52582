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
    precision: FloatArray | None = None,
    departure: FloatArray | None = None,
) -> FloatArray:
    """The parameters p (n_tilt, n) that minimise Σ (residual − derivatives · p)² of each tilt.

    `residuals` (n_tilt, n_y, n_x) are measured minus calculated. With a `precision` (n_tilt, n) the sum has
    the term Σ precision (departure + p)² of a prior, from whose centre the parameters are `departure`
    (n_tilt, n) away (zero by default). The normal equations are of size n for each tilt; directions that
    change nothing stay zero.
    """
    n_tilt, n = derivatives.shape[:2]
    rows = derivatives.reshape(n_tilt, n, -1)
    normal = rows @ rows.transpose(0, 2, 1)
    right = (rows @ residuals.reshape(n_tilt, -1, 1))[:, :, 0]
    if precision is not None:
        normal += precision[:, :, None] * np.eye(n)
        if departure is not None:
            right -= precision * departure
    scale = np.sqrt(np.einsum("tii->ti", normal))
    scale[scale == 0] = 1.0
    scaled = normal / (scale[:, :, None] * scale[:, None, :])
    found = np.linalg.pinv(scaled, rcond=1e-9, hermitian=True) @ (right / scale)[:, :, None]
    return np.asarray(found[:, :, 0] / scale)


def angle_step(
    residuals: FloatArray, derivatives: FloatArray, *, departure: FloatArray, spread: float, nuisance: bool
) -> FloatArray:
    """Steps (n_tilt, 6) in scale, shift and turn; those of scale and shift are zero without `nuisance`.

    The prior of the turns is as wide as `spread` [rad] about the nominal angles, `departure` (n_tilt, 3)
    [rad] behind, in units of the noise: the mean square of each residual where its image is bright.
    """
    images = np.clip(derivatives[:, 0], 0, None)
    bright = np.maximum(images.sum(axis=(1, 2)), np.finfo(float).tiny)
    noise = np.sum(residuals**2 * images, axis=(1, 2)) / bright
    precision, behind = np.zeros((2, *derivatives.shape[:2]))
    precision[:, TURN], behind[:, TURN] = (noise / spread**2)[:, None], departure
    if nuisance:
        return step(residuals, derivatives, precision=precision, departure=behind)
    found = np.zeros(derivatives.shape[:2])
    found[:, TURN] = step(
        residuals, derivatives[:, TURN], precision=precision[:, TURN], departure=behind[:, TURN]
    )
    return found
