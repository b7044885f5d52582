"""What the figures of papers 001 and 002 say is what the cells hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from datasets.errors import InputError
from reports.figures import style
from reports.figures.paper_002 import augmentation, confusion, dose, wedge, words
from reports.figures.plate import Plate, compose
from reports.series import WEDGE, Collection

KEYS = ("augmentation", "dose", "confusion", "wedge")
QUICK = ("confusion",)
"""Drawn in every run of the tests, the others in the slow one."""


def test_type_is_large_enough_and_nothing_overlaps_or_is_cut_off(
    drawn: tuple[Figure, bool], assert_readable: Callable[[Figure, bool], None]
) -> None:
    assert_readable(*drawn)


def test_captions_name_what_was_run(plates: dict[str, Plate]) -> None:
    assert tuple(plates) == KEYS
    for key, plate in plates.items():
        assert "40 atoms" in plate.caption
        assert len(plate.alt) > 40
        assert len(plate.rows) > 4, key
    for key in ("dose", "wedge"):
        assert "n = 2 noise replicates of one particle" in plates[key].caption


def test_methods_are_in_order_and_one_of_each_family(collection: Collection) -> None:
    for series in collection.series:
        assert words.methods_of(series) == list(words.ORDER)
    assert list(words.looks(collection.series)) == list(words.ORDER)


def test_confusion_is_that_of_the_cells(collection: Collection) -> None:
    series = next(s for s in collection.series if WEDGE not in s.kinds)
    cells = series.replicates("pann", 1e3)
    table = confusion.confusion(cells, series.elements)
    np.testing.assert_allclose(table.sum(axis=1), 100)
    named = np.mean([cell.scores["classification"] for cell in cells])
    counts = np.array([cells[0].truth().get_chemical_symbols().count(e) for e in series.elements])
    np.testing.assert_allclose((np.diag(table) * counts).sum() / counts.sum(), 100 * named, rtol=1e-6)
    recall = np.mean([cell.scores["recall"] for cell in cells])
    np.testing.assert_allclose(((100 - table[:, -1]) * counts).sum() / counts.sum(), 100 * recall, rtol=1e-6)


def test_curves_show_means_and_networks_are_full_lines(collection: Collection) -> None:
    series = next(s for s in collection.series if WEDGE not in s.kinds)
    panel = dose.curve(series, "rmsd", words.looks([series]))
    with style.paper():
        figure = compose([panel])
        lines = {line.get_gid(): line for line in figure.axes[0].lines if line.get_gid()}
        for method in words.ORDER:
            line = lines[f"{series.name} rmsd {method}"]
            expected = [
                np.mean([c.scores["rmsd"] for c in series.replicates(method, d)])
                for d in series.doses(method)
            ]
            np.testing.assert_allclose(line.get_ydata(), expected)
            assert (line.get_linestyle() == "-") == (method in words.NETWORKS)


def test_a_wedge_is_compared_with_the_same_particle(collection: Collection, cache: Path) -> None:
    plate = wedge.plate(collection, cache)
    titles = [panel.title for panel in plate.panels if panel.title]
    assert any(title.startswith("alloy: ") for title in titles)
    assert any(title.startswith("alloy, ±65°: ") for title in titles)
    cut_only = replace(collection, series=tuple(s for s in collection.series if WEDGE in s.kinds))
    with pytest.raises(InputError, match="both with and without"):
        wedge.plate(cut_only, cache)


def test_without_networks_there_is_no_figure(collection: Collection, cache: Path) -> None:
    series = tuple(
        replace(s, cells=tuple(c for c in s.cells if c.cell.method not in words.NETWORKS))
        for s in collection.series
    )
    without = replace(collection, series=series)
    for module in (augmentation, dose, confusion, wedge):
        with pytest.raises(InputError, match="no network"):
            module.plate(without, cache)
