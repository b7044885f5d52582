"""Rings of a network of Si and O: whether an answer keeps the order in which the two kinds alternate.

Fig. 4 of paper 003 counts, of the rings of a traced model of silica glass, those that are heteroatomic: Si
and O in turn all the way round, no two alike bonded. It states neither which atoms it takes for bonded nor
which closed paths for rings. Here atoms are bonded by where they lie, whatever they are called, so that a
wrong name shows as a homopolar bond; rings are primitive ones (`datasets.structures.analysis.rings`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.data import atomic_numbers

from benchmarks.metrics.match import Match
from datasets.errors import InputError
from datasets.structures.analysis.neighbours import Pairs, pairs_within
from datasets.structures.analysis.rings import MAX_SIZE, Rings, find_rings
from datasets.structures.silica import BOND

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.intp]

FORMER, BRIDGE = "Si", "O"
MOST_BONDS = 4
"""Bonds of an atom at most, to its nearest, as Si has: false atoms, which may lie as close as 1 Å, would make
so dense a network that its rings mean nothing and take hours."""
LONGEST = 2 * MAX_SIZE
"""Atoms of the longest ring that is sought: ten Si and ten O."""


def is_network(truth: Atoms) -> bool:
    """Whether the atoms are Si and O, both and no others, and make rings."""
    kinds = {atomic_numbers[FORMER], atomic_numbers[BRIDGE]}
    return set(truth.numbers.tolist()) == kinds and bool(len(network_rings(truth)))


def network_bonds(atoms: Atoms) -> Pairs:
    """Each bond twice: atoms not farther apart than 2.1 Å, both among the other's four nearest."""
    pairs = pairs_within(atoms, BOND)
    order = np.lexsort((pairs.distance, pairs.first))
    rank = np.empty(len(order), dtype=np.intp)
    rank[order] = np.arange(len(order)) - pairs.starts()[pairs.first[order]]
    near = rank < MOST_BONDS
    there = pairs.first * pairs.n_atoms + pairs.second
    back = pairs.second * pairs.n_atoms + pairs.first
    return pairs.select(near & np.isin(back, there[near]))


def network_rings(atoms: Atoms) -> Rings:
    """The primitive rings of up to 20 atoms; none where there are too many bonds to tell."""
    try:
        return find_rings(network_bonds(atoms), max_length=LONGEST)
    except InputError:
        return Rings(np.empty((0, LONGEST), dtype=np.intp))


def ordered(rings: Rings, atoms: Atoms) -> BoolArray:
    """Which rings are heteroatomic, (n_rings,)."""
    return rings.homopolar_bonds(_formers(atoms)) == 0


def ring_sizes(rings: Rings) -> IntArray:
    """Half the number of atoms, rounded up, (n_rings,): the Si of a heteroatomic ring."""
    return (rings.lengths + 1) // 2


def rings_found(match: Match, answer: Atoms, truth: Atoms) -> BoolArray:
    """Which rings of `truth`, as `network_rings` has them, the `answer` has too, (n_rings,): every atom is
    paired and rightly named, and every bond is a bond of the answer's.
    """
    rings = network_rings(truth)
    partner = np.full(len(truth) + 1, -1)  # the last: what rings are filled up with
    i, j = match.pairs.T
    right = answer.numbers[j] == truth.numbers[i]
    partner[i[right]] = j[right]
    bonds = network_bonds(answer) if len(answer) else None
    known = np.empty(0) if bonds is None else bonds.first * bonds.n_atoms + bonds.second
    here = rings.members
    there = np.roll(here, -1, axis=1)
    there[np.arange(len(rings)), rings.lengths - 1] = here[:, 0]
    a, b = partner[here], partner[there]
    bonded = (a >= 0) & (b >= 0) & np.isin(a * len(answer) + b, known)
    return np.asarray((bonded | (here < 0)).all(axis=1))


def ring_scores(match: Match, answer: Atoms, truth: Atoms) -> dict[str, float]:
    """heteroatomic_rings of the answer, rings_found of the truth, and homopolar_bonds of the answer, for a
    truth that is a network; an answer without rings has none that is in order.
    """
    rings = network_rings(answer) if len(answer) else None
    n_rings = 0 if rings is None else len(rings)
    return {
        "heteroatomic_rings": float(ordered(rings, answer).mean()) if rings is not None and n_rings else 0.0,
        "rings_found": float(rings_found(match, answer, truth).mean()),
        "homopolar_bonds": homopolar_bonds(answer),
    }


def homopolar_bonds(atoms: Atoms) -> float:
    """Of the bonds, those between two Si or two O; NaN without bonds."""
    bonds = network_bonds(atoms) if len(atoms) else None
    if bonds is None or not len(bonds.first):
        return float("nan")
    formers = _formers(atoms)
    return float((formers[bonds.first] == formers[bonds.second]).mean())


def _formers(atoms: Atoms) -> BoolArray:
    return np.asarray(atoms.numbers == atomic_numbers[FORMER])
