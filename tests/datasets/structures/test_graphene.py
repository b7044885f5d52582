"""Rippling graphene: an intact sheet, its bonds, its ripples, its defects, frames and seeds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list
from hypothesis import given
from hypothesis import strategies as st

from datasets.catalog import StructureRecipe, load_structure
from datasets.errors import InputError
from datasets.structures import graphene, make_structure
from datasets.structures.graphene import Parameters, generate, graphene_series, supercell
from datasets.structures.molecular_dynamics import Stage, simulate_dynamics
from datasets.structures.potentials import CARBON_TERSOFF
from datasets.structures.validate import validate
from datasets.structures.workspace import Workspace

SMALL = Parameters(n_atoms=96, duration=1.0)
BUCKLED = Parameters(n_atoms=96, duration=1.5, compression=0.03)


def polygons(atoms: Atoms) -> Counter[int]:
    """How many polygons of each size tile the sheet: walk along bonds, each time the next clockwise."""
    first, second, vectors = neighbor_list("ijD", atoms, 1.9)
    around: dict[int, list[int]] = {i: [] for i in range(len(atoms))}
    for bond in np.argsort(np.arctan2(vectors[:, 1], vectors[:, 0])).tolist():
        around[int(first[bond])].append(bond)
    pairs = list(zip(first.tolist(), second.tolist(), strict=True))
    number = {pair: bond for bond, pair in enumerate(pairs)}
    following = {}
    for bond, (i, j) in enumerate(pairs):
        star = around[j]
        following[bond] = star[star.index(number[j, i]) - 1]
    sizes: Counter[int] = Counter()
    unseen = set(following)
    while unseen:
        start = bond = unseen.pop()
        size = 1
        while (bond := following[bond]) != start:
            unseen.remove(bond)
            size += 1
        sizes[size] += 1
    return sizes


@pytest.fixture(scope="module")
def sheet() -> Atoms:
    return make_structure(load_structure("graphene-240").recipe, use_shipped=False)


def test_the_sheet_is_intact_and_its_bonds_are_graphenes(sheet: Atoms) -> None:
    first, distance = neighbor_list("id", sheet, 1.9)
    assert set(np.bincount(first)) == {3}
    assert distance.mean() == pytest.approx(1.42, abs=0.01)
    assert 0.01 < distance.std() < 0.05  # thermal motion
    assert polygons(sheet) == {6: 120}


def test_the_cell_is_centred_on_the_origin(sheet: Atoms) -> None:
    assert sheet.pbc.tolist() == [True, True, False]
    np.testing.assert_allclose(sheet.positions[:, 2].mean(), 0, atol=1e-9)
    assert (np.abs(sheet.positions[:, :2]) <= sheet.cell.lengths()[:2] / 2).all()
    np.testing.assert_allclose(sheet.positions.mean(axis=0), 0, atol=0.05)


def test_the_potential_has_graphenes_lattice_constant() -> None:
    """2.461 Å, and still flat without compression; as published it would be 2.492 Å."""
    cold = generate(Parameters(n_atoms=96, compression=0, temperature=1, duration=0.5), 1, Workspace())
    assert np.abs(cold.positions[:, 2]).max() < 0.1
    cold.pbc = True  # a barostat wants it
    cold.wrap()
    free = simulate_dynamics(cold, CARBON_TERSOFF, [Stage("press", 2000, 1.0, ensemble="npt")], seed=1)
    np.testing.assert_allclose(free.cell.lengths()[:2] / [4 * np.sqrt(3), 6], 2.461, atol=0.003)


def test_compression_makes_ripples_higher() -> None:
    heights = [
        generate(Parameters(n_atoms=96, compression=c, duration=2.0), 1, Workspace()).positions[:, 2].std()
        for c in (0.0, 0.02, 0.04)
    ]
    assert heights[0] < heights[1] < heights[2]


def test_a_turned_bond_makes_two_pentagons_and_two_heptagons() -> None:
    sheet = generate(Parameters(n_atoms=180, stone_wales=2, duration=1.0), 2, Workspace())
    assert polygons(sheet) == {5: 4, 6: 90 - 8, 7: 4}


def test_a_vacancy_is_an_atom_less() -> None:
    sheet = generate(Parameters(n_atoms=179, vacancies=1, duration=1.0), 2, Workspace())
    assert len(sheet) == 179
    open_ends = Counter(np.bincount(neighbor_list("i", sheet, 1.9)))
    assert open_ends in ({3: 176, 2: 3}, {3: 178, 2: 1})  # two of the three may bond to each other
    assert sum(size == 6 for size in polygons(sheet).elements()) == 90 - 3


def test_frames_are_the_same_sheet_with_other_ripples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parameters = BUCKLED.model_copy(update={"stone_wales": 1})
    work = Workspace(tmp_path)
    frames = graphene_series(parameters, 5, 3, work)
    assert [frame.info["time"] for frame in frames] == [0.0, 1.0, 2.0]
    bonds = [set(zip(*neighbor_list("ij", frame, 1.9), strict=True)) for frame in frames]
    assert bonds[0] == bonds[1] == bonds[2]
    assert np.abs(frames[0].positions - frames[1].positions).max() > 0.1
    again = generate(parameters.model_copy(update={"snapshot": 2}), 5, Workspace())
    np.testing.assert_array_equal(again.positions, frames[2].positions)

    monkeypatch.setattr(graphene, "generate", None)  # finished frames are not made again
    kept = graphene_series(parameters, 5, 3, work)
    np.testing.assert_array_equal(kept[1].positions, frames[1].positions)


def test_the_same_seed_gives_the_same_sheet() -> None:
    one, again = (generate(SMALL, 1, Workspace()) for _ in range(2))
    np.testing.assert_array_equal(one.positions, again.positions)


def test_ripples_of_different_seeds_and_frames_are_independent() -> None:
    """The mean of n independent height maps has 1/√n of the height of one."""
    seeds = [generate(BUCKLED, seed, Workspace()) for seed in range(8)]
    frames = graphene_series(BUCKLED, 100, 8, Workspace())
    for sheets in (seeds, frames):
        heights = np.array([sheet.positions[:, 2] for sheet in sheets])
        assert heights.std(axis=1).min() > 0.2
        ratio = heights.mean(axis=0).std() / np.sqrt(np.mean(heights**2))
        assert 0.1 < ratio < 0.6  # 0.35


@pytest.mark.slow
@pytest.mark.parametrize("name", ["graphene-640", "graphene-747"])
def test_several_seeds_lie_in_their_ranges(name: str) -> None:
    for seed in (11, 12, 13):
        card = load_structure(f"{name}[seed={seed}]")
        rows = validate(make_structure(card.recipe), card)
        assert {"bond_length", "coordination", "rings[6]", "ripple_rms", "ripple_slope"} <= {
            row.quantity for row in rows
        }
        assert all(row.within for row in rows), [(row.quantity, row.value) for row in rows if not row.within]


@pytest.mark.slow
def test_a_free_sheet_ripples_as_a_harmonic_membrane() -> None:
    """⟨h²(q)⟩ ∝ q⁻⁴ beyond q = 0.24/Å (Fasolino, Los and Katsnelson, Nature Materials 6, 858 (2007))."""
    free = Parameters(n_atoms=640, compression=0, duration=10)
    sheets = graphene_series(free, 1, 6, Workspace())
    edges = sheets[0].cell.lengths()[:2]
    waves = np.array([(i, j) for i in range(7) for j in range(-6, 7) if i > 0 or j > 0]) * 2 * np.pi / edges
    power = np.mean(
        [
            np.abs(np.exp(-1j * sheet.positions[:, :2] @ waves.T).T @ sheet.positions[:, 2]) ** 2
            for sheet in sheets
        ],
        axis=0,
    )
    length = np.linalg.norm(waves, axis=1)
    chosen = (length > 0.24) & (length < 0.8)
    slope = np.polyfit(np.log(length[chosen]), np.log(power[chosen]), 1)[0]
    assert slope == pytest.approx(-4, abs=0.5)


@given(n_x=st.integers(4, 30), n_y=st.integers(4, 30))
def test_a_supercell_has_its_sites_and_is_nearly_square(n_x: int, n_y: int) -> None:
    n_sites = 4 * n_x * n_y
    try:
        found = supercell(n_sites)
    except InputError:
        assert not 1 / 1.5 < np.sqrt(3) * n_x / n_y < 1.5
    else:
        assert 4 * found[0] * found[1] == n_sites
        assert 1 / 1.5 < np.sqrt(3) * found[0] / found[1] < 1.5


def test_the_papers_sheet_is_10_by_16_cells() -> None:
    assert supercell(640) == (10, 16)


def test_what_cannot_be_made_is_said() -> None:
    with pytest.raises(InputError, match=r"747 sites.*748 and 756"):
        generate(Parameters(n_atoms=747), 0, Workspace())
    with pytest.raises(InputError, match="found room"):
        generate(Parameters(n_atoms=96, stone_wales=40), 0, Workspace())
    with pytest.raises(InputError, match="compression"):
        make_structure(StructureRecipe(generator="graphene", parameters={"compression": 0.5}))
