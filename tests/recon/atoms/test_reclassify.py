"""Species by comparison with neighbours, where one threshold for the whole specimen fails."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.errors import InputError
from recon.atoms.classify import NON_ATOM, classify_intensities, k_means
from recon.atoms.reclassify import reclassify_locally
from recon.atoms.refinement import reclassify_atoms, refine_atoms


def graded(seed: int = 0) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """An alloy 60 Å long whose atoms become 2.2 times brighter along it; species differ by 1.6."""
    rng = np.random.default_rng(seed)
    sites = np.stack(np.meshgrid(*(np.arange(n) * 2.8 for n in (22, 7, 7)), indexing="ij"), axis=-1)
    positions = sites.reshape(-1, 3) + rng.normal(scale=0.2, size=(22 * 49, 3))
    species = rng.integers(0, 2, len(positions))
    brightness = np.where(species == 1, 1.6, 1.0) * (1 + 1.2 * positions[:, 0] / 60)
    return positions, species, brightness * rng.normal(1, 0.04, len(positions))


def test_a_gradient_defeats_one_threshold_and_not_neighbours() -> None:
    positions, species, intensities = graded()
    globally = k_means(intensities, 2)
    assert np.mean(globally == species) < 0.85
    locally = reclassify_locally(positions, globally, intensities)
    assert np.mean(locally == species) > 0.97


def test_the_mixture_fails_there_too() -> None:
    positions, species, intensities = graded(1)
    globally = classify_intensities(intensities, ["Cu", "Ag"])
    assert np.mean(globally == species) < 0.85
    start = np.maximum(globally, 0)
    assert np.mean(reclassify_locally(positions, start, intensities) == species) > 0.95


@settings(max_examples=20, deadline=None)
@given(st.floats(1e-3, 1e3), st.integers(0, 100))
def test_units_and_order_do_not_matter(scale: float, seed: int) -> None:
    positions, species, intensities = graded(seed % 3)
    order = np.random.default_rng(seed).permutation(len(species))
    plain = reclassify_locally(positions, species, intensities)
    other = reclassify_locally(positions[order], species[order], scale * intensities[order])
    np.testing.assert_array_equal(other, plain[order])


def test_a_clear_answer_stays_and_non_atoms_are_left_out() -> None:
    positions, species, _ = graded()
    labels = species.copy()
    labels[::7] = NON_ATOM
    intensities = np.where(species == 1, 3.0, 1.0)
    intensities[::7] = 1e6
    np.testing.assert_array_equal(reclassify_locally(positions, labels, intensities), labels)
    features = np.stack([intensities, np.ones_like(intensities)], axis=1)
    np.testing.assert_array_equal(reclassify_locally(positions, labels, features), labels)


def test_few_atoms() -> None:
    one = np.zeros((1, 3)), np.zeros(1, dtype=np.int64), np.ones(1)
    np.testing.assert_array_equal(reclassify_locally(*one), [0])
    far = np.array([[0.0, 0, 0], [50.0, 0, 0]])
    np.testing.assert_array_equal(reclassify_locally(far, np.array([0, 1]), np.array([1.0, 2.0])), [0, 1])


@pytest.fixture
def named(cluster: Callable[..., Atoms]) -> Atoms:
    atoms = cluster(55, ("Cu", "Au"))
    rng = np.random.default_rng(0)
    atoms.set_array("intensity", (atoms.numbers / 79) ** 1.7 * rng.normal(1, 0.05, len(atoms)))
    return atoms


def test_heights_correct_wrong_names(named: Atoms) -> None:
    truth = named.get_chemical_symbols()
    wrong = named.copy()
    wrong.symbols[3], wrong.symbols[40] = wrong.symbols[40], wrong.symbols[3]
    for method in ("heights", "local"):
        found = reclassify_atoms(wrong, ["Au", "Cu"], method, refined=True)  # type: ignore[arg-type]
        assert found.get_chemical_symbols() == truth
    # without a refinement there are no heights of each atom
    assert reclassify_atoms(wrong, ["Au", "Cu"], "heights") is wrong
    assert reclassify_atoms(wrong, ["Au", "Cu"], "none", refined=True) is wrong


def test_unknown_methods(named: Atoms) -> None:
    with pytest.raises(InputError, match="reclassify must be one of none, heights, local"):
        reclassify_atoms(named, ["Au", "Cu"], "all")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="refine must be one of none, published, projections"):
        refine_atoms(named, np.zeros((1, 2, 2)), None, "magic")  # type: ignore[arg-type]
