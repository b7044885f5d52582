"""`dosebench limit`: what it prints, what a program reads, how it says no."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dosebench.cli import main


def limit(*arguments: object) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(main, ["limit", *map(str, arguments)], prog_name="dosebench")


def test_the_bound_by_dose_and_the_dose_that_a_precision_needs(folder: Path) -> None:
    """The noise-free images are made first; the card says what they cost."""
    result = limit("tiny.yaml", "--rmsd", 10, "--tracing-error", 0.05)
    assert result.exit_code == 0, result.output
    assert "made first. well under a second" in result.stderr
    assert "positions unknown" in result.stdout
    heads, low, high = result.stdout.splitlines()[1:4]
    assert heads.split() == ["dose", "bound", "Au", "Cu", "floor", "bound", "&", "floor"]
    assert float(low.split()[1]) > 5 * float(high.split()[1])
    assert "10 pm needs" in result.stdout
    assert "a tracing error of 5 % needs" in result.stdout

    marginal = limit("tiny.yaml", "--dose", 1e4, "--marginal", "amplitudes", "--marginal", "shifts", "--json")
    alone = limit("tiny.yaml", "--dose", 1e4, "--rmsd", 10, "--json", "--quiet")
    wide, narrow = (json.loads(r.stdout) for r in (marginal, alone))
    assert "the amplitude of every atom" in wide["unknown"]
    assert "the shift of every image" in wide["unknown"]
    assert wide["limits"][0]["bound"] > narrow["limits"][0]["bound"]
    needed = narrow["needed"]
    at = json.loads(limit("tiny.yaml", "--dose", needed["bound"], "--json").stdout)
    assert at["limits"][0]["bound"] == pytest.approx(10, rel=0.01)
    assert needed["with_floor"] >= needed["bound"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--dose", -1), "--dose must be positive"),
        (("--rmsd", 0), "--rmsd must be a positive length"),
        (("--tracing-error", 2), "--tracing-error must be between 0 and 1"),
        (("--marginal", "amplitude"), "amplitudes"),
        (("--marginal", "amplitudes", "--marginal", "species"), "cannot both be unknown"),
    ],
)
def test_what_cannot_be_answered_is_refused_before_any_work(
    folder: Path, arguments: tuple[object, ...], sentence: str
) -> None:
    result = limit("tiny.yaml", *arguments)
    assert result.exit_code == 2
    assert sentence in result.output
    assert not (folder / "data").exists()
