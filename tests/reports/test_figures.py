"""Figures fit a column, can be read, and say what they show."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from PIL import Image

from reports.figures import (
    classification,
    dose_curves,
    orthoslices,
    position_error,
    residuals,
    style,
    thresholds,
)
from reports.figures.dose_curves import tick_doses
from reports.page import tables
from reports.payload import Payload
from reports.report import file_name

NAMES = ("thresholds", "dose-curves", "position-error", "classification", "orthoslices", "residuals")


@pytest.fixture(params=NAMES)
def drawn(request: pytest.FixtureRequest, payload: Payload) -> Iterator[tuple[Figure, str]]:
    """Each figure with its caption, in its style."""
    dose = max(payload.datasets[0].doses)
    draw = {
        "thresholds": lambda: thresholds.draw(payload, "tiny (linear)"),
        "dose-curves": lambda: dose_curves.draw(payload, "tiny"),
        "position-error": lambda: position_error.draw(payload),
        "classification": lambda: classification.draw(payload, "tiny"),
        "orthoslices": lambda: orthoslices.draw(payload, "tiny", dose),
        "residuals": lambda: residuals.draw(payload, "tiny", dose),
    }
    with style.paper():
        figure, caption = draw[request.param]()
        figure.draw_without_rendering()
        yield figure, caption
        plt.close(figure)


def _texts(figure: Figure) -> list[Text]:
    return [
        text
        for text in figure.findobj(Text)
        if isinstance(text, Text) and text.get_visible() and text.get_text().strip()
    ]


def test_type_is_large_enough_and_the_width_is_a_columns(drawn: tuple[Figure, str]) -> None:
    figure, _ = drawn
    assert min(text.get_fontsize() for text in _texts(figure)) >= 7
    assert figure.get_size_inches()[0] in (style.COLUMN, style.PAGE)


def test_no_text_overlaps_or_is_cut_off(drawn: tuple[Figure, str]) -> None:
    figure, _ = drawn
    renderer = figure.canvas.get_renderer()
    ticks = {
        label: axis.get_view_interval()[0] <= tick.get_loc() <= axis.get_view_interval()[1]
        for ax in figure.axes
        for axis in (ax.xaxis, ax.yaxis)
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
        for label in (tick.label1, tick.label2)
    }
    drawn_texts = [text for text in _texts(figure) if ticks.get(text, True)]
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in drawn_texts]
    boxes = [(text, box) for text, box in boxes if box.width > 0]
    assert len(boxes) >= 5
    for text, box in boxes:
        assert _inside(box, figure, slack=1), text
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        width = min(a.x1, b.x1) - max(a.x0, b.x0)
        height = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert width <= 1 or height <= 0.25 * min(a.height, b.height), (one, other)


def _inside(box: Bbox, figure: Figure, slack: float) -> bool:
    page = figure.bbox
    across = box.x0 >= page.x0 - slack and box.x1 <= page.x1 + slack
    return bool(across and box.y0 >= page.y0 - slack and box.y1 <= page.y1 + slack)


def test_the_caption_names_subset_n_and_interval(drawn: tuple[Figure, str]) -> None:
    _, caption = drawn
    assert "tiny" in caption
    assert "n = " in caption
    assert "interval" in caption


def test_curves_are_drawn_from_the_results(payload: Payload) -> None:
    with style.paper():
        figure, _ = dose_curves.draw(payload, "tiny")
        recall = figure.axes[0]
        drawn = {tuple(np.asarray(line.get_ydata()).round(9)) for line in recall.get_lines()}
        plt.close(figure)
    for method in payload.methods:
        means = [row.values["recall"].mean for row in payload.curve("tiny", method.name)]
        assert tuple(np.round([100 * m for m in means if m is not None], 9)) in drawn


def test_both_doses_can_be_read(payload: Payload) -> None:
    with style.paper():
        figure, _ = dose_curves.draw(payload, "tiny")
        figure.draw_without_rendering()
        texts = {text.get_text() for text in _texts(figure)}
        plt.close(figure)
    assert {"Dose per image (e⁻/Å²)", "Total dose, 12 images (e⁻/Å²)", "10³", "1.2×10⁴"} <= texts


def test_axes_follow_the_methods_and_errors_are_shown_in_percent(payload: Payload) -> None:
    assert dose_curves.axis_range(payload, "tiny", payload.metric("recall")) == (0.0, 100.0, False)
    low, high, log = dose_curves.axis_range(payload, "tiny", payload.metric("rmsd"))
    own = [
        row.values["rmsd"].mean or 0
        for row in payload.rows
        if not payload.method(row.method).control and row.values["rmsd"].mean is not None
    ]
    own += [b for b in payload.specimen("tiny").bound if b is not None and b < max(own)]
    assert low < min(own) <= max(own) < high
    assert log == (max(own) > 5 * min(own))


def test_the_bound_is_drawn_where_it_belongs_and_named(payload: Payload) -> None:
    bound = payload.specimen("tiny").bound
    assert len(bound) == len(payload.specimen("tiny").doses)
    assert (bound[0] or 0) > 5 * (bound[1] or 0) > 0
    panels = {key: dose_curves.bound_of(payload, "tiny", payload.metric(key)) for key in ("rmsd", "recall")}
    assert panels == {"rmsd": list(zip(payload.specimen("tiny").doses, bound, strict=True)), "recall": []}
    with style.paper():
        figure, caption = dose_curves.draw(payload, "tiny")
        texts = [text.get_text() for text in _texts(figure)]
        plt.close(figure)
    assert "Cramér–Rao bound" in caption
    assert texts.count(dose_curves.BOUND) == 1
    labels = [metric.label for metric in tables.table_metrics(payload)]
    assert labels[labels.index("RMSD") + 1] == "RMSD over bound"


def test_tick_doses_are_measured_ones_with_room_between() -> None:
    doses = [1e3, 2e3, 4e3, 8e3, 1.6e4, 1e5]
    ticks = tick_doses(doses)
    assert set(ticks) <= set(doses)
    assert ticks[0] == 1e3
    assert min(np.diff(np.log10(ticks))) >= 0.25 * np.log10(100)


def test_every_figure_is_written_twice_with_its_caption(report: Path) -> None:
    folder = report.parent / "figures"
    captions = (folder / "captions.md").read_text(encoding="utf-8")
    stems = {path.stem for path in folder.glob("*.p*")}
    assert {stem.partition("-tiny")[0] for stem in stems} == set(NAMES)
    for stem in stems:
        image = Image.open(folder / f"{stem}.png")
        pixels = np.asarray(image.convert("L"))
        assert pixels.std() > 5
        width = image.width / 300
        assert width == pytest.approx(style.COLUMN, abs=0.01) or width == pytest.approx(style.PAGE, abs=0.01)
        assert f"**{stem}.** " in captions
        assert str(image.info["Description"]) in captions
        assert (folder / f"{stem}.pdf").read_bytes().startswith(b"%PDF")


def test_file_names_are_tame() -> None:
    assert file_name("cuau-150[engine=linear,seed=2]") == "cuau-150-engine.linear-seed.2"
    assert file_name("cuau-150 (linear)") == "cuau-150-linear"
    assert set(file_name("../a b/c:*?\\é$")) <= set("abcdefghijklmnopqrstuvwxyzé.-")
