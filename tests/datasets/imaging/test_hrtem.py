"""HRTEM frames: known answers of single atoms, abTEM's own lens, sums that converge, the detector."""

from __future__ import annotations

import abtem
import numpy as np
import pytest
from abtem.core.energy import energy2sigma, energy2wavelength
from abtem.parametrizations import LobatoParametrization
from ase import Atoms
from scipy import fft

from datasets.catalog import HrtemCard, load_dataset
from datasets.imaging import hrtem
from datasets.imaging.hrtem import (
    detect,
    envelopes,
    exit_wave,
    focal_distribution,
    frequencies,
    hrtem_image,
    illumination,
    intensity,
    make_field,
    modulation_transfer,
)

CARD = load_dataset("graphene-640").hrtem
WAVELENGTH = float(energy2wavelength(CARD.energy_eV))
COHERENT = {"focal_spread": 0.0, "convergence_mrad": 0.0}


def optics(**changes: float) -> HrtemCard:
    """The optics of graphene-640 on a small image, sampled half as finely."""
    small = {"n_pixels": 32, "potential_sampling": 0.09}
    return HrtemCard.model_validate({**CARD.model_dump(), **small, **changes})


def carbon(z: float = 0.0) -> Atoms:
    """One atom, off the pixels' centres."""
    return Atoms("C", [[0.03, -0.31, z]])


def ring() -> Atoms:
    """A hexagon whose atoms lie at different heights."""
    turns = np.pi / 3 * np.arange(6)
    return Atoms(
        "C6", np.stack([1.42 * np.cos(turns), 1.42 * np.sin(turns), [0, 1.5, -0.7, 0.4, -2.1, 0.9]], 1)
    )


@pytest.mark.parametrize("z", [-2.03, -0.37, 0.6])
def test_an_atom_higher_up_is_an_atom_out_of_focus(z: float) -> None:
    """Defocus is counted from z = 0 and z along the beam, so that the atom's own underfocus is D + z."""
    moved = hrtem_image(carbon(z), optics(**COHERENT))
    same = hrtem_image(carbon(), optics(**COHERENT), defocus=CARD.defocus + z)
    contrast = 1 - same.min()
    assert np.abs(moved - same).max() < 2e-3 * contrast
    assert np.abs(same - hrtem_image(carbon(), optics(**COHERENT))).max() > 0.01 * contrast


def test_a_light_atom_is_the_analytic_weak_phase_image() -> None:
    """1 + 2 σ ∫ V(k) sin χ(k) E(k) MTF(k), what the square of the scattered wave adds being small."""
    card = optics()
    image = hrtem_image(carbon(), card)
    n, step = 360, 3
    ky, kx = frequencies(n, card.pixel_size / step)
    k2 = ky**2 + kx**2
    chi = np.pi * WAVELENGTH * k2 * (0.5 * card.Cs * WAVELENGTH**2 * k2 - card.defocus)
    scattered = LobatoParametrization().projected_scattering_factor("C")(k2) * np.sin(chi)
    scattered *= envelopes(np.sqrt(k2), card, card.defocus) * modulation_transfer(ky, kx, card)
    (x, y), area = carbon().positions[0, :2], (n * card.pixel_size / step) ** 2
    spectrum = 2 * float(energy2sigma(card.energy_eV)) * scattered / area * n**2
    whole = fft.fftshift(fft.ifft2(spectrum * np.exp(-2j * np.pi * (kx * x + ky * y))).real)
    first = n // 2 - step * (card.n_pixels // 2)
    kept = slice(first, first + step * card.n_pixels, step)
    linear = 1 + whole[kept, kept]
    contrast = np.ptp(linear)
    assert contrast > 0.05
    assert np.abs(image - linear).max() < 0.04 * contrast


def test_atoms_are_dark_where_they_are_and_y_is_the_first_axis() -> None:
    image = hrtem_image(Atoms("C", [[1.8, -0.9, 0]]), optics(defocus=30.0))
    row, column = np.unravel_index(image.argmin(), image.shape)
    assert (row - 16, column - 16) == (-5, 10)


