"""The page of the paper's figures, the command that writes it, and what either says is missing."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from benchmarks.grid import run
from benchmarks.preset import PresetCard
from datasets.errors import StoreError
from dosebench.cli import main
from reports import paper
from reports.figures import style
from reports.figures.plate import Plate
from reports.paper import Paper, write_paper

DOSE = 1.7e4
"""e⁻/Å²: the paper's for Co–Pd–Pt, and within rounding its 1.6e4."""
SIRT = "sirt[n_iter=20]"
KEYS = ("fig-1-si-208", "fig-2", "fig-3", "fig-4", "extended-fig-5", "extended-fig-6", "extended-fig-7")


@pytest.fixture(scope="module")
def written(root: Path, cache: Path, plates: dict[str, Plate]) -> Paper:
    """The page, with the reconstructions of `plates`."""
    out = root / "out"
    out.mkdir()
    shutil.copytree(cache, out / paper.CACHE)
    return write_paper("003", root / "results", out, data_root=str(root / "data"))


@pytest.mark.slow
def test_each_figure_lies_beside_the_page(written: Paper, plates: dict[str, Plate]) -> None:
    folder = written.page.parent / "figures"
    assert {path.stem for path in folder.glob("*.*")} == {*KEYS, "captions"}
    captions = (folder / "captions.md").read_text(encoding="utf-8")
    for key in KEYS:
        with Image.open(folder / f"{key}.png") as image:
            assert image.width / 300 == pytest.approx(style.PAGE, abs=0.01)
            assert image.info["Description"] == f"{plates[key].title}. {plates[key].caption}"
        assert f"**{key}: {plates[key].title}.** {plates[key].caption}" in captions
        assert (folder / f"{key}.pdf").read_bytes().startswith(b"%PDF")
        assert b"<svg" in (folder / f"{key}.svg").read_bytes()[:600]
    numbers = (written.page.parent / "numbers.csv").read_text(encoding="utf-8").splitlines()
    assert numbers[0].startswith("figure,,Species,Atoms,Rule,Identified (%)")
    assert any(line.startswith("extended-fig-7,SIRT,Co,,") and "85.8" in line for line in numbers)
    assert written.missing == ()


@pytest.mark.slow
def test_the_page_stands_alone(written: Paper) -> None:
    page = written.page.read_text(encoding="utf-8")
    sources = re.findall(r'(?:src|srcset)="([^"]*)"', page)
    assert len(sources) == 2 * len(KEYS)
    assert all(source.startswith("data:image/svg+xml;base64,") for source in sources)
    assert not re.search(r"(?:src|href)=[\"'](?:https?:|//|/)", page)
    assert "<script" not in page
    assert "7 figures of paper 003 drawn from our own results." in page
    for key in KEYS:
        assert f'id="{key}"' in page
    assert len(page) < 6e6


@pytest.fixture(scope="module")
def silicon_only(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results that hold nothing but the silicon particle."""
    folder = tmp_path_factory.mktemp("silicon") / "results"
    shutil.copytree(root / "results", folder)
    for path in (folder / "cells").glob("*.json"):
        if json.loads(path.read_text())["cell"]["dataset"] != "si-tiny":
            path.unlink()
            path.with_suffix(".npz").unlink()
    return folder


def test_what_is_missing_is_said_and_the_rest_is_drawn(silicon_only: Path, tmp_path: Path) -> None:
    done = write_paper("003", silicon_only, data_root=str(tmp_path / "nowhere"))
    assert done.page == silicon_only / "paper-003" / "index.html"
    assert done.figures == ("Fig. 1: amorphous silicon of 40 atoms",)
    assert done.missing[0].startswith("Fig. 2: No Si–Ge–Sn particle")
    assert [m.partition(":")[0] for m in done.missing[:6]] == [
        "Fig. 2",
        "Fig. 3",
        "Fig. 4",
        *(f"Extended Data Fig. {n}" for n in (5, 6, 7)),
    ]
    page = done.page.read_text(encoding="utf-8")
    assert "the counts of si-tiny at 17000 e⁻/Å² are not below" in page
    assert "No Co–Pd–Pt series with wrong tilt angles" in page
    sources = re.findall(r'(?:src|srcset)="([^"]*)"', page)
    assert len(sources) == 2
    assert all(source.startswith("data:image/svg+xml;base64,") for source in sources)
    assert {path.name for path in (silicon_only / "paper-003" / "figures").iterdir()} == {
        "captions.md",
        *(f"fig-1-si-208.{end}" for end in ("png", "svg", "pdf")),
    }
    with pytest.raises(StoreError, match="no results here"):
        write_paper("003", tmp_path / "nothing")


def test_the_command_draws_from_results_or_runs_its_preset(
    root: Path, silicon_only: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["paper", "003", "--data", str(root / "data"), "--quiet"]
    done = CliRunner().invoke(main, [*arguments, "--results", str(silicon_only), "--out", "drawn"])
    assert done.exit_code == 0, done.output
    assert "paper 003: drawn/index.html" in done.output
    assert list(Path("drawn", paper.CACHE).glob("*.npz")) != []
    preset = PresetCard(
        name="mine",
        title="The command's own",
        datasets=(str(root / "si-tiny.yaml"),),
        doses=(DOSE,),
        controls=("oracle",),
        reconstructors=("fbp",),
    )
    (tmp_path / "mine.yaml").write_text(preset.to_yaml())
    monkeypatch.setitem(paper.PAPERS, "003", replace(paper.PAPERS["003"], presets={"small": ("mine.yaml",)}))
    from benchmarks import grid

    monkeypatch.setattr(grid, "run", lambda *given, **named: run(*given, **named, n_workers=0))
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert "paper 003: results/mine/paper-003/index.html" in done.output
    assert "Extended Data Fig. 7: No Co–Pd–Pt series" in done.output
    assert (tmp_path / "results" / "mine" / "results.csv").exists()
    assert CliRunner().invoke(main, ["paper", "005"]).exit_code == 2
    refused = CliRunner().invoke(main, ["paper", "003", "--results", "nowhere"])
    assert refused.exit_code == 2
    assert "no results here" in refused.output
