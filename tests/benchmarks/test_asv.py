"""asv finds the suite and can run it; what it tracks is lower when better, repeatable, and has a unit."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def asv(*arguments, home):
    """Run asv as a user does, with its machine file in `home`."""
    done = subprocess.run(
        [sys.executable, "-m", "asv", *arguments],
        cwd=ROOT,
        env=os.environ | {"HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    """The benchmarks as asv discovers them in this environment, by name."""
    listing = tmp_path_factory.mktemp("asv") / "benchmarks.json"
    runner = Path(importlib.import_module("asv.benchmark").__file__)
    subprocess.run(
        [sys.executable, runner, "discover", ROOT / "benchmarks" / "asv", listing],
        cwd=listing.parent,
        check=True,
    )
    return {benchmark["name"]: benchmark for benchmark in json.loads(listing.read_text())}


def test_asv_finds_no_fault_in_the_suite(tmp_path):
    assert "No problems found" in asv("check", "--python=same", home=tmp_path)


def test_the_suite_covers_what_it_is_for(suite):
    timed = {name.rpartition("time_")[2] for name in suite if ".time_" in name}
    assert {"image", "resire_iteration", "forward", "adjoint", "trace", "match", "generate"} <= timed
    assert "tomography.Tomography.peakmem_resire" in suite
    assert {"accuracy.Accuracy.track_rmsd", "accuracy.Accuracy.track_tracing_error"} <= set(suite)


def test_tracked_numbers_are_errors_with_units(suite):
    tracked = {name: benchmark for name, benchmark in suite.items() if benchmark["type"] == "track"}
    assert tracked
    for name, benchmark in tracked.items():
        assert benchmark["unit"] in ("pm", "%"), name
        assert not any(word in name for word in ("recall", "precision", "accuracy_", "found")), name


def test_everything_runs_on_one_thread():
    code = (
        "import sys; sys.path.insert(0, 'benchmarks'); import asv, asv.tomography as t, numba, torch; "
        "t.Tomography().setup('single axis'); print(torch.get_num_threads(), numba.get_num_threads())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "1"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_quick_run_passes_and_repeats(tmp_path):
    asv("machine", "--yes", home=tmp_path)
    runs = [asv("run", "--python=same", "--quick", "-b", "track", home=tmp_path) for _ in range(2)]
    assert "failed" not in runs[0]
    assert "n/a" not in runs[0]
    assert runs[0].splitlines()[3:] == runs[1].splitlines()[3:]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_benchmark_passes_quickly(tmp_path):
    asv("machine", "--yes", home=tmp_path)
    output = asv("run", "--python=same", "--quick", "-b", "time|peakmem", home=tmp_path)
    assert "failed" not in output
