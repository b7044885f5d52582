"""fcc particles with defects: what was drawn is what is there."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from datasets.catalog import StructureRecipe, load_structure
from datasets.errors import InputError
from datasets.structures import make_structure
from datasets.structures.fcc_particle import smooth_field
from datasets.structures.validate import validate

PERFECT = {
    "strain": (0, 0),
    "strain_variation": (0, 0),
    "vacancies": (0, 0),
    "displacement": (0, 0),
    "twin_probability": 0,
    "n_atoms": (600, 600),
}


def particle(seed: int = 0, **parameters: object) -> Atoms:
    return make_structure(StructureRecipe(generator="fcc_particle", seed=seed, parameters=parameters))


def neighbours(atoms: Atoms, reach: float = 3.35) -> list[npt.NDArray[np.intp]]:
    tree = cKDTree(atoms.positions)
    return [np.setdiff1d(near, [i]) for i, near in enumerate(tree.query_ball_point(atoms.positions, reach))]


def stacking(atoms: Atoms) -> tuple[int, int]:
    """How many atoms with twelve neighbours have fcc surroundings, and how many hcp ones.

    Opposite neighbours of an fcc atom make six straight lines, of an hcp atom three.
    """
    lines = []
    for i, near in enumerate(neighbours(atoms)):
        if len(near) == 12:
            bonds = atoms.positions[near] - atoms.positions[i]
            bonds /= np.linalg.norm(bonds, axis=1, keepdims=True)
            lines.append(np.count_nonzero(bonds @ bonds.T < -0.98) // 2)
    return lines.count(6), lines.count(3)


def test_a_particle_without_defects_is_a_piece_of_the_lattice() -> None:
    atoms = particle(1, **PERFECT)
    distances = np.linalg.norm(atoms.positions[:, None] - atoms.positions, axis=2)
    shells = np.unique(np.round((distances[distances > 0] / 3.924) ** 2 * 2, 6))
    np.testing.assert_allclose(shells, np.rint(shells))
    fcc, hcp = stacking(atoms)
    assert fcc > 200
    assert hcp == 0


def test_a_twin_is_one_layer_of_hcp_surroundings() -> None:
    atoms = particle(2, **{**PERFECT, "twin_probability": 1})
    assert atoms.info["twin"] == "{111}"
    fcc, hcp = stacking(atoms)
    assert 15 < hcp < 0.3 * fcc
    distances = cKDTree(atoms.positions).query(atoms.positions, k=2)[0][:, 1]
    np.testing.assert_allclose(distances, 3.924 / np.sqrt(2))


def test_vacancies_are_inside() -> None:
    large = {**PERFECT, "n_atoms": (2000, 2000)}
    whole, empty = (particle(3, **{**large, "vacancies": (f, f)}) for f in (0, 0.006))
    assert empty.info["vacancies"] == 12
    assert len(whole) == len(empty) == 2000
    missing = [sum(len(near) == 11 for near in neighbours(atoms)) for atoms in (whole, empty)]
    assert missing[1] - missing[0] > 6 * 12


def test_homogeneous_strain_has_its_size() -> None:
    plain, strained = (particle(4, **{**PERFECT, "strain": (f, f)}) for f in (0, 0.01))
    tensor, *_ = np.linalg.lstsq(plain.positions, strained.positions, rcond=None)
    metric = (tensor @ tensor.T - np.eye(3)) / 2  # Green's strain: no rotation enters
    components = metric[np.triu_indices(3)]
    assert np.sqrt(np.mean(components**2)) == pytest.approx(0.01, rel=0.1)


@pytest.mark.parametrize("seed", range(3))
def test_the_smooth_field_has_its_strain_and_no_mean(seed: int) -> None:
    """In a cubic crystal, bonds stretch by three times the mean squared derivative, squared and averaged."""
    atoms = particle(5, **PERFECT)
    field = smooth_field(atoms.positions, 0.01, np.random.default_rng(seed))
    pairs = cKDTree(atoms.positions).query_pairs(3.0, output_type="ndarray")
    stretch = np.sum(np.diff(field[pairs], axis=1) ** 2, axis=2) / (3.924**2 / 2)
    assert np.sqrt(np.mean(stretch) / 3) == pytest.approx(0.01, rel=0.15)
    centred = field - field.mean(axis=0)
    mean, *_ = np.linalg.lstsq(atoms.positions, centred, rcond=None)
    assert np.abs(mean).max() < 0.006


@given(seed=st.integers(0, 2**32))
@settings(max_examples=15)
def test_any_seed_is_within_the_ranges(seed: int) -> None:
    atoms = particle(seed, n_atoms=(200, 1500))
    assert 200 <= len(atoms) <= 1500
    assert 0.02 <= atoms.info["roughness"] <= 0.2
    assert 0 <= atoms.info["vacancies"] <= 0.02 * len(atoms) + 1
    assert cKDTree(atoms.positions).query(atoms.positions, k=2)[0][:, 1].min() > 1.8
    np.testing.assert_allclose(atoms.positions.mean(axis=0), 0, atol=1e-9)


def test_seeds() -> None:
    one, again, other = (particle(s) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.positions, again.positions)
    assert len(one) != len(other)


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"element": "Xx"}, "symbol of an element"),
        ({"strain": (0.02, 0.01)}, "a range goes from"),
        ({"n_atoms": (5, 100)}, "at least 13 atoms"),
        ({"vacancies": (0, 0.5)}, "fractions end at 0.3"),
    ],
)
def test_bad_parameters_are_one_sentence(parameters: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        particle(0, **parameters)


@pytest.mark.parametrize("name", ["pt-fcc", "pt-fcc[seed=1]", "pt-fcc[seed=3]", "pt-fcc[seed=11]"])
def test_structures_of_the_catalog_are_what_their_cards_say(name: str) -> None:
    card = load_structure(name)
    rows = validate(make_structure(card.recipe), card)
    assert [row for row in rows if not row.within] == []
