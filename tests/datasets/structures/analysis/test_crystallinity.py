"""Crystals are told from each other and from a glass, shaken as they are at room temperature."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from datasets.structures.analysis.analysis import Analysis
from datasets.structures.analysis.crystallinity import (
    BCC,
    CUBIC_DIAMOND,
    FCC,
    HCP,
    HEXAGONAL_DIAMOND,
    NAMES,
    NONE,
    crystalline,
)

LONSDALEITE = Atoms(
    "Si4",
    scaled_positions=[
        [1 / 3, 2 / 3, 1 / 16],
        [2 / 3, 1 / 3, 9 / 16],
        [1 / 3, 2 / 3, 7 / 16],
        [2 / 3, 1 / 3, 15 / 16],
    ],
    cell=[[3.84, 0, 0], [-1.92, 3.84 * 3**0.5 / 2, 0], [0, 0, 6.27]],
    pbc=True,
)
CRYSTALS = [
    (bulk("Pt", "fcc", 3.92, cubic=True) * (5, 5, 5), FCC),
    (bulk("Pt", "hcp", 2.77, 1.633 * 2.77) * (6, 6, 4), HCP),
    (bulk("Ta", "bcc", 3.3, cubic=True) * (5, 5, 5), BCC),
    (bulk("Si", "diamond", 5.431, cubic=True) * (4, 4, 4), CUBIC_DIAMOND),
    (LONSDALEITE * (5, 5, 4), HEXAGONAL_DIAMOND),
]


@pytest.mark.parametrize(("atoms", "kind"), CRYSTALS, ids=[NAMES[kind] for _, kind in CRYSTALS])
@pytest.mark.parametrize("sigma", [0.0, 0.08])
def test_crystals_are_recognised(
    shaken: Callable[[Atoms, float], Atoms], atoms: Atoms, kind: int, sigma: float
) -> None:
    found = crystalline(shaken(atoms, sigma), False, np.ones(len(atoms), dtype=bool))
    assert np.mean(found == kind) > 0.99


def test_a_random_packing_is_not(random_packing: Atoms) -> None:
    found = crystalline(random_packing, False, np.ones(len(random_packing), dtype=bool))
    assert np.mean(found != NONE) < 0.01


def test_a_molten_crystal_is_not(shaken: Callable[[Atoms, float], Atoms], silicon: Atoms) -> None:
    found = crystalline(shaken(silicon, 0.6), False, np.ones(len(silicon), dtype=bool))
    assert np.mean(found != NONE) < 0.01


def test_rock_salt_is_a_crystal_of_either_ion(shaken: Callable[[Atoms, float], Atoms]) -> None:
    analysis = Analysis(shaken(bulk("BaO", "rocksalt", 5.54, cubic=True) * (4, 4, 4), 0.1))
    assert np.mean(analysis.crystal == FCC) > 0.99
