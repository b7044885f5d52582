"""The summary table: failures are counted, and n is said."""

import math

import numpy as np
import pytest
from scipy import stats

from benchmarks.cells import Cell, CellResult
from benchmarks.results import build_dataset, modality_of
from benchmarks.summary import mean_interval, summary
from recon.base import Status

SCORES = {
    "recall": 0.9,
    "precision": 0.8,
    "rmsd": 20.0,
    "tracing_error": 0.3,
    "classification": 0.85,
    "n_truth": 100.0,
    "n_matched": 90.0,
}
NOTHING = dict.fromkeys(SCORES, 0.0) | {"rmsd": math.nan, "tracing_error": 1.0, "n_truth": 100.0}


def result(replicate: int, status: Status, scores: dict[str, float], dose: float = 1e3) -> CellResult:
    cell = Cell("cuau-150", "key", dose, replicate, "resire", "resire")
    info = {"base": "cuau-150", "engine": "linear"}
    cost = {"seconds": 2.0 + replicate, "peak_memory": 1e8}
    return CellResult(cell, status, "", None, scores, {}, {}, info, cost)


def test_a_failure_is_in_the_mean() -> None:
    cells = [result(r, Status.OK, SCORES) for r in range(3)] + [result(3, Status.TIMEOUT, NOTHING)]
    row = summary(build_dataset(cells)).iloc[0]
    assert row["recall"] == pytest.approx(0.75 * 0.9)
    assert row["tracing_error"] == pytest.approx(0.75 * 0.3 + 0.25)
    assert row["recall_n"] == 4
    assert (row["rmsd"], row["rmsd_n"]) == (20, 3)
    assert (row["cells"], row["failures"], row["reasons"]) == (4, 1, "timeout")
    assert (row["n_truth"], row["n_matched"]) == (100, 67.5)
    assert (row["seconds"], row["peak_memory"], row["engine"]) == (3.5, 1e8, "linear")


def test_a_failure_cannot_score() -> None:
    """Even if a failed cell came with scores, the failure value stands."""
    data = build_dataset([result(0, Status.ERROR, SCORES)])
    assert data["recall"].item() == 0
    assert data["tracing_error"].item() == 1


def test_a_cell_that_was_not_run_is_no_failure() -> None:
    cells = [
        result(0, Status.OK, SCORES),
        result(1, Status.OK, SCORES, 1e4),
        result(0, Status.OK, SCORES, 1e4),
    ]
    table = summary(build_dataset(cells)).set_index("dose")
    assert list(table["cells"]) == [1, 2]
    assert list(table["failures"]) == [0, 0]


def test_the_interval_is_students() -> None:
    values = np.array([0.5, 0.6, 0.55, 0.62])
    mean, low, high, n = mean_interval(values)
    expected = stats.t.interval(0.95, 3, loc=values.mean(), scale=stats.sem(values))
    assert (mean, n) == (values.mean(), 4)
    assert (low, high) == pytest.approx(expected)


def test_the_interval_stays_in_range() -> None:
    mean, low, high, _ = mean_interval(np.array([0.5, 1.0]), 0, 1)
    assert (mean, low, high) == (0.75, 0, 1)
    assert all(map(math.isnan, mean_interval(np.array([0.5]))[1:3]))
    assert math.isnan(mean_interval(np.array([math.nan]))[0])


def test_the_interval_covers() -> None:
    """Normal replicates, three at a time: 95 % of the intervals hold the true mean."""
    rng = np.random.default_rng(0)
    draws = rng.normal(10, 2, (1000, 3))
    covered = [low <= 10 <= high for _, low, high, _ in map(mean_interval, draws)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.03)


SHEET = {"sheet_recall": 1.0, "sheet_precision": 0.5, "x_rmsd": 4.0, "y_rmsd": 5.0, "z_rmsd": 30.0}


def sheet(dose: float, modality: str = "hrtem") -> CellResult:
    cell = Cell("graphene-240", "key", dose, 0, "multislice-map", "multislice-map")
    info = {"base": "graphene-240", "engine": "abtem", "modality": modality}
    return CellResult(cell, Status.OK, "", None, {**SCORES, **SHEET}, {}, {}, info, {"seconds": 1.0})


@pytest.mark.parametrize("modality", ["hrtem", ""])
def test_a_frame_is_summed_up_by_its_pairs_in_the_plane(modality: str) -> None:
    data = build_dataset([sheet(8e3, modality)])
    assert modality_of(data, "graphene-240") == "hrtem"
    row = summary(data).iloc[0]
    assert (row["sheet_recall"], row["z_rmsd"]) == (1, 30)
    assert "recall" not in row
    assert "recall" in summary(build_dataset([result(0, Status.OK, SCORES)])).iloc[0]
    both = summary(build_dataset([sheet(8e3, modality), result(0, Status.OK, SCORES)]))
    assert {"recall", "sheet_recall"} <= set(both)
    assert both.set_index("dataset").loc["cuau-150"].isna()["sheet_recall"]
