"""Molecules cut out of a sheet: the hexagons about one bond, their edge closed with hydrogen.

A bond of graphene has the four rings that its two atoms belong to around it. Cut out alone they are
pyrene, C16H10, a molecule without unpaired electrons whose middle bond has the surroundings of a bond of
the sheet to the second neighbour. Atoms stay where the sheet has them; where a bond is cut a hydrogen
atom lies along it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from ase import Atoms

from datasets.errors import InputError
from datasets.structures.analysis.neighbours import pairs_within
from datasets.structures.analysis.sheet import BOND, LONGEST

FloatArray = npt.NDArray[np.float64]

HYDROGEN_BOND = 1.09
"""C–H in benzene [Å] (Cabana, Bachand and Giguère, Can. J. Phys. 52, 1949 (1974): 1.084 Å; 1.09 is usual)."""
LARGEST_RING = 8
"""Rings with more members are the rim of a hole."""


@dataclass(frozen=True, eq=False)
class Patch:
    """A molecule: `atoms`, carbon first and then hydrogen, the two atoms of its `bond` at 0 and 1; `index` of
    its carbon in the sheet, and the unit vector `normal` (3,) across the sheet at the bond, upwards.
    """

    atoms: Atoms
    index: npt.NDArray[np.intp]
    normal: FloatArray

    @property
    def middle(self) -> FloatArray:
        """The middle of the bond (3,) [Å]."""
        return np.asarray(self.atoms.positions[:2].mean(axis=0))

    @property
    def length(self) -> float:
        """Of the bond [Å]."""
        return float(np.linalg.norm(np.subtract(*self.atoms.positions[:2])))


def bonds_of(atoms: Atoms) -> list[list[int]]:
    """The neighbours of every atom of a sheet, as it stands: bonds do not go on across its edges."""
    pairs = pairs_within(Atoms(atoms.symbols, positions=atoms.positions), LONGEST * BOND)
    neighbours: list[list[int]] = [[] for _ in range(len(atoms))]
    for i, j in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True):
        neighbours[i].append(j)
    return neighbours


def inner_bonds(atoms: Atoms) -> list[tuple[int, int]]:
    """Bonds (first < second) whose two atoms have three neighbours and only closed rings about them."""
    neighbours = bonds_of(atoms)
    whole = [len(near) == 3 and _rings(neighbours, i) is not None for i, near in enumerate(neighbours)]
    return [(i, j) for i, near in enumerate(neighbours) for j in near if i < j and whole[i] and whole[j]]


def bond_patch(atoms: Atoms, first: int, second: int) -> Patch:
    """The rings about the bond from `first` to `second` of a sheet of carbon, closed with hydrogen.

    Raises `InputError` where there is no such bond, or where the sheet ends in the rings about it.
    """
    neighbours = bonds_of(atoms)
    n = len(atoms)
    if not (0 <= first < n and 0 <= second < n) or second not in neighbours[first]:
        raise InputError(f"atoms {first} and {second} of {n} are not bonded")
    around = [_rings(neighbours, i) for i in (first, second)]
    if any(len(neighbours[i]) != 3 for i in (first, second)) or None in around:
        raise InputError(f"the sheet ends at the bond of atoms {first} and {second}: no whole rings about it")
    members = set().union(*(ring for ring in around if ring is not None)) - {first, second}
    index = [first, second, *sorted(members)]
    kept = set(index)
    hydrogen = []
    for i in index:
        out = [atoms.positions[j] - atoms.positions[i] for j in neighbours[i] if j not in kept]
        if len(neighbours[i]) == 2:  # the sheet ends here: the third bond is opposite to the two there are
            near = atoms.positions[neighbours[i]] - atoms.positions[i]
            out.append(-(near / np.linalg.norm(near, axis=1)[:, None]).sum(axis=0))
        hydrogen += [atoms.positions[i] + HYDROGEN_BOND * step / np.linalg.norm(step) for step in out]
    positions = np.concatenate([atoms.positions[index], np.reshape(hydrogen, (-1, 3))])
    molecule = Atoms(f"C{len(index)}H{len(hydrogen)}", positions)
    return Patch(
        molecule, np.array(index, dtype=np.intp), _normal(atoms.positions, neighbours, first, second)
    )


def _rings(neighbours: list[list[int]], atom: int) -> set[int] | None:
    """The atoms of the shortest rings through each two bonds of `atom`, or None if one has no ring."""
    members: set[int] = set()
    for a, b in ((a, b) for a in neighbours[atom] for b in neighbours[atom] if a < b):
        path = _shortest(neighbours, a, b, atom)
        if path is None:
            return None
        members.update(path)
    return members | {atom}


def _shortest(neighbours: list[list[int]], start: int, end: int, avoid: int) -> list[int] | None:
    """The shortest way from `start` to `end` that is not through `avoid`, if it closes a ring with that."""
    paths = [[start]]
    seen = {start, avoid}
    for _ in range(LARGEST_RING - 2):
        longer = []
        for path in paths:
            for there in neighbours[path[-1]]:
                if there == end:
                    return [*path, end]
                if there not in seen:
                    seen.add(there)
                    longer.append([*path, there])
        paths = longer
    return None


def _normal(positions: FloatArray, neighbours: list[list[int]], first: int, second: int) -> FloatArray:
    """Across the plane of least squares of the bond and its four neighbours."""
    near = positions[sorted({first, second, *neighbours[first], *neighbours[second]})]
    across = np.linalg.svd(near - near.mean(axis=0))[2][2]
    return np.asarray(across if across[2] >= 0 else -across)
