"""Extended Data Fig. 6: defocus."""

from __future__ import annotations

from dataclasses import replace

import pytest

from datasets.errors import InputError
from reports.figures.paper_003 import defocus
from reports.figures.plate import Plate
from reports.series import Collection

PLAIN = "resire[n_iter=30]"


def test_defocus_is_compared_within_one_acquisition(collection: Collection, plates: dict[str, Plate]) -> None:
    focused, defocused = defocus.pair(collection)
    assert (focused.name, defocused.name) == ("focused", "defocused")
    assert defocus.common_method(focused, defocused) == PLAIN
    assert any("defocus has no effect" in note for note in plates["extended-fig-6"].notes)
    rows = plates["extended-fig-6"].rows
    assert ("focused", "Pt", "", "paper, Fig. 3d, e", "100", "–", "6", "–") in rows
    assert ("±3 nm", "Co", "", "paper, Extended Data Fig. 6d, e", "90.3", "–", "40", "–") in rows
    without = replace(collection, series=tuple(s for s in collection.series if s.name != "focused"))
    with pytest.raises(InputError, match="no Co–Pd–Pt series in focus is among the results"):
        defocus.pair(without)
