"""Which pixels of an image show the object: edge-preserving smoothing, a threshold, a margin.

Paper 003, Table 1 ("Laplacian and threshold method"): Otsu's threshold on the smoothed image. The constants
are those of the paper's public code, whose areas and margins are for much larger images and are here
relative.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.ndimage
from skimage.filters import threshold_otsu

from recon.preprocess.anscombe import anscombe

HALF_WINDOW = 3
"""Half the window [pixel] of the edge-preserving smoothing (published)."""

OTSU_FACTOR = 0.9
"""Part of Otsu's threshold above which a pixel is the object (published)."""

SMALLEST_PART = 0.1
"""Patches smaller than this part of the largest are noise."""

FRAME = 2
"""Width [pixel] of the frame of an image that is never the object: something must show the background."""

FLAT = 1e-6
"""Range of the smoothed image, in standard deviations of the noise, below which there is nothing to see."""


def edge_preserving_smoothing(
    image: npt.NDArray[np.float64], half_window: int = HALF_WINDOW
) -> npt.NDArray[np.float64]:
    """The `image` (n_y, n_x) with each pixel the mean of that square around or beside it that varies least.

    Of all squares of 2 `half_window` + 1 pixels that hold the pixel, so an edge is never averaged over. Where
    noise grows with brightness, dark squares would win.
    """
    size = 2 * half_window + 1
    mean = scipy.ndimage.uniform_filter(image, size, mode="reflect")
    variance = scipy.ndimage.uniform_filter(image**2, size, mode="reflect") - mean**2
    padded_mean = np.pad(mean, half_window, mode="reflect")
    padded_variance = np.pad(variance, half_window, mode="reflect")
    n_y, n_x = image.shape
    smooth, least = mean.copy(), variance.copy()
    for y in range(size):
        for x in range(size):
            here = padded_variance[y : y + n_y, x : x + n_x]
            better = here < least
            smooth[better] = padded_mean[y : y + n_y, x : x + n_x][better]
            least[better] = here[better]
    return smooth


def object_mask(image: npt.NDArray[np.float64], *, margin: int) -> npt.NDArray[np.bool_]:
    """Where the `image` (n_y, n_x) shows the object, widened by `margin` [pixel].

    Smoothed and cut are the square roots of the counts (`recon.preprocess.anscombe`): on the counts
    themselves, as published, dark squares win and a disc of 10 electrons on 2 loses an eighth of its area.
    Otsu's threshold is half-way between the means of the two classes that it makes; `OTSU_FACTOR` is counted
    from the lower one, or a high background would be object. When nothing stands out all of the image is
    object: better its background from the frame than nothing left. Wrong for an object that reaches the edge
    of the image: the outermost `FRAME` pixels are always background.
    """
    inside = np.zeros(image.shape, dtype=bool)
    inside[FRAME:-FRAME, FRAME:-FRAME] = True
    smooth = edge_preserving_smoothing(anscombe(np.maximum(image, 0.0)))
    if np.ptp(smooth) < FLAT:
        return inside
    bright = smooth > threshold_otsu(smooth)
    low, high = float(smooth[~bright].mean()), float(smooth[bright].mean())
    mask = smooth > low + OTSU_FACTOR * (high - low) / 2
    labels, n_parts = scipy.ndimage.label(mask)
    if n_parts > 1:
        areas = np.bincount(labels.ravel())
        areas[0] = 0
        mask = (areas >= SMALLEST_PART * areas.max())[labels]
    if margin > 0:
        mask = scipy.ndimage.distance_transform_edt(~mask) <= margin
    return np.asarray(mask & inside)
