"""A reconstruction made again is the one of the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from datasets.errors import InputError
from reports import again as again_module
from reports.again import make_again
from reports.figures.paper_003 import words
from reports.series import Series

DOSE = 1.7e4
"""e⁻/Å²: the paper's for Co–Pd–Pt, and within rounding its 1.6e4."""
PLAIN = "resire[n_iter=30]"
SeriesOf = Callable[[str], Series]


def test_a_reconstruction_made_again_is_the_stored_one_and_is_kept(
    cache: Path, monkeypatch: pytest.MonkeyPatch, series_of: SeriesOf
) -> None:
    series = series_of("focused")
    cell = words.representative(series, PLAIN, DOSE)
    made = make_again(series, cell, cache)
    assert made.same
    assert words.differs(series, made) == []
    assert len(words.differs(series, replace(made, same=False))) == 1
    monkeypatch.setattr(again_module, "_make", None)  # not called again
    kept = make_again(series, cell, cache)
    np.testing.assert_array_equal(kept.intensities, made.intensities)
    assert (kept.tilt, kept.theta, kept.same) == (made.tilt, made.theta, made.same)
    changed = replace(cell, cell=replace(cell.cell, version="0"))
    monkeypatch.undo()
    with pytest.raises(InputError, match="has changed since these results were made"):
        make_again(series, changed, cache)