def test_the_lens_is_that_of_abtem() -> None:
    card = optics(**COHERENT, aperture_mrad=60.0, psf_sigma=0.0)
    field = make_field(card, ring().positions)
    mine = intensity(exit_wave(ring(), card.energy_eV, field), card, field.extent, card.defocus)
    middle = field.n // 2 * field.sampling
    cell = Atoms("C6", ring().positions + np.array([middle, middle, -field.entrance]))
    cell.cell = [field.extent, field.extent, field.n_slices * field.slice_thickness]
    potential = abtem.Potential(
        cell, gpts=field.n, slice_thickness=field.slice_thickness, projection="finite", device="cpu"
    )
    beyond = field.entrance + (field.n_slices + 0.5) * field.slice_thickness
    lens = abtem.CTF(
        energy=card.energy_eV, defocus=card.defocus + beyond, Cs=card.Cs, semiangle_cutoff=60, soft=False
    )
    wave = abtem.PlaneWave(energy=card.energy_eV, device="cpu").multislice(potential)
    image = wave.apply_ctf(lens).intensity().compute().array.T
    step = field.n // field.n_image
    np.testing.assert_allclose(mine, image[::step, ::step], atol=2e-5)


def test_electrons_are_conserved() -> None:
    field = make_field(optics(), ring().positions)
    image = intensity(exit_wave(ring(), CARD.energy_eV, field), optics(), field.extent, CARD.defocus)
    assert image.mean() == pytest.approx(1, abs=3e-4)  # what goes beyond CUTOFF is lost


def test_sampling_and_slices_of_the_cards_have_converged() -> None:
    reference = hrtem_image(ring(), optics(potential_sampling=0.03, slice_thickness=0.25))
    contrast = np.ptp(reference)

    def error(**changes: float) -> float:
        return float(np.abs(hrtem_image(ring(), optics(**changes)) - reference).max() / contrast)

    assert error(potential_sampling=CARD.potential_sampling) < 2e-3
    assert error(potential_sampling=0.09) > 3e-3
    assert error(potential_sampling=CARD.potential_sampling, slice_thickness=2.0) > 3e-3


def test_the_margin_and_the_cutoff_have_converged(monkeypatch: pytest.MonkeyPatch) -> None:
    image = hrtem_image(ring(), optics())
    contrast = np.ptp(image)
    monkeypatch.setattr(hrtem, "MARGIN", 10.0)
    assert np.abs(hrtem_image(ring(), optics()) - image).max() < 2e-3 * contrast
    monkeypatch.setattr(hrtem, "CUTOFF", 2.0)
    assert np.abs(hrtem_image(ring(), optics()) - image).max() < 5e-3 * contrast


def test_the_sum_over_defoci_is_a_normal_distribution_whatever_its_width() -> None:
    for spread in (2.0, 10.0, 60.0):
        defoci, weights = focal_distribution(spread, WAVELENGTH)
        assert weights.sum() == pytest.approx(1)
        assert weights @ defoci**2 == pytest.approx(spread**2, rel=5e-3)
        k = np.linspace(0, hrtem.CUTOFF, 200)
        seen = np.exp(1j * np.pi * WAVELENGTH * k[:, None] ** 2 * defoci) @ weights
        exact = np.exp(-0.5 * (np.pi * WAVELENGTH * spread * k**2) ** 2)
        np.testing.assert_allclose(seen, exact, atol=1e-3)


def test_the_sum_over_directions_is_an_even_disc() -> None:
    for rate in (0.5, 3.0):
        points, weights = illumination(2.0, rate)
        assert weights.sum() == pytest.approx(1)
        np.testing.assert_allclose(weights @ points, 0, atol=1e-12)
        np.testing.assert_allclose(points.T * weights @ points, np.eye(2), atol=1e-12)  # semiangle²/4


@pytest.mark.parametrize("convergence", [0.5, 1.0])
def test_the_sums_have_converged(monkeypatch: pytest.MonkeyPatch, convergence: float) -> None:
    card = optics(convergence_mrad=convergence)
    image = hrtem_image(ring(), card)
    monkeypatch.setattr(hrtem, "REACH", 5.5)
    rings = illumination
    monkeypatch.setattr(hrtem, "illumination", lambda semiangle, rate: rings(semiangle, rate + 1))
    assert np.abs(hrtem_image(ring(), card) - image).max() < 1e-3 * np.ptp(image)


