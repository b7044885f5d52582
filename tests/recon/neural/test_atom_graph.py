"""What the network is told of atoms: neighbours of known crystals, and what must not matter."""

import numpy as np
import numpy.typing as npt
import pytest
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.errors import InputError
from recon.neural.atom_graph import CUTOFF, N_LEVELS, N_NEIGHBOURS, atom_graph

Array = npt.NDArray[np.float64]


def crystal(structure: str, a: float) -> Array:
    positions = bulk("Cu", structure, a=a, cubic=True).repeat(5).positions
    return np.asarray(positions - positions.mean(axis=0))


def ones(n: int) -> tuple[Array, Array]:
    return np.ones(n), np.ones((n, 2))


@pytest.mark.parametrize(("structure", "shells"), [("fcc", 18), ("bcc", 14), ("diamond", 16)])
def test_neighbours_are_the_first_two_shells(structure: str, shells: int) -> None:
    positions = crystal(structure, 4.0)
    graph = atom_graph(positions, *ones(len(positions)), ["Cu"])
    middle = np.argmin((positions**2).sum(axis=1))
    counted = graph.envelope[middle, 1:] > 0.01
    assert counted[:shells].all()
    assert graph.envelope[middle, 0] == 1
    assert graph.distances[middle, 1] == pytest.approx(1.0)
    assert graph.neighbours[middle, 0] == middle
    assert graph.distances.max() <= CUTOFF


def test_atom_beyond_the_last_neighbour_fades_the_others_out() -> None:
    """Of equally far atoms it must not matter which ones found room in the list."""
    positions = crystal("fcc", 4.0)
    rng = np.random.default_rng(0)
    for _ in range(3):
        shaken = positions + rng.normal(scale=1e-9, size=positions.shape)
        graph = atom_graph(shaken, *ones(len(positions)), ["Cu"])
        third = np.abs(graph.distances - np.sqrt(3)) < 0.01
        assert graph.envelope[third].max(initial=0.0) < 0.06
        middle = np.argmin((positions**2).sum(axis=1))
        assert graph.envelope[middle][third[middle]].max(initial=0.0) < 1e-6


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 100.0), st.floats(1e-6, 1e6))
@settings(max_examples=25, deadline=None)
def test_units_do_not_matter(seed: int, length: float, electrons: float) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 60))
    positions, intensities = rng.uniform(0, 8, (n, 3)), rng.uniform(0.3, 3, n)
    descriptors = rng.uniform(0, 2, (n, 4))
    elements = ["Pt", "Co"]
    one = atom_graph(positions, intensities, descriptors, elements)
    two = atom_graph(positions * length, intensities * electrons, descriptors * electrons, elements)
    np.testing.assert_array_equal(one.neighbours, two.neighbours)
    for field in ("nodes", "distances", "envelope", "overview", "pairs"):
        np.testing.assert_allclose(getattr(two, field), getattr(one, field), rtol=2e-4, atol=2e-4)


def test_species_are_known_relative_to_one_another() -> None:
    """Neither an element nor the order in which species are given is told, only how they compare."""
    positions = np.random.default_rng(0).uniform(0, 6, (20, 3))
    one = atom_graph(positions, *ones(20), ["Cu", "Au", "Pd"]).candidates
    two = atom_graph(positions, *ones(20), ["Au", "Pd", "Cu"]).candidates
    np.testing.assert_array_equal(one[[1, 2, 0]], two)
    np.testing.assert_array_equal(one[:, 3], [0.0, 1.0, 0.5])
    assert one[1, 0] == 0
    assert one[0, 1] == 0
    assert abs(one[:, 2].sum()) < 1e-6


def test_what_the_mixture_says_is_of_the_right_species() -> None:
    intensities = np.repeat([1.0, 4.0], 30) * np.random.default_rng(0).normal(1, 0.05, 60)
    positions = np.random.default_rng(1).uniform(0, 10, (60, 3))
    graph = atom_graph(positions, intensities, np.ones((60, 1)), ["Au", "Cu"])
    assert graph.pairs[:30, 1, 0].min() > -0.1
    assert graph.pairs[30:, 0, 0].min() > -0.1
    assert graph.pairs[:30, 0, 0].max() < -3
    assert np.abs(graph.pairs[30:, 0, 1]).max() < 0.25


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_few_atoms_are_finite(n: int) -> None:
    graph = atom_graph(np.zeros((n, 3)) + np.arange(n)[:, None], np.zeros(n), np.zeros((n, 3)), ["Cu", "Au"])
    assert graph.nodes.shape == (n, N_LEVELS + 3)
    assert graph.neighbours.shape == (n, 1 + N_NEIGHBOURS)
    assert graph.pairs.shape == (n, 2, 3)
    for values in vars(graph).values():
        assert np.isfinite(values).all()


def test_atoms_at_one_place_and_isolated_ones_are_finite() -> None:
    positions = np.concatenate([np.zeros((30, 3)), [[100.0, 0, 0]]])
    graph = atom_graph(positions, *ones(31), ["Cu"])
    assert np.isfinite(graph.distances).all()
    assert graph.envelope[30, 1:].sum() == 0
    assert (graph.neighbours[:30, 0] == np.arange(30)).all()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"positions": np.zeros((3, 2))}, "positions"),
        ({"descriptors": np.zeros((2, 2))}, "descriptors"),
        ({"intensities": np.array([1.0, np.nan, 1.0])}, "intensity"),
        ({"elements": ["Xx"]}, "unknown element"),
    ],
)
def test_bad_input_gets_one_sentence(arguments: dict[str, object], sentence: str) -> None:
    good = {"positions": np.eye(3), "intensities": np.ones(3), "descriptors": np.ones((3, 2))}
    with pytest.raises(InputError, match=sentence):
        atom_graph(**{**good, "elements": ["Cu"], **arguments})  # type: ignore[arg-type]
