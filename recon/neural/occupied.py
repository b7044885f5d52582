"""How much of an atom there is at a maximum of a redrawn volume.

A network answers with the mean of what it holds possible: an atom whose place is uncertain is drawn low and
wide. Its height says little, what a ball around it holds says how much atom there is.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.special import erf

from recon.atoms.spline import OVERSAMPLE
from recon.atoms.trace import sphere_sums
from recon.neural.grid import SIGMA, VOXEL

BALL = 0.8
"""Radius [Å] of the ball: half of the shortest bond, that of Si and O."""

FloatArray = npt.NDArray[np.float64]


def occupied(volume: xr.DataArray, positions: FloatArray) -> FloatArray:
    """What the balls around `positions` (n, 3) as x, y, z [Å] hold of `volume` (z, y, x), (n,), in units of
    what that of an atom of height one holds whose place is certain.
    """
    fine = VOXEL / OVERSAMPLE
    radius = round(BALL / fine)
    reach = radius * fine / SIGMA
    within = erf(reach / np.sqrt(2)) - np.sqrt(2 / np.pi) * reach * np.exp(-(reach**2) / 2)
    whole = within * (2 * np.pi * SIGMA**2) ** 1.5 / fine**3
    return np.asarray(sphere_sums(volume, positions, radius) / whole)
