"""Bound and floor of a dataset, from its truth and its noise-free images.

Bound: `benchmarks.limits.covariance`, with the atom kernels of `fit_kernels` and the noise of the noise-free
images themselves. Known is all that `unknown` does not name: elements, kernels, the true tilt angles, shifts
and gains of every image. With positions alone unknown the bound is the lowest, so that it holds for every
reconstructor that takes an image for a sum of atoms, whatever else it knows.

Floor: how far from the truth the best sum of such atoms lies when there is no noise
(`benchmarks.limits.estimate`), because of channelling, thermal motion and defocus. It is a property of that
model, not of physics: a method that models them can go below it, to the bound.

The derivatives are those of a sum of atoms too. Where an atom focuses the beam onto others below it, the
image changes there as well when it moves, and a method that models multiple scattering has that information
beside what is counted here; for such a method the bound is not the last word.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from ase import Atoms

from benchmarks.limits.covariance import Solver, inverse, probe_variances, variances
from benchmarks.limits.estimate import fit
from benchmarks.limits.information import Operator, dense, mean_counts, weights
from benchmarks.limits.limit import Limit
from benchmarks.limits.model import ImageModel, TiltSeries, fit_kernels, species
from benchmarks.limits.unknowns import Unknowns
from datasets.catalog import DatasetCard
from datasets.imaging.detector import Imperfections
from datasets.schema import pixel_axis

FloatArray = npt.NDArray[np.float64]

MOST_DENSE = 5000
"""Parameters up to which F is held (200 MB) and inverted exactly; beyond, random probes."""

PROBES = 2
"""Random probes of a large particle: half a per cent of the bound for 5,000 atoms."""

LOOSE = 1e-2
"""Relative residual of a step of the floor's fit, which the next step corrects."""


def series_of(card: DatasetCard) -> TiltSeries:
    """The true geometry of a dataset's images: its imperfections included, scan noise and drift left out."""
    nominal = card.adf.tilts.theta()
    recorded = card.imperfections.recorded(nominal)
    drawn = Imperfections.draw(card.imperfections, len(nominal))
    axis = pixel_axis(card.imaging.n_pixels, card.imaging.pixel_size)
    series = TiltSeries.of(drawn.rotations(nominal)[recorded], axis)
    kept = drawn.of(recorded)
    return replace(series, shifts=kept.shifts[:, ::-1].copy(), gains=np.maximum(1 + kept.intensities, 0))


@dataclass(frozen=True)
class LimitProblem:
    """What the limits of a dataset at all its doses have in common."""

    model: ImageModel
    expected: FloatArray
    """(n_tilt, n_y, n_x) noise-free images, electrons per pixel and unit dose."""
    background: float
    symbols: tuple[str, ...]

    @classmethod
    def of(cls, atoms: Atoms, expected: npt.NDArray[np.floating], card: DatasetCard) -> LimitProblem:
        """From the truth and the noise-free images of the dataset of `card`."""
        series = series_of(card)
        images = np.ascontiguousarray(expected, dtype=np.float64)
        kernels = fit_kernels(atoms, images, series)
        symbols = tuple(atoms.get_chemical_symbols())
        _, labels = species(symbols)
        threads = min(os.cpu_count() or 1, len(series))
        model = ImageModel(
            atoms.positions.copy(), labels, np.ones(len(atoms)), kernels, series, threads=threads
        )
        return cls(model, images, card.background, symbols)

    @property
    def unexplained(self) -> float:
        """Rms of what the model leaves of the images, over their rms."""
        left = self.model.images() - self.expected
        return float(np.sqrt((left**2).mean() / (self.expected**2).mean()))

    def solve(
        self, dose: float, unknown: Sequence[str] = (), *, n_probes: int = PROBES, floor: bool = True
    ) -> Limit:
        """The limit at `dose` with `unknown` (names in `NUISANCES`) beside the positions."""
        start = time.process_time()
        weight = weights(self.expected, dose, self.background)
        unknowns = Unknowns.of(self.model, unknown)
        n, error = unknowns.n_atoms, 0.0
        if unknowns.n_own + unknowns.n_shared <= MOST_DENSE:
            known = unknowns.known(self.model)
            covariance = inverse(dense(self.model, unknowns, weight), unknowns.n_own, known)
            variance = variances(covariance, n)
        else:
            solver = Solver(Operator(self.model, unknowns, weight))
            variance, deviation = probe_variances(solver, n_probes, np.random.default_rng(n))
            error = deviation / (2 * float(variance.mean()))
        displacement = self._floor(dose, weight) if floor else np.full((n, 3), np.nan)
        return Limit(
            dose=dose,
            unknown=unknowns.label,
            symbols=self.symbols,
            variance=variance,
            displacement=displacement,
            unexplained=self.unexplained,
            error=error,
            seconds=time.process_time() - start,
        )

    def _floor(self, dose: float, weight: FloatArray) -> FloatArray:
        """Displacements (n, 3) [Å] of the fit of positions and amplitudes to the images without noise, its
        mean removed; each pixel has the noise that it would have, or that the model gives it if that is more.
        """
        operator = Operator(self.model, Unknowns.of(self.model, ("amplitudes",)), weight)
        target = mean_counts(self.expected, dose, self.background)
        noise = np.maximum(target, mean_counts(self.model.images(), dose, self.background))
        solver = Solver(operator, tolerance=LOOSE)
        fitted, _ = fit(operator, target, dose, self.background, solver, variance=noise)
        moved = fitted.positions - self.model.positions
        return np.asarray(moved - moved.mean(axis=0))
