"""Noise and imperfections: Poisson statistics, pairing, exact shifts, identity."""

from __future__ import annotations

import numpy as np
import pytest
from abtem.core.energy import energy2wavelength
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from datasets.catalog import DatasetCard, ImperfectionCard, load_dataset
from datasets.errors import InputError
from datasets.imaging.detector import (
    Imperfections,
    detector_angles,
    displace_rows,
    draw_counts,
    draw_electrons,
    fourier_shift,
    noise_seed,
    smooth_field,
)
from datasets.imaging.linear import width
from datasets.schema import pixel_axis


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
    none = Imperfections.draw(ImperfectionCard(seed=3), 4, 6)
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
    none = np.zeros((1, 2))
    errors = Imperfections(
        np.zeros((1, 3)), zero, np.array([[0.6, -0.3]]), np.array([0.5]), none, np.zeros((1, 9))
    )
    assert errors.apply(image, 0.3)[0, 6, 3] == pytest.approx(1.5)


def atoms_image(card: DatasetCard, moved: np.ndarray | None = None) -> np.ndarray:
    """Linear image of ten atoms by the optics of `card`; `moved` (n_y, 2) [Å] displaces the atoms as (y, x)
    while each row is written.
    """
    imaging = card.imaging
    axis = pixel_axis(imaging.n_pixels, imaging.pixel_size)
    rng = np.random.default_rng(2)
    y, x = rng.uniform(-6, 6, (2, 10))
    dy, dx = np.zeros((2, len(axis))) if moved is None else moved.T
    along_y = np.exp(-((axis[:, None] - y - dy[:, None]) ** 2) / (2 * width(imaging) ** 2))
    along_x = np.exp(-((axis[None, :, None] - x - dx[:, None, None]) ** 2) / (2 * width(imaging) ** 2))
    return np.asarray(np.einsum("jk,jik,k->ji", along_y, along_x, rng.uniform(1, 3, 10)))


SAMPLED = ["cuau-150[source_sigma=0.35]", "bao-987[source_sigma=0.35,pixel_size=0.3]", "copdpt-300"]
"""Optics whose images are sampled so finely that hardly anything lies beyond the Nyquist frequency."""


@pytest.mark.parametrize("name", SAMPLED)
@settings(max_examples=20)
@given(scan=st.floats(0, 0.3), drift=st.tuples(st.floats(-1, 1), st.floats(-1, 1)), seed=st.integers(0, 99))
def test_rows_are_displaced_as_if_the_atoms_had_moved(
    name: str, scan: float, drift: tuple[float, float], seed: int
) -> None:
    card = load_dataset(name)
    n = card.imaging.n_pixels
    moved = np.outer(np.linspace(-0.5, 0.5, n), drift)
    moved[:, 1] += scan * np.random.default_rng(seed).normal(size=n)
    image = atoms_image(card)
    found = displace_rows(image, moved / card.imaging.pixel_size)
    np.testing.assert_allclose(found, atoms_image(card, moved), atol=2e-3 * image.max())


@pytest.mark.parametrize("name", ["cuau-150", "bao-987", "copdpt-300", "si-208"])
@settings(max_examples=20)
@given(shift=st.floats(0.01, 1.5), scan=st.floats(0, 0.3), seed=st.integers(0, 99))
def test_shifts_and_scan_noise_move_atoms_and_conserve_their_counts(
    name: str, shift: float, scan: float, seed: int
) -> None:
    """Also where the pixels are too coarse for the optics: such images are computed on finer ones."""
    card = load_dataset(name)
    drawn = ImperfectionCard(seed=seed, shift_range=shift, scan_rms=scan)
    card = card.model_copy(update={"imperfections": drawn})
    n, pixel = card.imaging.n_pixels, card.imaging.pixel_size
    errors = Imperfections.draw(drawn, 2, n)
    finer = {"n_pixels": n * card.finer(), "pixel_size": pixel / card.finer()}
    dense = atoms_image(card.model_copy(update={"imaging": card.imaging.model_copy(update=finer)}))
    moved = errors.apply(np.stack([dense] * 2), pixel, finer=card.finer())
    still = atoms_image(card)
    np.testing.assert_allclose(moved.sum((1, 2)), still.sum(), rtol=2e-3)
    for tilt in range(2):
        rows = errors.shifts[tilt] + np.stack([np.zeros(n), errors.scan[tilt]], axis=1)
        np.testing.assert_allclose(moved[tilt], atoms_image(card, rows), atol=3e-3 * still.max())


