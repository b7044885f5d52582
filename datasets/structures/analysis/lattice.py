"""The cubic lattice of a crystalline particle: its constant, the displacements from it, L1₀ order.

Every site of an fcc, bcc, rock-salt or diamond crystal has whole coordinates on a cubic grid. They spread
from an atom in the middle along bonds, each bond rounded to the nearest lattice vector, so that strain and
bending do not matter; then r = r₀ + M n is fitted by least squares (M any 3 × 3 matrix: homogeneous strain
is no displacement). Atoms farther than a quarter of a bond from their site, such as those of another grain,
are left out and the fit is repeated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.data import atomic_numbers
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order
from scipy.spatial.transform import Rotation

from datasets.errors import InputError
from datasets.structures.analysis.neighbours import Pairs

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]
BoolArray = npt.NDArray[np.bool_]

_SIGNS = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1], indexing="ij")).reshape(3, -1).T
_STEPS: dict[str, tuple[IntArray, int]] = {
    "rock salt": (np.concatenate([np.eye(3, dtype=int), -np.eye(3, dtype=int)]), 2),
    "fcc": (
        np.array([v for v in np.ndindex(3, 3, 3) if np.abs(np.array(v) - 1).sum() == 2]) - 1,
        2,
    ),
    "bcc": (_SIGNS, 2),
    "diamond": (_SIGNS, 4),
}
"""Bonds on the grid, and grid steps per lattice constant. Rock salt is a simple cubic grid of both kinds."""
_FAR = 0.25
"""Atoms farther than this many bonds from their site do not belong to the lattice."""


@dataclass(frozen=True, eq=False)
class Lattice:
    """Sites of the atoms `belonging` (n_atoms,): `coordinates` (n, 3) on the grid, `residuals` (n, 3) [Å]."""

    kind: str
    constant: float
    """Cubic lattice constant [Å]: the cube root of the cell's volume."""
    constant_error: float
    """Its standard error [Å], from the displacements."""
    matrix: FloatArray
    """Grid steps (columns) [Å], (3, 3)."""
    belonging: BoolArray
    coordinates: IntArray
    residuals: FloatArray

    @property
    def displacement_rms(self) -> float:
        """Root mean square length of the displacements [Å]."""
        return float(np.sqrt(np.mean(np.sum(self.residuals**2, axis=1))))


def fit_lattice(atoms: Atoms, bonds: Pairs, kind: str) -> Lattice:
    """The lattice of `kind` (fcc, bcc, rock salt, diamond) in `atoms` with nearest-neighbour `bonds`.

    Raises `InputError` where fewer than half of the atoms belong to one lattice. Periodic cells are cut
    open: positions are rebuilt along the bonds.
    """
    steps, per_constant = _STEPS[kind]
    orientation = _orientation(atoms, bonds, kind)
    positions, coordinates, reached = _spread(atoms, bonds, orientation, steps)
    bond = float(np.median(bonds.distance))
    belonging = reached.copy()
    for _ in range(10):
        if belonging.sum() < max(8, len(atoms) / 2):
            raise InputError(f"only {belonging.sum()} of {len(atoms)} atoms belong to one {kind} lattice")
        design = np.column_stack([coordinates, np.ones(len(atoms))])
        fit = np.linalg.lstsq(design[belonging], positions[belonging], rcond=None)[0]
        residuals = positions - design @ fit
        previous, belonging = belonging, reached & (np.linalg.norm(residuals, axis=1) < _FAR * bond)
        if np.array_equal(previous, belonging):
            break
    matrix = np.asarray(fit[:3].T, dtype=np.float64)
    constant = per_constant * abs(float(np.linalg.det(matrix))) ** (1 / 3)
    # d ln a = tr(M⁻¹ dM) / 3, and every row of M has the covariance σ² (DᵀD)⁻¹ of the least squares
    covariance = np.linalg.inv(design[belonging].T @ design[belonging])[:3, :3]
    inverse = np.linalg.inv(matrix)
    variance = np.mean(residuals[belonging] ** 2) * np.einsum("ki,kl,li->", inverse, covariance, inverse) / 9
    error = constant * float(np.sqrt(variance))
    return Lattice(kind, constant, error, matrix, belonging, coordinates[belonging], residuals[belonging])


