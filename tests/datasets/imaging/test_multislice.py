"""The windowed multislice: unitarity, frame, abTEM's full field, interpolation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from scipy.spatial.transform import Rotation

from datasets.catalog import AdfCard, TiltCard, load_dataset
from datasets.errors import InputError
from datasets.imaging import adf
from datasets.imaging.engines import adf_image
from datasets.imaging.linear import gaussian_atoms, width
from datasets.imaging.multislice import (
    Optics,
    disc_coverage,
    make_probe,
    make_propagator,
    make_transmission,
    scan_rows,
)
from datasets.imaging.potential import thermal_displacements
from datasets.schema import pixel_axis

OPTICS = Optics(wavelength=0.0197, semiangle=0.021)
ASYMMETRIC = Atoms("Au3Cu", positions=[[3, 0, 0], [0, 4.5, 1], [-2, -1, 3], [-3, -4, -2]])
ROTATION = Rotation.from_euler("ZYX", [10, 35, -20], degrees=True)


def imaging(engine: str = "multislice", **changes: object) -> AdfCard:
    return load_dataset("cuau-150").imaging.model_copy(
        update={
            "engine": engine,
            "phonons": 1,
            "phonon_sigma": 0.0,
            "potential_sampling": 0.117,
            "detector_outer_mrad": 55.0,
            "n_pixels": 48,
            **changes,
        }
    )


def seed() -> np.random.SeedSequence:
    return np.random.SeedSequence(0)


def test_the_probe_is_normalised_and_its_aperture_has_the_right_area() -> None:
    probe = make_probe(96, 0.1, OPTICS, 40.0)
    assert np.sum(np.abs(probe) ** 2) == pytest.approx(1)
    area = disc_coverage(96, 0.1, 0.021 / 0.0197).sum() / (96 * 0.1) ** 2
    assert area == pytest.approx(np.pi * (0.021 / 0.0197) ** 2, rel=0.01)


def test_positive_defocus_focuses_further_along_z() -> None:
    distance = 60.0
    entering = np.fft.fft2(make_probe(96, 0.1, OPTICS, distance))
    focused = np.fft.ifft2(entering * make_propagator(96, 0.1, OPTICS.wavelength, distance))
    np.testing.assert_allclose(np.abs(focused), np.abs(make_probe(96, 0.1, OPTICS, 0.0)), atol=1e-6)


def test_no_electron_is_lost_within_the_band_limit() -> None:
    """With a weak smooth phase nothing is scattered beyond the band limit: all fractions add up to 1."""
    axis = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    potential = 0.3 * np.cos(3 * axis)[:, None] * np.sin(2 * axis) * np.ones((5, 1, 1))
    transmission = make_transmission(potential, 1.0, 0.1, torch.device("cpu"))
    fractions = scan_rows(
        transmission,
        make_probe(120, 0.1, OPTICS, 0.0),
        make_propagator(120, 0.1, OPTICS.wavelength, 2.0),
        np.ones((120, 120)),
        np.array([60]),
        np.array([[60, 1]]),
        2,
    )
    np.testing.assert_allclose(fractions, 1, rtol=1e-4)


def test_vacuum_scatters_nothing_to_the_detector() -> None:
    plan = adf.make_plan(imaging(), ASYMMETRIC.positions)
    w, s = plan.window, plan.grid.sampling
    vacuum = torch.ones((3, 200, 200), dtype=torch.complex64)
    detector = adf.detector_weights(w, s, plan)
    probe = adf.window_probe(plan, 0.0)
    propagator = make_propagator(w, s, plan.optics.wavelength, 2.0)
    fraction = scan_rows(vacuum, probe, propagator, detector, np.array([100]), np.array([[90, 4]]), 2)
    assert fraction.shape == (4,)
    assert fraction.max() < 3e-5


def test_threads_and_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    card = imaging()
    reference = adf_image(ASYMMETRIC, card, ROTATION, seed=seed())
    monkeypatch.setattr("datasets.imaging.multislice.CACHE_BYTES", 150_000)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        np.testing.assert_allclose(
            adf_image(ASYMMETRIC, card, ROTATION, seed=seed()), reference, atol=1e-6 * reference.max()
        )
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("engine", ["linear", "multislice"])
def test_atoms_appear_where_the_frame_says(engine: str) -> None:
    """Each atom alone: the image's centre of mass is the first two coordinates of the rotated position."""
    axis = pixel_axis(48, 0.35)
    for position in ASYMMETRIC.positions[:2]:
        image = adf_image(Atoms("Au", positions=[position]), imaging(engine), ROTATION, seed=seed())
        image = np.where(image > 0.1 * image.max(), image, 0)
        centre = [(image.sum(axis=d) * axis).sum() / image.sum() for d in (0, 1)]
        np.testing.assert_allclose(centre, ROTATION.apply(position)[:2], atol=0.03)


def test_a_tilt_about_y_sends_x_to_x_cos_plus_z_sin() -> None:
    theta = 30.0
    atom = Atoms("Au", positions=[[2.0, 1.0, 3.0]])
    rotation = Rotation.from_euler("ZYX", [0, theta, 0], degrees=True)
    image = adf_image(atom, imaging("linear"), rotation)
    axis = pixel_axis(48, 0.35)
    x = 2 * np.cos(np.radians(theta)) + 3 * np.sin(np.radians(theta))
    assert (image.sum(axis=0) * axis).sum() / image.sum() == pytest.approx(x, abs=5e-3)
    assert (image.sum(axis=1) * axis).sum() / image.sum() == pytest.approx(1.0, abs=5e-3)


