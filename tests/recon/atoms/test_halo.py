"""The halo of a probe against its image by FFT, and atoms with it against their adjoint."""

import numpy as np
import pytest
import scipy.fft
from scipy.spatial.transform import Rotation

from recon.atoms.halo import BLUR, AtomsWithHalo, Halo, filtered, probe_halo
from recon.optics import wavelength
from recon.project.gaussian_atoms import GaussianAtoms

OPTICS = {"energy_eV": 200e3, "semiangle_mrad": 17.5}
ROWS = np.ascontiguousarray(
    Rotation.from_euler("ZYX", [[3, 10, 2], [0, 70, -4]], degrees=True).as_matrix()[:, :2]
)


def some_atoms(halo: Halo, scales: np.ndarray, n: int = 5) -> AtomsWithHalo:
    rng = np.random.default_rng(0)
    shape = (48, 44)
    cores = GaussianAtoms.at(
        rng.uniform(-6, 6, (n, 3)), np.full(n, 1.5), ROWS, np.array([-22.0, -24.0]), shape
    )
    transfer = (halo.transfer(shape, 0.3) * scales[:, None, None]).astype(np.float32)
    return AtomsWithHalo.around(cores, transfer, scales[:, None] * (1 - halo.fraction))


def test_two_gaussians_are_the_probe_and_one_is_not() -> None:
    halo = probe_halo(OPTICS)
    n, pixel = 256, 0.1
    k = scipy.fft.fftfreq(n, pixel)
    square = k[:, None] ** 2 + k**2
    aperture = square <= (17.5e-3 / wavelength(200e3)) ** 2
    probe = np.abs(scipy.fft.ifft2(aperture)) ** 2
    blurred = scipy.fft.ifft2(scipy.fft.fft2(probe / probe.sum()) * np.exp(-2 * np.pi**2 * BLUR**2 * square))
    core = np.exp(-2 * np.pi**2 * (halo.core + BLUR**2) * square)
    full_transfer = 1 - halo.fraction + halo.fraction * np.exp(-2 * np.pi**2 * halo.spread * square)
    two = scipy.fft.ifft2(core * full_transfer)
    assert np.linalg.norm(two - blurred) < 0.05 * np.linalg.norm(blurred)
    variances = np.linspace(0.1, 0.6, 51)
    one = [scipy.fft.ifft2(np.exp(-2 * np.pi**2 * variance * square)) for variance in variances]
    best = min(np.linalg.norm(image - blurred) for image in one)
    assert best > 2 * np.linalg.norm(two - blurred)
    assert 0.1 < halo.fraction < 0.3


def test_without_optics_there_is_no_halo() -> None:
    assert probe_halo({"energy_eV": 200e3}) == Halo()
    np.testing.assert_allclose(Halo().transfer((8, 6), 0.3), 1.0)


def test_a_halo_keeps_the_intensity_and_scales_change_it() -> None:
    scales = np.array([1.0, 0.7])
    with_halo = some_atoms(Halo(0.2, 0.5), scales).project(np.ones(5)).sum(axis=(1, 2))
    without = some_atoms(Halo(), np.ones(2)).project(np.ones(5)).sum(axis=(1, 2))
    np.testing.assert_allclose(with_halo, scales * without, rtol=1e-4)


def test_moments_stay_the_adjoint_of_render() -> None:
    atoms = some_atoms(Halo(0.2, 0.5), np.array([1.0, 0.7]))
    rng = np.random.default_rng(1)
    weights, images = rng.normal(size=(5, 5)), rng.normal(size=(2, 48, 44)).astype(np.float32)
    forward = np.vdot(atoms.render(weights), images)
    adjoint = np.vdot(weights, atoms.moments(images))
    assert forward == pytest.approx(adjoint, rel=1e-4)


@pytest.mark.parametrize("shape", [(8, 10), (12, 16), (9, 12)])
def test_a_filter_larger_than_the_images_continues_them_with_zeros(shape: tuple[int, int]) -> None:
    images = np.random.default_rng(2).normal(size=(3, 8, 10)).astype(np.float32)
    transfer = Halo(0.3, 0.5).transfer(shape, 0.4).astype(np.float32)
    padded = np.pad(images, ((0, 0), (0, shape[0] - 8), (0, shape[1] - 10)))
    expected = scipy.fft.irfft2(scipy.fft.rfft2(padded) * transfer, s=shape)[:, :8, :10]
    np.testing.assert_allclose(filtered(images, transfer), expected, atol=1e-6)
