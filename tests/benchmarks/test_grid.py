"""The grid: what is run, what is kept, what is run again, and what is the same whatever happens."""

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from benchmarks.cells import Cell, load_cells
from benchmarks.controls import CONTROLS
from benchmarks.grid import Grid, run
from benchmarks.plan import plan
from benchmarks.preset import PresetCard
from benchmarks.results import clear_results, open_results, status_codes
from datasets.errors import InputError, StoreError
from datasets.schema import OPTICS_ATTRS, REQUIRED_ATTRS
from datasets.store import DatasetStore
from recon.base import Status

CODES = status_codes()


def run_here(preset: PresetCard, results: Path, data_root: str, *names: str) -> xr.Dataset:
    """Run in this process, with further reconstructors of grid_methods."""
    return run(
        preset,
        results=str(results),
        data_root=data_root,
        reconstructors=[f"grid_methods:{name}" for name in names],
        n_workers=0,
        progress=False,
    )


def without_cost(data: xr.Dataset) -> xr.Dataset:
    """Results without what differs from run to run: how long it took."""
    return data.drop_vars(["seconds", "peak_memory"])


def records(results: Path) -> dict[str, dict]:
    """Every record by the key of its cell."""
    return {path.stem: json.loads(path.read_text()) for path in (results / "cells").glob("*.json")}


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_store, card_path) -> tuple[xr.Dataset, Path]:
    """A grid run once: two reconstructors and the controls."""
    results = tmp_path_factory.mktemp("finished")
    preset = PresetCard(name="tiny", title="A tiny grid", datasets=(card_path,), replicates=2)
    return run_here(preset, results, tiny_store.root, "Fingerprint", "Twin"), results


def test_shape_and_order(finished) -> None:
    data, _ = finished
    assert dict(data.sizes) == {"dataset": 1, "dose": 2, "replicate": 2, "reconstructor": 6}
    assert list(data["reconstructor"].values) == ["fingerprint", "twin", *CONTROLS]
    assert list(data["kind"].values) == ["reconstructor"] * 2 + ["control"] * 4
    assert data["dose"].attrs["units"] == "e⁻/Å²"
    assert (data["base"].item(), data["engine"].item()) == ("tiny", "linear")
    assert data["elements"].item() == "Au Cu"
    assert data.attrs["cutoff"] == 1.0


def test_oracle_is_perfect_and_broken_is_an_error(finished) -> None:
    data, results = finished
    oracle, broken = data.sel(reconstructor="oracle"), data.sel(reconstructor="broken")
    assert (oracle["recall"] == 1).all()
    assert (oracle["precision"] == 1).all()
    assert (oracle["rmsd"] == 0).all()
    assert (broken["status"] == CODES[Status.ERROR]).all()
    assert (broken["recall"] == 0).all()
    assert (broken["tracing_error"] == 1).all()
    assert np.isnan(broken["rmsd"]).all()
    kept = [record for record in records(results).values() if record["cell"]["method"] == "broken"]
    assert len(kept) == 4
    assert all("RuntimeError: the control 'broken' raises" in record["traceback"] for record in kept)
    assert all("controls.py" in record["traceback"] for record in kept)


def test_noise_is_paired_and_random_numbers_are_not(finished) -> None:
    """Every reconstructor sees the bytes that are stored for a dose and replicate, and draws on its own."""
    _, results = finished
    cells = [r for r in load_cells(str(results)) if r.cell.kind == "reconstructor"]
    seen: dict[tuple[float, int], set[float]] = {}
    for result in cells:
        seen.setdefault((result.cell.dose, result.cell.replicate), set()).add(result.stats["counts"])
    assert all(len(digests) == 1 for digests in seen.values())
    assert len(set.union(*seen.values())) == len(seen) == 4
    answers = {tuple(result.arrays()["answer_positions"].ravel()) for result in cells}
    assert len(answers) == len(cells) == 8


