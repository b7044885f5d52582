"""The ripples of a sheet: their height and its power spectrum.

For a membrane with bending rigidity κ, ⟨|h(q)|²⟩ ∝ 1 / (κ q⁴) where it is harmonic, and ∝ q^−(4−η), η ≈
0.85, at small q, where bending and stretching couple (Fasolino, Los and Katsnelson, Nature Mater. 6, 858
(2007)).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from ase import Atoms
from scipy.optimize import minimize_scalar

from datasets.errors import InputError

FloatArray = npt.NDArray[np.float64]

Q_MAX = 1.0
"""The spectrum is taken and its slope fitted from the smallest wave vector of the cell to this [1/Å]: beyond,
neighbouring atoms begin to be told apart."""


@dataclass(frozen=True, eq=False)
class HeightSpectrum:
    """`power` = |h(q)|² (n,) [Å²] at the wave numbers `q` (n,) [1/Å], 2π included, one value per mode."""

    q: FloatArray
    power: FloatArray

    def averaged(self, n_bins: int = 8) -> tuple[FloatArray, FloatArray]:
        """Radially averaged: mean q and mean power in bins of equal width in log q, empty ones left out."""
        edges = np.geomspace(self.q.min() * 0.999, self.q.max() * 1.001, n_bins + 1)
        index = np.digitize(self.q, edges) - 1
        counts = np.bincount(index, minlength=n_bins)
        full = counts > 0
        sums = [np.bincount(index, weights=w, minlength=n_bins)[full] for w in (self.q, self.power)]
        return sums[0] / counts[full], sums[1] / counts[full]

    def slope(self) -> tuple[float, float]:
        """The exponent of power ∝ q^slope and its standard error, by maximum likelihood.

        The power of a mode of a fluctuating sheet is exponentially distributed about its mean (Whittle's
        likelihood), so that one snapshot is enough and no bin is favoured.
        """
        log_q = np.log(self.q)
        log_q -= log_q.mean()

        def minus_log_likelihood(slope: float) -> float:
            # the amplitude that is best for this slope is the mean of the reduced power
            return float(np.log(np.mean(self.power * np.exp(-slope * log_q))))

        best = minimize_scalar(minus_log_likelihood, bounds=(-10.0, 4.0), method="bounded")
        return float(best.x), float(1 / np.sqrt(np.sum(log_q**2)))


def heights(atoms: Atoms) -> FloatArray:
    """Height of every atom (n_atoms,) [Å] over the mean plane of a sheet.

    Along the open axis of a periodic sheet, across the plane of least squares of an isolated one.
    """
    centred = atoms.positions - atoms.positions.mean(axis=0)
    if atoms.pbc.sum() == 2:
        return np.asarray(centred[:, int(np.flatnonzero(~atoms.pbc)[0])])
    return np.asarray(centred @ np.linalg.svd(centred, full_matrices=False)[2][2])


def height_spectrum(atoms: Atoms, q_max: float = Q_MAX) -> HeightSpectrum:
    """The spectrum of a sheet that is periodic along two axes, one of each pair ±q.

    h(q) = (1/n) Σ h exp(−i q·r) over the atoms. Raises `InputError` for an isolated sheet.
    """
    if atoms.pbc.sum() != 2:
        raise InputError("the height spectrum needs a sheet that is periodic along two axes")
    plane = np.flatnonzero(atoms.pbc)
    reciprocal = 2 * np.pi * np.linalg.inv(atoms.cell.array[np.ix_(plane, plane)]).T
    reach = np.ceil(q_max * np.linalg.norm(atoms.cell.array[plane], axis=1) / (2 * np.pi)).astype(int)
    ranges = (np.arange(-n, n + 1) for n in reach)
    grid = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 2)
    half = (grid[:, 0] > 0) | ((grid[:, 0] == 0) & (grid[:, 1] > 0))
    vectors = grid[half] @ reciprocal
    q = np.linalg.norm(vectors, axis=1)
    vectors, q = vectors[q <= q_max], q[q <= q_max]
    if len(q) < 8:
        raise InputError(f"the sheet is too small for a height spectrum: {len(q)} waves below {q_max:g} 1/Å")
    phases = np.exp(-1j * (vectors @ atoms.positions[:, plane].T))
    amplitude = phases @ heights(atoms) / len(atoms)
    return HeightSpectrum(q, np.abs(amplitude) ** 2)
