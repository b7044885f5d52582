"""The body of a set of points: the Delaunay tetrahedra that a probe sphere cannot enter (an alpha shape).

Edelsbrunner and Mücke, ACM Trans. Graph. 13, 43 (1994). Cavities without a way out belong to the body, so
that only the outer surface counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import Delaunay, KDTree

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]
BoolArray = npt.NDArray[np.bool_]

_SUBDIVISIONS = 6
"""A face is sampled on a grid of this many steps along its edges, of at most two probe radii."""


@dataclass(frozen=True, eq=False)
class Body:
    """Tetrahedra `mesh` of points (n, 3) [Å], of which `filled` make the body, its `faces` (n_face, 3) and
    their outward `normals` (n_face, 3).
    """

    mesh: Delaunay
    filled: BoolArray
    faces: IntArray
    normals: FloatArray

    @cached_property
    def surface(self) -> IntArray:
        """The points on the surface."""
        return np.unique(self.faces)

    @cached_property
    def interior(self) -> IntArray:
        """The points inside: corners of the body that are not on its surface."""
        return np.setdiff1d(self.mesh.simplices[self.filled], self.surface).astype(np.intp)

    @cached_property
    def _samples(self) -> KDTree:
        """Points spread over the faces, off their edges, by which distances to the surface are taken."""
        steps = np.arange(_SUBDIVISIONS)
        first, second = (grid.ravel() + 1 / 3 for grid in np.meshgrid(steps, steps, indexing="ij"))
        weights = np.stack([first, second, _SUBDIVISIONS - first - second], axis=1) / _SUBDIVISIONS
        weights = weights[weights[:, 2] > 0]
        corners = self.mesh.points[self.faces]
        return KDTree(np.einsum("kc,fcx->fkx", weights, corners).reshape(-1, 3))

    def distance(self, points: FloatArray, limit: float = np.inf) -> FloatArray:
        """Distance of `points` (n, 3) to the surface [Å], on either side; infinite beyond `limit` [Å].

        Too long by less than 0.2 Å, as the surface is sampled. A limit saves most of the time.
        """
        return np.asarray(self._samples.query(points, distance_upper_bound=limit)[0])

    def contains(self, points: FloatArray, skin: float, limit: float) -> BoolArray:
        """Whether `points` (n, 3) lie in the body or within `skin` [Å] of its surface.

        What is farther than `limit` [Å] from the surface is taken to be inside.
        """
        distance, nearest = map(np.asarray, self._samples.query(points, distance_upper_bound=limit))
        close = np.flatnonzero(np.isfinite(distance))
        inside = np.ones(len(points), dtype=bool)
        samples = self._samples.data[nearest[close]]
        normals = self.normals[nearest[close] // (len(self._samples.data) // len(self.faces))]
        beyond = np.einsum("ij,ij->i", points[close] - samples, normals) > 0
        inside[close] = ~beyond | (distance[close] < skin)
        return inside


def body(points: FloatArray, probe_radius: float) -> Body:
    """The body of `points` (n, 3) seen by a probe of `probe_radius` [Å]; raises QhullError for flat ones."""
    mesh = Delaunay(points)
    solid = circumradii(points[mesh.simplices]) < probe_radius
    neighbours = np.asarray(mesh.neighbors, dtype=np.intp)
    reached = _from_outside(neighbours, ~solid)
    rows, opposite = np.nonzero(((neighbours < 0) | reached[neighbours]) & ~reached[:, None])
    others = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])
    faces = mesh.simplices[rows[:, None], others[opposite]].astype(np.intp)
    corner = points[faces]
    normals = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    inward = points[mesh.simplices[rows, opposite]] - corner[:, 0]
    normals *= -np.sign(np.einsum("ij,ij->i", normals, inward))[:, None]
    return Body(mesh, ~reached, faces, normals)


def circumradii(corners: FloatArray) -> FloatArray:
    """Circumradius of every tetrahedron (n, 4, 3); infinite for a flat one."""
    edges = corners[:, 1:] - corners[:, :1]
    squares = np.sum(edges**2, axis=2)
    crosses = np.stack([np.cross(edges[:, i - 2], edges[:, i - 1]) for i in range(3)], axis=1)
    volume = np.abs(np.sum(edges[:, 0] * crosses[:, 0], axis=1))
    numerator = np.linalg.norm(np.sum(squares[:, :, None] * crosses, axis=1), axis=1)
    return np.divide(numerator, 2 * volume, out=np.full(len(corners), np.inf), where=volume > 1e-9)


def _from_outside(neighbours: IntArray, empty: BoolArray) -> BoolArray:
    """Which tetrahedra are `empty` and connected to infinity through empty ones."""
    first, second = np.repeat(np.arange(len(empty)), 4), neighbours.ravel()
    passing = (second >= 0) & empty[first] & empty[second]
    shape = (len(empty), len(empty))
    graph = coo_array((np.ones(passing.sum()), (first[passing], second[passing])), shape=shape)
    _, labels = connected_components(graph, directed=False)
    open_ones = empty & (neighbours.min(axis=1) < 0)
    return empty & np.isin(labels, labels[open_ones])
