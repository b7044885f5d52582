"""Grids of panels: which cases they hold, and that one case alone is no comparison."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from datasets.errors import InputError
from reports.figures.paper_004 import grids, summary
from reports.figures.plate import Plate
from reports.series import Collection


def only(collection: Collection, *names: str) -> Collection:
    """The results on some of the series."""
    return replace(collection, series=tuple(s for s in collection.series if s.name in names))


@pytest.mark.parametrize("draw", [grids.steps, grids.tilt_ranges])
def test_one_case_is_no_comparison(
    collection: Collection, cache: Path, draw: Callable[[Collection, Path], Plate]
) -> None:
    with pytest.raises(InputError, match="there is nothing to compare, such as cuau-150-4d"):
        draw(only(collection, "cuau-tiny"), cache)


def test_the_summary_has_rows_of_what_is_varied(collection: Collection, cache: Path) -> None:
    made = summary.plate(only(collection, "cuau-tiny"), cache)
    assert len(made.panels) == 3
    assert "against dose" in made.alt


def test_the_sparse_scans_of_both_particles_are_at_the_paper_s_tilts(plates: dict[str, Plate]) -> None:
    titles = [panel.title for panel in plates["fig-8"].panels if panel.title]
    assert titles == ["Au–Cu, 1.25×10⁵", "Au–Cu, 1.25×10⁴", "Ba–O, 1.25×10⁵", "Ba–O, 1.25×10⁴"]
    assert "tilts over ±75°;" in plates["fig-8"].caption


def test_four_algorithms_need_patterns(collection: Collection, cache: Path) -> None:
    with pytest.raises(InputError, match="by mset or sset"):
        grids.algorithms(only(collection, "cuau-tiny", "cuau-rings"), cache)


def test_captions_say_who_sees_what(plates: dict[str, Plate]) -> None:
    said = (
        "MSET and SSET from diffraction patterns",
        "RESIRE from annular images in focus, 5 × 5 probes 0.4 Å apart",
        "GENFIRE from annular images in focus, 24 × 24 pixels of 0.35 Å",
    )
    assert "; ".join(said) in plates["fig-3"].caption
    assert "RESIRE from annular images in focus, 24 × 24 pixels" in plates["fig-7-o-ba"].caption