def quasi_coherent(spectrum: np.ndarray, card: HrtemCard, extent: float) -> np.ndarray:
    """The image with the envelopes on the wave, as if all electrons were one."""
    ky, kx = frequencies(len(spectrum), extent / len(spectrum))
    k = np.hypot(ky, kx)
    lens = hrtem.transfer(ky, kx, WAVELENGTH, card.defocus, card.Cs, hrtem.CUTOFF * WAVELENGTH)
    return np.abs(fft.ifft2(spectrum * lens * envelopes(k, card, card.defocus))) ** 2


def test_envelopes_hold_for_weak_scattering_and_nearly_for_graphene() -> None:
    """What multiplies the wave treats the interference of scattered beams with one another wrongly; in
    graphene that is a few per cent of the contrast, which is why the image is a sum.
    """
    card = optics()
    atoms = ring()
    field = make_field(card, atoms.positions)
    spectrum = exit_wave(atoms, card.energy_eV, field)
    direct = np.zeros_like(spectrum)
    direct[0, 0] = field.n_image**2
    errors = []
    for strength in (1.0, 0.05):
        wave = (direct + strength * (spectrum - direct)).astype(np.complex64)
        image = intensity(wave, card, field.extent, card.defocus)
        errors.append(np.abs(quasi_coherent(wave, card, field.extent) - image).max() / np.ptp(image))
    assert 3e-3 < errors[0] < 0.05
    assert errors[1] < errors[0] / 5


def test_tilted_illumination_makes_nearly_the_same_exit_wave() -> None:
    """Half a milliradian moves an atom 2 Å up by 0.001 Å: the sum over directions needs one multislice."""
    field = make_field(optics(), ring().positions)
    middle = field.n // 2 * field.sampling
    cell = Atoms("C6", ring().positions + np.array([middle, middle, -field.entrance]))
    cell.cell = [field.extent, field.extent, field.n_slices * field.slice_thickness]
    potential = abtem.Potential(
        cell, gpts=field.n, slice_thickness=field.slice_thickness, projection="finite", device="cpu"
    ).build(lazy=False)
    straight, tilted = (
        abtem.PlaneWave(energy=CARD.energy_eV, tilt=tilt, device="cpu").multislice(potential).compute().array
        for tilt in ((0.0, 0.0), (0.5, 0.0))
    )
    scattered = straight - straight.mean()
    assert np.linalg.norm(np.abs(tilted) - np.abs(straight)) < 0.01 * np.linalg.norm(scattered)


@pytest.mark.parametrize("turns", [(0, 0), (0, 7), (11, 4)])
def test_the_detector_passes_its_mtf(turns: tuple[int, int]) -> None:
    card = optics(psf_sigma=0.4)
    field = make_field(card, np.zeros((1, 3)))
    n = field.n_image
    r = (np.arange(n) - n // 2) / n
    wave = np.cos(2 * np.pi * (turns[0] * r[:, None] + turns[1] * r))
    ky, kx = np.array(turns) / field.extent
    mtf = modulation_transfer(ky, kx, card)
    assert (mtf == 1) == (turns == (0, 0))
    step = round(card.pixel_size / (field.extent / n))
    first = n // 2 - step * 16
    expected = 2 + mtf * wave[first : first + 32 * step : step, first : first + 32 * step : step]
    np.testing.assert_allclose(detect(2 + wave, card, field.extent), expected, atol=1e-6)


def test_a_pixel_counts_what_falls_on_its_square() -> None:
    """Without further spread, a flood of light on a half plane fills pixels by the part they overlap."""
    card = optics(psf_sigma=0.0)
    nyquist = 0.5 / card.pixel_size
    assert modulation_transfer(np.array(0.0), np.array(nyquist), card) == pytest.approx(2 / np.pi)
    assert modulation_transfer(np.array(0.0), np.array(nyquist), optics()) == pytest.approx(0.29, abs=0.01)


def test_frozen_phonons_blur_and_are_seeded() -> None:
    card = optics(**COHERENT, phonons=8, phonon_sigma=0.15)
    image, again = (hrtem_image(carbon(), card, seed=np.random.SeedSequence(5)) for _ in range(2))
    np.testing.assert_array_equal(image, again)
    still = hrtem_image(carbon(), optics(**COHERENT))
    assert 1 - image.min() < 0.95 * (1 - still.min())
