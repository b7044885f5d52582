"""HRTEM frames by abTEM's multislice: exit wave, lens, partial coherence as a sum over sources, detector.

A plane wave crosses the specimen and becomes ψ (abTEM); behind the lens its spectrum is ψ(k) T(k) with

    T(k) = A(k) exp(−i χ(k)),   χ(k) = π λ k² (½ Cs λ² k² − D)

(Kirkland, Advanced Computing in Electron Microscopy, 2nd ed., eqs. 3.5 and 5.27; underfocus D is positive).
Electrons differ in focus, by the energy spread of the gun and the lens currents, and in direction. They do
not interfere with one another, so the image is the sum of their intensities, each with its own T:

    I(r) = Σ_f Σ_q w_f w_q |FT⁻¹[ψ(k) T_(D+f)(k + q)]|²

over defoci f, normal with standard deviation `focal_spread`, and illumination directions λq evenly filling
a disc of semiangle `convergence_mrad`. A tilt of a milliradian moves atoms that are 10 Å apart in height by
0.01 Å against each other; that alone is left out. The envelopes of Frank (Optik 38, 519, 1973), which
multiply T once and for all (`envelopes`), hold for the interference with the direct beam alone.

The detector counts each electron, with probability `dqe`, in one pixel that lies off where it came in by the
point spread. So counts are Poisson and independent between pixels, the modulation transfer function is that
of the square pixel times the Gaussian of `psf_sigma`, and DQE(k) = dqe · MTF(k)². A camera that integrates
charge instead blurs its noise too.

Operations: two FFTs per slice on the square of (image + margin) / sampling points, and one per defocus and
direction on that of the image. Both grow as the number of pixels; the number of atoms adds the potential, a
fraction of a second per thousand and slice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import abtem
import numpy as np
import numpy.typing as npt
from abtem.core.energy import energy2wavelength
from ase import Atoms
from scipy import fft

from datasets.catalog import HrtemCard
from datasets.imaging.adf import fast_size
from datasets.imaging.potential import thermal_displacements

FloatArray = npt.NDArray[np.float64]
Spectrum = npt.NDArray[np.complex64]

MARGIN = 6.0
"""Empty space around the image in which the wave is computed too [Å]; the field is periodic."""
CUTOFF = 2.5
"""What is scattered beyond this spatial frequency [1/Å] is left out of the image, as by an aperture. The wave
and its multiple scattering are computed to as far as the sampling carries."""
FREQUENCY = 1.6
"""Spatial frequency [1/Å] up to which the sum over directions must hold; little interferes beyond."""
REACH = 4.0
"""Defoci up to this many standard deviations of the focal spread are summed over."""
ATOM = 2.0
"""How far from its centre along z the potential of an atom is taken into account [Å]."""


@dataclass(frozen=True)
class Field:
    """The square on which the wave is computed: n × n points `sampling` [Å] apart, a whole number of them per
    pixel; the image is computed on n_image × n_image points. The origin of the specimen frame is the point in
    the middle, n // 2 or n_image // 2. Slices begin at `entrance` [Å].
    """

    n: int
    n_image: int
    sampling: float
    entrance: float
    n_slices: int
    slice_thickness: float

    @property
    def extent(self) -> float:
        """Width [Å]."""
        return self.n * self.sampling


def make_field(imaging: HrtemCard, positions: FloatArray) -> Field:
    """The field of an image of `positions` (…, n_atoms, 3) [Å]."""
    pixels = fast_size(imaging.n_pixels + 2 * math.ceil(MARGIN / imaging.pixel_size))
    # the square of a wave that ends at CUTOFF ends at twice that, and so is sampled without aliasing
    coarse = math.ceil(4 * CUTOFF * imaging.pixel_size - 1e-9)
    fine = max(coarse, math.ceil(imaging.pixel_size / imaging.potential_sampling - 1e-9))
    low, high = positions[..., 2].min() - ATOM, positions[..., 2].max() + ATOM
    n_slices = max(1, math.ceil((high - low) / imaging.slice_thickness))
    entrance = float((low + high - n_slices * imaging.slice_thickness) / 2)
    sampling = imaging.pixel_size / fine
    return Field(pixels * fine, pixels * coarse, sampling, entrance, n_slices, imaging.slice_thickness)


def hrtem_image(
    atoms: Atoms,
    imaging: HrtemCard,
    *,
    defocus: float | None = None,
    seed: np.random.SeedSequence | None = None,
) -> FloatArray:
    """The image over that of vacuum, 1 where nothing scatters, (n_pixels, n_pixels) as [y, x].

    `defocus` [Å] is used in place of the card's; `seed` draws the frozen phonons. Atoms stand alone, whatever
    `atoms` says of periodicity.
    """
    defocus = imaging.defocus if defocus is None else defocus
    seed = np.random.SeedSequence(imaging.seed) if seed is None else seed
    displaced = atoms.positions + thermal_displacements(
        len(atoms), imaging.phonons, imaging.phonon_sigma, seed
    )
    field = make_field(imaging, displaced)
    images = []
    for positions in displaced:
        wave = exit_wave(Atoms(numbers=atoms.numbers, positions=positions), imaging.energy_eV, field)
        images.append(intensity(wave, imaging, field.extent, defocus))
    return detect(np.mean(images, axis=0), imaging, field.extent)


def exit_wave(atoms: Atoms, energy: float, field: Field) -> Spectrum:
    """Spectrum (n_image, n_image) as [ky, kx], in FFT order, of the wave behind `atoms`, 1 in vacuum, as it
    would be in the plane z = 0 without them.
    """
    origin = field.n // 2 * field.sampling
    depth = field.n_slices * field.slice_thickness
    cell = Atoms(
        numbers=atoms.numbers,
        positions=atoms.positions + np.array([origin, origin, -field.entrance]),
        cell=[field.extent, field.extent, depth],
        pbc=True,
    )
    potential = abtem.Potential(
        cell,
        gpts=field.n,
        slice_thickness=field.slice_thickness,
        parametrization="lobato",
        projection="finite",
        device="cpu",
    )
    wave = abtem.PlaneWave(energy=energy, device="cpu").multislice(potential.build(lazy=False)).compute()
    spectrum = cropped(fft.fft2(np.ascontiguousarray(wave.array.T)), field.n_image)
    # a slice acts in its first plane and stands for what lies half a slice behind
    beyond = field.entrance + depth + field.slice_thickness / 2
    ky, kx = frequencies(field.n_image, field.extent / field.n_image)
    phase = np.pi * float(energy2wavelength(energy)) * beyond * (ky**2 + kx**2)
    return np.asarray(spectrum * np.exp(1j * phase), dtype=np.complex64)


def cropped(spectrum: npt.NDArray[np.complexfloating], n: int) -> npt.NDArray[np.complexfloating]:
    """The lowest n × n frequencies, n even, of a `spectrum` in FFT order; waves keep their heights."""
    kept = np.r_[: n // 2, -(n // 2) : 0]
    return spectrum[np.ix_(kept, kept)] * (n / len(spectrum)) ** 2


def frequencies(n: int, sampling: float) -> tuple[FloatArray, FloatArray]:
    """Spatial frequencies ky (n, 1) and kx (1, n) [1/Å] in FFT order."""
    k = np.fft.fftfreq(n, sampling).astype(np.float64)
    return k[:, None], k[None]


def transfer(
    ky: FloatArray,
    kx: FloatArray,
    wavelength: float,
    defocus: float,
    Cs: float,
    aperture: float | None = None,
) -> npt.NDArray[np.complex128]:
    """T(k) of a lens with `defocus`, `Cs` [Å] and an objective aperture of semiangle `aperture` [rad]."""
    k2 = ky**2 + kx**2
    phase = np.pi * wavelength * k2 * (0.5 * Cs * wavelength**2 * k2 - defocus)
    values = np.exp(-1j * phase)
    return values if aperture is None else values * (k2 <= (aperture / wavelength) ** 2)


def focal_distribution(spread: float, wavelength: float) -> tuple[FloatArray, FloatArray]:
    """Defoci [Å] relative to their mean, and weights that sum to 1, of a normal distribution.

    Evenly spaced, so finely that no beam up to `CUTOFF`, whose phase turns from one defocus to the next by
    nearly a whole revolution, comes back into step.
    """
    if spread == 0:
        return np.zeros(1), np.ones(1)
    spacing = 2 / (wavelength * CUTOFF**2 + REACH / (np.pi * spread))
    half = math.ceil(REACH * spread / spacing)
    defoci: FloatArray = spacing * np.arange(-half, half + 1, dtype=np.float64)
    weights = np.exp(-0.5 * (defoci / spread) ** 2)
    return defoci, np.asarray(weights / weights.sum())


def illumination(semiangle: float, rate: float) -> tuple[FloatArray, FloatArray]:
    """Directions (n, 2) as (y, x) within `semiangle`, in its unit, and weights that sum to 1: an even disc.

    Gauss–Legendre in the squared radius; `rate` is by how much [rad] the phase of a beam changes from the
    centre of the disc to its edge, and decides how many rings there are.
    """
    if semiangle == 0:
        return np.zeros((1, 2)), np.ones(1)
    n_rings = max(1, math.ceil(rate))
    n_angles = 4 * n_rings + 2
    nodes, weights = np.polynomial.legendre.leggauss(n_rings)
    radii = semiangle * np.sqrt((1 + nodes) / 2)
    turns = 2 * np.pi * np.arange(n_angles) / n_angles
    rings = radii[:, None, None] * np.stack([np.sin(turns), np.cos(turns)], axis=-1)
    points: FloatArray = rings.reshape(-1, 2)
    shares: FloatArray = np.repeat(weights / 2 / n_angles, n_angles)
    return points, shares


def intensity(spectrum: Spectrum, imaging: HrtemCard, extent: float, defocus: float) -> FloatArray:
    """The image (n, n) of an exit wave given by its `spectrum` (n, n) on a field of width `extent` [Å], over
    that of vacuum, before the detector.
    """
    wavelength = float(energy2wavelength(imaging.energy_eV))
    n = len(spectrum)
    ky, kx = frequencies(n, extent / n)
    aperture = wavelength * CUTOFF
    if imaging.aperture_mrad is not None:
        aperture = min(aperture, imaging.aperture_mrad * 1e-3)
    semiangle = imaging.convergence_mrad * 1e-3
    slope = abs(imaging.Cs * (wavelength * FREQUENCY) ** 2) + abs(defocus) + REACH * imaging.focal_spread
    directions, shares = illumination(semiangle, 2 * np.pi * semiangle * FREQUENCY * slope)
    defoci, weights = focal_distribution(imaging.focal_spread, wavelength)
    total = np.zeros((n, n))
    for direction, share in zip(directions / wavelength, shares, strict=True):
        y, x = ky + direction[0], kx + direction[1]
        wave = (spectrum * transfer(y, x, wavelength, defocus, imaging.Cs, aperture)).astype(np.complex64)
        for focus, weight in zip(defoci, weights, strict=True):
            further = transfer_of_focus(y, wavelength, focus) * transfer_of_focus(x, wavelength, focus)
            image = fft.ifft2(wave * further)
            total += share * weight * (image.real**2 + image.imag**2)
    return total


def transfer_of_focus(k: FloatArray, wavelength: float, defocus: float) -> npt.NDArray[np.complex64]:
    """One of the two factors, along y and along x, of the transfer of a change of focus."""
    return np.exp(1j * np.pi * wavelength * defocus * k**2).astype(np.complex64)


def envelopes(k: FloatArray, imaging: HrtemCard, defocus: float) -> FloatArray:
    """Temporal times spatial envelope at the spatial frequencies `k` [1/Å]: what the sums leave of the
    interference of a beam with the direct one, to lowest order in the semiangle.
    """
    wavelength = float(energy2wavelength(imaging.energy_eV))
    temporal = np.exp(-0.5 * (np.pi * wavelength * imaging.focal_spread * k**2) ** 2)
    # an even disc has a variance of semiangle²/4 along each axis
    slope = 2 * np.pi * k * (imaging.Cs * wavelength**2 * k**2 - defocus)
    return np.asarray(temporal * np.exp(-0.5 * (0.5e-3 * imaging.convergence_mrad * slope) ** 2))


def modulation_transfer(ky: FloatArray, kx: FloatArray, imaging: HrtemCard) -> FloatArray:
    """MTF of the detector at spatial frequencies [1/Å] of the specimen: square pixel and point spread."""
    p = imaging.pixel_size
    blur = np.exp(-2 * (np.pi * imaging.psf_sigma * p) ** 2 * (ky**2 + kx**2))
    return np.asarray(np.sinc(ky * p) * np.sinc(kx * p) * blur)


def detect(image: FloatArray, imaging: HrtemCard, extent: float) -> FloatArray:
    """What the pixels (n_pixels, n_pixels) collect of an `image` (n, n) of width `extent` [Å], over that of
    vacuum.
    """
    n = len(image)
    step = round(imaging.pixel_size / (extent / n))
    ky, kx = frequencies(n, extent / n)
    seen = fft.ifft2(fft.fft2(image) * modulation_transfer(ky, kx, imaging)).real
    first = n // 2 - step * (imaging.n_pixels // 2)
    kept = slice(first, first + step * imaging.n_pixels, step)
    return np.maximum(seen[kept, kept], 0)
