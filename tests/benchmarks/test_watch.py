"""The watch over a cell, and what is noted of where it ran."""

import contextlib
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks import provenance
from benchmarks.watch import CellTimeout, Watch


def test_time_and_memory() -> None:
    """A block that holds 200 MB more for a while, and sleeps for a fifth of a second."""
    with Watch(60) as idle:
        pass
    with Watch(60) as watch:
        held = np.ones(25_000_000)
        time.sleep(0.2)
        del held
    assert 0.2 <= watch.seconds < 5
    assert watch.peak_memory > idle.peak_memory + 1.5e8


def test_a_block_past_its_limit_is_interrupted() -> None:
    def work_for_ever() -> None:
        while True:
            sum(range(1000))

    start = time.monotonic()
    with pytest.raises(CellTimeout), Watch(0.2):
        work_for_ever()
    assert time.monotonic() - start < 5


def test_nothing_is_raised_after_the_block() -> None:
    """Blocks that end about when their time does: either the block is interrupted, or nothing is."""
    ended = 0
    for _ in range(20):
        with contextlib.suppress(CellTimeout), Watch(0.05):
            time.sleep(0.05)
        sum(range(20_000))  # where a late interruption would strike
        ended += 1
    assert ended == 20


def test_a_deaf_block_and_a_greedy_one_are_reported() -> None:
    """One long call that does not come back to Python, and memory beyond the limit."""
    hung, large = threading.Event(), threading.Event()
    with pytest.raises(CellTimeout), Watch(0.1, grace=0.2, on_hang=hung.set):
        time.sleep(0.8)
    assert hung.is_set()
    with Watch(60, memory_limit=1e6, on_memory=large.set):
        time.sleep(0.3)
    assert large.is_set()


def test_software() -> None:
    noted = provenance.software()
    assert noted["packages"]["numpy"] == np.__version__
    assert noted["python"] == ".".join(map(str, sys.version_info[:3]))
    assert set(noted["packages"]) == set(provenance.PACKAGES)


def test_the_commit_is_that_of_this_code() -> None:
    folder = Path(provenance.__file__).parent
    try:
        command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
        head = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        pytest.skip("not a git checkout")
    provenance.software.cache_clear()
    git = provenance.software()["git"]
    assert re.fullmatch("[0-9a-f]{40}", git["commit"])
    assert git["commit"] == head
    assert isinstance(git["dirty"], bool)


def test_no_commit_without_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed into an environment that lies in somebody else's checkout, theirs is not ours."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / "provenance.py").touch()
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "provenance.py"))
    provenance.software.cache_clear()
    try:
        assert provenance.software()["git"] is None
    finally:
        provenance.software.cache_clear()


def test_hardware() -> None:
    noted = provenance.hardware()
    assert noted["cpu"]
    assert noted["cores"] >= 1
    assert isinstance(noted["gpu"], list)
