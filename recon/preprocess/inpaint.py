"""The background underneath the object, continued from what surrounds it.

Paper 003, Table 1: a mask from Otsu's threshold, and inside it the solution of Laplace's equation from its
border values (`regionfill` of MATLAB). Border values of single pixels would carry their noise into the
object, so here the background b of the image y minimises Σ_outside (b − y)² + `LENGTH`² Σ|∇b|²: it smooths
outside the mask over `LENGTH` pixels and solves Laplace's equation inside. A constant background comes out
unbiased, a linear or any other harmonic one unchanged away from the image's edge; a bump hidden entirely
under the object is not seen.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.fft
from scipy.sparse.linalg import LinearOperator, cg

from recon.preprocess.mask import object_mask

Array = npt.NDArray[np.float64]

LENGTH = 4.0
"""Smoothing length [pixel] of the background."""

MARGIN = 8
"""Width [pixel] that is added to the mask, so that the object's faint edge does not count as background: with
it less than 1 % of the object lies outside, once it stands out from the noise of the background."""

TOLERANCE = 1e-4
"""Relative residual at which conjugate gradients stop."""


def subtract_inpainted(images: Array, *, margin: int = MARGIN) -> Array:
    """The `images` (n_tilt, n_y, n_x) less their background inside the object's mask, and zero outside
    (published).

    Denoise first: where the background's noise hides the object in a single image, no threshold finds it.
    """
    objects = []
    for image in images:
        mask = object_mask(image, margin=margin)
        objects.append(np.where(mask, image - harmonic_background(image, mask), 0.0))
    return np.stack(objects)


def harmonic_background(image: Array, mask: npt.NDArray[np.bool_], length: float = LENGTH) -> Array:
    """The smooth background (n_y, n_x) of `image` where not `mask`, and its harmonic continuation where
    `mask`.

    Solved by conjugate gradients, preconditioned in the cosine basis, which is that of the Laplacian. Raises
    `LinAlgError` should they not converge.
    """
    outside = (~mask).astype(np.float64)
    if not outside.any():
        return np.zeros_like(image)
    n_y, n_x = image.shape
    q_y, q_x = np.arange(n_y)[:, None] / n_y, np.arange(n_x)[None, :] / n_x
    roughness = length**2 * (4 - 2 * np.cos(np.pi * q_y) - 2 * np.cos(np.pi * q_x))

    def filtered(values: Array, factor: Array) -> Array:
        return np.asarray(scipy.fft.idctn(factor * scipy.fft.dctn(values, norm="ortho"), norm="ortho"))

    def normal(flat: Array) -> Array:
        b = flat.reshape(image.shape)
        return (outside * b + filtered(b, roughness)).ravel()

    def precondition(flat: Array) -> Array:
        return filtered(flat.reshape(image.shape), 1 / (outside.mean() + roughness)).ravel()

    size = image.size
    level = float(image[~mask].mean())
    solution, failed = cg(
        LinearOperator((size, size), matvec=normal, dtype=np.float64),
        (outside * (image - level)).ravel(),
        rtol=TOLERANCE,
        maxiter=2000,
        M=LinearOperator((size, size), matvec=precondition, dtype=np.float64),
    )
    if failed:
        raise np.linalg.LinAlgError("the background did not converge under the object's mask")
    return np.asarray(solution.reshape(image.shape) + level)
