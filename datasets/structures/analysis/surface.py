"""Where a structure ends: surface atoms, the depth of every atom, and how much of a sphere lies inside.

The body is an alpha shape: what a probe sphere of 4 Å rolling over the atoms cannot reach. The depth of an
atom is its distance to the nearest face. Crystals cut along any plane, dented particles and films are
treated alike; closed voids are no surface. A sheet (graphene) has no inside: there the depth is the
distance to its rim, in its plane.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from ase import Atoms
from scipy.spatial import ConvexHull, QhullError

from datasets.errors import InputError
from datasets.structures.analysis.alpha_shape import Body, body
from datasets.structures.analysis.neighbours import with_images

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

PROBE_RADIUS = 4.0
"""Radius of the probe sphere [Å]: larger than any hole of a dense glass, smaller than a particle's dents."""
CORE_DEPTH = 4.0
"""Atoms at least this deep [Å] are the core: their first neighbours are complete, and the surface's own
reconstruction is one layer away."""
SMALLEST_CORE, SHALLOWEST = 30, 2.5
"""A small particle's core is its deepest atoms, this many, but none nearer to the surface than this [Å]."""
SHEET_THICKNESS = 8.0
"""What is thinner than this [Å], and at least three times as wide, is a sheet."""
DEEP = 10.0
"""Beyond this [Å] depths are not told apart: they are infinite."""
_MARGIN = 16.0
"""Periodic images within this [Å] stand for the continuation of a film."""
_CENTRES, _DIRECTIONS = 250, 50


@dataclass(frozen=True, eq=False)
class Surface:
    """`depth` (n,) [Å], infinite where there is no surface; `outermost` (n,), the atoms on it."""

    depth: FloatArray
    outermost: BoolArray
    is_sheet: bool
    body: Body | None
    """None where nothing ends (all periodic) or for a sheet."""

    def core(self, depth: float = CORE_DEPTH) -> BoolArray:
        """The atoms at least `depth` [Å] deep; the 30 deepest, but none within 2.5 Å of the surface, where
        these are fewer. Raises `InputError` where there is none.
        """
        core = self.depth >= depth
        if core.sum() < SMALLEST_CORE:
            deepest = np.sort(self.depth)[-min(SMALLEST_CORE, len(self.depth))]
            core = self.depth >= max(deepest, SHALLOWEST)
        if not core.any():
            raise InputError(
                f"no atom of this structure lies {SHALLOWEST:g} Å below its surface (the deepest: "
                f"{self.depth.max():.1f} Å), so there is no core to take statistics over"
            )
        return core

    def inside_fraction(self, atoms: Atoms, core: BoolArray, radii: FloatArray, skin: float) -> FloatArray:
        """How much of the spheres of `radii` (n,) up to 10 Å around `core` atoms lies in the body, (n,).

        `skin` [Å] is the half layer that belongs to the outermost atoms. An average over at most 250 atoms
        and 50 directions.
        """
        if self.body is None:
            return np.ones(len(radii))
        chosen = np.flatnonzero(core)[:: max(1, core.sum() // _CENTRES)]
        index = np.arange(_DIRECTIONS) + 0.5
        polar, azimuth = np.arccos(1 - 2 * index / _DIRECTIONS), np.pi * (1 + 5**0.5) * index
        directions = np.stack(
            [np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)], axis=1
        )
        fraction = np.ones(len(radii))
        for k, radius in enumerate(radii):
            near = chosen[self.depth[chosen] + skin < radius]
            if len(near):
                points = atoms.positions[near][:, None] + radius * directions
                outside = ~self.body.contains(points.reshape(-1, 3), skin, DEEP)
                fraction[k] -= outside.sum() / (len(chosen) * _DIRECTIONS)
        return fraction


def find_surface(atoms: Atoms) -> Surface:
    """The surface of `atoms`; raises `InputError` for too few atoms to have one."""
    n = len(atoms)
    if atoms.pbc.all():
        return Surface(np.full(n, np.inf), np.zeros(n, dtype=bool), False, None)
    if _is_sheet(atoms):
        rim = np.full(n, np.inf) if atoms.pbc.any() else _rim_distance(atoms.positions)
        return Surface(rim, rim < 1e-9, True, None)
    points, _ = with_images(atoms, _MARGIN)
    try:
        shape = body(points, PROBE_RADIUS)
    except (QhullError, ValueError):
        raise InputError(f"a structure of {n} atoms has no inside to take statistics over") from None
    outermost = np.zeros(len(points), dtype=bool)
    outermost[shape.surface] = True
    depth = np.zeros(len(points))
    depth[shape.interior] = shape.distance(points[shape.interior], DEEP)
    return Surface(depth[:n], outermost[:n], False, shape)


def _is_sheet(atoms: Atoms) -> bool:
    if atoms.pbc.any():
        return bool(np.ptp(atoms.positions[:, ~atoms.pbc], axis=0).min() < SHEET_THICKNESS)
    extent = np.sort(np.ptp(_principal(atoms.positions), axis=0))
    return bool(extent[0] < SHEET_THICKNESS and extent[1] > 3 * max(extent[0], 1.0))


def _principal(positions: FloatArray) -> FloatArray:
    """`positions` along their principal axes, the widest first."""
    centred = positions - positions.mean(axis=0)
    return np.asarray(centred @ np.linalg.svd(centred, full_matrices=False)[2].T)


def _rim_distance(positions: FloatArray) -> FloatArray:
    """Distance to the convex outline of a sheet, in its plane (n,) [Å]."""
    plane = _principal(positions)[:, :2]
    edges = ConvexHull(plane).equations
    return np.asarray(np.maximum(-(plane @ edges[:, :2].T + edges[:, 2]).max(axis=1), 0.0))
