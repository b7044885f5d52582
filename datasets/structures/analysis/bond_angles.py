"""Angles between bonds that share an atom."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.data import atomic_numbers

from datasets.structures.analysis.neighbours import Pairs

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


def bond_angles(
    bonds: Pairs, chosen: BoolArray, atoms: Atoms | None = None, kinds: tuple[str, str, str] | None = None
) -> FloatArray:
    """Angles [deg] at the `chosen` (n_atoms,) atoms, each once; of `kinds` such as ("O", "Si", "O") only.

    The middle element is that of the atom where the angle is.
    """
    starts = bonds.starts()
    per_atom = np.diff(starts)
    angles = []
    for count in np.unique(per_atom[chosen & (per_atom >= 2)]):
        rows = starts[:-1][chosen & (per_atom == count)]
        left, right = np.triu_indices(int(count), 1)
        angles.append(_angles(bonds, rows[:, None] + left, rows[:, None] + right, atoms, kinds))
    return np.concatenate(angles) if angles else np.empty(0)


def _angles(
    bonds: Pairs,
    one: npt.NDArray[np.intp],
    other: npt.NDArray[np.intp],
    atoms: Atoms | None,
    kinds: tuple[str, str, str] | None,
) -> FloatArray:
    one, other = one.ravel(), other.ravel()
    if kinds is not None and atoms is not None:
        ends = np.sort(atoms.numbers[np.stack([bonds.second[one], bonds.second[other]])], axis=0)
        wanted = sorted([atomic_numbers[kinds[0]], atomic_numbers[kinds[2]]])
        keep = (ends == np.array(wanted)[:, None]).all(axis=0)
        keep &= atoms.numbers[bonds.first[one]] == atomic_numbers[kinds[1]]
        one, other = one[keep], other[keep]
    cosine = np.einsum("ij,ij->i", bonds.vector[one], bonds.vector[other])
    cosine /= bonds.distance[one] * bonds.distance[other]
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
