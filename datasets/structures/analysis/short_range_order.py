"""Chemical short-range order: Warren–Cowley parameters of the first shell.

α_AB = 1 − p_AB / c_B, with p_AB the share of B among the neighbours of A and c_B the share of B among all
neighbours (Cowley, Phys. Rev. 77, 669 (1950)). Unlike pairs: negative where A and B attract (L1₀ and L1₂:
−1/3), zero at random, positive where they separate. For A = B the sign is the reverse: positive where like
neighbours are rare.
"""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from datasets.errors import InputError
from datasets.structures.analysis.neighbours import Pairs


def warren_cowley(bonds: Pairs, atoms: Atoms, first: str, second: str) -> tuple[float, int]:
    """α of the pair, and the number of neighbours of `first` that it comes from; `bonds` go from each atom
    that counts to its first shell. Raises `InputError` where one of them has no neighbours.
    """
    numbers = atoms.numbers
    around = numbers[bonds.second[numbers[bonds.first] == atomic_numbers[first]]]
    concentration = np.mean(numbers[bonds.second] == atomic_numbers[second]) if len(bonds.second) else 0.0
    if not len(around) or concentration == 0:
        raise InputError(f"no neighbours to compare {first} and {second} by")
    return float(1 - np.mean(around == atomic_numbers[second]) / concentration), len(around)
