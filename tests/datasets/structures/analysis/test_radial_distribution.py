"""g(r) of a particle is that of the bulk; peaks where geometry puts them; density by Voronoi cells."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from datasets.errors import InputError
from datasets.structures.analysis.analysis import Analysis
from datasets.structures.analysis.density import mass_density, voronoi_volumes

Cut = Callable[[Atoms, int], Atoms]
Shake = Callable[[Atoms, float], Atoms]


def test_a_cut_silicon_sphere_is_bulk_silicon(cut_sphere: Cut, silicon: Atoms) -> None:
    analysis = Analysis(cut_sphere(silicon, 5000))
    assert mass_density(analysis.atoms, analysis.core) == pytest.approx(2.329, rel=1e-3)
    whole = analysis.radial_distribution()
    assert whole.first_peak == pytest.approx(5.431 * np.sqrt(3) / 4, abs=0.01)
    assert whole.second_peak == pytest.approx(5.431 / np.sqrt(2), abs=0.01)
    assert 2.6 < analysis.cutoff < 3.6


def test_g_of_a_particle_agrees_with_g_of_the_bulk(cut_sphere: Cut, shaken: Shake, silicon: Atoms) -> None:
    """The finite-size correction: a tenth of the pairs at 10 Å would be missing without it."""
    crystal = shaken(silicon, 0.15)
    bulk_g = Analysis(crystal).radial_distribution().smooth(0.3)
    analysis = Analysis(cut_sphere(crystal, 1500))
    particle = analysis.radial_distribution().smooth(0.3)
    far = slice(300, 950)
    assert np.abs(particle[far] - bulk_g[far]).mean() < 0.03
    assert particle[600:950].mean() == pytest.approx(bulk_g[600:950].mean(), abs=0.02)


def test_partial_distributions_of_rock_salt() -> None:
    analysis = Analysis(bulk("BaO", "rocksalt", 5.54, cubic=True) * (4, 4, 4))
    assert analysis.radial_distribution("Ba", "O").first_peak == pytest.approx(2.77, abs=0.01)
    assert analysis.radial_distribution("O", "Ba") is analysis.radial_distribution("Ba", "O")
    assert analysis.radial_distribution("Ba", "Ba").first_peak == pytest.approx(5.54 / np.sqrt(2), abs=0.01)
    with pytest.raises(InputError, match="unknown element 'Sr'"):
        analysis.radial_distribution("Sr", "O")


def test_random_points_have_g_of_one() -> None:
    rng = np.random.default_rng(0)
    atoms = Atoms("C4000", rng.uniform(0, 40, (4000, 3)), cell=[40] * 3, pbc=True)
    np.testing.assert_allclose(Analysis(atoms).radial_distribution().smooth(0.3)[200:900], 1, atol=0.05)


def test_voronoi_cells_fill_space(shaken: Shake, silicon: Atoms) -> None:
    atoms = shaken(bulk("Si", "diamond", 5.431, cubic=True) * (3, 3, 3), 0.2)
    volumes = voronoi_volumes(atoms, np.ones(len(atoms), dtype=bool))
    assert volumes.sum() == pytest.approx(atoms.cell.volume, rel=1e-9)