def _orientation(atoms: Atoms, bonds: Pairs, kind: str) -> FloatArray:
    """The matrix (3, 3) [Å] that takes grid steps to bonds, from the best of the atoms near the middle.

    Two bonds of an atom are laid on two steps with the same angle between them; the choice that brings all
    its bonds nearest to a step wins.
    """
    starts = bonds.starts()
    steps = _STEPS[kind][0]
    wanted = 4 if kind == "diamond" else len(steps)
    full = np.flatnonzero(np.diff(starts) == wanted)
    if not len(full):
        raise InputError(f"no atom has the {wanted} neighbours of a {kind} lattice")
    middle = np.argsort(np.linalg.norm(atoms.positions[full] - atoms.positions.mean(axis=0), axis=1))[:20]
    scale = float(np.median(bonds.distance)) / float(np.linalg.norm(steps[0]))
    best, orientation = np.inf, np.eye(3)
    for centre in full[middle]:
        vectors = bonds.vector[starts[centre] : starts[centre + 1]] / scale
        other = 1 + int(np.argmin(np.abs(vectors[1:] @ vectors[0])))  # far from parallel
        pair = vectors[[0, other]]
        for i, j in np.ndindex(len(steps), len(steps)):
            target = steps[[i, j]].astype(float)
            if abs(target[0] @ target[1] - pair[0] @ pair[1]) > 0.5:
                continue
            turn = Rotation.align_vectors(pair, target)[0].as_matrix()
            ideal = steps @ turn.T
            miss = np.linalg.norm(vectors[:, None] - ideal, axis=2).min(axis=1)
            if (cost := float(np.mean(miss**2))) < best - 1e-12:
                best, orientation = cost, turn * scale
    return orientation


def _spread(
    atoms: Atoms, bonds: Pairs, orientation: FloatArray, steps: IntArray
) -> tuple[FloatArray, IntArray, BoolArray]:
    """Unwrapped positions, grid coordinates and whether an atom was reached, along bonds that are steps."""
    n = len(atoms)
    ideal = steps @ orientation.T
    miss = np.linalg.norm(bonds.vector[:, None] - ideal, axis=2)
    nearest = np.argmin(miss, axis=1)
    good = miss[np.arange(len(miss)), nearest] < 1.4 * _FAR * np.linalg.norm(ideal[0])
    rows = np.flatnonzero(good)
    # edges with a position in the list of bonds, so that each tree edge is found again
    graph = coo_array((rows + 1, (bonds.first[rows], bonds.second[rows])), shape=(n, n)).tocsr()
    first_centre = int(np.argmin(np.linalg.norm(atoms.positions - atoms.positions.mean(axis=0), axis=1)))
    order, previous = breadth_first_order(graph, first_centre, directed=True)
    positions, coordinates = atoms.positions.copy(), np.zeros((n, 3), dtype=np.intp)
    key = bonds.first[rows] * n + bonds.second[rows]
    sorting = np.argsort(key)
    children = order[1:]
    found = rows[sorting[np.searchsorted(key[sorting], previous[children] * n + children)]]
    for child, row in zip(children, found, strict=True):
        parent = bonds.first[row]
        positions[child] = positions[parent] + bonds.vector[row]
        coordinates[child] = coordinates[parent] + steps[nearest[row]]
    reached = np.zeros(n, dtype=bool)
    reached[order] = True
    return positions, coordinates, reached


def long_range_order(atoms: Atoms, lattice: Lattice, symbol: str) -> tuple[float, int]:
    """The L1₀ order parameter S: the share of `symbol` in every other plane less that in the planes between.

    Along the cube axis where it is largest, which is returned too; 1 in perfect order at equal composition,
    about 0 at random.
    """
    here = atoms.numbers[lattice.belonging] == atomic_numbers[symbol]
    even = lattice.coordinates % 2 == 0
    shares = [abs(here[even[:, axis]].mean() - here[~even[:, axis]].mean()) for axis in range(3)]
    axis = int(np.argmax(shares))
    return float(shares[axis]), axis
