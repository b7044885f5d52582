"""Captions, type and layout of every plate, for a page and for a telephone."""

from __future__ import annotations

import re
from collections.abc import Callable

from matplotlib.figure import Figure

from reports.figures.plate import Plate

KEYS = ("fig-1a", "fig-2", "fig-3", "fig-4", "fig-5", "fig-6", "fig-7")
QUICK = ("fig-6", "fig-7")
"""Drawn in every run of the tests, the others in the slow one."""


def test_captions_name_what_was_imaged_and_what_the_paper_has(plates: dict[str, Plate]) -> None:
    assert tuple(plates) == KEYS
    for key, plate in plates.items():
        assert "sheet (112 atoms, one frame by abtem) (the paper: 640 atoms)" in plate.caption, key
        assert re.search(r"n = \d", plate.caption), key
        assert "nterval" in plate.caption
        assert len(plate.alt) > 40


def test_type_is_large_enough_and_nothing_overlaps_or_is_cut_off(
    drawn: tuple[Figure, bool], assert_readable: Callable[[Figure, bool], None]
) -> None:
    assert_readable(*drawn)
