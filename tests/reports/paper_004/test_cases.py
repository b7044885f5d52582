"""Which series stand for a case: scans of patterns, and annular images of the same particle and tilts."""

from __future__ import annotations

import pytest
from numpy.testing import assert_allclose

from datasets.errors import InputError
from reports.figures.paper_004.cases import BAO, CUAU, cases, in_focus, scans
from reports.published_multislice import FULL
from reports.series import Collection


def test_annular_images_stand_beside_scans_of_the_same_tilts(collection: Collection) -> None:
    found = {scanned.series.name: scanned for scanned in scans(collection, BAO)}
    assert set(found) == {"bao-tiny", "bao-fine", "bao-wedge", "bao-rings", "bao-rings-wedge"}
    rings, patterns = found["bao-rings"], found["bao-tiny"]
    assert rings.annular
    assert rings.focused
    assert not patterns.annular
    assert (rings.step, rings.tilt_range, rings.total(500)) == (0.35, FULL, patterns.total(500))
    assert_allclose(rings.imaging.tilts.theta(), patterns.imaging.tilts.theta())


def test_annular_images_alone_are_no_case(collection: Collection) -> None:
    alone = Collection(
        collection.folder,
        collection.data,
        tuple(s for s in collection.series if s.name == "cuau-rings"),
        collection.names,
        collection.preset,
    )
    with pytest.raises(InputError, match="no 4D-STEM series of Cu–Au"):
        scans(alone, CUAU)


def test_what_is_in_focus_is_the_finest_scan_and_without_one_annular_images(collection: Collection) -> None:
    found = [s for s in scans(collection, CUAU) if s.tilt_range == FULL]
    names = {
        family: [c.scanned.series.name for c in cases(in_focus(found, family), family)]
        for family in ("mset", "resire", "genfire", "atoms-4d")
    }
    assert names == {
        "mset": ["cuau-fine"],
        "resire": ["cuau-fine"],
        "genfire": ["cuau-rings"],
        "atoms-4d": [],
    }


def test_an_rmsd_is_of_the_whole_where_both_shares_are_high(collection: Collection) -> None:
    found = {s.series.name: s for s in scans(collection, CUAU)}
    best = cases([found["cuau-tiny"]], "mset")[0]
    worst = cases([found["cuau-rings"]], "fista", [2e3])[0]
    assert best.whole
    assert not worst.whole
