"""The common line: exact without noise, at the Cramér–Rao bound with it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from datasets.errors import InputError
from recon.align.common_line import common_line
from recon.align.gauge import without_translation
from recon.align.shift import derivative
from recon.align.support import specimen_masks


def errors(series: Any, found: Any) -> tuple[float, float]:
    """Root mean square errors of the shifts along y [pixel] and of the scales."""
    true = without_translation(series.shifts, series.nominal.rotations)[:, 1]
    shift = (found.shifts[:, 1] - true) / series.nominal.pixel_size
    scale = found.scales - series.scales / series.scales.mean()
    return float(np.sqrt(np.mean(shift**2))), float(np.sqrt(np.mean(scale**2)))


def test_exact_without_noise(misaligned: Callable[..., Any]) -> None:
    series = misaligned(shift=1.25, scale=0.05)
    shift, scale = errors(series, common_line(series.images, series.nominal))
    assert shift < 0.005
    assert scale < 5e-4


@pytest.mark.parametrize("peak", [200, 40])
def test_near_the_limit_of_the_noise(misaligned: Callable[..., Any], peak: float) -> None:
    """Cramér–Rao: var d = 1 / Σ m'²/v, var s = 1 / Σ m²/v for a profile m of variance v, alone in each."""
    series = misaligned(shift=1.0, scale=0.05, peak=peak, n_tilt=40)
    clean = misaligned(n_tilt=40).images
    clean = clean / clean.max() * peak
    profile = clean.sum(axis=2).mean(axis=0)
    widths = specimen_masks(clean).sum(axis=2).mean(axis=0)
    inside = widths > 1
    variance = (profile + widths)[inside]
    bound_shift = 1 / np.sqrt(np.sum(derivative(profile[None], 1)[0, inside] ** 2 / variance))
    bound_scale = 1 / np.sqrt(np.sum(profile[inside] ** 2 / variance))
    shift, scale = errors(series, common_line(series.images, series.nominal, background=1.0))
    assert shift < 1.4 * bound_shift
    assert scale < 1.4 * bound_scale


def test_better_than_centres_of_mass(misaligned: Callable[..., Any]) -> None:
    series = misaligned(shift=1.0, scale=0.05, peak=60, n_tilt=40)
    found = common_line(series.images, series.nominal, background=1.0)
    along_x = without_translation(series.shifts, series.nominal.rotations)[:, 0]
    assert errors(series, found)[0] < np.sqrt(np.mean((found.shifts[:, 0] - along_x) ** 2)) / 0.4


def test_a_moved_or_brighter_specimen_is_the_same(misaligned: Callable[..., Any]) -> None:
    one, other = misaligned(shift=0.7, scale=0.05), misaligned(shift=0.7, scale=0.05, move=(0.3, 0.4, -0.2))
    here = common_line(one.images, one.nominal)
    there = common_line(7 * other.images, other.nominal)
    np.testing.assert_allclose(there.shifts, here.shifts, atol=0.005)
    np.testing.assert_allclose(there.scales, here.scales, atol=1e-3)


def test_one_tilt_axis_only(misaligned: Callable[..., Any]) -> None:
    series = misaligned(angle=0.5)
    turned = type(series.nominal)(series.turns, *(series.nominal.x,) * 3, 0.4)
    with pytest.raises(InputError, match="tilts about y only"):
        common_line(series.images, turned)
