"""Captions, type and layout of every plate, for a page and for a telephone."""

from __future__ import annotations

import re
from collections.abc import Callable

from matplotlib.figure import Figure

from reports.figures.plate import Plate

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
QUICK = ("fig-3",)
"""Drawn in every run of the tests, the others in the slow one."""


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


def test_type_is_large_enough_and_nothing_overlaps_or_is_cut_off(
    drawn: tuple[Figure, bool], assert_readable: Callable[[Figure, bool], None]
) -> None:
    assert_readable(*drawn)
