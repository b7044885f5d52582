"""The core–shell particle: exact counts, exact displacement, core inside shell, seeds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.catalog import StructureRecipe, load_dataset
from datasets.errors import InputError
from datasets.structures import make_structure
from datasets.structures.nanoparticle import boundary


def particle(seed: int = 0, **parameters: object) -> StructureRecipe:
    return StructureRecipe(generator="nanoparticle", seed=seed, parameters=parameters)


def test_the_papers_particle_has_its_counts_and_size() -> None:
    atoms = make_structure(load_dataset("cuau-1602").structure)
    assert len(atoms) == 1602
    assert (np.count_nonzero(atoms.numbers == 29), np.count_nonzero(atoms.numbers == 79)) == (576, 1026)
    assert 30 < np.ptp(atoms.positions, axis=0).mean() < 44  # "about 4 nm"
    np.testing.assert_allclose(atoms.positions.mean(axis=0), 0, atol=1e-9)


def test_displacements_from_the_perfect_lattice_are_20_pm() -> None:
    positions = make_structure(particle(3, n_atoms=500, orientation="lattice")).positions / 3.78
    offset = positions[0]
    for _ in range(20):  # the nearest fcc site: the better of the four basis sites
        sites = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
        relative = positions[:, None] - offset - sites
        residual = relative - np.rint(relative)
        best = residual[np.arange(len(positions)), np.argmin((residual**2).sum(axis=2), axis=1)]
        offset = offset + best.mean(axis=0)
    assert 3.78 * np.sqrt(np.mean(np.sum(best**2, axis=1))) == pytest.approx(0.2, rel=1e-6)


@given(seed=st.integers(0, 2**32), n_atoms=st.integers(20, 200))
@settings(max_examples=15, deadline=None)
def test_any_particle_has_exactly_its_atoms(seed: int, n_atoms: int) -> None:
    atoms = make_structure(particle(seed, n_atoms=n_atoms))
    assert len(atoms) == n_atoms
    assert np.count_nonzero(atoms.numbers == 29) == round(n_atoms * 576 / 1602)


def test_the_core_lies_inside_the_shell() -> None:
    atoms = make_structure(particle(5, n_atoms=400))
    distance = np.linalg.norm(atoms.positions, axis=1)
    assert distance[atoms.numbers == 29].mean() < 0.75 * distance[atoms.numbers == 79].mean()
    surface = boundary(atoms.positions, 0.9)
    assert set(atoms.numbers[surface]) == {79}


def test_the_same_seed_gives_the_same_particle_and_another_seed_another_shape() -> None:
    one, again, other = (make_structure(particle(s, n_atoms=150)) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.positions, again.positions)
    spread = [np.sort(np.linalg.eigvalsh(np.cov(a.positions.T))) for a in (one, other)]
    assert np.abs(spread[0] - spread[1]).max() > 0.1


def test_info_says_what_it_is() -> None:
    info = make_structure(particle(4, n_atoms=60)).info
    assert info == {"name": info["name"], "generator": "nanoparticle", "seed": 4, "version": 1}
    assert "nanoparticle" in info["name"]


def test_shrink_factor_0_is_the_convex_hull_and_1_follows_a_dent() -> None:
    axis = np.arange(-3, 4)
    cube = np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(-1, 3).astype(float)
    cube += np.random.default_rng(0).normal(scale=1e-3, size=cube.shape)
    dent = np.abs(cube[:, :2]).max(axis=1) < 1.5
    points = cube[~(dent & (cube[:, 2] > -1.5))]  # a 3 × 3 shaft from the top
    bottom = np.flatnonzero((np.abs(points[:, :2]).max(axis=1) < 0.5) & (np.abs(points[:, 2] + 2) < 0.5))
    assert not set(bottom) & set(boundary(points, 0.0))
    assert set(bottom) <= set(boundary(points, 1.0))


def test_wrong_parameters_are_named() -> None:
    with pytest.raises(InputError, match="did you mean 'nanoparticle'"):
        make_structure(StructureRecipe(generator="nanopartcle"))
    with pytest.raises(InputError, match=r"'n_atom'.*did you mean 'n_atoms'"):
        make_structure(particle(n_atom=20))
    with pytest.raises(InputError, match="unknown element 'Xy'"):
        make_structure(particle(n_atoms=20, core="Xy"))
    with pytest.raises(InputError, match="version 9"):
        make_structure(StructureRecipe(generator="nanoparticle", version=9))
