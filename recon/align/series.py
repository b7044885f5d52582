"""Alignment of a tilt series by name."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from datasets.errors import InputError
from recon.align.alignment import Alignment
from recon.align.center_of_mass import center_of_mass
from recon.align.common_line import common_line
from recon.align.reprojection import Solver, align_to_reprojections
from recon.base import Callback
from recon.project.geometry import Geometry, is_single_axis

FloatArray = npt.NDArray[np.float64]
Align = Literal["none", "center_of_mass", "common_line", "reprojection"]


def align(
    projections: FloatArray,
    geometry: Geometry,
    method: Align,
    *,
    background: float = 0.0,
    solver: Solver | None = None,
    callback: Callback | None = None,
) -> tuple[FloatArray, Alignment]:
    """The `projections` (n_tilt, n_y, n_x) aligned and normalised, and what was found.

    `center_of_mass` finds shifts only; `common_line` also intensities, and shifts along y far better;
    `reprojection` starts from the common line (from centres of mass unless all tilts are about y) and
    reconstructs with `solver` to find everything best. `none` leaves the images.

    The background must have been subtracted; `background` [electron per pixel] is what it was, for the
    noise that it left. Raises `InputError` for another method.
    """
    if method == "none":
        return projections, Alignment.identity(geometry.rotations)
    if method == "center_of_mass":
        found = center_of_mass(projections, geometry)
    elif method == "common_line":
        found = common_line(projections, geometry, background=background)
    elif method == "reprojection":
        if is_single_axis(geometry.rotations):
            start = common_line(projections, geometry, background=background)
        else:
            start = center_of_mass(projections, geometry)
        found = align_to_reprojections(projections, geometry, start=start, solver=solver, callback=callback)
    else:
        raise InputError(f"align must be one of {', '.join(get_args(Align))}, not {method!r}")
    return found.correct(projections, geometry.pixel_size), found
