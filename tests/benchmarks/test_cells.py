"""The files of a cell: whole or not at all, on disk and elsewhere; and who a method is."""

import math
import re
import subprocess
import sys
import uuid
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from benchmarks.cells import Cell, CellResult, load_cell, load_cells, orthoslices, plain, write_cell
from benchmarks.grid import run
from benchmarks.methods import make_methods
from benchmarks.results import open_results
from datasets.errors import InputError, StoreError
from recon import registry
from recon.base import Reconstruction, Reconstructor, Status

CELL = Cell("cuau-150", "abc", 1e3, 0, "resire[n_iter=5]", "resire", {"n_iter": 5}, "1")
ARRAYS = {"truth_numbers": np.array([29, 79]), "truth_positions": np.eye(3)[:2]}


def result(**changes: object) -> CellResult:
    content = {
        "cell": CELL,
        "status": Status.OK,
        "message": "It finished.",
        "traceback": None,
        "scores": {"recall": 0.5, "rmsd": math.nan},
        "stats": {"iterations": 5.0},
        "scoring": {"cutoff": 1.0},
        "dataset_info": {"base": "cuau-150"},
        "provenance": {"seconds": 1.5, "git": None},
    }
    return CellResult(**{**content, **changes})


@pytest.fixture(params=["disk", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A results folder on disk, or in a file system of fsspec."""
    return str(tmp_path) if request.param == "disk" else f"memory://{uuid.uuid4().hex}"


def test_round_trip(folder: str) -> None:
    assert load_cell(folder, CELL.key) is None
    write_cell(folder, result(), ARRAYS)
    back = load_cell(folder, CELL.key)
    assert back is not None
    assert (back.cell, back.status, back.traceback) == (CELL, Status.OK, None)
    np.testing.assert_equal(dict(back.scores), {"recall": 0.5, "rmsd": math.nan})
    np.testing.assert_array_equal(back.truth().positions, ARRAYS["truth_positions"])
    assert back.answer() is None
    assert [r.cell.key for r in load_cells(folder)] == [CELL.key]


def test_a_dose_without_noise_comes_back(tmp_path: Path) -> None:
    cell = replace(CELL, dose=math.inf)
    write_cell(str(tmp_path), result(cell=cell), ARRAYS)
    found = load_cell(str(tmp_path), cell.key)
    assert found is not None
    assert found.cell == cell


def test_a_later_attempt_replaces_an_earlier_one(folder: str) -> None:
    write_cell(folder, result(status=Status.ERROR, traceback="Traceback …"), ARRAYS)
    write_cell(folder, result(message="Again."), ARRAYS)
    (kept,) = load_cells(folder)
    assert (kept.status, kept.message) == (Status.OK, "Again.")


def test_of_two_versions_the_later_attempt_counts(folder: str) -> None:
    """Without the preset's own results, a cell of an older version of the method is in the folder too."""
    info = {"base": "cuau-150", "engine": "linear"}
    for version, hour in (("2", "11"), ("1", "10"), ("3", "12"), ("0", "09")):
        scores = {"recall": float(version)}
        noted = {"seconds": 1.0, "time": f"2026-01-01T{hour}:00:00+00:00"}
        attempt = result(
            cell=replace(CELL, version=version), scores=scores, provenance=noted, dataset_info=info
        )
        write_cell(folder, attempt, ARRAYS)
    assert open_results(folder)["recall"].item() == 3


def test_arrays_without_a_record_are_nothing(tmp_path: Path) -> None:
    """Killed between the two files: the cell was never done."""
    write_cell(str(tmp_path), result(), ARRAYS)
    (tmp_path / "cells" / f"{CELL.key}.json").unlink()
    assert load_cell(str(tmp_path), CELL.key) is None
    assert load_cells(str(tmp_path)) == []


def test_a_newer_record_is_refused(tmp_path: Path) -> None:
    write_cell(str(tmp_path), result(), ARRAYS)
    path = tmp_path / "cells" / f"{CELL.key}.json"
    path.write_text(path.read_text().replace('"cell_version": 1', '"cell_version": 9'))
    with pytest.raises(
        StoreError, match="written with cell version 9, this dosebench reads up to 1; upgrade"
    ):
        load_cell(str(tmp_path), CELL.key)


def test_a_record_of_another_cell_is_refused(tmp_path: Path) -> None:
    write_cell(str(tmp_path), result(), ARRAYS)
    for suffix in ("json", "npz"):
        (tmp_path / "cells" / f"{CELL.key}.{suffix}").rename(tmp_path / "cells" / f"{'0' * 16}.{suffix}")
    with pytest.raises(StoreError, match="not what was written"):
        load_cell(str(tmp_path), "0" * 16)


_FULL_DISK = """
import resource, sys
from dataclasses import replace
import numpy as np
from benchmarks.cells import load_cell, write_cell
from datasets.errors import StoreError
folder, key = sys.argv[1:]
result = load_cell(folder, key)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
large = {**result.arrays(), "slice_z": np.random.default_rng(0).normal(size=(100, 100))}
try:
    write_cell(folder, replace(result, message="larger"), large)
except StoreError as error:
    print(error)
"""


def test_a_disk_that_fills(tmp_path: Path) -> None:
    """A real limit of the operating system, in a process of its own: it would hold for a test log too."""
    write_cell(str(tmp_path), result(), ARRAYS)
    command = [sys.executable, "-c", _FULL_DISK, str(tmp_path), CELL.key]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert re.search(r"no room left to write it.*what was stored before is intact", run.stdout)
    (kept,) = load_cells(str(tmp_path))
    assert kept.message == "It finished."
    assert len(list((tmp_path / "cells").iterdir())) == 2


def test_orthoslices_go_through_the_origin() -> None:
    axes = {"z": np.arange(-2, 3) * 0.5, "y": np.arange(-3, 2) * 0.5, "x": np.arange(4) * 0.5}
    values = np.random.default_rng(0).normal(size=(5, 5, 4))
    slices = orthoslices(xr.DataArray(values, dims=("z", "y", "x"), coords=axes).transpose("x", "z", "y"))
    np.testing.assert_allclose(slices["slice_z"], values[2], rtol=1e-6)
    np.testing.assert_allclose(slices["slice_y"], values[:, 3], rtol=1e-6)
    np.testing.assert_allclose(slices["slice_x"], values[:, :, 0], rtol=1e-6)
    np.testing.assert_allclose(slices["axis_y"], axes["y"])
    np.testing.assert_allclose(slices["slab_z"], values.mean(axis=0), rtol=1e-6)
    coarse = {**axes, "z": axes["z"] * 4}
    slices = orthoslices(xr.DataArray(values, dims=("z", "y", "x"), coords=coarse))
    np.testing.assert_array_equal(slices["slab_z"], slices["slice_z"])


def test_parameters_are_what_json_holds() -> None:
    assert plain({"a": (1, np.float64(2.5)), "b": None}, "here") == {"a": [1, 2.5], "b": None}
    with pytest.raises(InputError, match="resire: a parameter must be a number"):
        plain({"a": object()}, "resire")


def test_a_grid_in_another_file_system(preset, data_root) -> None:
    url = f"memory://{uuid.uuid4().hex}"
    small = preset.model_copy(update={"controls": ("oracle",)})
    data = run(small, results=url, data_root=data_root, n_workers=0, progress=False)
    xr.testing.assert_identical(open_results(url), data)


class Answers(Reconstructor):
    """Answers nothing; the base of those below."""

    name = "answers"

    def reconstruct(self, measurement, *, rng, callback=None) -> Reconstruction:
        raise AssertionError("never run here")


def test_names_that_stand_for_two_things_are_refused() -> None:
    class Other(Answers):
        pass

    class Resire(Answers):
        name = "resire"

    class Oracle(Answers):
        name = "oracle"

    with pytest.raises(InputError, match="two different reconstructors are called 'answers'"):
        make_methods([Answers(), Other()], ())
    with pytest.raises(InputError, match="calls itself 'resire', which is the name of another"):
        make_methods([Resire()], ())
    with pytest.raises(InputError, match="cannot be called 'oracle': that is the name of a control"):
        make_methods([Oracle], ())


def test_the_same_method_twice_is_one() -> None:
    default = registry.get("resire").n_iter
    methods = make_methods(["resire", f"resire[n_iter={default}]", "sirt"], ("oracle",))
    assert [method.label for method in methods] == ["resire", "sirt", "oracle"]


def test_edited_code_is_another_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The author of an unregistered reconstructor need not raise its version for old results to be left."""
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / "edited_method.py"
    text = "from grid_methods import Twin\n\nclass Mine(Twin):\n    name = 'mine'\n    step = 1\n"
    versions = []
    for change in ("step = 1", "step = 2", "step = 1"):
        path.write_text(text.replace("step = 1", change))
        sys.modules.pop("edited_method", None)
        import linecache

        linecache.checkcache()
        (method,) = make_methods(["edited_method:Mine"], ())
        versions.append(method.version)
    assert versions[0] == versions[2] != versions[1]
    assert versions[0].startswith("1+")


def test_code_typed_at_a_prompt_has_a_version_too() -> None:
    def typed(answer: str) -> str:
        space: dict = {"Answers": Answers, "__name__": "prompt"}
        exec(
            "class Mine(Answers):\n name = 'mine'\n"
            f" def reconstruct(self, m, *, rng, callback=None):\n  return {answer}",
            space,
        )
        return make_methods([space["Mine"]()], ())[0].version

    assert typed("1 + m") == typed("1 + m") != typed("2 + m")


def test_a_registered_reconstructor_has_its_own_version() -> None:
    (method,) = make_methods(["resire"], ())
    assert method.version == str(registry.get_class("resire").version)
