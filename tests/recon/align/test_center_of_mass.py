"""Centres of mass: exact without noise, one common centre, deaf to what is far out."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from datasets.errors import InputError
from recon.align.center_of_mass import center_of_mass, image_centers
from recon.align.gauge import without_translation


def test_shifts_are_recovered(misaligned: Callable[..., Any]) -> None:
    series = misaligned(shift=1.25, scale=0.05)
    found = center_of_mass(series.images, series.nominal)
    expected = without_translation(series.shifts, series.nominal.rotations)
    np.testing.assert_allclose(found.shifts, expected, atol=0.05 * 0.4)
    assert (found.scales == 1).all()


def test_a_specimen_off_the_centre_stays_where_it_is(misaligned: Callable[..., Any]) -> None:
    series = misaligned(move=(0.8, -0.5, 0.6))
    np.testing.assert_allclose(center_of_mass(series.images, series.nominal).shifts, 0, atol=2e-3)


def test_a_specimen_off_the_centre_is_brought_to_it(misaligned: Callable[..., Any]) -> None:
    series = misaligned(move=(0.8, -0.5, 0.6), shift=0.5)
    found = center_of_mass(series.images, series.nominal, center="origin")
    corrected = found.correct(series.images, series.nominal.pixel_size)
    np.testing.assert_allclose(image_centers(corrected, series.nominal), 0, atol=5e-3)


def test_noise_far_out_does_not_count(misaligned: Callable[..., Any]) -> None:
    """Summed over the whole field the background alone would err by more than the bound."""
    series = misaligned(shift=0.8, peak=30, n_pixel=64)
    error = center_of_mass(series.images, series.nominal).shifts - without_translation(
        series.shifts, series.nominal.rotations
    )
    assert np.sqrt(np.mean(error**2)) < 0.15 * 0.4


def test_an_empty_image_has_no_centre(misaligned: Callable[..., Any]) -> None:
    series = misaligned()
    images = series.images.copy()
    images[3] = 0
    with pytest.raises(InputError, match="image 3 holds no specimen"):
        center_of_mass(images, series.nominal)
