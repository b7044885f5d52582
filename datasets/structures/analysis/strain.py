"""Strain and slope of a sheet, from bicubic surfaces through its displacements and heights (paper 000,
Methods).

ε_xx = ∂u/∂x, ε_yy = ∂v/∂y, ε_xy = ½ (∂u/∂y + ∂v/∂x), and g = √((∂F/∂x)² + (∂F/∂y)²).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from datasets.structures.analysis.bicubic import PENALTY, SPACING, BicubicSurface
from datasets.structures.analysis.sheet import Displacements

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Strain:
    """Components `xx`, `yy` and `xy` (n,) of the strain in the plane, positive where stretched."""

    xx: FloatArray
    yy: FloatArray
    xy: FloatArray


def strain(
    found: Displacements,
    points: FloatArray | None = None,
    *,
    spacing: float = SPACING,
    penalty: float = PENALTY,
) -> Strain:
    """The strain at `points` (n, 2) [Å], by default at the sites of the atoms.

    Relative to the lattice of `found`: with its bond fitted, a uniform strain is in `found.bond`. Noise of
    the positions of σ Å makes about σ / 2 spacing of strain; a larger `penalty` takes from it and from the
    resolution.
    """
    where = found.sites if points is None else points
    surfaces = [
        BicubicSurface.fit(found.sites, found.displacement[:, axis], spacing=spacing, penalty=penalty)
        for axis in (0, 1)
    ]
    u, v = (surface.gradient(where) for surface in surfaces)
    return Strain(u[:, 0], v[:, 1], 0.5 * (u[:, 1] + v[:, 0]))


def height_gradient(
    positions: FloatArray,
    points: FloatArray | None = None,
    *,
    spacing: float = SPACING,
    penalty: float = PENALTY,
) -> FloatArray:
    """g (n,), the slope of the sheet through `positions` (n_atoms, 3) [Å], at `points` (n, 2) or at its
    atoms.
    """
    surface = BicubicSurface.fit(positions[:, :2], positions[:, 2], spacing=spacing, penalty=penalty)
    slopes = surface.gradient(positions[:, :2] if points is None else points)
    return np.asarray(np.hypot(slopes[:, 0], slopes[:, 1]))
