"""The families of structures that networks are trained on."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from datasets.corpus.families import GENERATORS, N_ATOMS, REACH, TEST, TRAIN, VALIDATION, draw, split_of


@pytest.mark.parametrize("family", GENERATORS)
def test_particles_are_particles(family: str) -> None:
    for seed in range(3):
        atoms = draw(family, np.random.SeedSequence([7, seed]))
        assert 20 <= len(atoms) <= N_ATOMS[1]
        assert np.linalg.norm(atoms.positions, axis=1).max() < REACH + 1
        np.testing.assert_allclose(atoms.positions.mean(axis=0), 0, atol=1e-9)
        nearest = cKDTree(atoms.positions).query(atoms.positions, 2)[0][:, 1]
        assert nearest.min() > 1.4
        assert np.median(nearest) < 3.3
        assert atoms.info["family"] == family


@pytest.mark.parametrize("family", ["packing", "rock-salt", "tetrahedral-alloy"])
def test_a_seed_is_a_particle(family: str) -> None:
    first, again, other = (draw(family, np.random.SeedSequence([7, seed])) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.positions, again.positions)
    np.testing.assert_array_equal(first.numbers, again.numbers)
    assert len(first) != len(other) or not np.allclose(first.positions, other.positions)


def test_every_family_belongs_to_one_split() -> None:
    assert set(TRAIN) | set(VALIDATION) | set(TEST) == set(GENERATORS)
    assert len(TRAIN) + len(VALIDATION) + len(TEST) == len(GENERATORS)
    assert {split_of(family) for family in TRAIN} == {"train"}
    assert {split_of(family) for family in VALIDATION} == {"validation"}
    assert {split_of(family) for family in TEST} == {"test"}


def test_no_training_family_draws_from_a_structure_that_is_reported_on() -> None:
    """The species of held-out glasses never come together in training, whatever the seed."""
    held = [{27, 46, 78}, {14, 32, 50}]
    for family in TRAIN:
        for seed in range(10):
            assert set(draw(family, np.random.SeedSequence([8, seed])).numbers) not in held