def test_what_a_cell_holds(finished, tiny_store: DatasetStore) -> None:
    _, results = finished
    result = next(r for r in load_cells(str(results)) if r.cell.reconstructor == "fingerprint")
    arrays, truth = result.arrays(), tiny_store.truth()
    np.testing.assert_array_equal(result.truth().positions, truth.positions)
    i, j = arrays["pairs"].T
    expected = arrays["answer_positions"][j] - truth.positions[i] - arrays["translation"]
    np.testing.assert_allclose(arrays["residuals"], expected, atol=1e-12)
    size = tiny_store.card.imaging.n_pixels
    for name in ("slice_z", "slice_y", "slice_x", "slab_z"):
        assert arrays[name].shape == (size, size)
    assert arrays["axis_z"][size // 2] == 0
    np.testing.assert_array_equal(arrays["answer_intensity"], np.arange(10.0))
    provenance = result.provenance
    assert provenance["packages"]["numpy"] == np.__version__
    assert provenance["seconds"] > 0
    assert provenance["peak_memory"] > 1e7
    assert {"commit", "dirty"} == set(provenance["git"] or {"commit": 0, "dirty": 0})
    assert {"cpu", "cores", "gpu", "threads", "time", "python"} <= set(provenance)


def test_results_can_be_read_back(finished) -> None:
    data, results = finished
    xr.testing.assert_identical(open_results(str(results)), data)
    plain = xr.open_zarr(results / "results.zarr", chunks=None).load()
    xr.testing.assert_identical(plain, data)
    meanings = plain["status"].attrs["flag_meanings"].split()
    assert meanings[list(plain["status"].attrs["flag_values"]).index(CODES[Status.ERROR])] == "error"
    rows = (results / "results.csv").read_text().splitlines()
    assert len(rows) == 1 + data["status"].size


def test_nothing_is_done_twice(preset, data_root, tmp_path) -> None:
    """The second run runs the failures again, and nothing else."""
    log = tmp_path / "log"
    first = run_here(preset, tmp_path / "r", data_root, f"Fingerprint[log={log}]")
    before = records(tmp_path / "r")
    again = run_here(preset, tmp_path / "r", data_root, f"Fingerprint[log={log}]")
    after = records(tmp_path / "r")
    assert log.read_text().count("ran") == 4
    xr.testing.assert_identical(without_cost(first), without_cost(again))
    changed = {key for key in before if before[key] != after[key]}
    assert changed == {key for key in before if before[key]["status"] == "error"}
    assert len(changed) == 4


def test_a_failure_is_tried_again(preset, data_root, tmp_path) -> None:
    cure = tmp_path / "cure"
    label = f"curable[cure={cure}]"
    sick = run_here(preset, tmp_path / "r", data_root, f"Curable[cure={cure}]").sel(reconstructor=label)
    assert (sick["status"] == CODES[Status.ERROR]).all()
    assert (sick["recall"] == 0).all()
    cure.touch()
    well = run_here(preset, tmp_path / "r", data_root, f"Curable[cure={cure}]").sel(reconstructor=label)
    assert (well["status"] == CODES[Status.OK]).all()
    assert (well["r_factor"] == 0.25).all()


@pytest.mark.parametrize(
    ("how", "status", "words"),
    [
        ("notfinite", Status.NONFINITE, "not finite"),
        ("none", Status.ERROR, "must return a recon.base.Reconstruction"),
        ("memory", Status.OUT_OF_MEMORY, "no room"),
        ("exit", Status.ERROR, "SystemExit"),
        ("diverged", Status.DIVERGED, "The R-factor grew."),
        ("unsupported", Status.SKIPPED, "it wants another detector"),
        ("stats", Status.ERROR, "could not convert"),
        ("empty", Status.OK, "It finished."),
    ],
)
def test_whatever_a_method_does_is_a_result(preset, data_root, tmp_path, how, status, words) -> None:
    small = preset.model_copy(update={"controls": (), "doses": (1e3,), "replicates": 1})
    data = run_here(small, tmp_path, data_root, f"Odd[how={how}]")
    (record,) = records(tmp_path).values()
    assert Status(record["status"]) is status
    assert words in record["message"]
    assert data["status"].item() == CODES[status]
    assert data["recall"].item() == 0
    assert data["tracing_error"].item() == 1


def test_a_time_limit_is_kept(preset, data_root, tmp_path) -> None:
    small = preset.model_copy(update={"controls": (), "doses": (1e3,), "replicates": 1, "time_limit": 0.3})
    data = run_here(small, tmp_path, data_root, "Odd[how=busy]")
    assert data["status"].item() == CODES[Status.TIMEOUT]
    assert 0.3 <= data["seconds"].item() < 3
    (record,) = records(tmp_path).values()
    assert "time limit of 0.3 s" in record["message"]
    assert "grid_methods.py" in record["traceback"]


@pytest.mark.parametrize("damage", ["truncated record", "changed record", "changed arrays", "no arrays"])
def test_a_damaged_cell_is_named_and_done_again(
    preset, data_root, tmp_path, damage, caplog: pytest.LogCaptureFixture
) -> None:
    small = preset.model_copy(update={"controls": ("oracle", "random")})
    whole = run_here(small, tmp_path, data_root)
    victim = sorted((tmp_path / "cells").glob("*.json"))[0]
    arrays = victim.with_suffix(".npz")
    if damage == "truncated record":
        victim.write_bytes(victim.read_bytes()[:-200])
    elif damage == "changed record":
        record = json.loads(victim.read_text())
        victim.write_text(json.dumps({**record, "scores": {**record["scores"], "recall": 0.99}}))
    elif damage == "changed arrays":
        content = bytearray(arrays.read_bytes())
        content[len(content) // 2] ^= 1
        arrays.write_bytes(content)
    else:
        arrays.unlink()
    with caplog.at_level(logging.WARNING, logger="dosebench"):
        again = run_here(small, tmp_path, data_root)
    assert any(victim.stem in message and "not done" in message for message in caplog.messages)
    xr.testing.assert_identical(without_cost(again), without_cost(whole))
    caplog.clear()
    assert len(load_cells(str(tmp_path))) == 8
    assert not caplog.messages


def test_another_cutoff_scores_again_without_running_again(preset, data_root, tmp_path) -> None:
    log = tmp_path / "log"
    run_here(preset, tmp_path / "r", data_root, f"Fingerprint[log={log}]")
    wide = preset.model_copy(update={"cutoff": 1.3})
    rescored = run_here(wide, tmp_path / "r", data_root, f"Fingerprint[log={log}]")
    assert log.read_text().count("ran") == 4
    afresh = run_here(wide, tmp_path / "s", data_root, f"Fingerprint[log={log}]")
    xr.testing.assert_identical(without_cost(rescored), without_cost(afresh))
    assert rescored.attrs["cutoff"] == 1.3


def test_plan(preset, data_root, tmp_path) -> None:
    results = str(tmp_path)
    before = plan(preset, results=results, data_root=data_root, reconstructors=["grid_methods:Twin"])
    assert (before.cells, before.done, before.failed, before.to_run) == (20, 0, 0, 20)
    assert before.seconds is None
    assert before.bytes is None
    assert before.basis == "no recorded cell"
    assert not before.datasets_to_make
    assert not list(tmp_path.iterdir())
    run_here(preset, tmp_path, data_root, "Twin")
    after = plan(preset, results=results, data_root=data_root, reconstructors=["grid_methods:Twin"])
    assert (after.done, after.failed, after.to_run) == (16, 4, 4)
    more = preset.model_copy(update={"doses": (1e3, 1e5, 1e6)})
    wider = plan(more, results=results, data_root=data_root, reconstructors=["grid_methods:Twin"])
    assert (wider.cells, wider.done, wider.to_run) == (30, 16, 14)
    assert wider.seconds is not None
    assert 0 < wider.seconds < 60
    assert wider.bytes is not None
    assert wider.bytes > 1000
    assert wider.datasets_to_make == {"tiny": "well under a second"}


def test_a_grid_simulates_what_it_needs(preset, tmp_path) -> None:
    small = preset.model_copy(update={"controls": ("oracle",), "doses": (2e3,), "replicates": 1})
    data = run_here(small, tmp_path / "r", str(tmp_path / "data"))
    assert data["recall"].item() == 1


@pytest.mark.parametrize(
    ("change", "names", "words"),
    [
        ({"datasets": ("cuau-15",)}, [], "unknown dataset 'cuau-15'; did you mean 'cuau-150'"),
        ({"reconstructors": ("resir",)}, [], "unknown reconstructor 'resir'; did you mean 'resire'"),
        ({}, ["grid_methods:Twin[secs=1]"], "unknown parameter 'secs'; did you mean 'seconds'"),
        ({}, ["grid_methods:Twin[seconds=fast]"], "'seconds' must be float"),
        ({"controls": ()}, [], "nothing to run"),
        ({}, [3], "must be a name or an instance of Reconstructor"),
    ],
)
def test_bad_input_comes_before_any_work(preset, data_root, tmp_path, change, names, words) -> None:
    with pytest.raises(InputError, match=words.replace("[", r"\[")):
        run(
            preset.model_copy(update=change),
            results=str(tmp_path / "r"),
            data_root=data_root,
            reconstructors=names,
            n_workers=0,
        )
    assert not (tmp_path / "r").exists()


def test_a_dataset_named_twice_is_refused(preset) -> None:
    with pytest.raises(InputError, match="names a dataset twice"):
        Grid.of(preset.model_copy(update={"datasets": preset.datasets * 2}))


def test_a_results_folder_that_cannot_be_written(preset, data_root, tmp_path) -> None:
    (tmp_path / "file").write_text("here is a file")
    with pytest.raises(InputError, match="results cannot be written there"):
        run_here(preset, tmp_path / "file", data_root)


def test_no_results(tmp_path) -> None:
    with pytest.raises(StoreError, match="no results here"):
        open_results(str(tmp_path))


def test_results_of_a_run_cut_short(finished, tmp_path) -> None:
    """Without results.zarr, the cells speak for themselves."""
    data, results = finished
    shutil.copytree(results, tmp_path / "r")
    clear_results(str(tmp_path / "r"))
    cells = open_results(str(tmp_path / "r"))
    assert cells.attrs == data.attrs
    assert set(cells.sizes.items()) == set(data.sizes.items())
    chosen = cells.sel(reconstructor=data["reconstructor"])
    for name in data.data_vars:
        np.testing.assert_array_equal(chosen[name], data[name])


def test_a_key_is_of_what_is_computed() -> None:
    """Not of the label, nor the dataset's name as written, nor the order of the parameters."""
    cell = Cell("cuau-150", "abc", 1e3, 0, "resire[n_iter=5]", "resire", {"n_iter": 5, "step": 1.0}, "1")
    same = Cell("elsewhere", "abc", 1000, 0, "my label", "resire", {"step": 1.0, "n_iter": 5}, "1")
    assert cell.key == same.key
    others = [
        Cell("cuau-150", "abd", 1e3, 0, "r", "resire", {"n_iter": 5, "step": 1.0}, "1"),
        Cell("cuau-150", "abc", 2e3, 0, "r", "resire", {"n_iter": 5, "step": 1.0}, "1"),
        Cell("cuau-150", "abc", 1e3, 1, "r", "resire", {"n_iter": 5, "step": 1.0}, "1"),
        Cell("cuau-150", "abc", 1e3, 0, "r", "sirt", {"n_iter": 5, "step": 1.0}, "1"),
        Cell("cuau-150", "abc", 1e3, 0, "r", "resire", {"n_iter": 6, "step": 1.0}, "1"),
        Cell("cuau-150", "abc", 1e3, 0, "r", "resire", {"n_iter": 5, "step": 1.0}, "2"),
        Cell("cuau-150", "abc", 1e3, 0, "r", "resire", {"n_iter": 5, "step": 1.0}, "1", "control"),
    ]
    assert len({cell.key, *(other.key for other in others)}) == 8


def test_a_key_does_not_depend_on_the_order_of_a_preset(preset) -> None:
    names = ["grid_methods:Twin", "grid_methods:Fingerprint"]
    forward = {cell.key for cell, _, _ in Grid.of(preset, names).cells()}
    turned = preset.model_copy(update={"doses": (1e5, 1e3), "controls": preset.controls[::-1]})
    assert {cell.key for cell, _, _ in Grid.of(turned, names[::-1]).cells()} == forward
    assert len(forward) == 24


def test_damaged_counts_end_the_run_in_one_sentence(preset, tiny_store: DatasetStore, tmp_path) -> None:
    """They are nobody's failure: no cell is charged with them, and those before are kept."""
    shutil.copytree(tiny_store.root, tmp_path / "data")
    card = tiny_store.card
    counts = Path(DatasetStore(card, str(tmp_path / "data")).counts_url(1e5, 0)) / "counts"
    chunk = next(path for path in sorted(counts.rglob("*")) if path.is_file() and path.name != "zarr.json")
    chunk.write_bytes(chunk.read_bytes()[:-3])
    small = preset.model_copy(update={"controls": ("oracle",), "replicates": 1})
    with pytest.raises(StoreError, match=r"replicate-0: damaged: .* delete this folder to make it again"):
        run_here(small, tmp_path / "r", str(tmp_path / "data"))
    (kept,) = records(tmp_path / "r").values()
    assert kept["cell"]["dose"] == 1e3


def test_a_reconstructor_is_told_nothing_of_where_the_counts_come_from(preset, data_root, tmp_path) -> None:
    """Not the dataset's name, not the engine, and no truth: what the schema holds is all there is."""
    log = tmp_path / "log"
    small = preset.model_copy(update={"controls": (), "doses": (1e3,), "replicates": 1})
    run_here(small, tmp_path / "r", data_root, f"Nosy[log={log}]")
    seen = json.loads(log.read_text())
    assert seen["variables"] == ["counts"]
    assert set(seen["coords"]) == {"phi", "theta", "psi", "y", "x"}
    assert set(seen["attrs"]) <= {*REQUIRED_ATTRS, *OPTICS_ATTRS}
    assert set(REQUIRED_ATTRS) <= set(seen["attrs"])
