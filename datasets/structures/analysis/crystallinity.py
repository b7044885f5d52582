"""Which atoms sit in crystalline surroundings: adaptive common neighbour analysis, for diamond in the
second shell.

Close-packed and bcc crystals: Stukowski, Modelling Simul. Mater. Sci. Eng. 20, 045021 (2012). Diamond,
cubic and hexagonal: Maras et al., Comput. Phys. Commun. 205, 13 (2016): the twelve second neighbours of an
atom are an fcc or an hcp shell. Every pair of neighbours has a signature (common neighbours, bonds among
them, longest chain); a crystal is a set of signatures, so thermal displacements do not matter up to about a
tenth of the bond. The cutoff is local, from the atom's own neighbours. In rock salt each kind of ion is an
fcc crystal, and a network with bridging atoms is tested on its formers (cristobalite and tridymite are then
diamond).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from ase import Atoms

from datasets.structures.analysis.neighbours import Pairs, pairs_within

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

NONE, FCC, HCP, BCC, CUBIC_DIAMOND, HEXAGONAL_DIAMOND = range(6)
NAMES = ("none", "fcc", "hcp", "bcc", "cubic diamond", "hexagonal diamond")
_CLOSE_PACKED_REACH, _DIAMOND_REACH = 6.0, 4.5
"""Neighbours are sought within these [Å]: more than two shells of any of the crystals here."""
_MIDWAY = (1 + np.sqrt(2)) / 2
"""Halfway between the first and the second shell of an fcc crystal, in bond lengths."""


def classify_close_packed(atoms: Atoms, reach: float) -> IntArray:
    """FCC, HCP, BCC or NONE for every atom, (n_atoms,), from its neighbours within `reach` [Å]."""
    pairs = pairs_within(atoms, reach)
    found = np.full(len(atoms), NONE, dtype=np.intp)
    owners, vectors = nearest_vectors(pairs, 14)
    if len(owners):
        length = np.linalg.norm(vectors, axis=2)
        scale = (2 / np.sqrt(3) * length[:, :8].mean(axis=1) + length[:, 8:].mean(axis=1)) / 2
        common, bonds, _ = _signatures(vectors, _MIDWAY * scale)
        squares, hexagons = (common == 4) & (bonds == 4), (common == 6) & (bonds == 6)
        found[owners[(squares.sum(axis=1) == 6) & (hexagons.sum(axis=1) == 8)]] = BCC
    owners, vectors = nearest_vectors(pairs, 12)
    kinds = _twelve(vectors)
    found[owners[kinds != NONE]] = kinds[kinds != NONE]
    return found


def classify_diamond(atoms: Atoms, reach: float) -> IntArray:
    """CUBIC_DIAMOND, HEXAGONAL_DIAMOND or NONE for every atom, (n_atoms,).

    The second neighbours are the three other neighbours of each of the four nearest, within `reach` [Å].
    """
    pairs = pairs_within(atoms, reach)
    owners, vectors, partners = _nearest(pairs, 4)
    found = np.full(len(atoms), NONE, dtype=np.intp)
    row = np.full(len(atoms), -1)
    row[owners] = np.arange(len(owners))
    known = (row[partners] >= 0).all(axis=1)
    owners, first, next_rows = owners[known], vectors[known], row[partners[known]]
    if not len(owners):
        return found
    second = (first[:, :, None, :] + vectors[next_rows]).reshape(len(owners), 16, 3)
    # of the sixteen paths of two bonds, four lead back to where they began
    order = np.argsort(np.linalg.norm(second, axis=2), axis=1)
    second = np.take_along_axis(second, order[:, :, None], axis=1)
    returning = np.linalg.norm(second[:, 3], axis=1) < 1e-6
    kinds = _twelve(second[:, 4:])
    shells = np.array([NONE, CUBIC_DIAMOND, HEXAGONAL_DIAMOND])
    found[owners] = np.where(returning, shells[kinds], NONE)
    return found


def crystalline(atoms: Atoms, heteropolar: bool, formers: npt.NDArray[np.bool_]) -> IntArray:
    """The kind of crystal around every atom (n_atoms,), NONE for a glass.

    Where bonds are `heteropolar`, also each element by itself is tested for close packing (rock salt), and
    the `formers` (n_atoms,) of a network for diamond.
    """
    found = classify_close_packed(atoms, _CLOSE_PACKED_REACH)
    diamond = classify_diamond(atoms, _DIAMOND_REACH)
    found[diamond != NONE] = diamond[diamond != NONE]
    if heteropolar:
        groups = [
            (atoms.numbers == z, classify_close_packed, _CLOSE_PACKED_REACH) for z in set(atoms.numbers)
        ]
        groups.append((formers, classify_diamond, _DIAMOND_REACH))
        for members, classify, reach in groups:
            kinds = classify(atoms[members], reach)
            where = np.flatnonzero(members)[kinds != NONE]
            found[where] = kinds[kinds != NONE]
    return found


def nearest_vectors(pairs: Pairs, count: int) -> tuple[IntArray, FloatArray]:
    """Atoms with at least `count` pairs, (n,), and the vectors to the `count` nearest, (n, count, 3) [Å]."""
    return _nearest(pairs, count)[:2]


def _nearest(pairs: Pairs, count: int) -> tuple[IntArray, FloatArray, IntArray]:
    order = np.lexsort((pairs.distance, pairs.first))
    starts = pairs.starts()
    owners = np.flatnonzero(np.diff(starts) >= count)
    rows = order[starts[owners][:, None] + np.arange(count)]
    return owners, pairs.vector[rows], pairs.second[rows]


def _twelve(vectors: FloatArray) -> IntArray:
    """FCC, HCP or NONE for shells of twelve neighbours, (n, 12, 3)."""
    if not len(vectors):
        return np.empty(0, dtype=np.intp)
    cutoff = _MIDWAY * np.linalg.norm(vectors, axis=2).mean(axis=1)
    common, bonds, chain = _signatures(vectors, cutoff)
    straight = (common == 4) & (bonds == 2)
    split, bent = (straight & (chain == 1)).sum(axis=1), (straight & (chain == 2)).sum(axis=1)
    return np.where(split == 12, FCC, np.where((split == 6) & (bent == 6), HCP, NONE)).astype(np.intp)


def _signatures(vectors: FloatArray, cutoff: FloatArray) -> tuple[IntArray, IntArray, IntArray]:
    """For each neighbour (n, m): neighbours in common with the centre, bonds among those, and the most
    bonds that one of them has, which tells a chain of two bonds from two separate ones.
    """
    distance = np.linalg.norm(vectors[:, :, None] - vectors[:, None], axis=3)
    near = (distance < cutoff[:, None, None]) & ~np.eye(vectors.shape[1], dtype=bool)
    adjacent = near.astype(np.float32)
    common = near.sum(axis=2)
    # degree[k, a]: bonds of a, a common neighbour of k, to other common neighbours of k
    degree = (adjacent @ adjacent) * adjacent
    bonds, most = degree.sum(axis=2) / 2, degree.max(axis=2)
    return common, np.rint(bonds).astype(np.intp), np.rint(most).astype(np.intp)
