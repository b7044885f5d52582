"""Extended Data Fig. 5: alignment."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes

from reports.figures.paper_003 import alignment, tilt_angles
from reports.figures.plate import Plate
from reports.series import Series

DOSE = 1.7e4
"""e⁻/Å²: the paper's for Co–Pd–Pt, and within rounding its 1.6e4."""
PLAIN = "resire[n_iter=30]"
ALIGNED = "resire[align=common_line,n_iter=30]"
SeriesOf = Callable[[str], Series]
AxesOf = Callable[[Plate, str], Axes]


def test_alignment_is_seen_in_centres_of_mass_and_common_lines(
    plates: dict[str, Plate], series_of: SeriesOf, axes_of: AxesOf
) -> None:
    series = series_of("shifted")
    before, after, notes = alignment.methods(series)
    assert (before, after, notes) == (PLAIN, ALIGNED, [])
    analysis = alignment.analyse(series, ALIGNED, DOSE)
    for axis in (0, 1):
        assert np.abs(analysis.centers[0, :, axis] - analysis.shifts[:, axis]).max() < 0.15
        off = [tilt_angles.rms(c[:, axis]) for c in analysis.centers]
        assert off[1] < 0.2 * off[0]
        ax = axes_of(plates["extended-fig-5"], f"Centre of mass along {'xy'[axis]}")
        true, given, aligned = (np.asarray(line.get_ydata()) for line in ax.get_lines()[:3])
        np.testing.assert_allclose(true, analysis.shifts[:, axis])
        np.testing.assert_allclose(given, analysis.centers[0, :, axis])
        np.testing.assert_allclose(aligned, analysis.centers[1, :, axis])
    assert np.corrcoef(analysis.totals[0], analysis.scales)[0, 1] > 0.5
    assert analysis.totals[1].std() < 0.5 * analysis.totals[0].std()
    spread = [np.std(p, axis=0).mean() for p in analysis.profiles]
    assert spread[1] < 0.3 * spread[0]
    lines = axes_of(plates["extended-fig-5"], "Common lines aligned").get_lines()
    np.testing.assert_allclose([line.get_ydata() for line in lines], analysis.profiles[1])
