"""Captions, type and layout of every plate, for a page and for a telephone."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator

import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure

from reports.figures import style
from reports.figures.plate import Plate, compose

KEYS = (
    "fig-2",
    "fig-3",
    "fig-4",
    "fig-5",
    "fig-6",
    "fig-7-cu-au",
    "fig-7-o-ba",
    "fig-8",
    "fig-9",
    "equal-dose",
)


def test_captions_name_what_was_imaged_and_what_the_paper_has(plates: dict[str, Plate]) -> None:
    assert tuple(plates) == KEYS
    for key, plate in plates.items():
        assert "(20 atoms, 4 multislice 4D-STEM scans) (the paper: " in plate.caption, key
        assert re.search(r"n = \d", plate.caption), key
        assert "nterval" in plate.caption, key
        assert len(plate.alt) > 40
        assert plate.rows[0][1:3] == ("Quantity", "n")
    assert "987 atoms" in plates["fig-7-o-ba"].caption
    assert "5×10⁴, 5×10³, 500 e⁻/Å² per tilt" in plates["fig-5"].caption


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


def test_type_is_large_enough_and_nothing_overlaps_or_is_cut_off(
    drawn: tuple[Figure, bool], assert_readable: Callable[[Figure, bool], None]
) -> None:
    assert_readable(*drawn)
