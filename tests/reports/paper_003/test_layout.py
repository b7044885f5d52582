"""Captions, type and layout of every plate, for a page and for a telephone."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from reports.figures import style
from reports.figures.plate import Plate, compose

KEYS = ("fig-1-si-208", "fig-2", "fig-3", "fig-4", "extended-fig-5", "extended-fig-6", "extended-fig-7")


def test_captions_name_what_was_run_and_what_the_paper_has(plates: dict[str, Plate]) -> None:
    assert tuple(plates) == KEYS
    for key, plate in plates.items():
        imaged = "300 atoms, 12 multislice 4D-STEM scans" if key == "fig-4" else "40 atoms, 12 linear images"
        assert f"{imaged}), " in plate.caption
        assert "(the paper: " in plate.caption
        assert re.search(r"n = \d", plate.caption), key
        assert "nterval" in plate.caption
        assert len(plate.alt) > 40
    assert "18,356 atoms, 55 images" in plates["fig-3"].caption
    assert "1.6×10⁵" not in plates["fig-3"].caption
    assert plates["fig-1-si-208"].notes == (
        "si-tiny: the paper's doses of 8×10³ and 1.6×10⁵ e⁻/Å² are not among the results.",
    )


LAYOUTS = [
    pytest.param(pair, marks=() if pair[0] == "fig-3" else pytest.mark.slow, id=f"{pair[0]}-{pair[1]}")
    for pair in itertools.product(KEYS, (False, True))
]


@pytest.fixture(params=LAYOUTS)
def drawn(request: pytest.FixtureRequest, plates: dict[str, Plate]) -> Iterator[tuple[Figure, bool]]:
    """Each plate for a page and for a telephone."""
    key, narrow = request.param
    with style.paper():
        figure = compose(plates[key].panels, narrow=narrow)
        yield figure, narrow
        plt.close(figure)


def _texts(figure: Figure) -> Iterator[Text]:
    """The texts that are seen: those of ticks only where the tick is."""
    outside = {
        label
        for ax in figure.axes
        for axis in (ax.xaxis, ax.yaxis)
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
        for label in (tick.label1, tick.label2)
        if not axis.get_view_interval().min() <= tick.get_loc() <= axis.get_view_interval().max()
    }
    for text in figure.findobj(Text):
        if isinstance(text, Text) and text.get_visible() and text.get_text().strip() and text not in outside:
            yield text


def test_type_is_large_enough_and_nothing_overlaps_or_is_cut_off(drawn: tuple[Figure, bool]) -> None:
    figure, narrow = drawn
    assert figure.get_size_inches()[0] == (style.COLUMN if narrow else style.PAGE)
    renderer = figure.canvas.get_renderer()
    boxes = [(t, t.get_window_extent(renderer)) for t in _texts(figure)]
    boxes = [(t, box) for t, box in boxes if box.width > 0]
    assert min(t.get_fontsize() for t, _ in boxes) >= (9 if narrow else 7)
    page = figure.bbox
    for text, box in boxes:
        assert box.x0 >= page.x0 - 1, text
        assert box.x1 <= page.x1 + 1, text
        assert box.y0 >= page.y0 - 1, text
        assert box.y1 <= page.y1 + 1, text
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        width = min(a.x1, b.x1) - max(a.x0, b.x0)
        height = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert width <= 1 or height <= 0.25 * min(a.height, b.height), (one, other)
