"""4D-STEM of a tilted specimen by windowed multislice: the grids, the frozen phonons, and where probes stand.

The window is what the error of a pattern depends on: the tails of a probe behind a sharp aperture fall off
slowly, and atoms that they meet outside the window are left out. Hence it grows with the particle. Errors
against abTEM's full field, one configuration tilted by 27°, rms over rms of 6 to 12 patterns, and the same as
part of what the specimen changes of them (`python -m datasets.imaging.compare_patterns`):

    cuau-150-4d    12.2 Å 1.8 % (11 %)    16.0 Å 0.89 % (5.5 %)   24.4 Å 0.14 % (0.8 %)
      in focus     12.8 Å 1.0 % (6.0 %)   17.1 Å 0.56 % (3.3 %)   21.3 Å 0.25 % (1.5 %)
    bao-150-4d                            19.5 Å 0.55 % (4.5 %)   24.4 Å 0.23 % (1.9 %)
    sio2-300-4d                           18.3 Å 1.0 % (8.0 %)    27.4 Å 0.20 % (1.6 %)
    cuau-1602-4d   19.5 Å 2.1 % (6.7 %)   24.4 Å 1.2 % (3.8 %)    34.1 Å 0.47 % (1.5 %)

The last of each row is the window taken.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from abtem.core.energy import energy2sigma, energy2wavelength
from ase import Atoms
from scipy.spatial import cKDTree

from datasets.catalog import FourDStemCard
from datasets.imaging.adf import fast_size, runs
from datasets.imaging.detector import detector_angles
from datasets.imaging.diffraction import Beam, Patterns, scan_patterns
from datasets.imaging.multislice import Optics, disc_coverage, make_propagator, make_transmission
from datasets.imaging.potential import Grid, fit_grid, sliced_potential, thermal_displacements
from datasets.schema import pixel_axis

FloatArray = npt.NDArray[np.float64]

RESOLUTIONS, DIAMETERS, SPREADS = 7.0, 0.58, 0.3
"""Width of a window: so many times wavelength/semiangle, the particle's diameter, and the width of the probe
at the defocus."""
LEAST = 8.0
"""A window is at least the beam's width and so many times wavelength/semiangle."""
EDGE = 0.5
"""Width of the smooth edge of the window, in units of wavelength/semiangle."""


@dataclass(frozen=True)
class Plan:
    """The grids of one tilt: the field, the window, and the scan.

    Probe (i, j) of (n_scan, n_scan) stands at field pixel `first + step * (i, j)`; `near` says which have an
    atom in reach.
    """

    optics: Optics
    annulus: tuple[float, float]
    grid: Grid
    window: int
    first: int
    step: int
    near: npt.NDArray[np.bool_]

    def runs(self) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """The probes with atoms in reach as runs along rows, in field pixels: rows (n_runs,), first column
        and number (n_runs, 2).
        """
        return runs(self.near, self.step, self.first)


def window_width(imaging: FourDStemCard, diameter: float, defocus: float) -> float:
    """The width of a window [Å] for a particle of `diameter` [Å]."""
    semiangle = imaging.semiangle_mrad * 1e-3
    resolution = float(energy2wavelength(imaging.energy_eV)) / semiangle
    spread = 2 * semiangle * abs(defocus)
    return max(
        RESOLUTIONS * resolution + DIAMETERS * diameter + SPREADS * spread,
        LEAST * resolution + spread + semiangle * diameter,
    )


