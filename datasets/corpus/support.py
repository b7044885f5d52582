"""A supporting film under a particle: light atoms, disordered, wider than the image at every tilt.

Amorphous carbon has about 0.1 atoms per Å³ (2.0 g/cm³). Atoms are those of a simple cubic lattice, each
displaced by a normal vector: as dense as carbon and without order beyond a bond, which is all that a
projection of many layers shows of it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from ase import Atoms
from scipy.spatial.transform import Rotation

FloatArray = npt.NDArray[np.float64]

CARBON_DENSITY = 0.1
"""Atoms per Å³ of amorphous carbon (2.0 g/cm³)."""
DISPLACEMENT = 0.35
"""Of each atom from its site, rms along each axis, in lattice spacings."""


def supporting_film(
    reach: float, thickness: float, largest_tilt: float, rng: np.random.Generator, *, symbol: str = "C"
) -> Atoms:
    """A film of `thickness` [Å] whose upper face is at z = −`reach` [Å], and which fills images of ± `reach`
    at tilts about y of up to ± `largest_tilt` [deg].
    """
    spacing = CARBON_DENSITY ** (-1 / 3)
    turn = np.deg2rad(largest_tilt)
    across = (reach + (reach + thickness) * np.sin(turn)) / np.cos(turn) + 2
    half = across + reach
    axes = [np.arange(-half, half, spacing)] * 2 + [np.arange(-reach - thickness, -reach, spacing)]
    sites = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    # the lattice itself must not be seen: no direction of it lies along the beam, at any tilt about y
    sites = Rotation.from_euler("z", rng.uniform(10, 35), degrees=True).apply(sites)
    sites = sites[(np.abs(sites[:, 0]) < across) & (np.abs(sites[:, 1]) < reach + 2)]
    sites = sites + rng.normal(scale=DISPLACEMENT * spacing, size=sites.shape)
    return Atoms(symbol + str(len(sites)), sites)
