"""The repulsion against its own formula and finite differences."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recon.atoms.repulsion import Repulsion

SOFT = Repulsion(2.2, 0.15)


def some_atoms(seed: int, n: int = 12) -> np.ndarray:
    """Positions (n, 3) so close together that many pairs repel each other."""
    return np.random.default_rng(seed).uniform(-2, 2, (n, 3))


def test_a_pair() -> None:
    pair = SOFT.near(np.array([[0.0, 0, 0], [1.9, 0, 0]]))
    assert pair.energy == pytest.approx(0.5 * (0.3 / 0.15) ** 2)
    np.testing.assert_allclose(pair.force(), [[-0.3 / 0.15**2, 0, 0], [0.3 / 0.15**2, 0, 0]])
    np.testing.assert_allclose(pair.of_atoms(), [2.0, 2.0])


def test_atoms_apart_feel_nothing() -> None:
    apart = SOFT.near(np.array([[0.0, 0, 0], [2.3, 0, 0], [0, 9, 0]]))
    assert apart.energy == 0
    assert not apart.force().any()
    assert not apart.of_atoms().any()
    assert not SOFT.near(np.empty((0, 3))).force().any()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_the_force_is_minus_the_slope(seed: int) -> None:
    positions = some_atoms(seed)
    move = 1e-6 * np.random.default_rng(seed + 1).normal(size=positions.shape)
    change = SOFT.near(positions + move).energy - SOFT.near(positions - move).energy
    force = SOFT.near(positions).force()
    assert change == pytest.approx(-2 * np.vdot(force, move), rel=1e-3, abs=1e-9)
    np.testing.assert_allclose(force.sum(axis=0), 0, atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_the_stiffness_is_symmetric_and_never_negative(seed: int) -> None:
    rng, pairs = np.random.default_rng(seed), SOFT.near(some_atoms(seed))
    a, b = rng.normal(size=(2, pairs.n, 3))
    assert np.vdot(a, pairs.stiffness(b)) == pytest.approx(np.vdot(b, pairs.stiffness(a)))
    assert np.vdot(a, pairs.stiffness(a)) >= 0
    alone = np.zeros_like(a)
    alone[3] = a[3]
    np.testing.assert_allclose(pairs.stiffness(alone)[3], pairs.blocks()[3] @ a[3], atol=1e-9)


def test_what_a_further_atom_would_feel() -> None:
    positions, points = some_atoms(0), some_atoms(1, 5)
    felt = SOFT.felt(points, positions)
    for point, energy in zip(points, felt, strict=True):
        together = SOFT.near(np.concatenate([positions, point[None]])).energy
        assert energy == pytest.approx(together - SOFT.near(positions).energy)
    assert not SOFT.felt(points, np.empty((0, 3))).any()
