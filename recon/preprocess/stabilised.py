"""A filter made for white noise of unit strength, applied to counts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from recon.preprocess.anscombe import anscombe, inverse_anscombe

Array = npt.NDArray[np.float64]
Filter = Callable[[Array], Array]


def filter_stabilised(image: Array, white: Filter, gain: float, read_noise: float) -> Array:
    """The `image` (n_y, n_x) [counts] through Anscombe transform, `white` filter and exact unbiased inverse.

    An image of one value is left as it is.
    """
    stable = anscombe(image, gain, read_noise)
    if np.ptp(stable) == 0:
        return image
    return inverse_anscombe(white(stable), gain, read_noise)


def with_total(image: Array, clean: Array) -> Array:
    """`clean` times the factor that gives it the electrons of `image`.

    What a filter averages over is not of one brightness, and then the inverse, exact where it is, is biased.
    """
    total = float(clean.sum())
    return clean * (float(image.sum()) / total) if total > 0 else clean


def nearest_to(image: Array, clean: Array) -> Array:
    """`clean` times the factor that brings it nearest to `image` (least squares)."""
    norm = float((clean**2).sum())
    return clean * (float((image * clean).sum()) / norm) if norm > 0 else clean
