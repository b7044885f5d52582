"""A sheet of graphene as a surface: its tilt, its displacements from a perfect lattice, its bonds.

Paper 000, Methods: the tilt is removed by a plane of least squares and a rotation to z = 0; displacements are
those from a perfect flat sheet. Sites are counted along bonds from atom to atom and not looked for in the
nearest place, so that a large displacement is never taken for that of a neighbour.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from ase import Atoms
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order
from scipy.spatial.transform import Rotation

from datasets.errors import InputError
from datasets.structures.analysis.neighbours import pairs_within

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

BOND = 1.42
"""Bond of graphene at rest [Å] (paper 000: b₀)."""
LONGEST = 1.3
"""Atoms nearer than this many bonds are neighbours; the next nearest are at 1.73."""


@dataclass(frozen=True, eq=False)
class Displacements:
    """Atoms against a perfect sheet: `index` (n,) of the atoms that belong to it, their `sites` (n, 2), and
    their `displacement` (n, 2) from them, as (x, y) [Å]. `turn` [deg] is the direction of a bond, and `bond`
    [Å] that of the perfect sheet.
    """

    index: IntArray
    sites: FloatArray
    displacement: FloatArray
    turn: float
    bond: float


@dataclass(frozen=True, eq=False)
class BondChanges:
    """δ = (b − b₀) / b₀ of every bond, `change` (n,), at its `middle` (n, 3) [Å]."""

    change: FloatArray
    middle: FloatArray


def levelled(positions: FloatArray) -> FloatArray:
    """`positions` (n, 3) [Å] turned so that their plane of least squares z = a x + b y + c is z = 0.

    The rotation is about their centre, by the shortest way. Fewer than three atoms are only centred in z.
    """
    centre = positions.mean(axis=0) if len(positions) else np.zeros(3)
    offsets = positions - centre
    if len(positions) >= 3:
        slope = np.linalg.lstsq(offsets[:, :2], offsets[:, 2], rcond=None)[0]
        normal = np.array([-slope[0], -slope[1], 1.0])
        normal /= np.linalg.norm(normal)
        axis = np.cross(normal, [0.0, 0.0, 1.0])
        sine = float(np.linalg.norm(axis))
        if sine > 0:
            offsets = Rotation.from_rotvec(axis / sine * np.arcsin(min(sine, 1.0))).apply(offsets)
    return np.asarray(offsets + np.array([centre[0], centre[1], 0.0]))


def displacements(atoms: Atoms, *, bond: float | None = None) -> Displacements:
    """What takes the atoms in the plane from a perfect flat sheet of `bond` [Å] to where they are.

    The perfect sheet is turned and moved to fit best; None gives it the bond that fits best too, so that a
    uniform strain is none. Atoms that bonds do not connect with the others, and those where counting along
    two ways ends at different sites (a Stone–Wales defect), are left out or count by the shorter way. Raises
    `InputError` for fewer than six connected atoms.
    """
    pairs = pairs_within(Atoms(atoms.symbols, positions=atoms.positions), LONGEST * BOND)
    n = len(atoms)
    graph = coo_array((np.ones(len(pairs.first)), (pairs.first, pairs.second)), shape=(n, n)).tocsr()
    middle = int(np.argmin(np.linalg.norm(atoms.positions - atoms.positions.mean(axis=0), axis=1)))
    order, previous = breadth_first_order(graph, middle, directed=False)
    if len(order) < 6:
        raise InputError(f"only {len(order)} of {n} atoms are connected by bonds")
    angles = np.arctan2(pairs.vector[:, 1], pairs.vector[:, 0])
    turn = float(np.angle(np.exp(6j * angles).mean())) / 6
    here = pairs.vector[pairs.first == middle, :2]
    even = turn if _aligned(here, turn) >= _aligned(here, turn + np.pi / 3) else turn + np.pi / 3
    directions = [_three(even), -_three(even)]
    ideal, kind = np.zeros((n, 2)), np.zeros(n, dtype=int)
    for child in order[1:]:
        parent = previous[child]
        steps = directions[kind[parent]]
        step = atoms.positions[child, :2] - atoms.positions[parent, :2]
        ideal[child] = ideal[parent] + steps[int(np.argmax(steps @ step))]
        kind[child] = 1 - kind[parent]
    index = np.sort(order).astype(np.intp)
    sites, turned, scale = _fitted(ideal[index], atoms.positions[index, :2], bond)
    moved = atoms.positions[index, :2] - sites
    return Displacements(index, sites, moved, float(np.rad2deg(even + turned)), scale)


def _three(turn: float) -> FloatArray:
    """Unit vectors (3, 2) at `turn` and ± 120° from it."""
    angles = turn + np.deg2rad([0, 120, 240])
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1)


def _aligned(vectors: FloatArray, turn: float) -> float:
    return float((vectors @ _three(turn).T).max(axis=1).sum()) if len(vectors) else 0.0


def _fitted(ideal: FloatArray, found: FloatArray, bond: float | None) -> tuple[FloatArray, float, float]:
    """`ideal` (n, 2) in units of a bond, scaled, turned and moved onto `found` (n, 2) [Å]; the angle [rad]
    and the bond [Å] (least squares in closed form, by complex numbers).
    """
    z, w = (p[:, 0] + 1j * p[:, 1] for p in (ideal - ideal.mean(axis=0), found - found.mean(axis=0)))
    ratio = complex((z.conj() @ w) / (z.conj() @ z))
    if bond is not None:
        ratio *= bond / abs(ratio)
    fitted = ratio * z
    sites = np.stack([fitted.real, fitted.imag], axis=-1) + found.mean(axis=0)
    return sites, float(np.angle(ratio)), abs(ratio)


def bond_changes(atoms: Atoms, *, bond: float = BOND) -> BondChanges:
    """δ of every bond of `atoms`, each once, against `bond` [Å], in three dimensions."""
    pairs = pairs_within(atoms, LONGEST * BOND)
    once = pairs.first < pairs.second
    middle = atoms.positions[pairs.first[once]] + pairs.vector[once] / 2
    return BondChanges(pairs.distance[once] / bond - 1, middle)
