"""Error bars: of two replicates what they gave, of more an interval, and never beyond the frame unmarked."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes

from benchmarks.summary import mean_interval
from reports.accuracy import Estimate
from reports.figures import style
from reports.figures.paper_004 import words
from reports.figures.paper_004.cases import Case
from reports.figures.plate import Plate
from reports.published_multislice import CLASSIFICATION, RMSD


def case(monkeypatch: pytest.MonkeyPatch, **scores: list[float]) -> Case:
    """A case whose replicates have these scores."""
    n = len(next(iter(scores.values())))
    cells = [SimpleNamespace(scores={name: values[i] for name, values in scores.items()}) for i in range(n)]
    monkeypatch.setattr(Case, "cells", cells)
    empty: Any = None
    return Case(empty, "mset", "mset", 1e3, "")


def test_two_replicates_are_drawn_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    two = case(monkeypatch, **{RMSD: [5.0, 7.0], CLASSIFICATION: [0.5, 0.75]})
    assert two.bar(RMSD) == Estimate(6.0, 5.0, 7.0, 2)
    assert two.bar(CLASSIFICATION) == Estimate(62.5, 50.0, 75.0, 2)
    assert two.score(RMSD).low == 0
    assert two.score(RMSD).high > 15


def test_of_more_it_is_the_interval_and_of_one_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    three = case(monkeypatch, **{RMSD: [5.0, 6.0, 7.0]})
    assert three.bar(RMSD) == Estimate(*mean_interval(np.array([5.0, 6.0, 7.0]), 0.0, None))
    one = case(monkeypatch, **{RMSD: [5.0]})
    assert one.bar(RMSD).mean == 5
    assert math.isnan(one.bar(RMSD).low)


def test_an_interval_beyond_the_frame_ends_in_a_triangle() -> None:
    figure, ax = plt.subplots()
    ax.set_ylim(0, 10)
    words.draw_interval(ax, 1.0, Estimate(6.0, -2.0, 30.0, 3), (0.0, 10.0), "k")
    words.draw_interval(ax, 2.0, Estimate(6.0, 5.0, 7.0, 3), (0.0, 10.0), "k")
    words.draw_interval(ax, 3.0, Estimate(6.0, math.nan, math.nan, 1), (0.0, 10.0), "k")
    plt.close(figure)
    drawn = [(line.get_gid(), *line.get_xydata().ravel()) for line in ax.lines]
    assert drawn == [
        ("interval", 1, 0, 1, 10),
        ("goes on", 1, 0),
        ("goes on", 1, 10),
        ("interval", 2, 5, 2, 7),
    ]


@pytest.mark.parametrize(
    ("key", "title"), [("fig-9", "RMSD"), ("equal-dose", "Cu–Au: tracing"), ("equal-dose", "Cu–Au: RMSD")]
)
def test_bars_stay_within_their_axes(
    plates: dict[str, Plate], axes_of: Callable[[Plate, str], Axes], key: str, title: str
) -> None:
    ax = axes_of(plates[key], title)
    low, high = ax.get_ylim()
    bars = [line for line in ax.lines if line.get_gid() == "interval"]
    assert bars
    for line in bars:
        y = np.asarray(line.get_ydata())
        assert low <= y[0] <= y[1] <= high


def test_methods_at_one_dose_stand_side_by_side(
    plates: dict[str, Plate], axes_of: Callable[[Plate, str], Axes]
) -> None:
    ax = axes_of(plates["equal-dose"], "Cu–Au: tracing")
    lines = [line for line in ax.lines if line.get_gid() not in ("interval", "goes on")]
    first = sorted(float(np.asarray(line.get_xdata())[0]) for line in lines)
    assert len(set(first)) == len(lines) > 3
    assert first[-1] < 1.5 * first[0]
    assert "drawn side by side" in plates["equal-dose"].caption


def test_captions_say_what_bars_are(plates: dict[str, Plate]) -> None:
    said = "Error bars: the line between two noise replicates (n = 2); intervals in the table."
    assert said in plates["fig-9"].caption
    assert style.dose_text(1.25e4) in [text.get_text() for text in _sparse(plates["fig-9"]).get_xticklabels()]


def _sparse(plate: Plate) -> Axes:
    """The last row's first panel, drawn."""
    with style.paper():
        figure, ax = plt.subplots()
        plate.panels[-3].draw(ax)
        plt.close(figure)
    return ax
