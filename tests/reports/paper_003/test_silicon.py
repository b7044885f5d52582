"""Fig. 1: the position errors of silicon."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.axes import Axes

from reports.accuracy import ONE_TO_ONE, accuracy, position_errors
from reports.figures.plate import Plate
from reports.series import Collection, Series

DOSE = 1.7e4
"""e⁻/Å²: the paper's for Co–Pd–Pt, and within rounding its 1.6e4."""
PLAIN = "resire[n_iter=30]"
SeriesOf = Callable[[str], Series]
AxesOf = Callable[[Plate, str], Axes]


def test_position_errors_of_silicon(
    collection: Collection, plates: dict[str, Plate], series_of: SeriesOf, axes_of: AxesOf
) -> None:
    series = series_of("si-tiny")
    errors = position_errors(series.replicates(PLAIN, DOSE))
    data = collection.data.sel(dataset="si-tiny", dose=DOSE, reconstructor=PLAIN)
    assert len(errors) == int(data["n_matched"].sum())
    pooled = np.sqrt((data["rmsd"] ** 2 * data["n_matched"]).sum() / data["n_matched"].sum())
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(float(pooled))
    ax = axes_of(plates["fig-1-si-208"], "1.7×10⁴")
    share = ax.patches[0].get_data().values
    assert share.sum() == pytest.approx(100, abs=2.6)  # but for the last half per cent
    found = {a.rule: a for a in accuracy(series, PLAIN, DOSE) if a.species == "Si"}
    lines = [float(line.get_xdata()[0]) for line in ax.get_lines()]
    assert lines == pytest.approx([found[ONE_TO_ONE].rmsd.mean, found[ONE_TO_ONE].bound, 17])
    assert "paper: 100 %, 17 pm" in ax.texts[0].get_text()
    assert f"bound: {found[ONE_TO_ONE].bound:.1f} pm" in ax.texts[0].get_text()
