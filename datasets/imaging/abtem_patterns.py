"""Diffraction patterns by abTEM alone: every probe across the whole field. Slow; the reference of the
windowed kernel (`datasets.imaging.diffraction`).
"""

from __future__ import annotations

import math

import abtem
import numpy as np
import numpy.typing as npt
from abtem.transfer import Aperture
from ase import Atoms

from datasets.catalog import FourDStemCard
from datasets.errors import InputError
from datasets.imaging.adf import fast_size
from datasets.imaging.detector import detector_angles
from datasets.imaging.diffraction import Patterns
from datasets.imaging.four_d_stem import entrance_defocus
from datasets.imaging.potential import fit_grid, sliced_potential, thermal_displacements
from datasets.schema import pixel_axis

FloatArray = npt.NDArray[np.float64]


class EvenAperture(Aperture):
    """abTEM's soft-edged aperture with as many electrons as a disc of its radius has: its edge is one of
    intensity, where abTEM's is one of amplitude.
    """

    def _evaluate_from_angular_grid(
        self, alpha: npt.NDArray[np.floating], phi: npt.NDArray[np.floating]
    ) -> npt.NDArray[np.floating]:
        return np.asarray(np.sqrt(super()._evaluate_from_angular_grid(alpha, phi)))


def diffraction_patterns(
    atoms: Atoms, imaging: FourDStemCard, *, defocus: float, seed: np.random.SeedSequence
) -> Patterns:
    """The mean over frozen phonons of what is recorded of all n_scan² probes; `atoms` are already tilted."""
    axis = pixel_axis(imaging.n_scan, imaging.scan_step)
    points = np.stack(np.meshgrid(axis, axis, indexing="xy"), axis=-1).reshape(-1, 2)
    displaced = atoms.positions + thermal_displacements(
        len(atoms), imaging.phonons, imaging.phonon_sigma, seed
    )
    seen = [
        full_field_patterns(Atoms(numbers=atoms.numbers, positions=positions), points, imaging, defocus)
        for positions in displaced
    ]
    return Patterns(
        np.mean([one.patterns for one in seen], axis=0, dtype=np.float32),
        np.mean([one.annular for one in seen], axis=0, dtype=np.float32),
    )


def full_field_patterns(atoms: Atoms, points: FloatArray, imaging: FourDStemCard, defocus: float) -> Patterns:
    """What is recorded of probes at `points` (n, 2) as (x, y) [Å], focused `defocus` [Å] from z = 0.

    The field is periodic, as wide as one over the distance of the detector's points, so that its Fourier grid
    is the detector's. Raises `InputError` where that does not hold the particle.
    """
    k = imaging.detector_points()
    extent = float(1 / (k[1] - k[0]))
    if extent < 2 * np.abs(atoms.positions[:, :2]).max():
        raise InputError(
            f"imaging: detector points {1 / extent:.3g} 1/Å apart make a field of {extent:.3g} Å, which does "
            "not hold the particle; give the pixels more binning"
        )
    n = fast_size(math.ceil(extent / imaging.sampling - 1e-6))
    grid = fit_grid(atoms.positions, n=n, sampling=extent / n, slice_thickness=imaging.slice_thickness)
    potential = sliced_potential(atoms, grid)
    probe = abtem.Probe(
        energy=imaging.energy_eV,
        aperture=EvenAperture(semiangle_cutoff=imaging.semiangle_mrad, soft=True),
        defocus=entrance_defocus(grid, defocus),
        Cs=imaging.Cs,
        device="cpu",
    )
    probe.grid.match(potential)
    inner, outer = detector_angles(imaging)
    pixels, ring = probe.scan(
        potential,
        scan=abtem.CustomScan(points - grid.origin),
        detectors=[
            abtem.PixelatedDetector(max_angle="full"),
            abtem.AnnularDetector(inner=inner, outer=outer),
        ],
        max_batch=8,
        lazy=False,
    )
    intensity = np.asarray(pixels.array).transpose(0, 2, 1)  # abTEM's are [kx, ky]
    first = n // 2 - len(k) // 2
    kept = slice(first, first + len(k))
    shape = (-1, imaging.n_pixels, imaging.binning, imaging.n_pixels, imaging.binning)
    patterns = intensity[:, kept, kept].reshape(shape).sum(axis=(2, 4))
    return Patterns(patterns.astype(np.float32), np.asarray(ring.array, dtype=np.float32).reshape(-1))
