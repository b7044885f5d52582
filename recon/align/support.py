"""Where the specimen is, in the images and in the volume."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.ndimage
import torch

from recon.project.geometry import Geometry
from recon.project.sparse import SparseProjector

FloatArray = npt.NDArray[np.float64]

SMOOTHING = 1.5
"""Width [pixel] of the Gaussian that noise is judged through."""

LEAST = 0.04
"""The edge of the specimen, as a part of the greatest smoothed intensity."""

SIGNIFICANCE = 4.0
"""Standard deviations of the smoothed noise that count as specimen."""


def specimen_masks(projections: FloatArray, margin: int = 3) -> npt.NDArray[np.bool_]:
    """The pixels (n_tilt, n_y, n_x) that hold the specimen, `margin` pixels around it included.

    The background must be subtracted. The threshold follows the noise, which is judged by the negative
    pixels of the smoothed images; only the largest connected part of each image stays. The margin makes the
    mask hold all of the specimen, so that sums within it are unbiased.
    """
    smooth = scipy.ndimage.gaussian_filter(projections, (0, SMOOTHING, SMOOTHING))
    negative = smooth[smooth < 0]
    noise = float(np.sqrt(np.mean(negative**2))) if negative.size else 0.0
    masks = smooth > max(LEAST * float(smooth.max()), SIGNIFICANCE * noise)
    for mask in masks:
        labels, n = scipy.ndimage.label(mask)
        if n > 1:
            mask[...] = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])
    if margin > 0:
        masks = scipy.ndimage.binary_dilation(masks, np.ones((1, 3, 3), dtype=bool), iterations=margin)
    return np.asarray(masks)


def specimen_support(masks: npt.NDArray[np.bool_], geometry: Geometry) -> npt.NDArray[np.bool_]:
    """The voxels (n_z, n_y, n_x) that no image shows to be outside of `masks` (the visual hull)."""
    outside = SparseProjector(geometry).adjoint(torch.from_numpy((~masks).astype(np.float32)))
    return np.asarray(outside.numpy() < 1e-3)
