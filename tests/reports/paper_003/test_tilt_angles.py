"""Extended Data Fig. 7: tilt angles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from scipy.spatial.transform import Rotation

from recon.align.alignment import euler_angles
from reports.again import make_again
from reports.figures.paper_003 import tilt_angles, words
from reports.figures.plate import Plate
from reports.series import Series

DOSE = 1.7e4
"""e⁻/Å²: the paper's for Co–Pd–Pt, and within rounding its 1.6e4."""
PLAIN = "resire[n_iter=30]"
REFINED = "resire[angles=refine,n_iter=30]"
SIRT = "sirt[n_iter=20]"
SeriesOf = Callable[[str], Series]
AxesOf = Callable[[Plate, str], Axes]


def test_angle_errors_are_the_true_ones_and_do_not_know_how_the_specimen_lies(
    cache: Path, plates: dict[str, Plate], series_of: SeriesOf, axes_of: AxesOf
) -> None:
    series = series_of("turned")
    again = make_again(series, words.representative(series, REFINED, DOSE), cache)
    before, after = tilt_angles.angle_errors(series, again)
    errors = series.true_imperfections()
    true = errors.rotations(series.card.theta())
    lost = before + errors.angles  # nominal − true; only a common rotation is taken out of it
    assert tilt_angles.rms(before) < 1.1 * tilt_angles.rms(errors.angles)
    assert np.corrcoef(-before[:, 0], errors.angles[:, 0])[0, 1] > 0.9
    assert np.abs(lost).max() < 2
    perfect = replace(again, angles=euler_angles(true * Rotation.from_rotvec([0.01, -0.02, 0.015])))
    assert np.abs(tilt_angles.angle_errors(series, perfect)[1]).max() < 1e-3
    assert tilt_angles.rms(after) < 0.6 * tilt_angles.rms(before)
    for nth, sign in enumerate("φθψ"):
        ax = axes_of(plates["extended-fig-7"], sign)
        given, refined = (np.asarray(line.get_ydata()) for line in ax.get_lines()[1:])
        np.testing.assert_array_equal(given, before[:, nth])
        np.testing.assert_array_equal(refined, after[:, nth])
    assert f"φ {tilt_angles.rms(before[:, 0]):.2f}° to {tilt_angles.rms(after[:, 0]):.2f}°" in (
        plates["extended-fig-7"].caption
    )


def test_methods_that_are_compared_differ_in_the_angles_alone(series_of: SeriesOf) -> None:
    chosen, notes = tilt_angles.methods(series_of("turned"))
    assert chosen == [
        ("RESIRE + angles", tilt_angles.REFINED, REFINED),
        ("RESIRE", tilt_angles.UNREFINED, PLAIN),
        ("SIRT", tilt_angles.UPDATED_SIRT, SIRT),
    ]
    assert notes == []
    chosen, notes = tilt_angles.methods(series_of("focused"))
    assert [case for _, case, _ in chosen] == [tilt_angles.UNREFINED]
    assert len(notes) == 2
    assert "no method for “tilt errors, updated SIRT”" in notes[1]
