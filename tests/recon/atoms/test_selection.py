"""Odds against their formula, and what noise alone is taken for against what is stated."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from datasets.schema import pixel_axis
from recon.atoms.halo import Halo
from recon.atoms.poisson_fit import Series, state_of
from recon.atoms.selection import (
    Evidence,
    Species,
    candidates,
    evidence,
)
from recon.project.geometry import Geometry
from recon.project.projector import make_projector

PIXEL, WIDTH = 0.4, 0.6
TURNS = Rotation.from_euler("Y", np.arange(-90, 90, 6.0)[:, None], degrees=True)
ROWS = TURNS.as_matrix()[:, :2]
ONE = Species(np.array([50.0]), np.array([3.0]), np.array([1.0]))


def noise(level: float, seed: int, n: int = 56) -> Evidence:
    """The evidence in a series of nothing but `level` electrons per pixel."""
    axis = pixel_axis(n, PIXEL)
    counts = np.random.default_rng(seed).poisson(level, (len(TURNS), n, n)).astype(np.float32)
    geometry = Geometry(TURNS, axis, axis, axis, PIXEL)
    series = Series(counts, geometry, np.zeros((len(TURNS), 2)), np.ones(len(TURNS)), Halo())
    state = state_of(series, np.empty((0, 3)), np.empty(0), WIDTH, level)
    return evidence(series, state, make_projector(geometry), 1.0)


def inner(found: Evidence) -> np.ndarray:
    """Voxels whose information no edge of an image takes away."""
    z, y, x = np.meshgrid(*(3 * [found.geometry.x]), indexing="ij")
    return (np.hypot(z, x) < 9) & (np.abs(y) < 9)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.5, 20.0), st.floats(0.0, 10.0), st.floats(0.05, 3.0))
def test_odds_grow_with_the_intensity(mean: float, height: float, sigma: float) -> None:
    species = Species(np.array([mean, 2 * mean]), np.array([0.1, 0.2]) * mean, np.array([0.4, 0.6]))
    heights = np.array([height, height + 0.1])
    odds = species.log_odds(heights, np.full(2, sigma**2))[0]
    assert odds[1] > odds[0]
    assert np.all(odds <= 0.5 * heights**2 / sigma**2 + 1e-9)


def test_odds_are_those_of_two_normals() -> None:
    odds, label = ONE.log_odds(np.array([45.0]), np.array([100.0]))
    exact = -0.5 * 25 / 109 + 0.5 * 45**2 / 109
    assert odds[0] == pytest.approx(exact)
    assert label[0] == 0


def test_less_than_half_an_atom_is_none_however_many_electrons() -> None:
    odds, _ = ONE.log_odds(np.array([12.0, 24.0, 26.0, 38.0]), np.full(4, 1e-4))
    assert np.all(odds[:2] < 0)
    assert np.all(odds[2:] > 0)


def test_species_are_learnt_through_the_noise() -> None:
    rng = np.random.default_rng(0)
    true = np.concatenate([rng.normal(20, 2, 400), rng.normal(60, 6, 800)])
    variances = rng.uniform(1, 20, 1200)
    heights = true + rng.normal(size=1200) * np.sqrt(variances)
    species = Species(np.array([25.0, 50.0]), np.array([5.0, 10.0]), np.full(2, 0.5))
    for _ in range(40):
        species = species.learnt(heights, variances, (0.05, 0.25))
    np.testing.assert_allclose(species.means, [20, 60], rtol=0.03)
    np.testing.assert_allclose(species.spreads, [2, 6], rtol=0.2)
    np.testing.assert_allclose(species.shares, [1 / 3, 2 / 3], rtol=0.1)


def test_the_score_of_noise_is_normal(evidence_of_noise) -> None:
    found, inner = evidence_of_noise(2.0, 0)
    z = (found.score / np.sqrt(found.information))[inner]
    assert z.mean() == pytest.approx(0, abs=0.4)  # long waves of one draw
    assert z.std() == pytest.approx(1, abs=0.1)


def test_an_atom_that_is_missing_is_the_best_candidate() -> None:
    axis = pixel_axis(48, PIXEL)
    geometry = Geometry(TURNS, axis, axis, axis, PIXEL)
    there = np.array([[0.0, 0.0, 0.0], [2.8, 0.4, -1.0]])
    empty = Series(
        np.zeros((len(TURNS), 48, 48), dtype=np.float32),
        geometry,
        np.zeros((len(TURNS), 2)),
        np.ones(len(TURNS)),
        Halo(),
    )
    model = state_of(empty, there, np.full(2, 50.0), WIDTH, 1.0).model
    counts = np.random.default_rng(0).poisson(model).astype(np.float32)
    series = Series(counts, geometry, empty.shifts, empty.scales, Halo())
    state = state_of(series, there[:1], np.array([50.0]), WIDTH, 1.0)
    found = candidates(
        evidence(series, state, make_projector(geometry), 1.0), ONE, there[:1], least=5.0, min_distance=1.8
    )
    assert np.linalg.norm(found.positions[0] - there[1]) < 0.4
    assert found.heights[0] == pytest.approx(50, rel=0.25)
