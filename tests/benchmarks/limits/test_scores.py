"""Scores as a ratio to the bound: what a grid makes of it, and what it does when a limit comes later."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from benchmarks.grid import run
from benchmarks.limits.limit import Limit
from benchmarks.limits.stored import limit_url, stored_limit
from benchmarks.metrics import score
from benchmarks.preset import PresetCard
from benchmarks.summary import summary
from datasets.catalog import load_dataset
from datasets.store import DatasetStore


def test_the_ratio_is_to_the_bound_of_the_atoms_that_were_found() -> None:
    """The easy atom alone is found, 5 pm off; its own bound is 5 pm, that of all three is larger."""
    truth = Atoms("AuCu2", positions=[[0, 0, 0], [0, 0, 4.0], [0, 0, 8.0]])
    variance = np.array([5.0, 10.0, 10.0]) ** 2 / 1e4
    limit = Limit(1e3, "positions", tuple(truth.symbols), variance, np.zeros((3, 3)), 0.0)
    off = 0.05 * np.array([[1, 0, 0], [-1, 0, 0]])
    answer = Atoms("Au2", positions=truth.positions[[0, 0]] + [[0, 0, 0], [0, 0, 4.0]] + off)
    scores = score(answer, truth, limit=limit)
    assert scores["rmsd_limit"] == pytest.approx(math.sqrt(75))
    assert scores["rmsd_over_limit"] == pytest.approx(5 / math.sqrt(62.5))
    assert "rmsd_limit" not in score(answer, truth)
    drowned = Limit(1e3, "positions", tuple(truth.symbols), 0 * variance + 1, np.zeros((3, 3)), 0.0)
    assert math.isnan(score(answer, truth, limit=drowned)["rmsd_over_limit"])
    assert math.isnan(score(Atoms(), truth, limit=limit)["rmsd_over_limit"])


def test_a_grid_knows_the_bound_and_scores_again_when_it_changes(
    card_path: str, tiny_store: DatasetStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = str(tmp_path / "data")
    shutil.copytree(tiny_store.root, root)
    store = DatasetStore(load_dataset(card_path), root)
    shutil.rmtree(Path(limit_url(store, 1e5)).parent, ignore_errors=True)
    preset = PresetCard(name="tiny", title="A tiny grid", datasets=(card_path,), replicates=1, doses=(1e5,))

    def results() -> float:
        data = run(preset, results=str(tmp_path / "results"), data_root=root, n_workers=0, progress=False)
        if "rmsd_over_limit" not in data:
            return math.nan
        limit = stored_limit(store, 1e5)
        assert limit is not None
        table = summary(data).set_index("reconstructor")
        assert table.loc["oracle", "rmsd_over_limit"] == 0
        assert float(data["rmsd_limit"].max()) == pytest.approx(limit.bound())
        return float(data["rmsd_over_limit"].sel(reconstructor="random").squeeze())

    monkeypatch.setattr("benchmarks.limits.stored.MOST_ATOMS", {"adf": 10})
    assert math.isnan(results())
    monkeypatch.undo()
    assert results() > 5
