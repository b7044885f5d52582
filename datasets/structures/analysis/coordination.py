"""Who is whose neighbour: coordination numbers, bond lengths, homopolar bonds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii

from datasets.structures.analysis.neighbours import Pairs

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]
BoolArray = npt.NDArray[np.bool_]

COVALENT_REACH = 1.2
"""Atoms closer than this times the sum of their covalent radii (Cordero et al., Dalton Trans. 2832 (2008))
are bonded, whatever their kinds."""
BRIDGING = ("O", "S", "Se")
"""Elements that join two network formers where there is another element."""


def coordination_numbers(bonds: Pairs, partners: BoolArray | None = None) -> IntArray:
    """How many bonded neighbours every atom has, (n_atoms,); only those among `partners` (n_atoms,), if
    given.
    """
    first = bonds.first if partners is None else bonds.first[partners[bonds.second]]
    return np.bincount(first, minlength=bonds.n_atoms)


def of_kinds(pairs: Pairs, atoms: Atoms, first: str, second: str) -> Pairs:
    """The pairs that go from element `first` to element `second`."""
    numbers = atoms.numbers
    chosen = (numbers[pairs.first] == atomic_numbers[first]) & (
        numbers[pairs.second] == atomic_numbers[second]
    )
    return pairs.select(chosen)


def network_formers(atoms: Atoms) -> BoolArray:
    """The atoms that make the network, (n_atoms,): all, but for bridging O, S, Se where there are others."""
    bridging = np.isin(atoms.numbers, [atomic_numbers[symbol] for symbol in BRIDGING])
    return np.ones(len(atoms), dtype=bool) if bridging.all() else ~bridging


def covalent_bonds(pairs: Pairs, atoms: Atoms) -> Pairs:
    """The pairs within 1.2 times the sum of their covalent radii."""
    radii = covalent_radii[atoms.numbers]
    return pairs.select(pairs.distance <= COVALENT_REACH * (radii[pairs.first] + radii[pairs.second]))


def homopolar(pairs: Pairs, atoms: Atoms) -> BoolArray:
    """Which pairs join two network formers or two bridging atoms, (n_pairs,)."""
    former = network_formers(atoms)
    return np.asarray(former[pairs.first] == former[pairs.second])
