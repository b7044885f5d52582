"""Angles, shifts, intensities and blur of every image, refined against atoms traced at the wrong ones."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
from scipy.spatial.transform import Rotation

from datasets.errors import InputError
from datasets.schema import EULER_SEQUENCE
from recon.align.against_atoms import AtomFit, refine_against_atoms
from recon.align.gauge import without_translation

Series = Any


@pytest.fixture
def refined(cluster: Callable[..., Any]) -> Callable[..., AtomFit]:
    """The fit of a series from atoms that are off by 0.2 Å, as those traced in a wrong geometry are."""

    def refine(series: Series, n_atom: int = 80, seed: int = 0, **options: Any) -> AtomFit:
        rng = np.random.default_rng(9)
        positions = cluster(n_atom, ("Au",), seed).positions + rng.normal(
            scale=0.2 / 3**0.5, size=(n_atom, 3)
        )
        heights = rng.uniform(0.7, 1.3, n_atom)
        return refine_against_atoms(series.images, series.nominal, positions, heights, **options)

    return refine


def test_everything_at_once_without_noise(
    misaligned: Callable[..., Series], refined: Callable[..., AtomFit], angle_error: Callable[..., float]
) -> None:
    """The model is exact here, so what is left is what windows cut off and the prior holds back."""
    series = misaligned(angle=0.5, shift=0.2, scale=0.05, peak=1e5)
    fit = refined(series)
    assert angle_error(series.nominal.rotations, series.turns) > 0.35
    assert angle_error(fit.geometry.rotations, series.turns) < 0.02
    left = without_translation(fit.alignment.shifts - series.shifts, series.turns)
    assert np.abs(left).max() < 0.005
    np.testing.assert_allclose(fit.alignment.scales, series.scales / series.scales.mean(), atol=2e-3)
    again = Rotation.from_euler(EULER_SEQUENCE, fit.alignment.angles, degrees=True)
    assert (again * fit.geometry.rotations.inv()).magnitude().max() < 1e-6
    assert fit.alignment.history[-1] < 0.05 * fit.alignment.history[0]


def test_with_noise_at_the_limit_of_the_counts(
    misaligned: Callable[..., Series], refined: Callable[..., AtomFit], angle_error: Callable[..., float]
) -> None:
    """At 60 counts in the brightest pixel the volume leaves 0.3° of the 0.5° (test_angles)."""
    series = misaligned(angle=0.5, n_atom=200, n_tilt=24, n_pixel=64, peak=60)
    fit = refined(series, n_atom=200, background=1.0)
    assert angle_error(fit.geometry.rotations, series.turns) < 0.15


def test_a_blurred_image_among_sharp_ones(
    misaligned: Callable[..., Series], refined: Callable[..., AtomFit], angle_error: Callable[..., float]
) -> None:
    """The variances of the images of an atom come out, and the angles are none the worse."""
    series = misaligned(angle=0.5, peak=1e5)
    series.images = series.images.copy()
    series.images[5] = scipy.ndimage.gaussian_filter(series.images[5], 0.75)
    fit = refined(series)
    assert angle_error(fit.geometry.rotations, series.turns) < 0.02
    extra = fit.model.widths - np.median(fit.model.widths)
    assert extra[5] == pytest.approx((0.75 * 0.4) ** 2, rel=0.1)
    assert np.abs(np.delete(extra, 5)).max() < 0.01


def test_missing_and_false_atoms_do_little(
    misaligned: Callable[..., Series], cluster: Callable[..., Any], angle_error: Callable[..., float]
) -> None:
    series = misaligned(angle=0.5, peak=1e5)
    rng = np.random.default_rng(3)
    positions = np.concatenate([cluster(80, ("Au",), 0).positions[:72], rng.uniform(-6, 6, (8, 3))])
    fit = refine_against_atoms(series.images, series.nominal, positions, np.ones(80))
    assert angle_error(fit.geometry.rotations, series.turns) < 0.2


def test_a_common_rotation_is_not_found(
    misaligned: Callable[..., Series], refined: Callable[..., AtomFit]
) -> None:
    fit = refined(misaligned(angle=0.5, peak=1e5), n_iter=2)
    series = misaligned(angle=0.5, peak=1e5)
    common = (series.nominal.rotations.inv() * fit.geometry.rotations).mean()
    assert np.rad2deg(common.magnitude()) < 1e-3


def test_nothing_to_refine_against(misaligned: Callable[..., Series]) -> None:
    series = misaligned(n_atom=20, n_tilt=6, n_pixel=32)
    with pytest.raises(InputError, match="there are no atoms"):
        refine_against_atoms(series.images, series.nominal, np.empty((0, 3)), np.empty(0))
