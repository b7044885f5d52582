"""How well a method found out what every image was really taken with: its angles and its shifts.

A rotation or a translation of the whole specimen explains the same images, so one of each is taken out first:
the gauge of the series. What is left of a rotation is a vector of three small angles about the axes of the
laboratory. Its root mean square per axis is that of phi, theta and psi where these are independent, and it is
defined at a tilt of 90° as well, which they are not.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from benchmarks.metrics.position import PM_PER_ANGSTROM
from datasets.schema import rotations
from recon.align.gauge import without_rotation, without_translation


def geometry_scores(found: xr.Dataset, true: xr.Dataset) -> dict[str, float]:
    """angle_error [deg] and shift_error [pm] of the `found` geometry of a tilt series.

    Both have phi, theta, psi [deg], shift_x and shift_y [Å] along `tilt`, as `recon.base.Reconstruction`.
    """
    turns, really = rotations(found), rotations(true)
    rest = (without_rotation(turns, really) * really.inv()).as_rotvec(degrees=True)
    shifts, displaced = (
        np.stack([data["shift_x"].values, data["shift_y"].values], axis=-1) for data in (found, true)
    )
    left = without_translation(shifts - displaced, really)
    return {
        "angle_error": float(np.sqrt(np.mean(rest**2))),
        "shift_error": PM_PER_ANGSTROM * float(np.sqrt(np.mean(left**2))),
    }
