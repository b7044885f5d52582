"""Alignment against re-projections: shifts up to 1.25 Å, intensities, noise, and what it cannot see."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from datasets.errors import InputError
from recon.align.center_of_mass import center_of_mass
from recon.align.common_line import common_line
from recon.align.gauge import without_translation
from recon.align.reprojection import align_to_reprojections
from recon.tomography.resire import resire


def errors(series: Any, found: Any) -> tuple[float, float]:
    """Root mean square errors of the shifts [pixel] and of the scales."""
    shift = found.shifts - without_translation(series.shifts, series.nominal.rotations)
    scale = found.scales - series.scales / series.scales.mean()
    return float(np.sqrt(np.mean(shift**2))) / 0.4, float(np.sqrt(np.mean(scale**2)))


def test_from_centres_of_mass_without_noise(misaligned: Callable[..., Any]) -> None:
    series = misaligned(shift=1.25, scale=0.05)
    start = center_of_mass(series.images, series.nominal)
    found = align_to_reprojections(series.images, series.nominal, start=start)
    shift, scale = errors(series, found)
    assert shift < 0.02
    assert scale < 0.005
    assert list(found.history) == sorted(found.history, reverse=True)
    assert found.rounds == len(found.history)


def test_from_nothing(misaligned: Callable[..., Any]) -> None:
    """Half an atom's width off, no centre of mass to start from."""
    series = misaligned(shift=0.5, scale=0.05)
    found = align_to_reprojections(series.images, series.nominal)
    assert errors(series, found)[0] < 0.1


def test_better_than_where_it_started_with_noise(misaligned: Callable[..., Any]) -> None:
    series = misaligned(shift=1.25, scale=0.05, peak=60)
    start = common_line(series.images, series.nominal, background=1.0)
    found = align_to_reprojections(series.images, series.nominal, start=start, n_round=5)
    assert errors(series, found)[0] < 0.75 * errors(series, start)[0]
    assert errors(series, found)[1] < 0.02


def test_a_moved_specimen_is_the_same(misaligned: Callable[..., Any]) -> None:
    one, other = misaligned(shift=0.3), misaligned(shift=0.3, move=(0.25, 0.2, -0.3))
    here, there = (align_to_reprojections(s.images, s.nominal, n_round=6) for s in (one, other))
    np.testing.assert_allclose(there.shifts, here.shifts, atol=0.03)
    np.testing.assert_allclose(
        without_translation(here.shifts, one.nominal.rotations), here.shifts, atol=1e-9
    )
    assert here.scales.mean() == pytest.approx(1.0)


def test_any_solver(misaligned: Callable[..., Any]) -> None:
    series = misaligned(shift=0.3)
    found = align_to_reprojections(series.images, series.nominal, solver=resire, n_round=4)
    assert (
        errors(series, found)[0]
        < 0.5 * errors(series, center_of_mass(0 * series.images + 1, series.nominal))[0]
    )


def test_a_callback_can_stop_it(misaligned: Callable[..., Any]) -> None:
    seen: list[float] = []

    def callback(n: int, figures: Mapping[str, float]) -> None:
        seen.append(figures["r_factor"])
        if n == 2:
            raise StopIteration

    series = misaligned(shift=0.5)
    found = align_to_reprojections(series.images, series.nominal, callback=callback, n_iter=2, first_iter=5)
    assert found.rounds == 2
    assert found.history == tuple(seen)


def test_bad_numbers(misaligned: Callable[..., Any]) -> None:
    series = misaligned()
    with pytest.raises(InputError, match="must be at least 1"):
        align_to_reprojections(series.images, series.nominal, n_round=0)
