"""docs/how-to-choose.md holds the numbers that lie beside it, and its rules do what its captions say."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from benchmarks.preset import preset_names
from benchmarks.summary import summary
from benchmarks.threshold import thresholds
from datasets.catalog import load_dataset
from datasets.errors import InputError
from recon import registry
from reports import how_to_choose
from reports.how_to_choose import CRITERIA, NUMBERS, PAGE, as_dataset, best, errors, load, main, numbers

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def text() -> str:
    """The page as it is shipped."""
    return (DOCS / PAGE).read_text(encoding="utf-8")


def _cells(
    rmsd: dict[str, list[float]], recall: dict[str, float], doses: tuple[float, ...] = (1e3,)
) -> pd.DataFrame:
    """Cells on one dataset: RMSD per replicate and recall by method, the same at all `doses`."""
    rows = [
        {
            "dataset": "cuau-150",
            "dose": dose,
            "replicate": nth,
            "reconstructor": method,
            "status": "ok",
            "recall": recall[method],
            "precision": 1.0,
            "rmsd": value,
            "rmsd_limit": 8.0,
            "rmsd_over_limit": value / 8,
            "tracing_error": 1 - recall[method],
            "classification": recall[method],
            "base": "cuau-150",
            "engine": "multislice",
            "elements": "Cu Au",
            "n_images": 20,
            "n_truth": 150.0,
            "cutoff": 0.9,
        }
        for method, values in rmsd.items()
        for dose in doses
        for nth, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def test_the_tables_of_the_page_are_those_of_the_numbers_beside_it(text: str) -> None:
    assert how_to_choose.with_tables(text, load(DOCS)) == text
    assert text.count("<!-- end -->") == len(re.findall(r"<!-- (?!end)", text)) >= 4


def test_a_changed_number_would_show(text: str) -> None:
    table = load(DOCS)
    table.loc[table["rmsd"].notna(), "rmsd"] += 1
    assert how_to_choose.with_tables(text, table) != text


def test_methods_presets_and_datasets_on_the_page_exist(text: str) -> None:
    methods = re.findall(r"^\| `([^`]+)` \|", text, flags=re.MULTILINE)
    presets = re.findall(r"dosebench run (\S+)", text)
    datasets = re.findall(r"<!-- (?!end)\S+ ([^>]+) -->", text)
    assert methods
    assert presets
    assert datasets
    for row in methods:
        assert registry.get(row).label == row
    for preset in presets:
        assert preset in preset_names()
    for names in datasets:
        each = names.replace("+", " ").split()
        assert [load_dataset(name).name for name in each] == each


def test_the_most_precise_of_those_that_find_the_atoms_is_taken() -> None:
    table = _cells(
        {"fbp": [5, 5, 5], "sirt": [9, 10, 11], "resire": [9.1, 10.2, 11], "mlem": [19, 20, 21]},
        {"fbp": 0.6, "sirt": 1.0, "resire": 0.96, "mlem": 1.0},
    )
    row = best(table, ["cuau-150"]).splitlines()[2].split(" | ")
    assert row[2] == "`sirt`"
    assert row[3:5] == ["100 %", "100 %"]
    assert row[5].startswith("10.0 (7.5 to 12.5)")
    assert row[6] == "1.25"
    assert row[7] == "`resire` |"  # paired: 0.1, 0.2, 0


def test_where_none_finds_the_atoms_it_says_so() -> None:
    table = _cells({"fbp": [5, 5], "sirt": [9, 9]}, {"fbp": 0.6, "sirt": 0.9})
    row = best(table, ["cuau-150"]).splitlines()[2]
    assert "○ `sirt` | 90.0 %" in row
    assert "no method reaches 95 %" in row
    assert "| `fbp` | ○ 5.0 (0.62) |" in errors(table, ["cuau-150"])


def test_the_dose_needed_is_the_benchmarks() -> None:
    low = _cells({"fbp": [5.0, 5.0]}, {"fbp": 0.9}, (1e3,))
    high = _cells({"fbp": [5.0, 5.0]}, {"fbp": 1.0}, (1e4,))
    shown = how_to_choose.dose_needed(pd.concat([low, high]), ["cuau-150"])
    assert "| `fbp` | **3.2×10³** |" in shown
    assert "**< 10³**" in how_to_choose.dose_needed(high.assign(dose=1e3), ["cuau-150"])
    assert "| `fbp` | > 10³ |" in how_to_choose.dose_needed(low, ["cuau-150"])


def test_a_particle_imaged_in_two_ways_has_one_column() -> None:
    doses = (1e3, 1e4)
    rings = _cells({"fbp": [5.0, 5.0]}, {"fbp": 0.9}, (1e3,))
    rings = pd.concat([rings, _cells({"fbp": [5.0, 5.0]}, {"fbp": 1.0}, (1e4,))])
    patterns = _cells({"mset": [5.0]}, {"mset": 1.0}, doses)
    patterns = patterns.assign(dataset="cuau-150-4d", base="cuau-150-4d")
    shown = how_to_choose.dose_needed(pd.concat([patterns, rings]), ["cuau-150-4d+cuau-150"])
    assert shown.splitlines()[:4] == [
        "| method | cuau-150-4d, cuau-150 |",
        "|---|---|",
        "| `mset` | **< 10³** |",
        "| `fbp` | 3.2×10³ |",
    ]
    assert "over n = 1 to 2 noise replicates (of one none)" in shown


def test_an_unknown_table_or_dataset_is_one_sentence() -> None:
    table = _cells({"fbp": [5.0]}, {"fbp": 1.0})
    with pytest.raises(InputError, match="there is no table 'doses'"):
        how_to_choose.with_tables("<!-- doses cuau-150 -->\n<!-- end -->", table)
    with pytest.raises(InputError, match="si-208: no results of this dataset"):
        how_to_choose.with_tables("<!-- errors si-208 -->\n<!-- end -->", table)


def test_numbers_are_those_of_the_results(results: Path, data: xr.Dataset) -> None:
    table = numbers([results, results])
    own = [str(name) for name, kind in zip(data["reconstructor"].values, data["kind"].values, strict=True)]
    own = [n for n in own if n not in ("oracle", "random", "mirrored", "broken")]
    assert len(table) == len(own) * data.sizes["dose"] * data.sizes["replicate"]
    assert set(table["n_images"]) == {12}
    again = as_dataset(table)
    wanted = summary(data, ["rmsd", "recall"])
    wanted = wanted[wanted["kind"] == "reconstructor"].set_index(["dose", "reconstructor"])
    for (dose, name), cells in table.groupby(["dose", "reconstructor"]):
        for key in ("rmsd", "recall"):
            mean = cells[key].mean()
            assert mean == pytest.approx(wanted.loc[(dose, name), key], nan_ok=True)
    first = thresholds(data.sel(reconstructor=own), CRITERIA).set_index("reconstructor")
    second = thresholds(again, CRITERIA).set_index("reconstructor")
    for name in own:
        assert second.loc[name, "text"] == first.loc[name, "text"]


def test_the_command_writes_numbers_and_page(results: Path, tmp_path: Path) -> None:
    (tmp_path / PAGE).write_text("Before.\n\n<!-- errors tiny -->\n<!-- end -->\n\nAfter.\n")
    main([str(results)], tmp_path)
    written = (tmp_path / PAGE).read_text()
    assert written.startswith("Before.")
    assert written.endswith("After.\n")
    assert "| `fbp` |" in written
    assert "n = 2 noise replicates, matched one to one within 1 Å" in written
    main([], tmp_path)
    assert (tmp_path / PAGE).read_text() == written
    assert len(load(tmp_path)) == len(numbers([results]))
    assert (tmp_path / NUMBERS).stat().st_size < 20_000
    kept = numbers([tmp_path / NUMBERS, results])
    assert len(kept) == len(load(tmp_path))


def test_unfinished_results_and_old_ones_are_refused(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = numbers([results])
    own = table[table["reconstructor"] == "fbp"]
    how_to_choose._check_finished(table.drop(own.index[0]), "here")
    with pytest.raises(InputError, match=r"fbp has 1 of 2 doses; run the preset again"):
        how_to_choose._check_finished(table.drop(own.index[own["dose"] == own["dose"].min()]), "here")
    monkeypatch.setattr(how_to_choose, "SCORES", (*how_to_choose.SCORES, "beauty"))
    with pytest.raises(InputError, match="these results lack beauty"):
        numbers([results])
    with pytest.raises(InputError, match="no folder"):
        numbers([])


def test_what_has_no_ratio_has_none() -> None:
    table = _cells({"fbp": [5.0, 6.0]}, {"fbp": 1.0}).assign(rmsd_over_limit=np.nan)
    assert "| `fbp` | 5.5 |" in errors(table, ["cuau-150"])
    assert math.isnan(table["rmsd_over_limit"].mean())
