"""The same images by abTEM alone: every probe across the whole field. Slow; the reference of the windowed
engine."""

from __future__ import annotations

import abtem
import numpy as np
import numpy.typing as npt
from ase import Atoms

from datasets.catalog import AdfCard
from datasets.imaging.adf import Plan, mean_image

FloatArray = npt.NDArray[np.float64]


def adf_image(atoms: Atoms, imaging: AdfCard, *, defocus: float, seed: np.random.SeedSequence) -> FloatArray:
    """Fraction of the beam on the detector, (n_pixels, n_pixels) as [y, x]; `atoms` are already tilted."""
    return mean_image(scan_everywhere, atoms, imaging, defocus=defocus, seed=seed)


def scan_everywhere(
    plan: Plan, potential: abtem.PotentialArray, imaging: AdfCard, defocus: float
) -> FloatArray:
    """`scan_image` at every scan point of the plan, whether atoms are near or not."""
    return scan_image(plan, potential, imaging, defocus, np.ones(plan.mask.shape, dtype=bool))


def scan_image(
    plan: Plan,
    potential: abtem.PotentialArray,
    imaging: AdfCard,
    defocus: float,
    mask: npt.NDArray[np.bool_],
) -> FloatArray:
    """One configuration's detected fractions (n_scan, n_scan) as [y, x] where `mask` is set, zero
    elsewhere."""
    probe = abtem.Probe(
        energy=imaging.energy_eV,
        semiangle_cutoff=imaging.semiangle_mrad,
        defocus=plan.defocus(defocus),
        Cs=imaging.Cs,
        soft=True,
        device="cpu",
    )
    probe.grid.match(potential)
    inner, outer = plan.detector
    rows, columns = np.nonzero(mask)
    points = np.stack([columns, rows], axis=1) * plan.scan_step
    measurement = probe.scan(
        potential,
        scan=abtem.CustomScan(points),
        detectors=abtem.AnnularDetector(inner=inner, outer=outer),
        max_batch=32,
        lazy=False,
    )
    scan = np.zeros(mask.shape)
    scan[mask] = np.asarray(measurement.array).reshape(-1)
    return scan
