"""ADF-STEM images by windowed multislice: scan at the band limit, where the particle is, then interpolate.

An ADF image holds no spatial frequency above 2 semiangle/wavelength, so a scan step of wavelength/(4
semiangle) samples it fully, and finer pixels are interpolation. The probe is that of the whole field, cut
to the window: the few per cent of its electrons that lie beyond, in the tails of a sharp aperture, are left
out, which disturbs an image far less than folding them back into the window would (1–1.6 % of the maximum
against 5 %).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from abtem import PotentialArray
from abtem.core.energy import energy2sigma, energy2wavelength
from ase import Atoms
from scipy.ndimage import distance_transform_edt

from datasets.catalog import AdfCard
from datasets.imaging.detector import detector_angles
from datasets.imaging.multislice import (
    Optics,
    crop,
    disc_coverage,
    make_probe,
    make_propagator,
    make_transmission,
    scan_rows,
)
from datasets.imaging.potential import Grid, fit_grid, sliced_potential, thermal_displacements
from datasets.schema import pixel_axis

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

WINDOW = 5.0
"""Width of a window in units of wavelength/semiangle (the resolution), to which the spread of the beam out of
focus is added. Measured on cuau-150 against abTEM's full field: 1.0–1.6 % of the image's
maximum."""
EDGE = 1.0
"""Width of the smooth edge of the window, in the same units."""
MARGIN = 3.0
"""Probes farther than this from every atom, in units of wavelength/semiangle, are not computed: about 0."""


@dataclass(frozen=True)
class Plan:
    """The grids of one image: the field, the window, and the scan.

    Scan point (i, j) of (n_scan, n_scan) is field pixel `step * (i, j)`; `mask` says which are computed.
    """

    optics: Optics
    detector: tuple[float, float]
    grid: Grid
    window: int
    step: int
    mask: npt.NDArray[np.bool_]

    @property
    def scan_axis(self) -> FloatArray:
        """Coordinates of the scan points along x and y [Å]."""
        return np.asarray(self.grid.origin + np.arange(len(self.mask)) * self.scan_step)

    @property
    def scan_step(self) -> float:
        """Distance between scan points [Å]."""
        return self.step * self.grid.sampling

    def defocus(self, defocus: float) -> float:
        """Defocus at the entrance plane [Å], from that relative to z = 0.

        A slice acts in one plane, at the middle of its atoms, which is where the wave meets the first one.
        """
        return defocus - (self.grid.entrance + self.grid.slice_thickness / 2)


def fast_size(n: int) -> int:
    """The smallest even number ≥ `n` without prime factors above 7, as FFTs like them."""
    size = n + n % 2
    while True:
        rest = size
        for prime in (2, 3, 5, 7):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return size
        size += 2


def make_plan(imaging: AdfCard, positions: FloatArray, defocus: float = 0.0) -> Plan:
    """The grids for `positions` (…, n_atoms, 3) [Å], thermal displacements included, focused `defocus` [Å]
    from z = 0.
    """
    wavelength = float(energy2wavelength(imaging.energy_eV))
    semiangle = imaging.semiangle_mrad * 1e-3
    resolution = wavelength / semiangle
    sampling = imaging.potential_sampling
    step = max(1, int(resolution / 4 / sampling))
    thickness = float(np.ptp(positions[..., 2]))
    spread = 2 * semiangle * (abs(defocus) + thickness / 2)
    window = fast_size(round((WINDOW * resolution + spread) / sampling))
    reach = np.abs(positions[..., :2]).max() + MARGIN * resolution + 4 * imaging.source_sigma
    n_scan = fast_size(2 * int(np.ceil((reach / sampling + window // 2 + 1) / step)))
    grid = fit_grid(positions, n=n_scan * step, sampling=sampling, slice_thickness=imaging.slice_thickness)
    axis = grid.origin + np.arange(n_scan, dtype=np.float64) * (step * sampling)
    mask = _near_atoms(positions[..., :2].reshape(-1, 2), axis, MARGIN * resolution)
    optics = Optics(wavelength, semiangle, imaging.Cs)
    return Plan(optics, detector_angles(imaging), grid, window, step, mask)


def _near_atoms(points: FloatArray, axis: FloatArray, margin: float) -> npt.NDArray[np.bool_]:
    """Which points of the grid (axis, axis) as [y, x] have an atom within `margin` [Å]."""
    empty = np.ones((len(axis), len(axis)), dtype=bool)
    index = np.rint((points - axis[0]) / (axis[1] - axis[0])).astype(int)
    empty[index[:, 1], index[:, 0]] = False
    return np.asarray(distance_transform_edt(empty, sampling=axis[1] - axis[0]) <= margin)


def adf_image(atoms: Atoms, imaging: AdfCard, *, defocus: float, seed: np.random.SeedSequence) -> FloatArray:
    """Fraction of the beam on the detector, (n_pixels, n_pixels) as [y, x]; `atoms` are already tilted."""
    return mean_image(scan_image, atoms, imaging, defocus=defocus, seed=seed)


def mean_image(
    scan_image: Callable[[Plan, PotentialArray, AdfCard, float], FloatArray],
    atoms: Atoms,
    imaging: AdfCard,
    *,
    defocus: float,
    seed: np.random.SeedSequence,
) -> FloatArray:
    """The image (n_pixels, n_pixels) that `scan_image` gives as the mean over frozen phonons."""
    displaced = atoms.positions + thermal_displacements(
        len(atoms), imaging.phonons, imaging.phonon_sigma, seed
    )
    plan = make_plan(imaging, displaced, defocus)
    scans = []
    for positions in displaced:
        potential = sliced_potential(Atoms(numbers=atoms.numbers, positions=positions), plan.grid)
        scans.append(scan_image(plan, potential, imaging, defocus))
    scan = np.mean(scans, axis=0)
    axis = pixel_axis(imaging.n_pixels, imaging.pixel_size)
    return interpolate(scan, plan, axis, imaging.source_sigma)


def scan_image(plan: Plan, potential: PotentialArray, imaging: AdfCard, defocus: float) -> FloatArray:
    """One configuration's detected fractions (n_scan, n_scan) as [y, x], zero outside the plan's mask."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    w, s, optics = plan.window, plan.grid.sampling, plan.optics
    slices = potential.array.transpose(0, 2, 1)  # abTEM's are [x, y]
    transmission = make_transmission(slices, float(energy2sigma(imaging.energy_eV)), s, device)
    rows, columns = runs(plan.mask, plan.step)
    scan = np.zeros(plan.mask.shape)
    scan[plan.mask] = scan_rows(
        transmission,
        window_probe(plan, defocus),
        make_propagator(w, s, optics.wavelength, plan.grid.slice_thickness),
        detector_weights(w, s, plan),
        rows,
        columns,
        plan.step,
    )
    return scan


