"""Density from the Voronoi volumes of the core atoms: an exact division of space that no surface enters."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from ase import Atoms
from scipy.spatial import Voronoi

from datasets.structures.analysis.neighbours import with_images

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

GRAMS_PER_DALTON = 1.66053906892e-24
"""CODATA 2022 atomic mass constant [g]."""
CUBIC_CM = 1e-24
"""One Å³ [cm³]."""
_MARGIN = 12.0


def voronoi_volumes(atoms: Atoms, chosen: BoolArray) -> FloatArray:
    """Volume [Å³] of the Voronoi cells of the `chosen` (n,) atoms; infinite for open cells.

    A cell is the sum of the pyramids over its facets, each a third of area × half the distance of the pair.
    """
    points, _ = with_images(atoms, _MARGIN)
    cells = Voronoi(points)
    wanted = np.zeros(len(points), dtype=bool)
    wanted[: len(atoms)] = chosen
    volume = np.zeros(len(points))
    keep = np.flatnonzero(wanted[cells.ridge_points].any(axis=1))
    facets = [cells.ridge_vertices[k] for k in keep]
    first, second = cells.ridge_points[keep].T
    height = np.linalg.norm(points[first] - points[second], axis=1)
    sixth = _areas(cells.vertices, facets) * height / 6
    np.add.at(volume, first, sixth)
    np.add.at(volume, second, sixth)
    return volume[: len(atoms)][chosen]


def _areas(vertices: FloatArray, facets: list[list[int]]) -> FloatArray:
    """Area of plane convex polygons of `vertices` in their order; infinite when open (-1)."""
    lengths = np.array([len(facet) for facet in facets])
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    corners = np.concatenate([np.asarray(facet) for facet in facets])
    following = np.arange(len(corners)) + 1
    following[starts + lengths - 1] = starts
    owner = np.repeat(starts, lengths)
    relative = vertices[corners] - vertices[corners[owner]]
    crosses = np.cross(relative, relative[following])
    area = np.linalg.norm(np.add.reduceat(crosses, starts, axis=0), axis=1) / 2
    area[np.minimum.reduceat(corners, starts) < 0] = np.inf
    return np.asarray(area)


def number_density(atoms: Atoms, core: BoolArray) -> float:
    """Atoms per Å³: of the cell where all axes are periodic, of the core's Voronoi cells otherwise."""
    if atoms.pbc.all():
        return len(atoms) / float(atoms.cell.volume)
    return float(core.sum() / voronoi_volumes(atoms, core).sum())


def mass_density(atoms: Atoms, core: BoolArray) -> float:
    """The same in g/cm³, with the standard atomic weights that ASE knows."""
    mass = float(atoms.get_masses()[core].mean())
    return mass * GRAMS_PER_DALTON / CUBIC_CM * number_density(atoms, core)