@given(seed=st.integers(0, 99), scan=st.floats(0, 2))
def test_scan_noise_keeps_the_sum_of_every_row(seed: int, scan: float) -> None:
    rng = np.random.default_rng(seed)
    image = rng.uniform(size=(7, 8))
    rows = np.stack([np.zeros(7), scan * rng.normal(size=7)], axis=1)
    np.testing.assert_allclose(displace_rows(image, rows).sum(axis=1), image.sum(axis=1), rtol=1e-9)


@pytest.mark.parametrize(("n", "finer"), [(6, 2), (7, 2), (7, 3), (8, 3)])
def test_of_finer_images_the_pixels_about_the_same_centre_are_kept(n: int, finer: int) -> None:
    dense = pixel_axis(n * finer, 0.3 / finer)
    none = Imperfections.draw(ImperfectionCard(), 1, n)
    kept = none.apply(np.broadcast_to(10 + dense, (1, n * finer, n * finer)), 0.3, finer=finer)
    np.testing.assert_allclose(kept[0, 0], 10 + pixel_axis(n, 0.3))
    np.testing.assert_allclose(none.apply(kept, 0.3), kept)


def test_only_images_too_coarse_to_be_displaced_are_computed_on_finer_pixels() -> None:
    wavelength = float(energy2wavelength(300e3))
    cuau = load_dataset("cuau-150")
    assert cuau.imaging.pixel_size / 2 < wavelength / (4 * 21e-3) < cuau.imaging.pixel_size
    assert (cuau.finer(), load_dataset("cuau-150[shift_range=1]").finer()) == (1, 2)
    assert load_dataset("copdpt-300-imperfect").finer() == 1
    assert load_dataset("si-208[shift_range=1]").finer() == 1


@given(
    image=st.integers(0, 999),
    shape=st.tuples(st.integers(3, 9), st.integers(3, 9)),
    dx=st.integers(-9, 9),
    dy=st.integers(-9, 9),
)
def test_rows_displaced_by_whole_pixels_are_rolled(
    image: int, shape: tuple[int, int], dx: int, dy: int
) -> None:
    values = np.random.default_rng(image).normal(size=shape)
    rows = np.tile([dy, dx], (shape[0], 1))
    np.testing.assert_allclose(displace_rows(values, rows), np.roll(values, (dy, dx), (0, 1)), atol=1e-12)
    np.testing.assert_allclose(displace_rows(values, 0 * rows), values, atol=1e-12)


@settings(max_examples=20)
@given(drift=st.floats(-1.5, 1.5))
def test_a_drift_along_the_slow_axis_stretches_the_image(drift: float) -> None:
    """While the specimen follows the scan it is seen longer: counts grow by 1 / (1 − drift / height)."""
    card = load_dataset("copdpt-300")
    imaging, image = card.imaging, atoms_image(card)
    rows = np.outer(np.linspace(-0.5, 0.5, len(image)), [drift, 0.0]) / imaging.pixel_size
    height = (len(image) - 1) * imaging.pixel_size
    found = displace_rows(image, rows).sum()
    assert found == pytest.approx(image.sum() / (1 - drift / height), rel=1e-3)


