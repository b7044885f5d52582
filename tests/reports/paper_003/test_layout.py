"""Captions, type and layout of every plate, for a page and for a telephone."""

from __future__ import annotations

import re
from collections.abc import Callable

from matplotlib.figure import Figure

from reports.figures.plate import Plate

KEYS = ("fig-1-si-208", "fig-2", "fig-3", "fig-4", "extended-fig-5", "extended-fig-6", "extended-fig-7")
QUICK = ("fig-3",)
"""Drawn in every run of the tests, the others in the slow one."""


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


def test_type_is_large_enough_and_nothing_overlaps_or_is_cut_off(
    drawn: tuple[Figure, bool], assert_readable: Callable[[Figure, bool], None]
) -> None:
    assert_readable(*drawn)
