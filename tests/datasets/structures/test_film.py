"""Amorphous films: periodic in the plane, free above and below."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list

from datasets.catalog import StructureRecipe, load_structure
from datasets.errors import InputError
from datasets.structures import make_structure
from datasets.structures.validate import validate


def film(seed: int = 0, **parameters: object) -> Atoms:
    short = {"cells": (6, 6, 5), "melt_temperature": 6000.0, "melt_time": 1.0, "quench_rate": 1e15}
    return make_structure(StructureRecipe(generator="film", seed=seed, parameters={**short, **parameters}))


@pytest.fixture(scope="module")
def tantalum() -> Atoms:
    return film(1)


def test_the_film_is_periodic_in_its_plane_and_free_above_and_below(tantalum: Atoms) -> None:
    assert tantalum.get_chemical_formula() == "Ta360"
    assert list(tantalum.pbc) == [True, True, False]
    np.testing.assert_allclose(tantalum.cell.lengths()[:2], 6 * 3.3025, rtol=1e-3)
    assert abs(tantalum.positions[:, 2].mean()) < 1e-9
    for axis in (0, 1):
        counts, _ = np.histogram(tantalum.positions[:, axis], bins=4, range=(0, tantalum.cell[axis, axis]))
        assert counts.sum() == 360  # all within the cell
        assert counts.min() > 60
    assert 14 < np.ptp(tantalum.positions[:, 2]) < 20


def test_its_inside_is_as_dense_as_tantalum_and_not_bcc(tantalum: Atoms) -> None:
    """bcc has 8 neighbours at 2.86 and 6 at 3.30 Å, in straight lines; a glass has no such directions."""
    heights = tantalum.positions[:, 2]
    inside = np.abs(heights) < 4
    area = tantalum.cell[0, 0] * tantalum.cell[1, 1]
    density = inside.sum() / (8 * area) * 180.948 * 1.66054
    assert density == pytest.approx(16.65, rel=0.06)
    first, vectors = neighbor_list("iD", tantalum, 3.9)
    counts = np.bincount(first, minlength=360)[inside]
    assert 12.5 < counts.mean() < 14.5
    lines = []
    for i in np.flatnonzero(inside):
        bonds = vectors[first == i] / np.linalg.norm(vectors[first == i], axis=1, keepdims=True)
        lines.append(np.count_nonzero(bonds @ bonds.T < np.cos(np.radians(170))) // 2)
    assert np.mean(np.array(lines) >= 7) < 0.03


def test_seeds() -> None:
    brief = {"cells": (5, 5, 5), "melt_time": 0.3, "quench_rate": 1e16}
    one, again, other = (film(seed, **brief) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.positions, again.positions)
    assert np.abs(one.positions - other.positions).max() > 0.3


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [({"element": "Si"}, "unknown metal 'Si'"), ({"cells": (3, 9, 9)}, "at least 5 cells")],
)
def test_bad_parameters_are_one_sentence(parameters: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        film(0, **parameters)


@pytest.mark.parametrize("name", ["ta-film"])
def test_structures_of_the_catalog_are_what_their_cards_say(name: str) -> None:
    card = load_structure(name)
    rows = validate(make_structure(card.recipe), card)
    assert [row for row in rows if not row.within] == []
