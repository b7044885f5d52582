"""Bound and floor of a 4D-STEM dataset, from its truth and its noise-free patterns.

The counts of a pattern are Poisson, so that what they tell of the positions of the atoms is
F = D Σ ∂I ∂Iᵀ / I over all pixels, probes and tilts, at D electrons per Å²; no unbiased estimate of them has
a covariance below F⁻¹. I are the noise-free patterns themselves, the derivatives those of the multislice of
`recon.ptychography` through atoms whose profiles were fitted to them, multiple scattering included. Profiles,
angles, probe and positions of the scan are taken as known, which makes the bound the lowest. What the
derivatives are worth, `python -m benchmarks.limits.pattern_derivatives DATASET` measures.

Floor: how far from the truth that fit puts the atoms when there is no noise, because pixels hold no
more than a few Gaussians of an atom, and vibration is no blur. It belongs to the model of `atoms-4d`, not
to physics.

Cost of a probe with n atoms in its window: 3 n waves through the slices behind each atom, and a product of
3 n derivatives of all pixels with themselves, (3 n)² × pixels × 2 operations: 60 atoms and 64² pixels, 10 ms
and 0.3 Gflop. Without background F is proportional to the dose, and made once; with one, for every dose.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from ase import Atoms

from benchmarks.limits.covariance import variances
from benchmarks.limits.limit import Limit
from datasets.errors import InputError
from datasets.schema import make_measurement
from datasets.simulate import series_module
from datasets.store import DatasetStore
from recon.atoms.classify import by_atomic_number
from recon.ptychography.atom_fit import AtomModel, fit_atoms, slice_grid
from recon.ptychography.atom_potential import gaussian_widths, phase_integrals
from recon.ptychography.places import Places
from recon.ptychography.scan import Scan
from recon.ptychography.tangents import Change, tangents
from recon.ptychography.tilt_series import TiltSeries

FloatArray = npt.NDArray[np.float64]

FIT_DOSE = 1e6
"""e⁻/Å² per tilt that the noise-free patterns are taken for in the fit of the profiles."""
SLICE = 3.2
"""Thickness of the slices [Å]."""
VIBRATION = 0.08
"""Root mean square displacement [Å] along an axis that profiles start from."""
N_ITER = 15
"""Steps of the fit."""
HALF_STEP = 0.02
"""Å that an atom is moved to either side for the derivative of its slices."""
PARTS = 4
"""Probes closer than this part of their width tell much the same: of a scan with smaller steps so many
positions are taken, each for several. The bound changes by 0.03 %; with 2.7 parts by 14 %."""
VOXEL = 0.27
"""Pixels of the wave [Å]: of `cuau-150-4d` the fit leaves 17 % of what the particle changes, with pixels of
0.4 Å 34 %."""
BEYOND = 2.5
"""An atom farther than this [Å] from the edge of the probe changes its pattern too little to count."""


@dataclass(eq=False)
class PatternLimit:
    """The limit of one dataset: `model` is fitted to `expected` patterns per unit dose (n_tilt, n_scan, n_ky,
    n_kx), whose `truth` is known.
    """

    truth: Atoms
    expected: npt.NDArray[np.float32]
    series: TiltSeries
    model: AtomModel
    background: float
    unexplained: float
    _information: FloatArray | None = None
    """Per unit dose, where there is no background."""

    @classmethod
    def of(cls, store: DatasetStore) -> PatternLimit:
        """The limit of a dataset whose noise-free patterns are stored."""
        truth, data, card = store.truth(), store.expected(), store.card
        measurement = make_measurement(
            "4dstem",
            np.asarray(data["expected"].values) * FIT_DOSE,
            {str(name): coord.values for name, coord in data.coords.items()},
            dose_per_area=FIT_DOSE,
            pixel_size=float(card.imaging.scan_step),  # type: ignore[union-attr]
            background=0.0,
            elements=sorted(set(truth.symbols)),
            optics=series_module(card).optics(card),
        )
        series = TiltSeries(measurement, Scan.of(measurement, VOXEL), slice_thickness=SLICE)
        elements = by_atomic_number(sorted(set(truth.symbols)))
        start = AtomModel(
            truth.positions,
            np.array([elements.index(symbol) for symbol in truth.symbols]),
            np.ones(len(truth)),
            phase_integrals(elements, series.scan.lens.energy),
            gaussian_widths(VIBRATION, series.voxel),
        )
        model = fit_atoms(series, start, N_ITER, loss="mixed", heights=False)
        left = unexplained(series, model)
        expected = np.asarray(data["expected"].values, dtype=np.float32)
        return cls(truth, expected, series, model, card.background, left)

    def solve(self, dose: float, unknown: Sequence[str] = ()) -> Limit:
        """The limit at `dose` [e⁻/Å² per tilt]. Raises `InputError` for any nuisance: none is modelled."""
        if unknown:
            raise InputError(f"the limit of a 4dstem dataset knows no nuisance {unknown[0]!r}")
        begin = time.perf_counter()
        if self.background > 0:
            information = self.information(dose) * dose
        else:
            if self._information is None:
                self._information = self.information(1.0)
            information = self._information * dose
        covariance = np.asarray(np.linalg.inv(information), dtype=np.float64)
        return Limit(
            dose=dose,
            unknown="",
            symbols=tuple(self.truth.symbols),
            variance=variances(covariance, len(self.truth)),
            displacement=self.displacement(),
            unexplained=self.unexplained,
            seconds=time.perf_counter() - begin,
        )

    def displacement(self) -> FloatArray:
        """Where the fit puts the atoms, less where they are, (n, 3) [Å], without their mean."""
        off = self.model.positions - self.truth.positions
        return np.asarray(off - off.mean(axis=0))

    def information(self, dose: float) -> FloatArray:
        """F (3 n, 3 n) [1/Å²] at `dose`, over the dose. On one thread: a probe is too little to share."""
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return self._information_over_dose(dose)
        finally:
            torch.set_num_threads(threads)

    def _information_over_dose(self, dose: float) -> FloatArray:
        n = len(self.truth)
        total = np.zeros((3 * n, 3 * n))
        scan, multislice = self.series.scan, self.series.multislice
        reach = scan.lens.spread(0.0) / 2 + BEYOND
        chosen, share = thinned(scan.positions, scan.scan_step, scan.lens.spread(0.0) / PARTS)
        for tilt, rotation in enumerate(scan.rotations):
            turned, places, field = self._tilted(tilt)
            changes = self._changes(turned, rotation.as_matrix())
            for probe in chosen:
                y, x = scan.positions[probe]
                near = np.flatnonzero(np.hypot(turned[:, 0] - x, turned[:, 1] - y) < reach)
                if not len(near):
                    continue
                moved = tangents(multislice, field, places, probe, [changes[atom] for atom in near])
                moved *= scan.scan_step**2 / scan.electrons
                mean = self.expected[tilt, probe].reshape(-1) + self.background / dose
                weighted = moved / np.sqrt(np.maximum(mean, 1e-12))
                index = (3 * near[:, None] + np.arange(3)).ravel()
                total[np.ix_(index, index)] += share * (weighted @ weighted.T)
        return total

    def derivatives(self, tilt: int, atom: int) -> FloatArray:
        """How the patterns of a tilt per unit dose change as an atom moves along x, y and z of that tilt,
        (3, n_scan, pixels) [1/Å].
        """
        scan, multislice = self.series.scan, self.series.multislice
        turned, places, field = self._tilted(tilt)
        change = self._changes(turned[atom : atom + 1], np.eye(3), np.array([atom]))
        found = [tangents(multislice, field, places, n, change) for n in range(len(scan.positions))]
        return np.stack(found, axis=1) * scan.scan_step**2 / scan.electrons

    def _tilted(self, tilt: int) -> tuple[FloatArray, Places, torch.Tensor]:
        """At a tilt: the positions (n, 3) [Å] of the model, the probes, and the field that they meet."""
        turned = self.series.scan.rotations[tilt].apply(self.model.positions)
        drawn = slice_grid(self.series).draw(turned, self.model.phases, self.model.widths)
        places = self.series.places[tilt]
        return turned, places, places.transmission(torch.as_tensor(drawn))

    def _changes(
        self, turned: FloatArray, matrix: FloatArray, atoms: npt.NDArray[np.intp] | None = None
    ) -> list[Change]:
        """For each of the `atoms`, at first all, by how much the phases around it change as it moves along x,
        y and z [rad/Å].
        """
        grid, model = slice_grid(self.series), self.model
        found = []
        for atom, place in zip(range(len(turned)) if atoms is None else atoms, turned, strict=True):
            parts = []
            for axis in range(3):
                step = HALF_STEP * matrix[:, axis]
                ends = np.stack([place + step, place - step])
                both = [grid.draw(end[None], model.phases[atom][None], model.widths) for end in ends]
                parts.append((both[0] - both[1]) / (2 * HALF_STEP))
            change = np.stack(parts)
            slices = np.flatnonzero(np.abs(change).max(axis=(0, 2, 3)))
            found.append(Change(slices, torch.as_tensor(change[:, slices])))
        return found


def thinned(positions: FloatArray, step: float, apart: float) -> tuple[npt.NDArray[np.intp], float]:
    """The positions (n_scan, 2) that stand for all, at most `apart` [Å] where their `step` is no larger, and
    for how many each one stands.
    """
    stride = max(1, int(apart / step + 1e-6))
    cells = np.rint((positions - positions.min(axis=0)) / step).astype(int)
    chosen = np.flatnonzero((cells % stride == 0).all(axis=1))
    return chosen, len(positions) / len(chosen)


def unexplained(series: TiltSeries, model: AtomModel) -> float:
    """What of the patterns' departure from vacuum the fit leaves, rms over rms."""
    grid = slice_grid(series)
    left = whole = 0.0
    for tilt, rotation in enumerate(series.scan.rotations):
        drawn = grid.draw(rotation.apply(model.positions), model.phases, model.widths)
        fitted = series.multislice.patterns(torch.as_tensor(drawn), series.places[tilt])
        empty = series.multislice.patterns(torch.zeros_like(torch.as_tensor(drawn)), series.places[tilt])
        left += float((fitted - series.counts[tilt]).square().sum())
        whole += float((empty - series.counts[tilt]).square().sum())
    return float(np.sqrt(left / whole))
