"""What the microscope adds to the noise-free images: errors of the acquisition, and electron counting.

An image is written row by row, x being the fast axis, so whatever moves meanwhile distorts it. Faster than
a row, it is scan noise: the rows are displaced along x, here each independently of the others, white where
that of a microscope has lines of its own (Jones and Nellist, Microsc. Microanal. 19, 1050, 2013). Slower
than the image, it is drift, here at a constant speed per image: along x it shears the image, along y it
stretches it. A drift of 1 nm/min, which the most precise work stays below (Zhang et al., Microsc. Microanal.,
2020), is half an ångström in an image of 3 s.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
from abtem.core.energy import energy2wavelength
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from datasets.catalog import ImperfectionCard
from datasets.catalog.acquisition import ScanningCard
from datasets.errors import InputError
from datasets.schema import EULER_SEQUENCE

FloatArray = npt.NDArray[np.float64]

ANTIALIAS = 2 / 3
"""Fraction of the Nyquist frequency that multislice keeps (abTEM's rule)."""


def carried_angle(imaging: ScanningCard) -> float:
    """The largest scattering angle [mrad] that the sampling of the potential carries without aliasing."""
    wavelength = float(energy2wavelength(imaging.energy_eV))
    return ANTIALIAS * wavelength / (2 * imaging.sampling) * 1e3


def detector_angles(imaging: ScanningCard) -> tuple[float, float]:
    """Inner and outer detector angle [mrad]; the outer one is clipped to what the sampling carries.

    What is scattered further is lost in the papers' simulations too, which use the same rule; clipping says
    so. Raises `InputError` when not even the inner angle is carried.
    """
    limit = carried_angle(imaging)
    if limit <= imaging.detector_inner_mrad:
        raise InputError(
            f"imaging: a potential_sampling of {imaging.potential_sampling} Å carries scattering up to "
            f"{limit:.1f} mrad only, but the detector begins at {imaging.detector_inner_mrad} mrad"
        )
    return imaging.detector_inner_mrad, min(imaging.detector_outer_mrad, limit)


def optics(imaging: ScanningCard, **own: float) -> dict[str, float]:
    """The optics as a measurement states them, with those that only its modality has."""
    inner, outer = detector_angles(imaging)
    return {
        "energy_eV": imaging.energy_eV,
        "semiangle_mrad": imaging.semiangle_mrad,
        "defocus": imaging.defocus,
        "Cs": imaging.Cs,
        "focal_spread": 0.0,
        "detector_inner_mrad": inner,
        "detector_outer_mrad": outer,
        **own,
    }


@dataclass(frozen=True)
class Imperfections:
    """The departures of one acquisition from its nominal values, per tilt; all zero is the identity.

    `angles` (n_tilt, 3) are added to phi, theta, psi [deg] and `defocus` (n_tilt,) to the defocus [Å]: both
    reach into the image formation. `shifts` and `drifts` (n_tilt, 2) as [y, x] [Å], the relative
    `intensities` (n_tilt,) and the displacements of rows along x, `scan` (n_tilt, n_y) [Å], act on finished
    images.
    """

    angles: FloatArray
    defocus: FloatArray
    shifts: FloatArray
    intensities: FloatArray
    drifts: FloatArray
    scan: FloatArray

    @classmethod
    def draw(cls, card: ImperfectionCard, n_tilt: int, n_rows: int = 0) -> Imperfections:
        """Draw from the card's seed for `n_tilt` images of `n_rows` rows; each kind has its own stream, so
        switching one on leaves the others.
        """
        angles, defocus, shifts, intensities, drifts, scan = map(
            np.random.default_rng, np.random.SeedSequence(card.seed).spawn(6)
        )
        return cls(
            angles=card.tilt_rms * angles.normal(size=(n_tilt, 3)),
            defocus=card.defocus_range * defocus.uniform(-1, 1, n_tilt),
            shifts=card.shift_range * shifts.uniform(-1, 1, (n_tilt, 2)),
            intensities=card.intensity_rms * intensities.normal(size=n_tilt),
            drifts=card.drift_rms * drifts.normal(size=(n_tilt, 2)),
            scan=card.scan_rms * scan.normal(size=(n_tilt, n_rows)),
        )

    def of(self, tilts: npt.NDArray[np.bool_]) -> Imperfections:
        """Those of some of the images, `tilts` (n_tilt,)."""
        return Imperfections(**{field.name: getattr(self, field.name)[tilts] for field in fields(self)})

    def rotations(self, theta: FloatArray) -> Rotation:
        """The actual specimen rotations for nominal single-axis angles `theta` (n_tilt,) [deg]."""
        nominal = np.stack([np.zeros_like(theta), theta, np.zeros_like(theta)], axis=-1)
        return Rotation.from_euler(EULER_SEQUENCE, nominal + self.angles, degrees=True)

    def apply(self, images: FloatArray, pixel_size: float, *, finer: int = 1) -> FloatArray:
        """Displace and scale `images`; what ringing makes negative is set to zero.

        They are sampled `finer` times as densely as what is returned, (n_tilt, n_y, n_x) with `pixel_size`
        [Å], about the same centre.
        """
        n = images.shape[1] // finer
        kept = slice(n * finer // 2 - finer * (n // 2), None, finer)
        moved = np.stack(
            [self._move(image, tilt, pixel_size / finer, kept) for tilt, image in enumerate(images)]
        )
        scale = np.maximum(1 + self.intensities, 0)
        return np.maximum(moved * scale[:, None, None], 0)

    def _move(self, image: FloatArray, tilt: int, pixel_size: float, kept: slice) -> FloatArray:
        """The `kept` rows and columns of an image whose pixels are `pixel_size` [Å], displaced."""
        if self.shifts[tilt].any():
            image = fourier_shift(image, self.shifts[tilt] / pixel_size)
        if self.drifts[tilt].any() or self.scan[tilt].any():
            rows = np.zeros((len(image), 2))
            written = rows[kept]
            written += np.outer(np.linspace(-0.5, 0.5, len(written)), self.drifts[tilt])  # 0 at mid-exposure
            written[:, 1] += self.scan[tilt]
            image = displace_rows(image, rows / pixel_size)
        return image[kept, kept]


SHADING_WIDTH = 0.25
"""Length over which shading varies, standard deviation of the Gaussian that smooths it, in image widths."""


@dataclass(frozen=True)
class FrameImperfections:
    """The departures of one HRTEM frame: `defocus` [Å] reaches into the image formation, `gain`
    (n_pixels, n_pixels), the intensity and sensitivity of every pixel with 0 where it is dead, acts on the
    finished image.

    `gain` is the same in all frames of a series but for their intensity.
    """

    defocus: float
    gain: FloatArray

    @classmethod
    def draw(cls, card: ImperfectionCard, n_pixels: int, frame: int = 0) -> FrameImperfections:
        """Draw from the card's seed; each kind has its own stream, so switching one on leaves the others."""
        defoci, intensities, shadings, gains, dead = map(
            np.random.default_rng, np.random.SeedSequence(card.seed).spawn(5)
        )
        defocus = card.defocus_range * defoci.uniform(-1, 1, frame + 1)[frame]
        intensity = max(1 + card.intensity_rms * intensities.normal(size=frame + 1)[frame], 0)
        gain = np.full((n_pixels, n_pixels), intensity)
        if card.shading_rms:
            gain *= 1 + card.shading_rms * smooth_field(n_pixels, SHADING_WIDTH * n_pixels, shadings)
        if card.gain_rms:
            gain *= 1 + card.gain_rms * gains.normal(size=gain.shape)
        gain[dead.random(gain.shape) < card.dead_pixels] = 0
        return cls(float(defocus), np.maximum(gain, 0))

    def apply(self, image: FloatArray) -> FloatArray:
        """What is recorded of `image` (n_pixels, n_pixels)."""
        return image * self.gain


def smooth_field(n: int, width: float, rng: np.random.Generator) -> FloatArray:
    """A random field (n, n) of mean 0 and rms 1, smooth over `width` [pixel] and not periodic."""
    margin = int(np.ceil(3 * width))
    noise = rng.normal(size=(n + 2 * margin, n + 2 * margin))
    field = gaussian_filter(noise, width)[margin : margin + n, margin : margin + n]
    field -= field.mean()
    return np.asarray(field / field.std())


def fourier_shift(image: FloatArray, shift: npt.ArrayLike) -> FloatArray:
    """`image` (n_y, n_x) moved by `shift` [pixels, (y, x)], periodic; exact for band-limited images."""
    dy, dx = np.asarray(shift, dtype=float)
    n_y, n_x = image.shape
    phase_y = np.exp(-2j * np.pi * np.fft.fftfreq(n_y) * dy)
    phase_x = np.exp(-2j * np.pi * np.fft.rfftfreq(n_x) * dx)
    # the Nyquist frequency of an even grid stands for both signs: only the real part of its phase is a shift
    if n_y % 2 == 0:
        phase_y[n_y // 2] = phase_y[n_y // 2].real
    if n_x % 2 == 0:
        phase_x[-1] = phase_x[-1].real
    return np.fft.irfft2(np.fft.rfft2(image) * phase_y[:, None] * phase_x, s=image.shape)


def displace_rows(image: FloatArray, displacements: npt.ArrayLike) -> FloatArray:
    """`image` f (n_y, n_x) as recorded while the specimen is displaced, in each row by its own
    `displacements` (n_y, 2) [pixels, (y, x)]: f(y − dy(y), x − dx(y)), periodic; exact for band-limited f.

    Along x alone, every row keeps its sum. n_y² n_x operations where there is any dy.
    """
    dy, dx = np.asarray(displacements, dtype=float).T
    n_y, n_x = image.shape
    if dy.any():
        waves = np.exp(2j * np.pi * (np.arange(n_y) - dy)[:, None] * np.fft.fftfreq(n_y)) / n_y
        if n_y % 2 == 0:
            waves[:, n_y // 2] = waves[:, n_y // 2].real
        image = (waves @ np.fft.fft(image, axis=0)).real
    phases = np.exp(-2j * np.pi * dx[:, None] * np.fft.rfftfreq(n_x))
    if n_x % 2 == 0:
        phases[:, -1] = phases[:, -1].real
    return np.fft.irfft(np.fft.rfft(image, axis=1) * phases, n=n_x, axis=1)


def noise_seed(dataset_name: str, dose: float, replicate: int) -> np.random.SeedSequence:
    """The Poisson seed, from exactly these three: every reconstructor is handed the same counts."""
    text = f"{dataset_name}\n{dose:.12g}\n{replicate}"
    return np.random.SeedSequence(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big"))


def mean_counts(
    expected: npt.NDArray[np.floating], dose: float, background: float
) -> npt.NDArray[np.float64]:
    """What is counted on average of `expected` [electron per pixel and unit dose] at `dose` [e⁻/Å²], beside a
    `background` [e⁻/pixel].
    """
    return expected.astype(np.float64) * dose + background


def draw_counts(
    expected: npt.NDArray[np.floating], dose: float, background: float, seed: np.random.SeedSequence
) -> npt.NDArray[np.int64]:
    """Poisson counts of `expected` [electron per pixel and unit dose] at `dose` [e⁻/Å²] plus `background`
    [e⁻/pixel].
    """
    return np.random.default_rng(seed).poisson(mean_counts(expected, dose, background))


def draw_electrons(
    expected: npt.NDArray[np.floating], n_electrons: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """A sparse image: `n_electrons` drawn one by one from `expected` (n_y, n_x), normalised to a probability.

    That is how Zhang et al. (2026) make images of a dose. A total that is itself Poisson makes Poisson counts
    of this, independent between pixels; with the total fixed they are multinomial, so that every pixel's
    variance is less by the part of the electrons that it gets, one in 65,536 here.
    """
    probability = np.asarray(expected, dtype=np.float64).ravel()
    probability = probability / probability.sum()
    return rng.multinomial(n_electrons, probability).reshape(np.shape(expected))