def test_the_linear_image_is_analytic() -> None:
    card = imaging("linear")
    axis = pixel_axis(48, 0.35)
    image = gaussian_atoms(np.array([[0.7, -0.35, 5.0]]), np.array([2.0]), width(card), axis)
    y, x = np.meshgrid(axis + 0.35, axis - 0.7, indexing="ij")
    analytic = 2 * np.exp(-(x**2 + y**2) / (2 * width(card) ** 2)) / (2 * np.pi * width(card) ** 2)
    np.testing.assert_allclose(image, analytic, atol=1e-12)


@pytest.mark.parametrize("defocus", [0.0, 50.0])
def test_the_window_agrees_with_abtems_full_field(defocus: float) -> None:
    """Asymmetric, tilted, one image: a flipped or transposed axis or the wrong sign of defocus would fail."""
    from datasets.imaging import abtem_reference
    from datasets.imaging.potential import sliced_potential

    card = imaging(defocus=defocus, potential_sampling=0.078, detector_outer_mrad=84.0)
    turned = ASYMMETRIC.copy()
    turned.positions = ROTATION.apply(turned.positions)
    plan = adf.make_plan(card, turned.positions, defocus)
    potential = sliced_potential(turned, plan.grid)
    windowed = adf.scan_image(plan, potential, card, defocus)
    mask = np.zeros_like(plan.mask)
    mask.flat[np.flatnonzero(plan.mask)[::6]] = True
    mask &= plan.mask
    reference = abtem_reference.scan_image(plan, potential, card, defocus, mask)
    assert np.abs(windowed - reference)[mask].max() <= 0.025 * reference.max()
    assert np.abs(windowed.T - reference)[mask].max() > 0.2 * reference.max()


def test_the_abtem_engine_makes_the_same_image() -> None:
    """Two atoms only, so that a whole scan by abTEM is quick; in the window of so thin a specimen Fourier
    pixels are 4 mrad wide, and the edges of the detector cost a few per cent.
    """
    atoms = Atoms("AuCu", positions=[[0.8, -0.5, 0.4], [-0.9, 0.6, -0.7]])
    card = imaging(n_pixels=24, potential_sampling=0.078, detector_outer_mrad=84.0)
    windowed, full = (
        adf_image(atoms, card.model_copy(update={"engine": engine}), ROTATION, seed=seed())
        for engine in ("multislice", "abtem")
    )
    assert np.abs(windowed - full).max() <= 0.05 * full.max()
    assert np.corrcoef(windowed.ravel(), full.ravel())[0, 1] > 0.999


def test_interpolation_is_exact_for_a_band_limited_image_and_blur_keeps_the_sum() -> None:
    card = imaging(source_sigma=0.4)
    plan = adf.make_plan(card, ASYMMETRIC.positions)
    x, sigma = plan.scan_axis, 0.8

    def gaussian(axis: np.ndarray, spread: float) -> np.ndarray:
        profile = np.exp(-((axis - 0.3) ** 2) / (2 * spread**2)) / (np.sqrt(2 * np.pi) * spread)
        return profile[:, None] * profile

    pixels = pixel_axis(64, 0.3)
    scan = gaussian(x, sigma)
    np.testing.assert_allclose(adf.interpolate(scan, plan, pixels, 0.0), gaussian(pixels, sigma), atol=1e-4)
    blurred = adf.interpolate(scan, plan, pixels, 0.4)
    np.testing.assert_allclose(blurred, gaussian(pixels, np.hypot(sigma, 0.4)), atol=1e-4)
    assert blurred.sum() == pytest.approx(adf.interpolate(scan, plan, pixels, 0.0).sum(), rel=1e-3)


def test_grids_have_small_prime_factors_and_windows_stay_in_the_field() -> None:
    for n in range(10, 500, 7):
        size = adf.fast_size(n)
        rest = size
        for prime in (2, 3, 5, 7):
            while rest % prime == 0:
                rest //= prime
        assert rest == 1
        assert size >= n
    plan = adf.make_plan(imaging(), ASYMMETRIC.positions)
    rows, columns = adf.runs(plan.mask, plan.step)
    low, high = columns[:, 0].min(), (columns[:, 0] + (columns[:, 1] - 1) * plan.step).max()
    for first, last in ((rows.min(), rows.max()), (low, high)):
        assert first - plan.window // 2 >= 0
        assert last - plan.window // 2 + plan.window <= plan.grid.n
    assert plan.scan_step <= plan.optics.wavelength / (4 * plan.optics.semiangle) + 1e-12
    assert columns[:, 1].sum() == plan.mask.sum()


def test_phonons_are_antithetic_and_have_their_width() -> None:
    moves = thermal_displacements(4000, 2, 0.1, seed())
    np.testing.assert_allclose(moves.mean(axis=0), 0)
    np.testing.assert_allclose(moves.std(axis=(0, 1)), 0.1, rtol=0.05)
    assert thermal_displacements(3, 3, 0.1, seed()).shape == (3, 3, 3)


def test_an_unknown_version_is_refused() -> None:
    with pytest.raises(InputError, match="version 7"):
        adf_image(ASYMMETRIC, imaging(version=7), ROTATION)


def test_one_tilt_alone_is_a_card() -> None:
    assert TiltCard(start=10, stop=10, n=1).theta().tolist() == [10.0]
