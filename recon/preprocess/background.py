"""Removal of the background of a tilt series."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from datasets.errors import InputError
from recon.preprocess.inpaint import subtract_inpainted

Background = Literal["known", "border", "minimum", "inpaint", "none"]

BORDER = 2
"""Width [pixel] of the frame that `border` takes for empty."""


def subtract_background(
    images: npt.NDArray[np.float64], method: Background, *, known: float = 0.0
) -> npt.NDArray[np.float64]:
    """The `images` (n_tilt, n_y, n_x) less their background; what falls below zero stays, for it is unbiased.

    `known` subtracts the measurement's own value [electrons per pixel]; `border` the mean of each image's
    outermost `BORDER` pixels, right when the object is inside; `minimum` the least pixel of the whole series,
    as the public code of paper 003 does; `inpaint` the background continued underneath the object, with zero
    outside its mask (`recon.preprocess.inpaint`); `none` leaves the images. Raises `InputError` for another
    method.
    """
    if method == "none":
        return images
    if method == "known":
        return images - known
    if method == "border":
        frame = np.ones(images.shape[1:], dtype=bool)
        frame[BORDER:-BORDER, BORDER:-BORDER] = False
        return np.asarray(images - images[:, frame].mean(axis=1)[:, None, None])
    if method == "minimum":
        return np.asarray(images - images.min())
    if method == "inpaint":
        return subtract_inpainted(images)
    raise InputError(f"background must be one of {', '.join(get_args(Background))}, not {method!r}")
