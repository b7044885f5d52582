"""Diffraction patterns by abTEM alone: every probe across the whole field. Slow; the reference of the
windowed kernel (`datasets.imaging.diffraction`).
"""

from __future__ import annotations

import abtem
import numpy as np
import numpy.typing as npt
from abtem.transfer import Aperture

from datasets.imaging.diffraction import Patterns


class EvenAperture(Aperture):
    """abTEM's soft-edged aperture with as many electrons as a disc of its radius has: its edge is one of
    intensity, where abTEM's is one of amplitude.
    """

    def _evaluate_from_angular_grid(
        self, alpha: npt.NDArray[np.floating], phi: npt.NDArray[np.floating]
    ) -> npt.NDArray[np.floating]:
        return np.asarray(np.sqrt(super()._evaluate_from_angular_grid(alpha, phi)))


def full_field_patterns(
    potential: abtem.PotentialArray,
    points: npt.NDArray[np.float64],
    *,
    energy_eV: float,
    semiangle_mrad: float,
    defocus: float,
    Cs: float,
    annulus: tuple[float, float],
    n_points: int,
    binning: int,
) -> Patterns:
    """The patterns of probes at `points` (n, 2) as (x, y) [Å] of a `potential` whose extent is one over the
    detector's spacing: `n_points` points along each axis around k = 0, `binning`² of them to a pixel.

    `defocus` [Å] is that of the first slice; `annulus` the angles of the annular detector [mrad].
    """
    probe = abtem.Probe(
        energy=energy_eV,
        aperture=EvenAperture(semiangle_cutoff=semiangle_mrad, soft=True),
        defocus=defocus,
        Cs=Cs,
        device="cpu",
    )
    probe.grid.match(potential)
    pixels, ring = probe.scan(
        potential,
        scan=abtem.CustomScan(points),
        detectors=[
            abtem.PixelatedDetector(max_angle="full"),
            abtem.AnnularDetector(inner=annulus[0], outer=annulus[1]),
        ],
        max_batch=8,
        lazy=False,
    )
    intensity = np.asarray(pixels.array).transpose(0, 2, 1)  # abTEM's are [kx, ky]
    first = intensity.shape[1] // 2 - n_points // 2
    kept = slice(first, first + n_points)
    intensity = intensity[:, kept, kept]
    size = n_points // binning
    summed = intensity.reshape(-1, size, binning, size, binning).sum(axis=(2, 4))
    return Patterns(summed.astype(np.float32), np.asarray(ring.array, dtype=np.float32).reshape(-1))
