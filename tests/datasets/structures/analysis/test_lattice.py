"""The lattice of a turned, strained, shaken particle is found again; L1₀ order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.errors import InputError
from datasets.structures.analysis.analysis import Analysis
from datasets.structures.analysis.lattice import long_range_order

Cut = Callable[[Atoms, int, int], Atoms]


@pytest.mark.parametrize(
    ("atoms", "constant"),
    [
        (bulk("Pt", "fcc", 3.92, cubic=True) * (8, 8, 8), 3.92),
        (bulk("Ta", "bcc", 3.3, cubic=True) * (8, 8, 8), 3.3),
        (bulk("Si", "diamond", 5.431, cubic=True) * (6, 6, 6), 5.431),
        (bulk("BaO", "rocksalt", 5.54, cubic=True) * (6, 6, 6), 5.54),
    ],
    ids=["fcc", "bcc", "diamond", "rock salt"],
)
def test_constant_and_displacements_of_a_shaken_particle(
    cut_sphere: Cut, shaken: Callable[[Atoms, float], Atoms], atoms: Atoms, constant: float
) -> None:
    lattice = Analysis(shaken(cut_sphere(atoms, 800, 1), 0.1)).lattice
    assert lattice.belonging.all()
    assert abs(lattice.constant - constant) < 4 * lattice.constant_error
    assert lattice.constant_error < 0.003
    assert lattice.displacement_rms == pytest.approx(0.1 * np.sqrt(3), rel=0.04)
    periodic = Analysis(atoms[:]).lattice
    assert periodic.constant == pytest.approx(constant, rel=1e-6)


@given(seed=st.integers(0, 1000), strain=st.floats(-0.03, 0.03))
@settings(max_examples=5, deadline=None)
def test_homogeneous_strain_is_no_displacement(cut_sphere: Cut, seed: int, strain: float) -> None:
    particle = cut_sphere(bulk("Pt", "fcc", 3.92, cubic=True) * (6, 6, 6), 400, seed)
    particle.positions[:, 0] *= 1 + strain
    lattice = Analysis(particle).lattice
    assert lattice.displacement_rms < 1e-9
    assert lattice.constant == pytest.approx(3.92 * (1 + strain) ** (1 / 3), rel=1e-9)


def test_another_grain_does_not_belong() -> None:
    block = bulk("Pt", "fcc", 3.92, cubic=True) * (8, 8, 8)
    block.positions -= block.positions.mean(axis=0)
    normal = np.ones(3) / np.sqrt(3)
    height = block.positions @ normal
    twin = height > 7.0
    grain = 2 * np.outer(height[twin], normal) - block.positions[twin]
    block.positions[twin] = grain  # turned by 180° about the normal of a close-packed plane
    particle = Atoms(block.numbers, block.positions)[np.linalg.norm(block.positions, axis=1) < 13]
    lattice = Analysis(particle).lattice
    assert lattice.constant == pytest.approx(3.92, abs=0.01)
    lower = particle.positions @ normal < 6.5
    assert lattice.belonging[lower].all()
    assert not lattice.belonging[particle.positions @ normal > 8.5].all()


def test_long_range_order_falls_with_swaps_and_the_axis_is_found() -> None:
    atoms = bulk("Pt", "fcc", 3.85, cubic=True)
    atoms.symbols[:] = ["Fe", "Pt", "Fe", "Pt"]  # planes along y
    atoms = atoms * (6, 6, 6)
    atoms.positions[:, 1] *= 0.96
    atoms.cell[1] *= 0.96
    analysis = Analysis(atoms)
    assert long_range_order(atoms, analysis.lattice, "Fe")[0] == pytest.approx(1)
    rng = np.random.default_rng(0)
    some = rng.random(len(atoms)) < 0.5
    atoms.numbers[some] = rng.permutation(atoms.numbers[some])
    assert long_range_order(atoms, analysis.lattice, "Fe")[0] == pytest.approx(0.5, abs=0.08)
    atoms.numbers[:] = rng.permutation(atoms.numbers)
    assert long_range_order(atoms, analysis.lattice, "Fe")[0] < 0.12


def test_a_glass_has_no_lattice(random_packing: Atoms) -> None:
    with pytest.raises(InputError, match="no fcc, bcc, rock-salt or diamond crystal"):
        _ = Analysis(random_packing).lattice
