"""The ordinary report of frames: pairs in the plane, and images without noise at the edge."""

from __future__ import annotations

import json
import math
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

from benchmarks.summary import SHEET_HEADLINE
from datasets.simulate import NOISE_FREE_DOSE
from reports import findings, position_error
from reports.collect import collect
from reports.figures import dose_curves, residuals, style
from reports.figures import position_error as position_figure
from reports.page import tables
from reports.page.render import page_data, render
from reports.payload import Payload, plain, with_finite_doses


@pytest.fixture(scope="module")
def payload(root: Path) -> Payload:
    """What the report of the frames shows."""
    return collect(root / "results", str(root / "data"))


def test_the_modality_decides_what_is_shown(payload: Payload) -> None:
    (specimen,) = payload.datasets
    assert (specimen.modality, specimen.doses) == ("hrtem", [8e3, 3e4, math.inf])
    assert tuple(m.key for m in dose_curves.panels_of(payload, specimen)) == SHEET_HEADLINE
    assert tuple(m.key for m in tables.table_metrics(payload)) == SHEET_HEADLINE
    assert specimen.published == []  # no sheet of the paper has as many atoms
    assert position_error.keys(specimen)[0] == "z_rmsd_levelled"
    assert "sheet (112 atoms, 1 image) at 2 doses from 8×10³ to 3×10⁴ e⁻/Å² per image and without noise" in (
        findings.asked(payload)
    )
    assert "matched in the plane, one to one within 0.6 Å" in payload.matching
    assert [t.max_dose for t in payload.thresholds] == [3e4] * len(payload.thresholds)


def test_residuals_are_those_of_pairs_in_the_plane(payload: Payload) -> None:
    answer = next(a for a in payload.answers if a.method == "graphene-flat" and a.dose == 8e3)
    truth = np.array(payload.truths[0].positions)
    heights = np.array(answer.residuals)[:, 2] / 100
    np.testing.assert_allclose(heights, -truth[answer.matched, 2], atol=0.02)  # a flat guess


def test_json_has_a_number_for_every_dose(payload: Payload) -> None:
    text = json.dumps(plain(payload), allow_nan=False)
    assert json.loads(text)["datasets"][0]["doses"] == [8e3, 3e4, NOISE_FREE_DOSE]
    panels = dose_curves.panels_of(payload, payload.datasets[0])
    data = with_finite_doses(page_data(payload, panels))
    shown = data["datasets"][0]
    assert shown["ticks"] == [8e3, 3e4]
    assert 3e4 < shown["noise_free_at"] < shown["dose_range"][1]
    assert data["rows"][-1]["dose"] == NOISE_FREE_DOSE
    page = render(payload)
    assert "RMSD in z, mean and tilt removed" in page
    assert "What the volumes look like" not in page


def test_noise_free_points_stand_apart(payload: Payload) -> None:
    at = style.place(math.inf, [8e3, 3e4])
    with style.paper():
        figure, caption = dose_curves.draw(payload, "sheet")
        ax = figure.axes[4]
        assert [t.get_text() for t in ax.get_xticklabels()] == ["8×10³", "3×10⁴", style.NOISE_FREE]
        assert any(at in np.atleast_1d(line.get_xdata()) for line in ax.lines)
        assert not any({3e4, at} <= set(np.atleast_1d(line.get_xdata())) for line in ax.lines)
        drawn, words = position_figure.draw(payload) or pytest.fail("no errors are drawn")
        _, residual_words = residuals.draw(payload, "sheet", math.inf) or pytest.fail("no residuals")
        plt.close("all")
    assert "Right of the doses: the image without noise." in caption
    assert "RMSD in z, levelled" in words
    assert "at infinite dose (noise-free)" in residual_words
    assert drawn.axes


def test_places_and_words_of_infinite_doses() -> None:
    assert style.dose_text(math.inf) == "noise-free"
    assert style.dose_words(8e3) == "8×10³ e⁻/Å²"
    assert style.place(8e3, [8e3, math.inf]) == 8e3
    assert style.place(math.inf, [math.inf]) == 1.0
    assert style.place(math.inf, [1e3, 1e5]) > 2e5
