"""Ring statistics of a bond network: primitive rings (the default) and King's.

A ring is *primitive* when no path through the network joins two of its atoms by fewer bonds than the ring
itself does (Goetzke and Klein, J. Non-Cryst. Solids 127, 215 (1991); Franzblau, Phys. Rev. B 44, 4925
(1991), who calls them shortest-path rings; Yuan and Cormack, Comput. Mater. Sci. 24, 343 (2002)). *King's*
rings are the shortest closed paths through an atom and two of its bonds, all that are equally short (King,
Nature 213, 1112 (1967)).

Every ring is found once, as its list of atoms, which is what sizes in network formers, homopolar bonds and
rings near a surface need; matscipy.rings only counts, by a table of all pairs' distances (3 GB for 20,000
atoms), and is the reference in the tests. The cost grows linearly with the number of atoms and like the
number of pairs of shortest paths with the size: 20,000 atoms of silicon to rings of 10 in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from ase import Atoms

from datasets.errors import InputError
from datasets.structures.analysis.neighbours import Pairs, pairs_within
from datasets.structures.analysis.ring_search import king_kernel, primitive_kernel

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]
BoolArray = npt.NDArray[np.bool_]

MAX_SIZE = 10
"""Largest ring by default, in network formers."""


@dataclass(frozen=True, eq=False)
class Rings:
    """`members` (n_rings, longest): the atoms of each ring in their order, filled up with -1."""

    members: IntArray

    def __len__(self) -> int:
        return len(self.members)

    @property
    def lengths(self) -> IntArray:
        """Atoms per ring, (n_rings,)."""
        return np.asarray((self.members >= 0).sum(axis=1), dtype=np.intp)

    def sizes(self, formers: BoolArray) -> IntArray:
        """Network formers per ring, (n_rings,); `formers` (n_atoms,) says which atoms they are."""
        return self._count(formers)

    def homopolar_bonds(self, formers: BoolArray) -> IntArray:
        """Bonds of each ring between two formers or two bridging atoms, (n_rings,); none in an ordered
        ring.
        """
        here, there = self._steps()
        like = formers[np.maximum(here, 0)] == formers[np.maximum(there, 0)]
        return np.asarray((like & (here >= 0)).sum(axis=1), dtype=np.intp)

    def per_former(self, formers: BoolArray, chosen: BoolArray | None = None) -> Mapping[int, float]:
        """Rings per network former, by size.

        Of a ring with s formers, each owns 1/s. Where only `chosen` (n_atoms,) formers count (a core), so
        does their share of a ring that leaves the core: nothing is lost at its border.
        """
        owners = formers if chosen is None else formers & chosen
        sizes, owned = self.sizes(formers), self._count(owners)
        share = np.divide(owned, sizes, out=np.zeros(len(self)), where=sizes > 0)
        totals = np.bincount(sizes, weights=share)
        return {size: float(total / owners.sum()) for size, total in enumerate(totals) if size > 0}

    def _count(self, atoms: BoolArray) -> IntArray:
        return np.asarray(
            (atoms[np.maximum(self.members, 0)] & (self.members >= 0)).sum(axis=1), dtype=np.intp
        )

    def _steps(self) -> tuple[IntArray, IntArray]:
        """Both ends of every bond of the rings, (n_rings, longest) each; -1 beyond the end."""
        there = np.roll(self.members, -1, axis=1)
        last = np.arange(len(self)), self.lengths - 1
        there[last] = self.members[:, 0]
        return self.members, there


def find_rings(
    bonds: Pairs | Atoms,
    *,
    cutoff: float | None = None,
    max_length: int = MAX_SIZE,
    criterion: str = "primitive",
    roots: BoolArray | None = None,
) -> Rings:
    """All rings of up to `max_length` atoms in a network of `bonds`, or of atoms bonded within `cutoff` [Å].

    `criterion`: `primitive` or `king`; King's are sought at the `roots` (n_atoms,), in a glass of formers and
    bridging atoms the formers. Raises `InputError` for a periodic cell that such a ring could go around,
    and for a network that is too dense.
    """
    if isinstance(bonds, Atoms):
        if cutoff is None:
            raise InputError("rings of atoms need a cutoff, up to which two of them are bonded")
        bonds = pairs_within(bonds, cutoff)
    if criterion not in ("primitive", "king"):
        raise InputError(f"rings are 'primitive' or 'king', not {criterion!r}")
    small = InputError(f"the periodic cell is too small for rings of up to {max_length} atoms: repeat it")
    order = np.lexsort((bonds.second, bonds.first))
    first, second = bonds.first[order], bonds.second[order]
    if np.any(first == second) or np.any((np.diff(first) == 0) & (np.diff(second) == 0)):
        raise small
    starts = np.searchsorted(first, np.arange(bonds.n_atoms + 1)).astype(np.int64)
    if criterion == "primitive":
        members, complete = primitive_kernel(starts, second.astype(np.int64), max_length)
    else:
        wanted = np.ones(bonds.n_atoms, dtype=bool) if roots is None else roots
        members, complete = king_kernel(starts, second.astype(np.int64), max_length, wanted)
    if not complete:
        raise InputError("this network has too many bonds per atom for ring statistics")
    rings = Rings(_distinct(members) if criterion == "king" else members.astype(np.intp))
    if _goes_around(rings, first * bonds.n_atoms + second, bonds.vector[order], bonds.n_atoms):
        raise small
    return rings


def _distinct(members: npt.NDArray[np.int64]) -> IntArray:
    """Each ring once: begun at its lowest atom, towards the lower of its two neighbours."""
    found = Rings(members.astype(np.intp))
    kept = []
    for length in np.unique(found.lengths):
        ring = found.members[found.lengths == length, :length]
        begin = np.argmin(ring, axis=1)[:, None]
        rows, steps = np.arange(len(ring))[:, None], np.arange(length)
        forward, backward = ring[rows, (begin + steps) % length], ring[rows, (begin - steps) % length]
        turned = np.where(forward[:, 1:2] < backward[:, 1:2], forward, backward)
        filled = np.full((len(turned), found.members.shape[1]), -1, dtype=np.intp)
        filled[:, :length] = turned
        kept.append(np.unique(filled, axis=0))
    return np.concatenate(kept) if kept else found.members


def _goes_around(rings: Rings, keys: IntArray, vectors: FloatArray, n_atoms: int) -> bool:
    """Whether any ring's bonds do not add up to zero. The shortest closed path around a periodic cell is
    itself a primitive ring, so where none is found, no distance in the network was taken around the cell
    either.
    """
    if not len(rings):
        return False
    here, there = rings._steps()
    real = here >= 0
    index = np.searchsorted(keys, np.where(real, here * n_atoms + there, keys[0]))
    closing = np.where(real[:, :, None], vectors[index], 0.0).sum(axis=1)
    return bool(np.abs(closing).max() > 1e-3)
