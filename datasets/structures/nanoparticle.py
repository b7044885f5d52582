"""A core–shell nanoparticle: an fcc lattice cut to a smooth random shape and displaced.

The CuAu particle of multislice electron tomography (arXiv:2210.12636, Sec. III A): about 4 nm across,
lattice constant 3.78 Å, 1602 atoms displaced by 20 pm (root mean square), of which 576 are Cu inside 1026
Au; core and shell are separated by an alpha shape with a shrink factor of 0.9. The paper gives neither its
random shape nor how often the boundary was peeled. One boundary is a single layer (about a third of the
atoms), so we peel as many as it takes to leave the stated number of core atoms.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from ase import Atoms
from pydantic import Field
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import ConvexHull, Delaunay
from scipy.spatial.transform import Rotation

from datasets.cards import Card
from datasets.errors import InputError
from datasets.structures.analysis.alpha_shape import circumradii
from datasets.structures.shapes import SmoothShape
from datasets.structures.workspace import Workspace

VERSION = 1
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

_FCC_BASIS = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])


class Parameters(Card):
    """The parameters of a core–shell nanoparticle; the defaults are the paper's."""

    n_atoms: int = Field(default=1602, ge=8)
    core: str = "Cu"
    shell: str = "Au"
    core_fraction: float = Field(default=576 / 1602, ge=0, le=1)
    """Fraction of the atoms that belong to the core; their number is rounded."""
    lattice_constant: float = Field(default=3.78, gt=0)
    """Cubic lattice constant [Å]."""
    displacement: float = Field(default=0.2, ge=0)
    """Root mean square length of the displacement vectors [Å]."""
    roughness: float = Field(default=0.12, ge=0, lt=0.5)
    """Standard deviation of the relative radius over directions."""
    shrink_factor: float = Field(default=0.9, ge=0, le=1)
    """0: the convex hull; 1: the tightest boundary around a single region."""
    orientation: Literal["lattice", "random"] = "random"
    """`lattice`: cube axes along x, y, z, as in the paper, so that some tilts look down a zone axis, where
    columns of atoms overlap. `random`: drawn from the seed, so that no result hangs on one alignment."""


def generate(parameters: Parameters, seed: int, work: Workspace) -> Atoms:
    """The particle of `seed`, centred on the mean of its positions [Å]; different seeds, different shapes."""
    shape, displacing, turning = map(np.random.default_rng, np.random.SeedSequence(seed).spawn(3))
    positions = _cut(parameters, shape)
    positions += displacements(parameters.n_atoms, parameters.displacement, displacing)
    positions -= positions.mean(axis=0)
    n_shell = parameters.n_atoms - round(parameters.core_fraction * parameters.n_atoms)
    shell = peel(positions, n_shell, parameters.shrink_factor)
    symbols = np.full(parameters.n_atoms, parameters.core, dtype=object)
    symbols[shell] = parameters.shell
    if parameters.orientation == "random":
        positions = Rotation.random(rng=turning).apply(positions)
    try:
        return Atoms(symbols=list(symbols), positions=positions)
    except KeyError as error:
        raise InputError(f"structure nanoparticle: unknown element {error.args[0]!r}") from None


