"""Linear ADF images: every atom is a Gaussian whose weight is a power of its atomic number.

No channelling, no multiple scattering, no defocus: use it to develop and to test, not to claim. The three
constants below are a fit to the windowed multislice of this package, made with

    python -m datasets.imaging.calibrate cuau-150

(300 kV, 21 mrad, 40–84 mrad detector; 4 tilts each of the particles of seeds 201 and 202, which nothing else
uses). What the linear images leave unexplained there is 12.5 % (rms over rms).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from abtem.core.energy import energy2wavelength
from ase import Atoms

from datasets.catalog import AdfCard
from datasets.schema import pixel_axis

EXPONENT = 1.484
"""Power of the atomic number."""
CROSS_SECTION = 1.968e-5
"""ADF cross-section of Z = 1 [Å²]."""
PROBE_WIDTH = 0.2304
"""Standard deviation of the image of an atom at rest, in units of wavelength/semiangle."""

FloatArray = npt.NDArray[np.float64]


def adf_image(
    atoms: Atoms, imaging: AdfCard, *, defocus: float = 0.0, seed: np.random.SeedSequence | None = None
) -> FloatArray:
    """Fraction of the beam on the detector, (n_pixels, n_pixels) as [y, x]; `defocus` and `seed` change
    nothing.
    """
    del defocus, seed
    axis = pixel_axis(imaging.n_pixels, imaging.pixel_size)
    weights = CROSS_SECTION * atoms.numbers.astype(float) ** EXPONENT
    return gaussian_atoms(atoms.positions, weights, width(imaging), axis)


def width(imaging: AdfCard) -> float:
    """Standard deviation of an atom's image [Å]: probe, thermal motion and source."""
    wavelength = float(energy2wavelength(imaging.energy_eV))
    probe = PROBE_WIDTH * wavelength / (imaging.semiangle_mrad * 1e-3)
    return float(np.sqrt(probe**2 + imaging.phonon_sigma**2 + imaging.source_sigma**2))


def gaussian_atoms(
    positions: FloatArray, weights: FloatArray, sigma: FloatArray | float, axis: FloatArray
) -> FloatArray:
    """The sum of normalised 2D Gaussians, `weights` (n,) at `positions` (n, 3) [Å], on the grid (axis,
    axis)."""
    spread = np.broadcast_to(np.asarray(sigma, dtype=float), (len(positions),))[:, None]
    profiles = [
        np.exp(-0.5 * ((axis - positions[:, d, None]) / spread) ** 2) / (np.sqrt(2 * np.pi) * spread)
        for d in (1, 0)
    ]
    return np.asarray((weights[:, None] * profiles[0]).T @ profiles[1])
