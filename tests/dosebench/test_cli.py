"""The command as a person types it: what it prints, what it leaves behind, how it says no."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner, Result

from benchmarks.metrics.match import CUTOFF
from datasets.cards import parse_card
from datasets.catalog import StructureCard, load_structure
from datasets.structures import make_structure
from datasets.structures.validate import validate
from dosebench.cli import main
from dosebench.listing import validation_lines


def dosebench(*arguments: object) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(main, [str(a) for a in arguments], prog_name="dosebench")


def refused(result: Result) -> str:
    """The sentence with which a command said no: exit code 2, one line, no traceback."""
    assert result.exit_code == 2, result.output
    errors = [line for line in result.output.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1, result.output
    assert "Traceback" not in result.output
    return errors[0]


def test_list_and_info_name_everything() -> None:
    listed = dosebench("list").output
    for name in ("cuau-150", "cuau-1602", "fbp", "sirt", "resire", "recall", "smoke"):
        assert re.search(rf"^  {name} ", listed, re.MULTILINE), name
    assert "parameters" in dosebench("info", "resire").output
    assert "published" in dosebench("info", "resire").output
    assert "energy_eV: 300000.0" in dosebench("info", "cuau-150").output
    assert "direction: lower" in dosebench("info", "rmsd").output
    assert "replicates" in dosebench("info", "smoke").output


def test_a_structure_is_described_and_follows_its_dataset() -> None:
    assert re.search("^  bao-150 ", dosebench("list", "structures").output, re.MULTILINE)
    alone = dosebench("info", "bao-150[seed=3]").output
    assert "seed: 3" in alone
    assert "lattice_constant" in alone
    both = dosebench("info", "cuau-150").output
    assert both.index("energy_eV") < both.index("structure cuau-150: ") < both.rindex("cost:")


def test_a_structure_is_held_to_its_card(folder: Path) -> None:
    good = {
        "name": "silver",
        "title": "A particle of silver",
        "reference": "none",
        "recipe": {"generator": "nanoparticle", "parameters": {"n_atoms": 300, "core": "Ag", "shell": "Ag"}},
        "expected": {
            "count[Ag]": {"low": 300, "high": 300, "source": "by construction"},
            "lattice_constant": {"low": 3.76, "high": 3.80, "source": "the default"},
        },
        "cost": "0.1 s",
    }
    card = parse_card(StructureCard, good, where="silver")
    rows = validate(make_structure(card.recipe), card)
    table = validation_lines("silver", rows)
    assert all("  ok  " in line for line in table[1:3])
    assert table[-1] == "silver: 2 of 2 quantities lie in their ranges."
    assert len({line.index("ok") for line in table[1:3]}) == 1
    wrong = {"lattice_constant": {"low": 4, "high": 4.1, "source": "silver, Kittel"}}
    card = parse_card(StructureCard, good | {"expected": wrong}, where="silver")
    table = validation_lines("silver", validate(make_structure(card.recipe), card))
    assert "  OUT  silver, Kittel" in table[1]
    assert table[-1] == "silver: 0 of 1 quantities lie in their ranges; outside: lattice_constant."


def test_validate_makes_the_structure_and_says_so_by_its_exit_code(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = dosebench("info", "bao-987", "--validate", "--quiet")
    assert done.exit_code == 0, done.output
    assert (folder / "data" / "structures").is_dir()
    assert re.search(r"^lattice_constant +5\.5\d* ± ", done.output, re.MULTILINE)
    as_json = json.loads(dosebench("info", "bao-987", "--validate", "--json").output)
    assert all(row["within"] for row in as_json)
    content = load_structure("bao-987").model_dump()
    content["expected"] = {"n_atoms": {"low": 468, "high": 468, "source": "the paper's own count of Ba"}}
    card = parse_card(StructureCard, content, where="bao-987")
    monkeypatch.setattr("dosebench.listing.structure_of", lambda name: card)
    outside = dosebench("info", "bao-987", "--validate")
    assert outside.exit_code == 1
    assert outside.output.splitlines()[-1].endswith("outside: n_atoms.")


def test_listing_does_not_import_what_it_does_not_need() -> None:
    code = (
        "import sys; from dosebench.cli import main; main(['list'], standalone_mode=False);"
        "heavy = {'torch', 'numba', 'abtem', 'matplotlib', 'plotly', 'distributed', 'sklearn', 'skimage'};"
        "print('HEAVY', sorted(heavy & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "HEAVY []"


def test_from_a_file_to_atoms_to_scores(folder: Path) -> None:
    assert dosebench("import", "series.npz", "--out", "m.zarr").exit_code == 0
    done = dosebench(
        "reconstruct", "m.zarr", "--with", "resire", "--out", "a.extxyz", "--volume", "v.mrc", "--quiet"
    )
    assert done.exit_code == 0, done.output
    assert (folder / "v.mrc").stat().st_size > 0
    scores = json.loads(dosebench("score", "a.extxyz", "truth.extxyz", "--json").output)
    assert scores["recall"] > 0.9
    assert scores["precision"] > 0.9
    assert scores["rmsd"] < 40
    table = dosebench("score", "a.extxyz", "truth.extxyz").output
    assert re.search(rf"Recall +{scores['recall']:.4g}".rstrip("0"), table)
    perfect = json.loads(dosebench("score", "truth.extxyz", "truth.extxyz", "--json").output)
    assert perfect["recall"] == perfect["precision"] == 1
    assert perfect["rmsd"] == 0


def test_simulate_says_where_each_measurement_is(folder: Path) -> None:
    result = dosebench("simulate", "tiny.yaml", "--dose", "2e3", "--replicates", 2, "--quiet")
    assert result.exit_code == 0, result.output
    paths = result.output.split()
    assert len(paths) == 2
    assert dosebench("reconstruct", paths[0], "--with", "fbp", "--out", "a.xyz", "--quiet").exit_code == 0


def test_run_then_report(folder: Path) -> None:
    planned = dosebench("run", "preset.yaml", "--dry-run")
    assert "20 cells, 0 done, 20 to run" in planned.output
    assert not (folder / "results").exists()
    done = dosebench("run", "preset.yaml", "--quiet")
    assert done.exit_code == 0, done.output
    assert "sirt[n_iter=15]" in done.output
    assert "dose [e⁻/Å² per image] needed for" in done.output
    assert "× limit" in done.output
    assert "20 cells, 16 done, 4 to run" in dosebench("run", "preset.yaml", "--dry-run").output  # 4: `broken`
    written = dosebench("report", "results/mini")
    assert written.exit_code == 0, written.output
    assert Path(written.output.split("report: ")[1].strip()).is_file()


def test_score_states_its_default_cutoff() -> None:
    assert f"[default: {CUTOFF}]" in dosebench("score", "--help").output


def _break_preset(folder: Path, **changes: object) -> str:
    content = yaml.safe_load((folder / "preset.yaml").read_text()) | changes
    (folder / "bad.yaml").write_text(yaml.safe_dump(content))
    return "bad.yaml"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"replicats": 3}, "unknown key 'replicats'; did you mean 'replicates'?"),
        ({"reconstructors": ["resier"]}, "unknown reconstructor 'resier'; did you mean 'resire'"),
        ({"reconstructors": ["resire[n_itre=5]"]}, "unknown parameter 'n_itre'; did you mean 'n_iter'"),
        ({"reconstructors": ["resire[n_iter=many]"]}, "'n_iter' must be int, not 'many'"),
        ({"reconstructors": ["resire[publishd]"]}, "unknown variant 'publishd'; did you mean 'published'"),
        ({"reconstructors": ["no_such_module:Mine"]}, "cannot import 'no_such_module'"),
        ({"datasets": ["cuau-15"]}, "unknown dataset 'cuau-15'; did you mean 'cuau-150'"),
        ({"doses": [-1.0]}, "doses must be lists of positive numbers"),
        ({"controls": ["orcale"]}, "unknown control 'orcale'; did you mean 'oracle'?"),
        ({"criteria": [{"metric": "recal", "value": 1}]}, "unknown metric 'recal'; did you mean 'recall'"),
    ],
)
def test_a_bad_preset_is_refused_before_any_work(
    folder: Path, changes: dict[str, object], sentence: str
) -> None:
    assert sentence in refused(dosebench("run", _break_preset(folder, **changes)))
    assert not (folder / "results").exists()
    assert not (folder / "data").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "smok"], "unknown preset 'smok'; did you mean 'smoke'"),
        (["run", "missing.yaml"], "missing.yaml: No such file or directory"),
        (["info", "resire", "--validate"], "unknown structure or dataset 'resire'"),
        (["info", "resir"], "unknown name 'resir'; did you mean 'resire'"),
        (["simulate", "cuau-150[sede=3]"], "unknown option 'sede'; did you mean 'seed'?"),
        (["simulate", "cuau-150[engine=magic]"], "option 'engine': input should be"),
        (["simulate", "tiny.yaml", "--dose", "-5"], "dose"),
        (["reconstruct", "nothing.zarr", "--with", "sirt", "--out", "a.xyz"], "nothing.zarr"),
        (["score", "truth.extxyz", "nothing.xyz"], "nothing.xyz"),
        (["score", "truth.extxyz", "truth.extxyz", "--cutoff", "-1"], "cutoff"),
        (["report", "nowhere"], "nowhere"),
        (["import", "nothing.npz", "--out", "m.zarr"], "nothing.npz"),
        (["import", "series.npz", "--out", "m.zarr", "--elements", "Cu,Qq"], "unknown element 'Qq'"),
        (["import", "series.npz", "--out", "m.zarr", "--angles", "short.txt"], "angles"),
        (["import", "stack.npy", "--out", "m.zarr"], "--axes"),
        (["import", "stack.npy", "--out", "m.zarr", "--axes", "tilt,y,x"], "--pixel-size"),
    ],
)
def test_bad_input_gets_one_sentence(folder: Path, arguments: list[str], sentence: str) -> None:
    np.savetxt(folder / "short.txt", [0.0, 1.0])
    np.save(folder / "stack.npy", np.ones((3, 4, 5)))
    assert sentence in refused(dosebench(*arguments))
    assert not (folder / "m.zarr").exists()


def test_a_damaged_measurement_is_named(folder: Path) -> None:
    dosebench("import", "series.npz", "--out", "m.zarr")
    chunk = next(path for path in (folder / "m.zarr" / "counts" / "c").rglob("*") if path.is_file())
    chunk.write_bytes(chunk.read_bytes()[:-8])
    sentence = refused(dosebench("reconstruct", "m.zarr", "--with", "sirt", "--out", "a.xyz"))
    assert "damaged" in sentence
    assert not (folder / "a.xyz").exists()
