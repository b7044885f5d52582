"""A 4D-STEM tilt series on the grids of a reconstruction: the detector, the probe, and where it stood."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.spatial.transform import Rotation

from datasets.errors import InputError
from datasets.schema import rotations
from recon.optics import wavelength

FloatArray = npt.NDArray[np.float64]

SHARP = 5.0
"""Width of a window in focus, in units of wavelength/semiangle, the resolution."""
BINNING = 2
"""How many points a pixel is the sum of, along each axis, where the measurement does not state it."""
FINEST = 4
"""A pixel has no more sampling points along each axis than this, whatever its binning: each of fine² takes an
FFT, beside the 4 S − 2 of S slices. With 8 slices a gradient takes twice as long with 4 as with 2, and with 8
six times; patterns binned by 8 agree to 0.33 % with 4 and to 0.29 % with 8."""


@dataclass(frozen=True)
class Lens:
    """The probe-forming lens: `energy` [eV], `semiangle` [rad], `defocus` of the plane z = 0 [Å], underfocus
    positive, and `Cs` [Å].
    """

    energy: float
    semiangle: float
    defocus: float = 0.0
    Cs: float = 0.0

    @property
    def wavelength(self) -> float:
        """Wavelength of the electrons [Å]."""
        return wavelength(self.energy)

    @classmethod
    def of(cls, attributes: Mapping[str, Any]) -> Lens:
        """The lens that the attributes of a 4dstem measurement state."""
        return cls(
            float(attributes["energy_eV"]),
            1e-3 * float(attributes["semiangle_mrad"]),
            float(attributes.get("defocus", 0.0)),
            float(attributes.get("Cs", 0.0)),
        )

    def spread(self, reach: float) -> float:
        """The width [Å] that the probe needs within `reach` [Å] of the plane z = 0."""
        return SHARP * self.wavelength / self.semiangle + 2 * self.semiangle * (abs(self.defocus) + reach)

    def spectrum(self, k2: FloatArray, z: float, spacing: float) -> npt.NDArray[np.complex128]:
        """The probe at the plane `z` [Å] in Fourier space at the squared frequencies `k2` [1/Å²]: 1 within
        the aperture, whose edge is softened over one `spacing` [1/Å] so that it has the right area.
        """
        lam = self.wavelength
        edge = np.clip((self.semiangle / lam - np.sqrt(k2)) / spacing + 0.5, 0, 1)
        chi = math.pi * lam * k2 * (0.5 * self.Cs * lam**2 * k2 - (self.defocus - z))
        return np.asarray(np.sqrt(edge) * np.exp(-1j * chi))


@dataclass(frozen=True)
class Detector:
    """The pixels of a diffraction pattern: centres `ky` (n_ky,) and `kx` (n_kx,) [1/Å], `step` [1/Å] apart.

    A wave is computed in a window of `window` pixels, which is `periods` periods of the pattern's grid wide:
    a whole number. Each detector pixel is the mean of `fine` × `fine` sampling points.
    """

    ky: FloatArray
    kx: FloatArray
    step: float
    window: int
    fine: int = 2
    periods: int = 1

    @property
    def length(self) -> float:
        """Width of the window [Å]."""
        return self.periods / self.step

    @property
    def voxel(self) -> float:
        """Pixels of the wave [Å]."""
        return self.length / self.window

    @classmethod
    def of(cls, measurement: xr.Dataset, voxel: float | None = None, length: float = 0.0) -> Detector:
        """The detector of a 4dstem measurement, with a window no narrower than `length` [Å].

        Without a `voxel` [Å] the wave just carries the detector's edge; else its pixels are that size or a
        little less. Sampling points are those that the measurement says its pixels are sums of
        (`detector_binning`), up to `FINEST`. Raises `InputError` where it says no whole number.
        """
        ky, kx = (np.asarray(measurement[name].values, dtype=np.float64) for name in ("ky", "kx"))
        step = float(np.mean(np.diff(kx)))
        periods = max(1, math.ceil(length * step - 1e-6))
        reach = max(len(ky), len(kx), 2 * max(float(np.abs(k).max()) for k in (ky, kx)) / step)
        wanted = reach if voxel is None else max(reach, 1 / (step * voxel))
        binning = float(measurement.attrs.get("detector_binning", BINNING))
        if not (binning >= 1 and binning.is_integer()):
            raise InputError(f"detector_binning must be a whole number from 1 on, it is {binning:g}")
        return cls(ky, kx, step, fast_size(periods * wanted - 1e-6), min(int(binning), FINEST), periods)


@dataclass(frozen=True)
class Scan:
    """What one tilt series says, apart from its counts.

    `positions` (n_scan, 2) as [y, x] [Å]; `electrons` that each probe position received; `background`
    [e⁻/pixel].
    """

    lens: Lens
    detector: Detector
    rotations: Rotation
    positions: FloatArray
    electrons: float
    background: float

    @classmethod
    def of(cls, measurement: xr.Dataset, voxel: float | None = None, *, whole: bool = False) -> Scan:
        """The scan of a 4dstem measurement, for a wave in pixels of about `voxel` [Å], in windows as wide as
        the probe or as the `whole` field.
        """
        attributes = measurement.attrs
        lens = Lens.of(attributes)
        positions = np.stack([measurement["scan_y"].values, measurement["scan_x"].values], axis=-1)
        field = float(np.ptp(positions, axis=0).max())
        length = field if whole else lens.spread(field / 2)
        return cls(
            lens,
            Detector.of(measurement, voxel, length),
            rotations(measurement),
            positions.astype(float),
            float(attributes["dose_per_area"]) * float(attributes["pixel_size"]) ** 2,
            float(attributes["background"]),
        )

    @property
    def volume_size(self) -> int:
        """Voxels along each edge of the cube that the scan covers."""
        size = float(np.ptp(self.positions, axis=0).max()) + self.scan_step
        return fast_size(size / self.detector.voxel - 1e-6)

    @property
    def scan_step(self) -> float:
        """The square root of the area [Å²] per probe position, as if the scan filled a square."""
        extent = np.ptp(self.positions, axis=0)
        n = max(len(self.positions), 2)
        # a raster of a × b positions spans (a − 1)(b − 1) steps²
        s, p = float(extent.sum()), float(extent.prod())
        return (s + math.sqrt(s**2 + 4 * (n - 1) * p)) / (2 * (n - 1))


def needs_4dstem(name: str, measurement: xr.Dataset, least: int = 1) -> tuple[bool, str]:
    """Whether this is a 4D-STEM tilt series with its optics stated, of at least `least` tilts; if not, a
    sentence.
    """
    modality = measurement.attrs.get("modality")
    if modality != "4dstem":
        return False, f"{name} reconstructs 4dstem tilt series, this measurement is {modality}"
    for needed in ("energy_eV", "semiangle_mrad"):
        if needed not in measurement.attrs:
            return False, f"{name} needs the attribute {needed!r}, which this measurement does not state"
    if measurement.sizes["tilt"] < least:
        return False, f"{name} needs at least {least} tilts, this has {measurement.sizes['tilt']}"
    if min(measurement.sizes[axis] for axis in ("ky", "kx")) < 4:
        return False, f"{name} needs patterns of at least 4 × 4 pixels"
    return True, ""


def fast_size(n: float) -> int:
    """The smallest even number ≥ `n` without prime factors above 5, as FFTs like them."""
    if not n > 0 or math.isinf(n):
        raise InputError(f"a grid cannot have {n:g} points")
    size = 2 * math.ceil(n / 2)
    while True:
        rest = size
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return size
        size += 2
