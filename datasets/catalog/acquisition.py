"""The acquisition of a dataset, one card per modality, and which of them a section of YAML is.

A further modality is a further class in `ImagingCard`; what it does is in the module of `datasets.imaging`
that `datasets.simulate.SERIES` names.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Discriminator, Field, Tag, model_validator
from scipy.constants import Planck, electron_mass, elementary_charge, physical_constants

from datasets.cards import Card

REST_ENERGY = physical_constants["electron mass energy equivalent in MeV"][0] * 1e6
"""Of an electron [eV]."""
TRANSFER = 0.01
"""Part of an amplitude that may be left beyond the Nyquist frequency of an image that is displaced."""


def wavelength(energy_eV: float) -> float:
    """Wavelength [Å] of electrons of `energy_eV`."""
    momentum = np.sqrt(
        2 * electron_mass * elementary_charge * energy_eV * (1 + energy_eV / (2 * REST_ENERGY))
    )
    return float(Planck / momentum * 1e10)


class TiltCard(Card):
    """Nominal single-axis tilt angles [deg]: `n` evenly spaced from `start` to `stop`, both included."""

    start: float
    stop: float
    n: int = Field(ge=1)

    def theta(self) -> npt.NDArray[np.float64]:
        """The angles [deg], shape (n,)."""
        return np.linspace(self.start, self.stop, self.n)


class MicroscopeCard(Card):
    """What every acquisition states: the engine that simulates it, the beam, and how the specimen is cut into
    slices.
    """

    modality: str
    engine: str = "multislice"
    version: int = 1
    seed: int = Field(default=0, ge=0)
    energy_eV: float = Field(gt=0)
    defocus: float = 0.0
    """Defocus relative to the plane z = 0, where a particle has its centre [Å]; positive is underfocus, as in
    abTEM."""
    Cs: float = 0.0
    """Spherical aberration [Å]: 1e4 is a micrometre."""
    potential_sampling: float = Field(gt=0)
    """Largest pixel of the potential and of the wave functions [Å]; `sampling` is the one taken."""
    slice_thickness: float = Field(gt=0)
    phonons: int = Field(ge=1)
    phonon_sigma: float = Field(ge=0)
    """Standard deviation of the thermal displacement along each axis [Å]."""

    @property
    def sampling(self) -> float:
        """Pixel of the potential and of the wave functions [Å]."""
        return self.potential_sampling


class ScanningCard(MicroscopeCard):
    """A tilt series of a focused probe, scanned over the specimen, with an annular detector."""

    semiangle_mrad: float = Field(gt=0)
    detector_inner_mrad: float = Field(gt=0)
    detector_outer_mrad: float = Field(gt=0)
    """Of the annular detector."""
    tilts: TiltCard

    @model_validator(mode="after")
    def _ordered_detector(self) -> Self:
        if self.detector_outer_mrad <= self.detector_inner_mrad:
            raise ValueError("detector_outer_mrad must be larger than detector_inner_mrad")
        return self


class AdfCard(ScanningCard):
    """The acquisition of an ADF-STEM tilt series and the engine that simulates it."""

    modality: Literal["adf"] = "adf"
    engine: Literal["multislice", "abtem", "linear"] = "multislice"
    source_sigma: float = Field(default=0.0, ge=0)
    """Standard deviation of the Gaussian source size [Å]."""
    pixel_size: float = Field(gt=0)
    n_pixels: int = Field(ge=8)
    """Images have n_pixels × n_pixels pixels of pixel_size [Å]."""

    def finer(self) -> int:
        """How many times as densely pixels must lie, along x and y, for the image to be displaced exactly.

        Until they sample the band limit 2 semiangle/wavelength, or until what the source size leaves of
        their Nyquist frequency is below `TRANSFER`.
        """
        limit = 2 * self.semiangle_mrad * 1e-3 / wavelength(self.energy_eV)
        if self.source_sigma > 0:
            limit = min(limit, np.sqrt(-np.log(TRANSFER) / 2) / (np.pi * self.source_sigma))
        return max(1, int(np.ceil(2 * limit * self.pixel_size - 1e-9)))


class FourDStemCard(ScanningCard):
    """The acquisition of a 4D-STEM tilt series, a diffraction pattern for every probe position of a square
    raster, and the engine that simulates it.

    Beside it stands an annular detector, whose electrons are those that the other does not record.
    """

    modality: Literal["4dstem"]
    engine: Literal["multislice", "abtem"] = "multislice"
    scan_step: float = Field(gt=0)
    """Distance between probe positions along x and y [Å]."""
    n_scan: int = Field(ge=1)
    """There are n_scan × n_scan probe positions."""
    n_pixels: int = Field(ge=8)
    """Patterns have n_pixels × n_pixels pixels of reciprocal_pixel_size [1/Å]."""
    reciprocal_pixel_size: float = Field(gt=0)
    binning: int = Field(default=1, ge=1)
    """Along each axis a pixel is the sum of so many points, those of a grid that has one at k = 0."""

    @property
    def pixel_size(self) -> float:
        """The step of the scan [Å]: a pixel of the images that are made of patterns."""
        return self.scan_step

    @property
    def sampling(self) -> float:
        """Pixel of the potential and of the wave functions [Å], a whole part of the scan step."""
        return self.scan_step / math.ceil(self.scan_step / self.potential_sampling - 1e-6)

    def detector_points(self) -> npt.NDArray[np.float64]:
        """The spatial frequencies [1/Å] along each axis at which patterns are computed."""
        n = self.n_pixels * self.binning
        return np.asarray((np.arange(n) - n // 2) * (self.reciprocal_pixel_size / self.binning))

    def detector_axis(self) -> npt.NDArray[np.float64]:
        """The centres of the pixels [1/Å], (n_pixels,)."""
        return np.asarray(self.detector_points().reshape(self.n_pixels, self.binning).mean(axis=1))

    @model_validator(mode="after")
    def _apart(self) -> Self:
        corner = (
            np.sqrt(2) * self.reciprocal_pixel_size * self.n_pixels / 2 * wavelength(self.energy_eV) * 1e3
        )
        if self.detector_inner_mrad < max(corner, self.semiangle_mrad):
            raise ValueError(
                f"detector_inner_mrad ({self.detector_inner_mrad:g}) must lie beyond the beam and the corners"
                f" of the pixels ({max(corner, self.semiangle_mrad):.4g} mrad): no electron is counted twice"
            )
        return self


class HrtemCard(MicroscopeCard):
    """The acquisition of an HRTEM frame, a plane-wave image, and the engine that simulates it.

    What is imaged stands alone in vacuum: a periodic sheet shows the atoms of its cell, and no others.
    """

    modality: Literal["hrtem"]
    engine: Literal["abtem"] = "abtem"
    focal_spread: float = Field(default=0.0, ge=0)
    """Standard deviation of the defocus [Å], normally distributed, within one exposure."""
    convergence_mrad: float = Field(default=0.0, ge=0)
    """Semiangle of the illumination [mrad], evenly filled."""
    aperture_mrad: float | None = Field(default=None, gt=0)
    """Semiangle of the objective aperture [mrad]; null: none."""
    psf_sigma: float = Field(default=0.0, ge=0)
    """Standard deviation of the detector's Gaussian point spread [pixel], beside the pixel's own square."""
    dqe: float = Field(default=1.0, gt=0, le=1)
    """Part of the electrons that the detector counts: its detective quantum efficiency at zero frequency."""
    phonons: int = Field(default=1, ge=1)
    phonon_sigma: float = Field(default=0.0, ge=0)
    """Standard deviation of the thermal displacement along each axis [Å]; 0 where the atoms are a snapshot
    that holds their vibration."""
    pixel_size: float = Field(gt=0)
    n_pixels: int = Field(ge=8)
    """Images have n_pixels × n_pixels pixels of pixel_size [Å]."""
    frame_interval: float = Field(default=1.0, gt=0)
    """Time from one frame of a series to the next [ms]."""


def _modality(section: object) -> str:
    """The tag of a section of a card; the first cards were ADF and did not say so."""
    if isinstance(section, Mapping):
        return str(section.get("modality", "adf"))
    return str(getattr(section, "modality", "adf"))


ImagingCard = Annotated[
    Annotated[AdfCard, Tag("adf")]
    | Annotated[FourDStemCard, Tag("4dstem")]
    | Annotated[HrtemCard, Tag("hrtem")],
    Discriminator(_modality),
]
"""The acquisition of any modality."""
