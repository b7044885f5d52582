"""The payload holds the numbers of the results, and nothing of its own making."""

import base64
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from benchmarks.cells import load_cells
from benchmarks.preset import PresetCard
from benchmarks.results import DIMS, MISSING
from benchmarks.summary import summary
from benchmarks.threshold import thresholds
from datasets.catalog import DatasetCard
from datasets.errors import InputError
from recon.base import Status
from reports.answers import MARGIN, spread_doses
from reports.collect import OTHER, _not_run, collect
from reports.figures.orthoslices import HALF_SLAB, PLANES
from reports.payload import Payload, plain


def test_means_are_those_of_the_results(payload: Payload, data: xr.Dataset) -> None:
    assert {metric.key for metric in payload.metrics} == {str(name) for name in data.data_vars} - OTHER
    for row in payload.rows:
        cells = data.sel(dataset=row.dataset, dose=row.dose, reconstructor=row.method)
        for key, value in row.values.items():
            known = cells[key].values[np.isfinite(cells[key].values)]
            assert value.n == len(known)
            assert value.mean == (known.mean() if len(known) else None)


def test_doses_in_total_are_those_of_all_images(payload: Payload, tiny_card: DatasetCard) -> None:
    (specimen,) = payload.datasets
    assert specimen.n_images == tiny_card.imaging.tilts.n == 12
    assert specimen.n_atoms == 40
    assert all(row.dose_total == 12 * row.dose for row in payload.rows)


def test_intervals_are_those_of_the_summary(payload: Payload, data: xr.Dataset) -> None:
    keys = [metric.key for metric in payload.metrics]
    table = summary(data, keys).set_index(["dataset", "dose", "reconstructor"])
    assert len(table) == len(payload.rows)
    for row in payload.rows:
        line = table.loc[(row.dataset, row.dose, row.method)]
        assert (row.n, row.failures, row.seconds) == (line["cells"], line["failures"], line["seconds"])
        for key, value in row.values.items():
            for shown, bound in ((value.low, line[f"{key}_low"]), (value.high, line[f"{key}_high"])):
                assert shown == (bound if np.isfinite(bound) else None)


def test_thresholds_are_those_of_the_benchmark(
    payload: Payload, data: xr.Dataset, preset: PresetCard
) -> None:
    table = thresholds(data, preset.criteria).set_index("reconstructor")
    joint = [t for t in payload.thresholds if t.joint]
    assert {t.method for t in joint} == set(table.index)
    for t in joint:
        line = table.loc[t.method]
        assert t.censored == line["censored"]
        for shown, side, bound in (
            (t.dose, t.censored, line["dose"]),
            (t.low, t.low_censored, line["low"]),
            (t.high, t.high_censored, line["high"]),
        ):
            assert shown == (bound if np.isfinite(bound) else None)
            assert side == {np.inf: "above", -np.inf: "below"}.get(bound, "")


def test_each_criterion_has_thresholds_of_its_own(payload: Payload, preset: PresetCard) -> None:
    criteria = list(dict.fromkeys(t.criterion for t in payload.thresholds))
    assert criteria == [
        "tracing error ≤\u00a05\u00a0% and total classification rate ≥\u00a095\u00a0%",
        "tracing error ≤\u00a05\u00a0%",
        "total classification rate ≥\u00a095\u00a0%",
    ]
    assert len(payload.thresholds) == len(criteria) * len(payload.methods)


def test_answers_add_up(payload: Payload, data: xr.Dataset) -> None:
    truth = payload.truths[0]
    assert {a.method for a in payload.answers} >= {"fbp", "sirt[n_iter=20]", "oracle"}
    for answer in payload.answers:
        cell = data.sel(
            dataset=answer.dataset,
            dose=answer.dose,
            replicate=answer.replicate,
            reconstructor=answer.method,
        )
        assert sorted(answer.matched + answer.missed) == list(range(len(truth.elements)))
        assert len(answer.matched) == cell["n_matched"]
        assert len(answer.matched) + len(answer.false) == cell["n_answer"]
        rmsd = np.sqrt(np.sum(np.square(answer.residuals)) / max(len(answer.matched), 1))
        if answer.matched:
            assert rmsd == pytest.approx(float(cell["rmsd"]), abs=0.1)


def test_the_oracle_is_perfect_and_broken_always_fails(payload: Payload) -> None:
    assert {"oracle", "broken", "hostile"} <= {row.method for row in payload.rows}
    for row in payload.rows:
        if row.method == "oracle":
            assert row.values["recall"].mean == 1
            assert row.values["rmsd"].mean == pytest.approx(0, abs=1e-6)
            assert row.failures == 0
        if row.method in ("broken", "hostile"):
            assert row.failures == row.n == 2
            assert row.values["recall"].mean == 0


def test_every_failure_is_there_with_its_reason(payload: Payload, data: xr.Dataset, hostile: str) -> None:
    failed = [c for c, s in zip(data["status"].values.ravel(), _statuses(data), strict=True) if s.failed]
    assert len(payload.failures) == len(failed) == sum(row.failures for row in payload.rows)
    found = [f for f in payload.failures if f.method == "hostile"]
    assert len(found) == 4
    assert all(hostile in f.message and hostile in f.traceback for f in found)
    assert all(f.sentence == Status.ERROR.sentence for f in found)


