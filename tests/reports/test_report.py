"""The report is written whole or not at all, and the same results give the same files."""

import json
import os
from pathlib import Path

import pytest

from datasets.errors import InputError
from reports.payload import Payload, plain
from reports.report import DATA, PAGE, write_report


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_results_give_the_same_files_and_old_ones_go(
    results: Path, report: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    (out / "figures").mkdir(parents=True)
    (out / "figures" / "stale.png").write_text("old")
    (out / PAGE).write_text("old")
    (out / "notes.txt").write_text("the user's own")
    assert write_report(str(results), str(out)) == out / PAGE
    assert (out / "notes.txt").read_text() == "the user's own"
    (out / "notes.txt").unlink()
    assert _contents(out) == _contents(report.parent)


def test_what_it_shows_lies_beside_it_as_data(report: Path, payload: Payload) -> None:
    assert json.loads((report.parent / DATA).read_text(encoding="utf-8")) == json.loads(
        json.dumps(plain(payload))
    )


def test_it_goes_beside_the_results_by_default(results: Path) -> None:
    assert write_report(results) == results / "report" / PAGE


def test_without_results_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no results here"):
        write_report(tmp_path / "nowhere", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_is_a_file_is_one_sentence(results: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("a file")
    with pytest.raises(InputError, match="the report cannot be written there"):
        write_report(results, out)
    assert out.read_text() == "a file"


def test_an_earlier_report_survives_a_failure(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_report(results, tmp_path / "out")
    before = _contents(tmp_path / "out")

    def full(source: str, target: str) -> None:
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_report(results, tmp_path / "out")
    assert _contents(tmp_path / "out") == before
