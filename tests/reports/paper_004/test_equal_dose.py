"""Methods from patterns and from annular images on one axis of dose, with n as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes

from benchmarks.cells import CellResult
from benchmarks.preset import DEFAULT_CRITERIA
from recon.base import Status
from reports.figures.paper_004 import equal_dose
from reports.figures.paper_004.cases import BAO, CUAU, scans
from reports.figures.plate import Plate
from reports.series import Collection


def without(collection: Collection, leave_out: Callable[[CellResult], bool]) -> Collection:
    """The results less some cells."""
    series = tuple(
        replace(one, cells=tuple(c for c in one.cells if not leave_out(c))) for one in collection.series
    )
    return replace(collection, series=series)


def test_annular_methods_stand_on_the_same_axis_of_total_dose(
    plates: dict[str, Plate], axes_of: Callable[[Plate, str], Axes], collection: Collection
) -> None:
    made = {curve.family: curve for curve in equal_dose.curves(scans(collection, CUAU))}
    assert set(made) == {"atoms-4d", "mset", "sset", "fista", "resire", "genfire"}
    assert made["fista"].scanned.series.name == "cuau-rings"
    assert made["resire"].scanned.series.name == "cuau-fine"
    assert {tuple(case.total for case in curve.cases) for curve in made.values()} == {(2e3, 2e4, 2e5)}
    ax = axes_of(plates["equal-dose"], "Cu–Au: tracing")
    drawn = {line.get_gid(): line.get_linestyle() for line in ax.lines}
    assert drawn["mset"] == "-"
    assert drawn["fista"] == "--"


def test_the_caption_says_what_was_scanned_and_how_often(plates: dict[str, Plate]) -> None:
    caption = plates["equal-dose"].caption
    assert "5 × 5 probes 1.6 Å apart, −20 nm from focus" in caption
    assert "cuau-rings, 24 × 24 pixels of 0.35 Å" in caption
    assert "bao-rings, 24 × 24 pixels of 0.35 Å" in caption
    assert "(n = 2 from patterns, 2 to 3 from annular images), of two the line between them" in caption
    needed = {row[3]: row[2] for row in plates["equal-dose"].rows if row[:2] == ("Cu–Au", equal_dose.NEEDED)}
    assert needed["mset"] == "2"
    assert needed["fista"] == "3"


def test_oxygen_is_shown_with_what_is_called_oxygen(
    plates: dict[str, Plate], axes_of: Callable[[Plate, str], Axes]
) -> None:
    for title in ("Ba–O: oxygen found", "Ba–O: named oxygen, rightly"):
        ax = axes_of(plates["equal-dose"], title)
        drawn = {line.get_gid() for line in ax.lines}
        assert {"atoms-4d", "mset", "fista"} <= drawn


def test_an_rmsd_of_a_part_is_hollow(plates: dict[str, Plate], axes_of: Callable[[Plate, str], Axes]) -> None:
    ax = axes_of(plates["equal-dose"], "Cu–Au: RMSD")
    hollow = {
        line.get_gid(): np.size(line.get_xdata()) for line in ax.lines if "hollow" in str(line.get_gid())
    }
    assert hollow["hollow mset"] == 0
    assert hollow["hollow fista"] == 3


def test_doses_with_fewer_replicates_count_with_those_they_have(collection: Collection) -> None:
    def unfinished(cell: CellResult) -> bool:
        return cell.cell.reconstructor.startswith("mset") and cell.cell.dose > 5e3 and cell.cell.replicate > 0

    part = without(collection, unfinished)
    mset = equal_dose.curves(scans(part, CUAU))[1]
    assert [len(case.cells) for case in mset.cases] == [2, 2, 1]
    whole = equal_dose.curves(scans(collection, CUAU))[1].needed(DEFAULT_CRITERIA)
    found = mset.needed(DEFAULT_CRITERIA)
    assert found.censored == whole.censored == ""
    assert found.n_replicates <= whole.n_replicates == 2
    drawn = equal_dose.plate(part, Path("unused"))
    assert "(n = 1 to 2 from patterns, 2 to 3 from annular images)" in drawn.caption


@pytest.mark.parametrize("family", ["mset", "fista"])
def test_a_dose_without_an_answer_counts_as_not_met(collection: Collection, family: str) -> None:
    def failed(cell: CellResult) -> CellResult:
        if not (cell.cell.reconstructor.startswith(family) and cell.cell.dose < 5e3):
            return cell
        return replace(cell, status=Status.ERROR, scores={"tracing_error": 1.0, "classification": 0.0})

    series = tuple(replace(one, cells=tuple(map(failed, one.cells))) for one in collection.series)
    made = equal_dose.curves(scans(replace(collection, series=series), BAO))
    curve = next(one for one in made if one.family == family)
    assert [case.total for case in curve.cases] == [2e3, 2e4, 2e5]
    assert curve.needed(DEFAULT_CRITERIA).censored != "below"