def _statuses(data: xr.Dataset) -> list[Status]:
    meanings = data["status"].attrs["flag_meanings"].split()
    codes = dict(zip(data["status"].attrs["flag_values"], meanings, strict=True))
    return [Status(codes[int(code)]) for code in data["status"].values.ravel()]


def test_methods_come_in_the_order_of_the_preset_controls_last(payload: Payload) -> None:
    names = [method.name for method in payload.methods]
    assert names == ["fbp", "sirt[n_iter=20]", "hostile", "oracle", "random", "mirrored", "broken"]
    assert [m.control for m in payload.methods] == [False] * 3 + [True] * 4
    colours = [m.colour for m in payload.methods if not m.control]
    assert len(set(colours)) == len(colours)


def test_the_command_names_what_was_added_to_the_preset(payload: Payload) -> None:
    run, report = payload.command.splitlines()
    assert run == "dosebench run preset.yaml --with 'hostile'  # preset.yaml lies beside these results"
    assert report == "dosebench report results/tiny"


def test_it_is_json(payload: Payload) -> None:
    text = json.dumps(plain(payload), allow_nan=False)
    assert json.loads(text)["name"] == "tiny"


def test_slices_show_bright_atoms_where_the_true_ones_are(payload: Payload) -> None:
    """A slice turned over in either direction would lose the atoms: this holds planes, axes and extents."""
    positions = np.array(payload.truths[0].positions)
    dose = max(payload.datasets[0].doses)
    answers = [a for a in payload.answers if a.slices and a.dose == dose]
    assert {a.method for a in answers} == {"fbp", "sirt[n_iter=20]"}
    for answer in answers:
        assert [s.plane for s in answer.slices] == ["xy", "xz", "yz"]
        for piece in answer.slices:
            image = np.asarray(Image.open(io.BytesIO(base64.b64decode(piece.png))), dtype=float)
            across, up, normal = PLANES[piece.plane]
            near = positions[np.abs(positions[:, normal]) < HALF_SLAB]
            left, right, bottom, top = piece.extent
            column = ((near[:, across] - left) / (right - left) * image.shape[1]).astype(int)
            row = ((top - near[:, up]) / (top - bottom) * image.shape[0]).astype(int)
            at_atoms = image[row, column].mean()
            assert at_atoms > 2 * image.mean()
            assert at_atoms > 1.5 * image[::-1][row, column].mean()
            assert at_atoms > 1.5 * image[:, ::-1][row, column].mean()
            reach = np.abs(positions).max() + MARGIN
            assert max(np.abs(piece.extent)) <= reach + 0.5 * (right - left) / image.shape[1] + 0.01


def test_what_nobody_asked_for_is_not_missing() -> None:
    """Neither a method on a dataset that it is not for, nor doses that only another dataset has."""
    ran = np.full((2, 3, 2, 2), MISSING)
    ran[0, :2, :, 0] = 0
    ran[1, 1:, :, 1] = 0
    status = xr.DataArray(ran, dims=DIMS)
    assert _not_run(status) == 0
    ran[1, 2, 1, 1] = MISSING
    assert _not_run(status) == 1


def test_interrupted_results_are_read_from_the_cells(results: Path, payload: Payload, tmp_path: Path) -> None:
    shutil.copytree(results, tmp_path / "tiny")
    shutil.rmtree(tmp_path / "tiny" / "results.zarr")
    some = sorted((tmp_path / "tiny" / "cells").glob("*.json"))[0]
    gone = next(c for c in load_cells(str(results)) if c.cell.key == some.stem).cell
    some.unlink()
    found = collect(tmp_path / "tiny")
    assert found.missing == 1
    assert [m.name for m in found.methods] == [m.name for m in payload.methods]
    for row in found.rows:
        full = next(
            r for r in payload.rows if (r.dataset, r.dose, r.method) == (row.dataset, row.dose, row.method)
        )
        lost = (row.dataset, row.dose, row.method) == (gone.dataset, gone.dose, gone.reconstructor)
        assert row.n == full.n - lost
        if not lost:
            assert row.values == full.values


@pytest.mark.parametrize("damage", ["missing", "empty", "metadata", "foreign"])
def test_bad_results_are_one_sentence(damage: str, results: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bad"
    if damage != "missing":
        folder.mkdir()
    if damage == "metadata":
        shutil.copytree(results, folder, dirs_exist_ok=True)
        (folder / "results.zarr" / ".zmetadata").write_text("{")
    if damage == "foreign":
        xr.Dataset({"status": ("dataset", [0]), "a": ("dataset", [1.0])}).to_zarr(
            folder / "results.zarr", zarr_format=2, consolidated=True
        )
    with pytest.raises(InputError) as caught:
        collect(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_spread_doses_keeps_the_ends_or_the_middle() -> None:
    doses = [1.0, 2.0, 3.0, 4.0, 5.0]
    assert spread_doses(doses, 9) == doses
    assert spread_doses(doses, 3) == [1.0, 3.0, 5.0]
    assert spread_doses(doses, 1) == [3.0]
