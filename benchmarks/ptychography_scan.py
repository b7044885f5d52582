"""One tilt of a 4D-STEM series for timing multislice ptychography: patterns by abTEM, and one loss for all.

The scan is that of the sparse series of multislice electron tomography (arXiv:2210.12636): 32 × 32 positions
1.6 Å apart, 300 kV, 21 mrad, 200 Å overfocus. The probe and its positions are taken as known, so that
programs differ in nothing but how they find the slices.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import abtem
import numpy as np
import numpy.typing as npt
from ase import Atoms

from datasets.errors import InputError

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex64]

ENERGY = 300e3
"""[eV]"""
SEMIANGLE = 21.0
"""[mrad]"""
DEFOCUS = -200.0
"""[Å] relative to the middle of the specimen, underfocus positive."""
STEP = 1.6
"""Between probe positions [Å]."""
PIXEL = 0.4
"""Of the reconstruction [Å]: a quarter of the step, so that windows begin on whole pixels."""
FINE = 2
"""Points of the simulated potential per pixel and axis."""
SIMULATED_SLICE = 2.0
"""Thickness of the slices in the simulation [Å]."""
ELECTRONS = 1e4
"""Per position, which patterns without noise are scaled to where a program asks for counts."""
BATCH = 64
"""Probe positions at once in `amplitude_loss`."""


@dataclass(frozen=True, eq=False)
class PtychographyScan:
    """What a program is given, and what `amplitude_loss` judges its answer by.

    `patterns` (n_scan, n, n) are the beam's fractions, or counts over the electrons per position, with zero
    angle at n // 2. `corners` (n_scan, 2) are the first row and column of every position's window in slices
    of `shape`. `probe` (n, n) is the wave in the middle of its window, sum |ψ|² = 1, on the first of
    `n_slices` planes `slice_thickness` [Å] apart.
    """

    patterns: npt.NDArray[np.float32]
    corners: npt.NDArray[np.int64]
    probe: ComplexArray
    n_slices: int
    slice_thickness: float
    shape: tuple[int, int]
    electrons: float = ELECTRONS
    """Per position; without noise, those that programs are told that there are."""

    @property
    def n_pixels(self) -> int:
        """Pixels along the window and along the detector."""
        return self.patterns.shape[-1]

    @property
    def raster(self) -> tuple[int, int]:
        """Rows and columns of the scan."""
        rows = len(np.unique(self.corners[:, 0]))
        return rows, len(self.corners) // rows

    @property
    def positions(self) -> FloatArray:
        """Of the probe [Å] as (y, x), (n_scan, 2), from the middle of the field, pixel n // 2 of `shape`."""
        middle = self.corners + self.n_pixels // 2 - np.array(self.shape) // 2
        return np.asarray(PIXEL * middle, dtype=np.float64)

    @property
    def electron_wavelength(self) -> float:
        """[Å]"""
        return float(abtem.core.energy.energy2wavelength(ENERGY))

    def propagator(self) -> ComplexArray:
        """Fresnel propagation from one slice to the next in a window, (n, n) in the order of an FFT."""
        k = np.fft.fftfreq(self.n_pixels, PIXEL)
        phase = -np.pi * self.electron_wavelength * self.slice_thickness * (k[:, None] ** 2 + k**2)
        return np.asarray(np.exp(1j * phase), dtype=np.complex64)


