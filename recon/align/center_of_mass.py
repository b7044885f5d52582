"""Alignment by the centre of mass of every image."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
import numpy.typing as npt

from datasets.errors import InputError
from recon.align.alignment import Alignment
from recon.align.gauge import without_translation
from recon.align.support import specimen_masks
from recon.project.geometry import Geometry

FloatArray = npt.NDArray[np.float64]
Center = Literal["fit", "origin"]


def center_of_mass(projections: FloatArray, geometry: Geometry, *, center: Center = "fit") -> Alignment:
    """The shifts of `projections` (n_tilt, n_y, n_x) off the projections of one common centre.

    The centre of mass c of a specimen projects to ((R c)_x, (R c)_y) at every tilt; what the centre of an
    image misses of that is its shift. `fit` takes the c of least squares, and so leaves the specimen where
    the series has it on average; `origin` takes c = 0. Scott et al., Nature 483, 444 (2012).

    The background must be subtracted, and nothing of the specimen may be cut off by the border. Sums run over
    `specimen_masks`, for noise counts by the square of its distance. Raises `InputError` where an image
    holds nothing.
    """
    centers = image_centers(projections, geometry)
    shifts = without_translation(centers, geometry.rotations) if center == "fit" else centers
    correction = float(np.sqrt(np.mean(shifts**2)) / geometry.pixel_size)
    start = Alignment.identity(geometry.rotations)
    return dataclasses.replace(start, shifts=shifts, rounds=1, history=(correction,))


def image_centers(projections: FloatArray, geometry: Geometry) -> FloatArray:
    """The centre of mass (x, y) [Å] of each projection, (n_tilt, 2)."""
    held = np.where(specimen_masks(projections), projections, 0.0)
    mass = held.sum(axis=(1, 2))
    if not np.all(mass > 0):
        raise InputError(
            f"alignment: image {int(np.argmin(mass))} holds no specimen above its background, "
            "so that it has no centre of mass"
        )
    along_x = held.sum(axis=1) @ geometry.x / mass
    along_y = held.sum(axis=2) @ geometry.y / mass
    return np.stack([along_x, along_y], axis=-1)