def _cut(parameters: Parameters, rng: np.random.Generator) -> FloatArray:
    """The `n_atoms` lattice points deepest inside a random smooth shape, (n_atoms, 3) [Å]."""
    radius = (3 * parameters.n_atoms / (16 * np.pi)) ** (1 / 3)
    reach = np.arange(-int(3 * radius) - 3, int(3 * radius) + 4)
    cells = np.stack(np.meshgrid(reach, reach, reach, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    points = (cells + _FCC_BASIS).reshape(-1, 3) + rng.uniform(-0.5, 0.5, 3)
    points = points[np.linalg.norm(points, axis=1) < 2.5 * radius + 2]
    shape = SmoothShape.draw(parameters.roughness, rng)
    return points[shape.deepest(points, parameters.n_atoms)] * parameters.lattice_constant


def displacements(n_atoms: int, rms: float, rng: np.random.Generator) -> FloatArray:
    """Normal displacement vectors (n_atoms, 3) [Å] of zero mean whose root mean square length is exactly
    `rms`.
    """
    vectors = rng.normal(size=(n_atoms, 3))
    vectors -= vectors.mean(axis=0)
    return vectors * (rms / np.sqrt(np.mean(np.sum(vectors**2, axis=1))))


def peel(positions: FloatArray, n_shell: int, shrink_factor: float) -> IntArray:
    """The indices of the `n_shell` outermost points: boundary after boundary is taken off.

    In the last boundary, which is taken in part, points nearest to the convex hull go first.
    """
    remaining = np.arange(len(positions))
    layer, shell = boundary(positions, shrink_factor), np.empty(0, dtype=np.intp)
    while len(shell) + len(layer) < n_shell:
        shell = np.concatenate([shell, remaining[layer]])
        remaining = np.delete(remaining, layer)
        layer = boundary(positions[remaining], shrink_factor)
    candidates = remaining[layer]
    planes = ConvexHull(positions).equations
    depth = -(positions[candidates] @ planes[:, :3].T + planes[:, 3]).max(axis=1)
    last = candidates[np.argsort(depth, kind="stable")[: n_shell - len(shell)]]
    return np.concatenate([shell, last])


def boundary(points: FloatArray, shrink_factor: float) -> IntArray:
    """The indices of the points (n, 3) on the boundary of their alpha shape.

    The meaning of MATLAB's `boundary`: the alpha radii at which the shape changes, from the smallest one that
    keeps all points in a single region (shrink factor 1) to the convex hull (0), are counted, and the shrink
    factor picks one by rank; cavities are filled, so that only the outer surface counts.
    """
    if len(points) <= 4:
        return np.arange(len(points))
    mesh = Delaunay(points)
    radii = circumradii(points[mesh.simplices])
    spectrum = np.unique(radii)
    lowest = np.searchsorted(spectrum, _one_region(mesh, radii, spectrum, len(points)))
    candidates = spectrum[lowest:]
    rank = max(int(np.ceil((1 - shrink_factor) * len(candidates))), 1)
    inside = radii <= candidates[rank - 1]
    return _outer_vertices(mesh, inside)


def _one_region(mesh: Delaunay, radii: FloatArray, spectrum: FloatArray, n_points: int) -> float:
    """The smallest alpha radius whose shape holds every point in one region, by bisection."""
    covering = np.full(n_points, np.inf)
    for corner in range(4):
        np.minimum.at(covering, mesh.simplices[:, corner], radii)
    low, high = int(np.searchsorted(spectrum, covering.max())), len(spectrum) - 1
    while low < high:
        middle = (low + high) // 2
        if _regions(mesh, radii <= spectrum[middle])[0] == 1:
            high = middle
        else:
            low = middle + 1
    return float(spectrum[low])


def _regions(mesh: Delaunay, chosen: npt.NDArray[np.bool_]) -> tuple[int, IntArray]:
    """How many face-connected regions the `chosen` tetrahedra form, and the region of each one of them."""
    first = np.repeat(np.arange(len(chosen)), 4)
    second = mesh.neighbors.ravel()
    touching = (second >= 0) & chosen[first] & chosen[second]
    index = np.cumsum(chosen) - 1
    pairs = (index[first[touching]], index[second[touching]])
    n = int(chosen.sum())
    graph = coo_array((np.ones(len(pairs[0])), pairs), shape=(n, n))
    count, labels = connected_components(graph, directed=False)
    return int(count), labels.astype(np.intp)


def _outer_vertices(mesh: Delaunay, inside: npt.NDArray[np.bool_]) -> IntArray:
    """The vertices of the faces that part the inside, cavities filled, from what is connected to infinity."""
    outside = ~inside
    _, labels = _regions(mesh, outside)
    neighbours = np.asarray(mesh.neighbors)
    open_tetrahedra = neighbours[outside].min(axis=1) < 0
    reached = np.zeros(len(inside), dtype=bool)
    reached[outside] = np.isin(labels, labels[open_tetrahedra])
    beyond = (neighbours < 0) | reached[neighbours]
    rows, opposite = np.nonzero(beyond & ~reached[:, None])
    faces = [np.delete(mesh.simplices[row], corner) for row, corner in zip(rows, opposite, strict=True)]
    return np.unique(np.concatenate(faces))