def test_scan_noise_and_drift_leave_the_other_draws_alone() -> None:
    card = ImperfectionCard(seed=1, tilt_rms=0.5, defocus_range=30, shift_range=2, intensity_rms=0.1)
    with_scan = card.model_copy(update={"scan_rms": 0.2, "drift_rms": 0.5})
    before, after = Imperfections.draw(card, 400, 50), Imperfections.draw(with_scan, 400, 50)
    for name in ("angles", "defocus", "shifts", "intensities"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))
    assert not before.scan.any()
    assert not before.drifts.any()
    assert after.scan.std() == pytest.approx(0.2, rel=0.05)
    assert after.drifts.std() == pytest.approx(0.5, rel=0.1)
    some = np.arange(400) % 3 == 0
    np.testing.assert_array_equal(after.of(some).scan, after.scan[some])


def test_the_detector_is_clipped_to_what_the_sampling_carries() -> None:
    imaging = load_dataset("cuau-1602").imaging
    inner, outer = detector_angles(imaging)
    assert inner == 40
    assert outer == pytest.approx(115, abs=0.5)
    with pytest.raises(InputError, match=r"carries scattering up to .* mrad only"):
        detector_angles(imaging.model_copy(update={"potential_sampling": 0.3}))


def test_electrons_drawn_one_by_one_are_poisson_given_their_number() -> None:
    """Multinomial: n p, n p (1 − p), −n p q; a Poisson number of them makes independent Poisson counts."""
    rng = np.random.default_rng(4)
    expected = np.array([[1.0, 2.0], [3.0, 6.0]])
    p, n, draws = expected.ravel() / 12, 60, 20000

    sparse = np.array([draw_electrons(expected, n, rng).ravel() for _ in range(draws)])
    assert (sparse.sum(axis=1) == n).all()
    counts = rng.poisson(n * p, (20 * draws, 4))
    given_n = counts[counts.sum(axis=1) == n]
    multinomial = n * (np.diag(p) - np.outer(p, p))
    for sample in (sparse, given_n):
        tolerance = 5 * n / np.sqrt(len(sample))
        np.testing.assert_allclose(sample.mean(axis=0), n * p, atol=5 * np.sqrt(n / len(sample)))
        np.testing.assert_allclose(np.cov(sample.T), multinomial, atol=tolerance)
    for pixel in range(4):  # whole distributions, not moments alone
        assert ks_2samp(sparse[:, pixel], given_n[:, pixel]).pvalue > 1e-3

    free = np.array([draw_electrons(expected, total, rng).ravel() for total in rng.poisson(n, draws)])
    np.testing.assert_allclose(np.cov(free.T), np.diag(n * p), atol=5 * n / np.sqrt(draws))
    assert draw_electrons(expected, 0, rng).tolist() == [[0, 0], [0, 0]]


def test_noise_is_white_so_that_the_dqe_is_that_of_the_mtf_squared() -> None:
    """DQE(k) = (signal passed)² / (noise power) / (electrons that came); counts of single pixels are
    independent, so their noise power is flat, dqe × dose, and DQE(k) = dqe MTF(k)².
    """
    dose, dqe = 400.0, 0.6
    counts = draw_counts(np.full((256, 256), dqe), dose, 0.0, noise_seed("flat", dose, 0))
    power = np.abs(np.fft.rfft2(counts - counts.mean())) ** 2 / counts.size
    k = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.rfftfreq(256))
    for low, high in ((0.01, 0.1), (0.1, 0.3), (0.3, 0.5)):
        band = power[(k > low) & (k <= high)]
        assert band.mean() == pytest.approx(dqe * dose, rel=5 / np.sqrt(band.size))


def test_smooth_fields_have_their_size_and_no_fine_detail() -> None:
    field = smooth_field(64, 16.0, np.random.default_rng(0))
    assert field.mean() == pytest.approx(0, abs=1e-12)
    assert field.std() == pytest.approx(1)
    assert np.abs(np.diff(field, axis=0)).max() < 0.3
