"""Where particles, dents, voids, films and sheets end."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, graphene

from datasets.errors import InputError
from datasets.structures.analysis.surface import SMALLEST_CORE, find_surface


def cubic_points(n: int, spacing: float = 2.5) -> Atoms:
    """n × n × n points about the origin, moved by a hair off the lattice."""
    axis = (np.arange(n) - (n - 1) / 2) * spacing
    points = np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(-1, 3)
    return Atoms(f"Cu{n**3}", points + np.random.default_rng(0).normal(scale=1e-4, size=points.shape))


def test_depth_in_a_cube_is_the_distance_to_its_nearest_face() -> None:
    atoms = cubic_points(9)
    depth = 10.0 - np.abs(atoms.positions).max(axis=1)
    surface = find_surface(atoms)
    measured = np.where(np.isinf(surface.depth), depth, surface.depth)
    np.testing.assert_allclose(measured, depth, atol=0.2)
    np.testing.assert_array_equal(surface.outermost, depth < 0.1)


def test_the_part_of_a_sphere_inside_a_half_space_is_known() -> None:
    """A cap of height r − d is outside: a fraction (1 − d / r) / 2."""
    atoms = cubic_points(15)
    surface = find_surface(atoms)
    near_one_face = (np.abs(surface.depth - 5) < 0.3) & (np.sort(np.abs(atoms.positions), axis=1)[:, 1] < 7.6)
    radii = np.array([4.0, 6.0, 8.0])
    fraction = surface.inside_fraction(atoms, near_one_face, radii, skin=0.0)
    np.testing.assert_allclose(fraction, 1 - np.maximum(1 - 5 / radii, 0) / 2, atol=0.03)


def test_a_closed_void_is_no_surface_and_a_dent_is() -> None:
    atoms = cubic_points(11)
    hollow = atoms[np.linalg.norm(atoms.positions, axis=1) > 6]
    assert find_surface(hollow).depth[np.linalg.norm(hollow.positions, axis=1) < 7].min() > 4
    dent = (np.abs(atoms.positions[:, :2]).max(axis=1) < 6.3) & (atoms.positions[:, 2] > -1)
    dented = atoms[~dent]
    below = np.linalg.norm(dented.positions - [0, 0, -2.5], axis=1) < 0.1
    assert find_surface(dented).depth[below].max() < 0.2


def test_bulk_and_sheets_have_no_surface_to_avoid() -> None:
    assert find_surface(bulk("Cu", cubic=True)).core().all()
    sheet = graphene(size=(6, 6, 1), vacuum=5)
    sheet.pbc = (True, True, False)
    assert find_surface(sheet).core().all()
    assert find_surface(sheet).is_sheet
    flake = Atoms(sheet.numbers, sheet.positions)
    core = find_surface(flake).core()
    assert 0 < core.sum() < len(flake)


def test_a_film_ends_along_one_axis_only() -> None:
    film = bulk("Cu", cubic=True) * (4, 4, 8)
    film.pbc = (True, True, False)
    surface = find_surface(film)
    heights = film.positions[:, 2]
    depth = np.minimum(heights - heights.min(), heights.max() - heights)
    near = np.isfinite(surface.depth)
    np.testing.assert_allclose(surface.depth[near], depth[near], atol=0.25)


def test_a_small_core_is_the_deepest_atoms() -> None:
    surface = find_surface(cubic_points(6))
    core = surface.core()
    assert 8 <= core.sum() <= SMALLEST_CORE + 34  # ties of the cube
    assert surface.depth[core].min() >= surface.depth[~core].max()
    with pytest.raises(InputError, match="no core"):
        find_surface(cubic_points(2)).core()
