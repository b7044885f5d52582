"""Processes that die: a cell's worker, and the whole run by `kill -9`."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest
import xarray as xr
from distributed import LocalCluster

from benchmarks.cells import load_cells
from benchmarks.cluster import run_on_cluster
from benchmarks.controls import CONTROLS
from benchmarks.grid import Grid, run, tasks_of
from benchmarks.results import status_codes
from datasets.errors import InputError
from recon.base import Status

HERE = Path(__file__).parent
COST = ["seconds", "peak_memory"]


def test_the_same_here_and_on_two_workers(preset, data_root, tmp_path) -> None:
    """Exactly, for what counts one by one; to rounding, for a tomogram with another number of threads."""
    names = ["grid_methods:Fingerprint", "fbp"]
    options = {"data_root": data_root, "reconstructors": names, "progress": False}
    here = run(preset, results=str(tmp_path / "here"), n_workers=0, **options).drop_vars(COST)
    environment = dict(os.environ)
    there = run(preset, results=str(tmp_path / "there"), n_workers=2, **options).drop_vars(COST)
    assert dict(os.environ) == environment  # Numba refuses to go on where its variables changed
    exact = ["fingerprint", *CONTROLS]
    xr.testing.assert_identical(here.sel(reconstructor=exact), there.sel(reconstructor=exact))
    xr.testing.assert_allclose(here, there, rtol=1e-3)
    assert (here["recall"].sel(reconstructor="fbp", dose=1e5) > 0.5).all()
    assert {r.provenance["threads"] for r in load_cells(str(tmp_path / "there"))} == {1}


def test_a_cell_that_kills_its_worker(preset, data_root, tmp_path) -> None:
    """It is begun again a few times, recorded as failed, and the others are done."""
    data = run(
        preset.model_copy(update={"controls": ("oracle",), "doses": (1e3,), "replicates": 1}),
        results=str(tmp_path),
        data_root=data_root,
        reconstructors=["grid_methods:Odd[how=die]", "grid_methods:Fingerprint"],
        n_workers=2,
        progress=False,
    )
    codes = status_codes()
    assert (data["status"].sel(reconstructor="odd[how=die]") == codes[Status.ERROR]).all()
    assert (data["status"].sel(reconstructor=["oracle", "fingerprint"]) == codes[Status.OK]).all()
    messages = [r.message for r in load_cells(str(tmp_path)) if r.failed]
    assert len(messages) == 1
    assert "worker process died 3 times" in messages[0]


def test_a_cell_that_does_not_yield(preset, data_root, tmp_path) -> None:
    """Its process is ended, it is a timeout, and it is not begun a second time."""
    small = preset.model_copy(
        update={"controls": ("oracle",), "doses": (1e3,), "replicates": 1, "time_limit": 0.5}
    )
    grid = Grid.of(small, ["grid_methods:Odd[how=deaf]"])
    tasks = [replace(task, grace=0.5) for task in tasks_of(grid, str(tmp_path), data_root)]
    start = time.monotonic()
    ended = {task.cell.method: status for task, status in run_on_cluster(tasks, None, 1)}
    assert ended == {"odd": Status.TIMEOUT, "oracle": Status.OK}
    assert time.monotonic() - start < 60
    (deaf,) = (r for r in load_cells(str(tmp_path)) if r.cell.method == "odd")
    assert "did not yield" in deaf.message


def test_a_cell_that_holds_too_much(preset, data_root, tmp_path) -> None:
    """Its process is ended before the machine's memory is; it is not begun a second time."""
    small = preset.model_copy(update={"controls": ("oracle",), "doses": (1e3,), "replicates": 1})
    grid = Grid.of(small, ["grid_methods:Odd[how=hungry]"])
    limit = 0.7 * 2**30
    tasks = [replace(task, memory_limit=limit) for task in tasks_of(grid, str(tmp_path), data_root)]
    ended = {task.cell.method: status for task, status in run_on_cluster(tasks, None, 1)}
    assert ended == {"odd": Status.OUT_OF_MEMORY, "oracle": Status.OK}
    (hungry,) = (r for r in load_cells(str(tmp_path)) if r.cell.method == "odd")
    assert "more than its 0.7 GiB" in hungry.message
    assert limit < hungry.provenance["peak_memory"] < 1.5 * limit


def test_no_scheduler_there(preset, data_root, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.cluster._START_TIMEOUT", 1)
    with pytest.raises(InputError, match=r"scheduler 'tcp://127\.0\.0\.1:9': no worker answers"):
        run(
            preset,
            results=str(tmp_path),
            data_root=data_root,
            reconstructors=["grid_methods:Twin"],
            scheduler="tcp://127.0.0.1:9",
        )


def test_on_a_cluster_that_already_runs(preset, data_root, tmp_path) -> None:
    """It is used, and left running."""
    with LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0") as cluster:
        data = run(
            preset,
            results=str(tmp_path),
            data_root=data_root,
            reconstructors=["grid_methods:Twin"],
            scheduler=cluster.scheduler_address,
            progress=False,
        )
        assert len(cluster.scheduler.workers) == 1
    assert (data["status"].sel(reconstructor="twin") == status_codes()[Status.OK]).all()
    assert len(load_cells(str(tmp_path))) == 20


def test_killed_and_resumed(card_path, data_root, tmp_path) -> None:
    """`kill -9` in the middle: what was done stays done, and the second run does just the rest.

    The reconstructor is defined in a script that does not guard its main part.
    """
    log, results = tmp_path / "log", tmp_path / "results"
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import sys
            sys.path.insert(0, {str(HERE)!r})
            from benchmarks.grid import run
            from benchmarks.preset import PresetCard
            from grid_methods import Fingerprint

            class Mine(Fingerprint):
                name = "mine"

            preset = PresetCard(
                name="tiny", title="t", datasets=({card_path!r},), replicates=2, doses=(1e3, 1e4, 1e5),
                controls=("oracle", "random"),
            )
            run(
                preset,
                results={str(results)!r},
                data_root={data_root!r},
                reconstructors=[Mine(seconds=0.5, log={str(log)!r})],
                n_workers=2,
            )
            """
        )
    )
    first = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 90
    while len(list(results.glob("cells/*.json"))) < 7:
        assert first.poll() is None, first.stderr.read() if first.stderr else ""
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    if first.stderr:
        first.stderr.close()
    time.sleep(1.0)  # the workers see that their parent is gone
    done = {path.stem: path.read_bytes() for path in results.glob("cells/*.json")}
    ran = log.read_text().count("ran")
    assert 7 <= len(done) < 18
    assert not (results / "results.zarr").exists()

    second = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=90)
    assert second.returncode == 0, second.stderr
    assert second.stderr == ""
    after = {path.stem: path.read_bytes() for path in results.glob("cells/*.json")}
    assert len(after) == 18
    assert {key: after[key] for key in done} == done
    unfinished = 6 - sum(1 for r in done.values() if b'"method": "mine"' in r)
    assert log.read_text().count("ran") == ran + unfinished
    assert (results / "results.csv").read_text().count("\n") == 19
