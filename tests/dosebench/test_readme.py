"""What the README shows works as it stands there."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from click.testing import CliRunner

import dosebench
from datasets.catalog import load_dataset
from datasets.formats import write_atoms
from datasets.store import DatasetStore
from dosebench.cli import main

README = Path(__file__).parents[2] / "README.md"


def blocks(language: str) -> list[str]:
    """The code blocks of the README in one language."""
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_the_example_reconstructor_runs(folder: Path, tiny_store: DatasetStore) -> None:
    example = next(block for block in blocks("python") if "class " in block)
    assert len([line for line in example.splitlines() if line]) <= 10
    (folder / "mine.py").write_text(example)
    measurement = tiny_store.measurement(1e5, 0)
    try:
        answer = dosebench.reconstruct(measurement, "mine:Patient[n_iter=5]")
    finally:
        sys.modules.pop("mine", None)
    assert len(answer.atoms) > 0
    assert "mine:Patient[n_iter=100]" in README.read_text(encoding="utf-8")


def test_the_example_data_imports(folder: Path, tiny_store: DatasetStore) -> None:
    example = next(block for block in blocks("python") if "np.savez" in block)
    assert len(example.strip().splitlines()) <= 5
    data = tiny_store.measurement(1e5, 0)
    np.save("stack.npy", data["counts"].values)
    np.savetxt("angles.txt", data["theta"].values)
    exec(compile(example, str(README), "exec"), {})
    result = CliRunner().invoke(main, ["import", "series.npz", "--out", "m.zarr"])
    assert result.exit_code == 0, result.output
    assert (folder / "m.zarr").is_dir()


def test_the_example_patterns_import(folder: Path) -> None:
    """Patterns of a bright disc, as many electrons as the example's dose brings."""
    example = next(block for block in blocks("python") if "reciprocal_pixel_size" in block)
    assert len(example.strip().splitlines()) <= 5
    rows, columns = np.indices((64, 64))
    disc = np.clip(27.9 - np.hypot(rows - 31.5, columns - 33.0), 0, 1)
    expected = np.broadcast_to(1e3 * 1.6**2 * disc / disc.sum(), (3, 4, 64, 64))
    for tilt in range(20):
        counts = np.random.default_rng(tilt).poisson(expected).astype(np.uint8)
        np.save(f"tilt_{tilt:02d}.npy", counts)
    np.savetxt("angles.txt", np.arange(-90, 90, 9.0))
    exec(compile(example, str(README), "exec"), {})
    command = next(line for line in commands() if line.startswith("dosebench import scan.npz"))
    result = CliRunner().invoke(main, command.split()[1:])
    assert result.exit_code == 0, result.output
    assert "scan.zarr: 20 tilt × 12 scan × 64 ky × 64 kx" in result.output
    assert "the beam is at row 31.5" in result.output


def test_the_example_structure_is_simulated(folder: Path) -> None:
    example = next(block for block in blocks("yaml") if "from_file" in block)
    assert len(example.strip().splitlines()) <= 10
    (folder / "mine.yaml").write_text(example, encoding="utf-8")
    particle = bulk("Pt", cubic=True).repeat(2)
    write_atoms("mine.xyz", particle)
    result = CliRunner().invoke(main, ["simulate", "mine.yaml[engine=linear]", "--dose", "1e4"])
    assert result.exit_code == 0, result.output
    store = DatasetStore(load_dataset("mine.yaml[engine=linear]"))
    assert store.measurement(1e4, 0)["counts"].shape == (20, 72, 72)
    assert store.truth().get_chemical_formula() == "Pt32"


def commands() -> list[str]:
    """Every line of a shell block and every `command` in the text that begins with dosebench."""
    text = README.read_text(encoding="utf-8")
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    inline = re.findall(r"`(dosebench [a-z]+ [^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return [line for line in [*lines, *inline] if line.startswith("dosebench ") and "--help" not in line]


@pytest.mark.parametrize("line", commands())
def test_every_command_line_parses(line: str) -> None:
    words = re.sub(r"#.*", "", line).replace('"', "").split()
    command = main.commands[words[1]]
    assert command.make_context(words[1], words[2:], resilient_parsing=False).params


def test_the_python_front_door(folder: Path) -> None:
    results = dosebench.run("sirt[n_iter=10]", "tiny.yaml", doses=[1e4], replicates=1, progress=False)
    assert results["recall"].dims == ("dataset", "dose", "replicate", "reconstructor")
    assert float(results["recall"].sel(reconstructor="oracle").item()) == 1
    truth = dosebench.simulate("tiny.yaml", doses=[1e4], progress=False).truth()
    assert dosebench.score(truth, truth)["rmsd"] == 0
