"""Noise and imperfections: Poisson statistics, pairing, exact shifts, identity."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.catalog import ImperfectionCard, load_dataset
from datasets.errors import InputError
from datasets.imaging.detector import Imperfections, detector_angles, draw_counts, fourier_shift, noise_seed


def test_counts_are_poisson_around_dose_times_expected_plus_background() -> None:
    expected = np.full((400, 400), 2e-3, dtype=np.float32)
    counts = draw_counts(expected, 1e3, 0.5, noise_seed("flat", 1e3, 0))
    n = counts.size
    assert counts.mean() == pytest.approx(2.5, abs=5 * np.sqrt(2.5 / n))
    assert counts.var() == pytest.approx(2.5, abs=5 * np.sqrt((2.5 + 2 * 2.5**2) / n))
    assert np.mean(counts == 0) == pytest.approx(np.exp(-2.5), abs=5 * np.sqrt(np.exp(-2.5) / n))


def test_noise_is_paired_by_dataset_dose_and_replicate_and_nothing_else() -> None:
    expected = np.full((8, 8), 0.01)

    def counts(name: str, dose: float, replicate: int) -> list[int]:
        return draw_counts(expected, 1e3, 0.0, noise_seed(name, dose, replicate)).ravel().tolist()

    reference = counts("a", 1e3, 0)
    assert counts("a", 1e3, 0) == reference
    assert counts("a", 1000, 0) == reference  # the same dose, written otherwise
    assert all(counts(*other) != reference for other in (("b", 1e3, 0), ("a", 2e3, 0), ("a", 1e3, 1)))


@given(dy=st.integers(-9, 9), dx=st.integers(-9, 9), shape=st.tuples(st.integers(3, 9), st.integers(3, 9)))
def test_a_shift_by_whole_pixels_is_a_roll(dy: int, dx: int, shape: tuple[int, int]) -> None:
    image = np.random.default_rng([dy + 9, dx + 9]).normal(size=shape)
    np.testing.assert_allclose(fourier_shift(image, (dy, dx)), np.roll(image, (dy, dx), (0, 1)), atol=1e-12)


@given(dy=st.floats(-3, 3), dx=st.floats(-3, 3))
def test_a_subpixel_shift_moves_a_gaussian_and_keeps_its_sum(dy: float, dx: float) -> None:
    axis = np.arange(32) - 16.0

    def gaussian(y: float, x: float) -> np.ndarray:
        return np.exp(-((axis[:, None] - y) ** 2 + (axis - x) ** 2) / (2 * 1.6**2))

    moved = fourier_shift(gaussian(0, 0), (dy, dx))
    np.testing.assert_allclose(moved, gaussian(dy, dx), atol=1e-5)
    assert moved.sum() == pytest.approx(gaussian(0, 0).sum())


def test_no_imperfections_is_the_identity() -> None:
    none = Imperfections.draw(ImperfectionCard(seed=3), 4)
    images = np.random.default_rng(0).uniform(size=(4, 6, 6))
    np.testing.assert_array_equal(none.apply(images, 0.3), images)
    assert not none.angles.any()
    assert not none.defocus.any()


def test_imperfections_have_the_size_of_their_card_and_independent_streams() -> None:
    card = ImperfectionCard(seed=1, tilt_rms=0.5, defocus_range=30, shift_range=2, intensity_rms=0.1)
    drawn = Imperfections.draw(card, 4000)
    assert drawn.angles.std() == pytest.approx(0.5, rel=0.05)
    assert drawn.intensities.std() == pytest.approx(0.1, rel=0.05)
    assert 29 < np.abs(drawn.defocus).max() <= 30
    assert 1.99 < np.abs(drawn.shifts).max() <= 2
    alone = Imperfections.draw(ImperfectionCard(seed=1, shift_range=2), 4000)
    np.testing.assert_array_equal(alone.shifts, drawn.shifts)


def test_shifts_and_intensities_act_on_images_in_angstrom() -> None:
    image = np.zeros((1, 9, 9))
    image[0, 4, 4] = 1.0
    zero = np.zeros(1)
    errors = Imperfections(np.zeros((1, 3)), zero, np.array([[0.6, -0.3]]), np.array([0.5]))
    assert errors.apply(image, 0.3)[0, 6, 3] == pytest.approx(1.5)


def test_the_detector_is_clipped_to_what_the_sampling_carries() -> None:
    imaging = load_dataset("cuau-1602").imaging
    inner, outer = detector_angles(imaging)
    assert inner == 40
    assert outer == pytest.approx(115, abs=0.5)
    with pytest.raises(InputError, match=r"carries scattering up to .* mrad only"):
        detector_angles(imaging.model_copy(update={"potential_sampling": 0.3}))
