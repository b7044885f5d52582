"""Answers beside truths, means over sheets, and stages made again."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from datasets.errors import InputError
from reports import sheets_again
from reports.series import Collection, merged, open_collection
from reports.sheets import (
    SheetAnswer,
    answer_of,
    consecutive,
    counts_of,
    main_dose,
    main_method,
    methods,
    over_sheets,
    same_kind,
    sheets,
    total,
)
from reports.sheets_again import history

MAP = "multislice-map[n_iter=20,n_samples=16]"


def test_errors_are_those_that_were_put_in() -> None:
    x, y = (axis.ravel() * 2.0 for axis in np.mgrid[:6, :6])
    truth = np.column_stack([x, y, np.zeros(36)])
    off = np.zeros((36, 3))
    off[:, 2] = np.linspace(-1, 1, 36)
    off[::2, 0], off[1::2, 0] = 0.1, -0.1
    found = SheetAnswer.of((truth + off + [0.2, 0.1, 0])[5:], truth)
    assert len(found.pairs) == 31
    assert_allclose(found.errors[:, 2], off[found.pairs[:, 0], 2], atol=1e-12)
    assert found.rmsd()[0] == pytest.approx(0.1, abs=0.002)
    assert found.rmsd()[1] == pytest.approx(0, abs=1e-9)
    assert_allclose(found.answer[found.pairs[:, 1], 2], truth[found.pairs[:, 0], 2] + found.errors[:, 2])


def test_errors_of_a_cell_are_its_scores(collection: Collection) -> None:
    series = same_kind(collection)[0]
    cell = series.replicates(MAP, 8e3)[0]
    rmsd = 100 * answer_of(cell).rmsd()
    assert_allclose(rmsd, [cell.scores[f"{axis}_rmsd"] for axis in "xyz"], rtol=1e-6)
    assert total(dict(cell.scores)) == pytest.approx(math.sqrt(float((rmsd**2).sum())))
    with pytest.raises(InputError, match="has no answer"):
        answer_of(replace(cell, status=type(cell.status).ERROR))


def test_frames_methods_and_doses_are_found_by_what_they_are(collection: Collection, root: Path) -> None:
    assert [s.name for s in sheets(collection)] == ["sheet", "sheet[frame=1]"]
    assert [s.name for s in same_kind(collection)] == ["sheet"]
    assert [s.card.frame for s in consecutive(collection)] == [0, 1]
    assert methods(sheets(collection)) == [MAP, "graphene-flat"]
    assert main_method(sheets(collection)) == MAP
    assert main_dose(sheets(collection)[0], MAP) == 8e3
    guesses = open_collection(root / "guesses", str(root / "data"))
    with pytest.raises(InputError, match="no reconstructor that finds ripples"):
        main_method(sheets(guesses))
    with pytest.raises(InputError, match="dosebench run graphene-series"):
        consecutive(guesses)
    with pytest.raises(InputError, match="no frame of graphene is among the results"):
        sheets(replace(guesses, series=()))
    with pytest.raises(InputError, match="are not below nowhere"):
        counts_of(sheets(open_collection(root / "guesses", "nowhere"))[0], 8e3, 0)


def test_folders_are_one_collection(root: Path) -> None:
    parts = [open_collection(root / name, str(root / "data")) for name in ("results", "series", "guesses")]
    whole = merged(parts)
    assert [s.name for s in whole.series] == ["sheet", "sheet[frame=1]"]
    assert whole.series[0] is parts[0].series[0]
    assert whole.preset == "results and series and guesses"


def test_a_mean_over_one_sheet_is_that_over_its_replicates(collection: Collection) -> None:
    series = same_kind(collection)
    found = over_sheets(series, MAP, 8e3, lambda scores: scores["z_rmsd"])
    values = [c.scores["z_rmsd"] for c in series[0].replicates(MAP, 8e3)]
    assert found.mean == pytest.approx(np.mean(values))
    assert (found.n, found.low <= found.mean <= found.high) == (2, True)
    twice = over_sheets([series[0], series[0]], MAP, 8e3, lambda scores: scores["z_rmsd"])
    assert (twice.n, twice.low, twice.high) == (2, twice.mean, twice.mean)


def test_stages_end_at_the_answer_and_are_made_once(
    collection: Collection, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    series = same_kind(collection)[0]
    cell = series.replicates(MAP, 8e3)[0]
    made = history(series, cell, cache)
    assert made.step.tolist() == [0, 4, 4, 16]
    assert made.z[-1] == pytest.approx(cell.scores["z_rmsd"] / 100, abs=1e-6)
    assert made.z_levelled[-1] == pytest.approx(cell.scores["z_rmsd_levelled"] / 100, abs=1e-6)
    assert made.chi2[-1] < made.chi2[0]
    monkeypatch.setattr(sheets_again, "scored", None)  # not called again
    assert_allclose(history(series, cell, cache).z, made.z)
    flat = series.replicates("graphene-flat", 8e3)[0]
    with pytest.raises(InputError, match="graphene-flat has no stages to show"):
        history(series, flat, cache)
    odd = replace(cell, cell=replace(cell.cell, parameters={"n_walks": 3}))
    with pytest.raises(InputError, match="has no parameter 'n_walks' any more"):
        history(series, odd, cache)