def window_probe(plan: Plan, defocus: float) -> npt.NDArray[np.complex128]:
    """The probe of the whole field, focused `defocus` [Å] from z = 0, cut to the window (w, w)."""
    probe = make_probe(plan.grid.n, plan.grid.sampling, plan.optics, plan.defocus(defocus))
    edge = round(EDGE * plan.optics.wavelength / plan.optics.semiangle / plan.grid.sampling)
    return crop(probe, plan.window, edge)


def detector_weights(n: int, sampling: float, plan: Plan) -> FloatArray:
    """How much of every Fourier pixel (n, n) the annular detector covers."""
    inner, outer = (
        disc_coverage(n, sampling, angle * 1e-3 / plan.optics.wavelength) for angle in plan.detector
    )
    return outer - inner


def runs(mask: npt.NDArray[np.bool_], step: int, first: int = 0) -> tuple[IntArray, IntArray]:
    """A `mask` of scan points as runs along rows, in field pixels: rows (n_runs,), first column and length
    (n_runs, 2). Scan point (i, j) is field pixel `first + step * (i, j)`.
    """
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, begin = np.nonzero(edges == 1)
    _, end = np.nonzero(edges == -1)
    columns = np.stack([first + step * begin, end - begin], axis=1)
    return first + step * rows, columns


def interpolate(scan: FloatArray, plan: Plan, axis: FloatArray, source_sigma: float) -> FloatArray:
    """`scan` at the points (axis, axis) [Å], exactly within its band limit 2 semiangle/wavelength, and
    blurred by a source of `source_sigma` [Å]. Beyond the scanned region the image is zero.
    """
    size, spacing = len(scan), plan.scan_step
    k = np.fft.fftfreq(size, spacing)
    k2 = k[:, None] ** 2 + k[None] ** 2
    spectrum = np.fft.fft2(scan) * np.exp(-2 * (np.pi * source_sigma) ** 2 * k2)
    spectrum[k2 > (2 * plan.optics.semiangle / plan.optics.wavelength) ** 2] = 0
    low, high = plan.scan_axis[[0, -1]]
    inside = (axis >= low) & (axis <= high)
    waves = np.exp(2j * np.pi * k[None] * (axis[:, None] - low)) / size * inside[:, None]
    return np.maximum((waves @ spectrum @ waves.T).real, 0)
