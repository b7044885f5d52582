"""Tilt series to train on: linear images of Gaussian atoms, with what makes real images differ from that,
counted.

What is drawn anew for every series: pixel size, tilts and their range, width and halo of an atom, the power
of the atomic number, dose, background, errors of angle, shift, focus and intensity, and how much an atom's
weight changes from tilt to tilt, which stands for channelling and shadowing. The ranges cover the multislice
datasets of the catalog; the images know nothing else of them. Multislice would cost a thousand times as much
per image.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr
from ase import Atoms
from scipy.spatial.transform import Rotation

from datasets.imaging.linear import CROSS_SECTION, gaussian_atoms
from datasets.schema import EULER_SEQUENCE, make_measurement, pixel_axis

FloatArray = npt.NDArray[np.float64]

MARGIN = 1.5
"""Room [Å] between the outermost atom and the edge of every image."""


@dataclass(frozen=True)
class Acquisition:
    """How a series was taken; `draw` gives a random one. Lengths in Å, angles in degrees."""

    pixel_size: float
    n_tilt: int
    tilt_range: float
    """Tilts are evenly spaced within ± this; 90 is without a missing wedge."""
    electrons: float
    """Electrons that the whole series counts of one atom of the heaviest species."""
    background: float
    """Electrons per pixel, relative to those that an image counts of that atom within two widths of its
    centre.
    """
    width: float
    """Standard deviation of an atom's image."""
    halo: float
    """Part of an atom's electrons in a halo three times as wide."""
    exponent: float
    """Power of the atomic number that an atom's weight goes by."""
    weight_rms: float
    """Relative change of an atom's weight from image to image."""
    focus_rms: float
    """Relative change of the width from image to image."""
    angle_rms: float
    shift_rms: float
    intensity_rms: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Acquisition:
        """A random acquisition: half of them without a missing wedge, half without each of the faults."""

        def sometimes(low: float, high: float, probability: float = 0.5) -> float:
            drawn = float(rng.uniform(low, high))
            return drawn if rng.random() < probability else 0.0

        fine = rng.random() < 0.15
        n_tilt = int(rng.integers(15, 61))
        whole = rng.random() < 0.45
        return cls(
            pixel_size=float(rng.uniform(0.19, 0.28) if fine else rng.uniform(0.3, 0.4)),
            n_tilt=n_tilt,
            tilt_range=90 - 90 / n_tilt if whole else float(rng.uniform(55, 80)),
            electrons=float(np.exp(rng.uniform(np.log(8), np.log(10_000)))),
            background=float(np.exp(rng.uniform(np.log(0.02), np.log(30)))) if rng.random() < 0.5 else 0.0,
            width=float(rng.uniform(0.2, 0.52)),
            halo=sometimes(0, 0.35, 0.7),
            exponent=float(rng.uniform(1.35, 1.8)),
            weight_rms=sometimes(0.02, 0.2, 0.7),
            focus_rms=sometimes(0.02, 0.15),
            angle_rms=sometimes(0.05, 0.4),
            shift_rms=sometimes(0.02, 0.2, 0.3),
            intensity_rms=sometimes(0.01, 0.06),
        )

    def weights(self, numbers: npt.NDArray[np.integer]) -> FloatArray:
        """The weight of every atom relative to the heaviest species, (n,)."""
        ratios = numbers.astype(float) / numbers.max()
        return np.asarray(ratios**self.exponent)


@dataclass(frozen=True)
class Series:
    """A measurement, the atoms imaged with their `electrons` (n,) per image, the acquisition, and the
    particle's own part of the images as `expected` (n_tilt, n_y, n_x) [electron per pixel], without noise
    and background.
    """

    measurement: xr.Dataset
    atoms: Atoms
    electrons: FloatArray
    acquisition: Acquisition
    expected: FloatArray

    @property
    def record(self) -> dict[str, float]:
        """How the series was taken, by name."""
        return {name: float(value) for name, value in asdict(self.acquisition).items()}


def make_series(
    atoms: Atoms,
    acquisition: Acquisition,
    rng: np.random.Generator,
    *,
    absent: bool = False,
    support: Atoms | None = None,
) -> Series:
    """The counts of `acquisition` on `atoms`, which are centred on the origin; with `absent`, those of the
    background alone, as if the particle had been missed, and with `support`, those of both.

    The dose in the attributes is the one at which the heaviest species, with the cross-section of
    `datasets.imaging.linear`, would count as many electrons.
    """
    took = acquisition
    n_pixels = (
        2 * int(np.ceil((np.linalg.norm(atoms.positions, axis=1).max() + MARGIN) / took.pixel_size)) + 2
    )
    axis = pixel_axis(n_pixels, took.pixel_size)
    theta = np.linspace(-took.tilt_range, took.tilt_range, took.n_tilt)
    angles = np.stack([np.zeros_like(theta), theta, np.zeros_like(theta)], axis=1)
    true = Rotation.from_euler(
        EULER_SEQUENCE, angles + rng.normal(scale=took.angle_rms, size=angles.shape), degrees=True
    )
    electrons = took.weights(atoms.numbers) * took.electrons / took.n_tilt
    level = took.background * float(electrons.max()) * took.pixel_size**2 / (4 * np.pi * took.width**2)
    images = np.empty((took.n_tilt, n_pixels, n_pixels))
    for tilt in range(took.n_tilt):
        positions = true[tilt].apply(atoms.positions)
        positions[:, :2] += rng.normal(scale=took.shift_rms, size=2)
        weights = electrons * np.exp(rng.normal(scale=took.weight_rms, size=len(atoms)))
        weights *= 1 + took.intensity_rms * rng.normal()
        width = took.width * (1 + took.focus_rms * abs(rng.normal()))
        images[tilt] = gaussian_atoms(positions, (1 - took.halo) * weights, width, axis)
        if took.halo:
            images[tilt] += gaussian_atoms(positions, took.halo * weights, 3 * width, axis)
    if absent:
        images[:] = 0
    expected = np.maximum(images, 0) * took.pixel_size**2
    beside = 0.0 if support is None else _film_images(support, atoms, acquisition, true, axis)
    counts = rng.poisson(expected + beside + level)
    heaviest = int(atoms.numbers.max())
    measurement = make_measurement(
        "adf",
        counts.astype(np.uint32),
        {"phi": angles[:, 0], "theta": theta, "psi": angles[:, 2], "y": axis, "x": axis},
        dose_per_area=float(electrons.max()) / (CROSS_SECTION * heaviest**took.exponent),
        pixel_size=took.pixel_size,
        background=level,
        elements=sorted(set(atoms.symbols)),
    )
    return Series(measurement, atoms, electrons, acquisition, expected)


def _film_images(
    film: Atoms, particle: Atoms, took: Acquisition, turns: Rotation, axis: FloatArray
) -> FloatArray:
    """The images (n_tilt, n_y, n_x) of a supporting film [electron per pixel], by the particle's weights."""
    ratio = film.numbers.astype(float) / particle.numbers.max()
    weights = ratio**took.exponent * took.electrons / took.n_tilt
    images = [gaussian_atoms(turn.apply(film.positions), weights, took.width, axis) for turn in turns]
    return np.stack(images) * took.pixel_size**2