def simulate_scan(
    atoms: Atoms,
    *,
    n_scan: int = 32,
    n_pixels: int = 64,
    n_slices: int = 8,
    thickness: float = 40.0,
    electrons: float | None = None,
    seed: int = 0,
) -> PtychographyScan:
    """`n_scan`² patterns of `atoms` about the origin, not thicker than `thickness` [Å], without phonons.

    Patterns are points at multiples of 1 / (n_pixels · PIXEL) [1/Å], as many as the window has pixels. With
    `electrons` per position they are Poisson counts. Costs one probe across the whole field per position.
    Raises `InputError` when the atoms do not fit.
    """
    window = n_pixels * PIXEL
    repeats = int(np.ceil((n_scan * STEP + window) / window - 1e-9))
    extent = repeats * window
    reach = np.abs(atoms.positions).max(axis=0)
    if reach[2] > thickness / 2 or max(reach[:2]) > extent / 2:
        raise InputError(
            f"atoms up to {reach.max():.1f} Å from the middle do not fit {extent:g} × {thickness:g} Å"
        )
    field = Atoms(atoms.numbers, atoms.positions, cell=(extent, extent, thickness))
    field.positions += np.array([extent, extent, thickness]) / 2
    n_field = repeats * n_pixels
    potential = abtem.Potential(
        field,
        gpts=FINE * n_field,
        slice_thickness=SIMULATED_SLICE,
        projection="finite",
        parametrization="kirkland",
    ).build(lazy=False)
    optics = {"energy": ENERGY, "semiangle_cutoff": SEMIANGLE, "soft": True}
    lens = abtem.Probe(defocus=DEFOCUS + thickness / 2, **optics)
    lens.grid.match(potential)
    first = (n_field - (n_scan - 1) * int(STEP / PIXEL)) // 2
    along = first + np.arange(n_scan) * int(STEP / PIXEL)
    rows, columns = (axis.ravel() for axis in np.meshgrid(along, along, indexing="ij"))
    measured = lens.scan(
        potential,
        scan=abtem.CustomScan(PIXEL * np.stack([columns, rows], axis=1)),
        detectors=abtem.PixelatedDetector(max_angle=None),
        max_batch=16,
        lazy=False,
    )
    patterns = np.swapaxes(np.asarray(measured.array), -1, -2)  # abTEM's arrays are [x, y]
    middle = np.array(patterns.shape[-2:]) // 2
    chosen = [m + repeats * np.arange(-(n_pixels // 2), n_pixels - n_pixels // 2) for m in middle]
    plane = abtem.Probe(
        defocus=DEFOCUS + thickness / 2 - thickness / n_slices / 2, gpts=n_field, extent=extent, **optics
    )
    wave = np.fft.ifftshift(np.asarray(plane.build((extent / 2, extent / 2), lazy=False).array))
    # the window's own Fourier points, so that what lies outside the window does not blur the aperture
    at = (repeats * np.fft.fftfreq(n_pixels, 1 / n_pixels)).astype(int)
    spectrum = np.fft.fft2(wave, norm="ortho")[at[:, None], at]
    total = float((np.abs(spectrum) ** 2).sum() / (np.abs(wave) ** 2).sum())
    probe = np.fft.fftshift(np.fft.ifft2(spectrum, norm="ortho"))
    patterns = patterns[:, chosen[0][:, None], chosen[1]] / total
    if electrons is not None:
        patterns = np.random.default_rng(seed).poisson(electrons * patterns) / electrons
    return PtychographyScan(
        patterns.astype(np.float32),
        np.stack([rows, columns], axis=1).astype(np.int64) - n_pixels // 2,
        (probe / np.linalg.norm(probe)).astype(np.complex64),
        n_slices,
        thickness / n_slices,
        (n_field, n_field),
        ELECTRONS if electrons is None else electrons,
    )


def save_scan(path: Path, scan: PtychographyScan) -> None:
    """Keep a scan as an .npz file."""
    np.savez(path, **{field.name: getattr(scan, field.name) for field in fields(scan)})


def load_scan(path: Path) -> PtychographyScan:
    """A scan that `save_scan` kept. Raises `InputError` for any other file."""
    try:
        with np.load(path) as kept:
            return PtychographyScan(
                kept["patterns"],
                kept["corners"],
                kept["probe"],
                int(kept["n_slices"]),
                float(kept["slice_thickness"]),
                (int(kept["shape"][0]), int(kept["shape"][1])),
                float(kept["electrons"]),
            )
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"{path}: this is no scan for ptychography") from error


def expected_patterns(slices: ComplexArray, scan: PtychographyScan, at: slice | None = None) -> FloatArray:
    """The patterns of complex `slices` (n_slices, *shape), each a transmission, at the positions `at`."""
    n, propagator = scan.n_pixels, scan.propagator()
    corners = scan.corners[at or slice(None)]
    rows = corners[:, 0, None, None] + np.arange(n)[:, None]
    columns = corners[:, 1, None, None] + np.arange(n)
    wave = np.broadcast_to(scan.probe.astype(np.complex128), (len(corners), n, n))
    for number, one in enumerate(slices):
        if number:
            wave = np.fft.ifft2(np.fft.fft2(wave) * propagator)
        wave = wave * one[rows, columns]
    return np.asarray(np.abs(np.fft.fftshift(np.fft.fft2(wave, norm="ortho"), axes=(-2, -1))) ** 2)


def amplitude_loss(slices: ComplexArray, scan: PtychographyScan) -> float:
    """Σ(√Î − √I)² / ΣI over all positions and pixels."""
    lost = 0.0
    for start in range(0, len(scan.patterns), BATCH):
        part = slice(start, start + BATCH)
        expected = expected_patterns(slices, scan, part)
        lost += float(((np.sqrt(expected) - np.sqrt(scan.patterns[part])) ** 2).sum())
    return lost / float(scan.patterns.sum(dtype=np.float64))