def make_plan(
    imaging: FourDStemCard, positions: FloatArray, defocus: float, width: float | None = None
) -> Plan:
    """The grids for `positions` (…, n_atoms, 3) [Å], thermal displacements included; `width` [Å] of the
    window in place of `window_width`.
    """
    sampling = imaging.sampling
    diameter = 2 * float(np.linalg.norm(positions, axis=-1).max())
    width = width or window_width(imaging, diameter, defocus)
    # many factors of 2: a transform of 320² takes hardly longer than one of 270²
    window = 32 * fast_size(math.ceil(width / sampling / 32))
    step = round(imaging.scan_step / sampling)
    reach = max(
        (imaging.n_scan + 1) // 2 * step + window // 2 + 1,
        int(np.ceil(np.abs(positions[..., :2]).max() / sampling)) + 1,
    )
    grid = fit_grid(
        positions, n=fast_size(2 * reach), sampling=sampling, slice_thickness=imaging.slice_thickness
    )
    axis = pixel_axis(imaging.n_scan, imaging.scan_step)
    points = np.stack(np.meshgrid(axis, axis, indexing="xy"), axis=-1)
    distance, _ = cKDTree(positions[..., :2].reshape(-1, 2)).query(points)
    return Plan(
        optics=Optics(float(energy2wavelength(imaging.energy_eV)), imaging.semiangle_mrad * 1e-3, imaging.Cs),
        annulus=detector_angles(imaging),
        grid=grid,
        window=window,
        first=grid.n // 2 - (imaging.n_scan // 2) * step,
        step=step,
        near=np.asarray(distance < window / 2 * sampling),
    )


def entrance_defocus(grid: Grid, defocus: float) -> float:
    """Defocus at the first slice [Å], from that relative to z = 0; slices act in their middle."""
    return defocus - (grid.entrance + grid.slice_thickness / 2)


def diffraction_patterns(
    atoms: Atoms, imaging: FourDStemCard, *, defocus: float, seed: np.random.SeedSequence
) -> Patterns:
    """The mean over frozen phonons of what is recorded of all n_scan² probes; `atoms` are already tilted.

    Probes come row by row. Where no atom is in reach of a probe it records vacuum, `Beam.pattern`.
    """
    displaced = atoms.positions + thermal_displacements(
        len(atoms), imaging.phonons, imaging.phonon_sigma, seed
    )
    plan = make_plan(imaging, displaced, defocus)
    beam = make_beam(plan, imaging, defocus)
    near = plan.near.reshape(-1)
    patterns = np.empty((len(near), imaging.n_pixels, imaging.n_pixels), dtype=np.float32)
    patterns[~near] = beam.pattern(imaging.binning)
    annular = np.zeros(len(near), dtype=np.float32)
    if near.any():
        patterns[near] = 0
        for positions in displaced:
            seen = one_configuration(plan, Atoms(numbers=atoms.numbers, positions=positions), beam, imaging)
            patterns[near] += seen.patterns / np.float32(imaging.phonons)
            annular[near] += seen.annular / np.float32(imaging.phonons)
    return Patterns(patterns, annular)


def make_beam(plan: Plan, imaging: FourDStemCard, defocus: float) -> Beam:
    """The probe focused `defocus` [Å] from z = 0, in the plan's window and at the detector's points."""
    sampling = plan.grid.sampling
    edge = round(EDGE * plan.optics.wavelength / plan.optics.semiangle / sampling)
    entrance = entrance_defocus(plan.grid, defocus)
    return Beam.make(imaging.detector_points(), plan.optics, entrance, plan.window, sampling, edge)


def one_configuration(plan: Plan, atoms: Atoms, beam: Beam, imaging: FourDStemCard) -> Patterns:
    """What is recorded of the probes of the plan that have atoms in reach, of one configuration `atoms`."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    w, s = plan.window, plan.grid.sampling
    inner, outer = (disc_coverage(w, s, angle * 1e-3 / plan.optics.wavelength) for angle in plan.annulus)
    slices = sliced_potential(atoms, plan.grid).array.transpose(0, 2, 1)  # abTEM's are [x, y]
    return scan_patterns(
        make_transmission(slices, float(energy2sigma(imaging.energy_eV)), s, device),
        beam,
        make_propagator(w, s, plan.optics.wavelength, plan.grid.slice_thickness),
        outer - inner,
        imaging.binning,
        plan.grid.slice_thickness,
        *plan.runs(),
        plan.step,
    )
