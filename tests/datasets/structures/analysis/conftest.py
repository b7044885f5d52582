"""Structures with known answers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from scipy.spatial.transform import Rotation


@pytest.fixture(scope="session")
def cut_sphere() -> Callable[[Atoms, int], Atoms]:
    """The `n` atoms of a block nearest to its middle, turned at random: an isolated particle."""

    def cut(block: Atoms, n: int, seed: int = 0) -> Atoms:
        positions = block.positions - block.positions.mean(axis=0)
        nearest = np.argsort(np.linalg.norm(positions, axis=1), kind="stable")[:n]
        turned = Rotation.random(rng=np.random.default_rng(seed)).apply(positions[nearest])
        return Atoms(block.numbers[nearest], turned)

    return cut


@pytest.fixture(scope="session")
def shaken() -> Callable[[Atoms, float], Atoms]:
    """A copy with normal displacements of a standard deviation along each axis [Å]."""

    def shake(atoms: Atoms, sigma: float, seed: int = 0) -> Atoms:
        copy = atoms.copy()
        copy.positions += np.random.default_rng(seed).normal(scale=sigma, size=copy.positions.shape)
        return copy

    return shake


@pytest.fixture(scope="session")
def silicon() -> Atoms:
    """A periodic crystal of 8 × 11³ silicon atoms."""
    return bulk("Si", "diamond", 5.431, cubic=True) * (11, 11, 11)


@pytest.fixture(scope="session")
def random_packing() -> Atoms:
    """300 points in a periodic box, none nearer than 2.2 Å to another: no order at all."""
    rng, box, points = np.random.default_rng(0), 20.0, np.empty((0, 3))
    while len(points) < 300:
        point = rng.uniform(0, box, 3)
        apart = points - point
        apart -= box * np.rint(apart / box)
        if not len(points) or np.linalg.norm(apart, axis=1).min() > 2.2:
            points = np.vstack([points, point])
    return Atoms(f"Si{len(points)}", points, cell=[box] * 3, pbc=True)
