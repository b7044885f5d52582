"""The forward model of the bound: a sum of radial atom kernels over the projected atoms, tilt by tilt.

    λ_t(p) = β + dose · g_t Σ_a A_a K_s(a)(|p − P_t x_a − s_t|)

in electrons per pixel, with the background β, the gain g_t and the shift s_t of an image, P_t the first two
rows of the rotation of the specimen and A_a the amplitude of an atom, 1 for the mean atom of its species.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from ase import Atoms
from scipy.spatial.transform import Rotation

from benchmarks.limits import windows
from benchmarks.limits.kernels import (
    KNOT_SPACING,
    REACH,
    AtomKernels,
    basis,
    n_basis,
    solve_coefficients,
    table_squares,
)

FloatArray = npt.NDArray[np.float64]

MOST_TILTS = 24
"""Images that kernels are fitted to, evenly chosen: a few hundred atoms decide their 20 numbers in one."""


@dataclass(frozen=True)
class TiltSeries:
    """Where the pixels and the specimen are: `turns` (n_tilt, 3, 3) are the true active rotations, `shifts`
    (n_tilt, 2) as [x, y] [Å], `gains` (n_tilt,); `first` is the x (and y) [Å] of pixel 0 of square images of
    `n_pixels`.
    """

    turns: FloatArray
    shifts: FloatArray
    gains: FloatArray
    first: float
    pixel_size: float
    n_pixels: int

    @classmethod
    def of(cls, turns: Rotation, axis: FloatArray) -> TiltSeries:
        """Images on `axis` [Å] along x and y, without shifts and all of gain 1."""
        n = len(turns)
        step = float(axis[1] - axis[0])
        return cls(turns.as_matrix(), np.zeros((n, 2)), np.ones(n), float(axis[0]), step, len(axis))

    def __len__(self) -> int:
        return len(self.turns)

    def place(self, positions: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Projected positions (n_tilt, n) along x and y [pixel] of `positions` (n, 3) [Å]."""
        flat = np.einsum("tij,nj->tin", self.turns[:, :2], positions) + self.shifts[:, :, None]
        u, v = np.moveaxis((flat - self.first) / self.pixel_size, 1, 0)
        return np.ascontiguousarray(u), np.ascontiguousarray(v)


@dataclass(frozen=True)
class ImageModel:
    """Atoms at `positions` (n, 3) [Å] of species `labels` (n,) and `amplitudes` (n,), and how they appear."""

    positions: FloatArray
    labels: npt.NDArray[np.int64]
    amplitudes: FloatArray
    kernels: AtomKernels
    series: TiltSeries
    threads: int = 1
    _placed: tuple[FloatArray, FloatArray] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_placed", self.series.place(self.positions))

    def moved(self, positions: FloatArray, amplitudes: FloatArray | None = None) -> ImageModel:
        """The same with the atoms elsewhere."""
        return replace(
            self, positions=positions, amplitudes=self.amplitudes if amplitudes is None else amplitudes
        )

    def at(self, tilts: npt.NDArray[np.int64]) -> ImageModel:
        """The same seen at some `tilts` only, each as often as it is named."""
        series = self.series
        chosen = replace(
            series, turns=series.turns[tilts], shifts=series.shifts[tilts], gains=series.gains[tilts]
        )
        return replace(self, series=chosen)

    def images(self) -> FloatArray:
        """E (n_tilt, n_y, n_x): electrons per pixel and unit dose."""
        coefficients = np.zeros((len(self.series), len(self.labels), 4))
        coefficients[:, :, windows.AMPLITUDE] = self.series.gains[:, None] * self.amplitudes
        return self.differentiate(coefficients)

    def differentiate(self, coefficients: FloatArray) -> FloatArray:
        """Images of the sum of local derivatives of K times `coefficients` (n_tilt, n, 4)."""
        images = np.zeros((len(self.series), self.series.n_pixels, self.series.n_pixels))
        arrays = (*self.arrays(), np.ascontiguousarray(coefficients), images)
        windows.over(windows.differentiate, len(images), self.threads, arrays)
        return images

    def moments(self, images: FloatArray) -> FloatArray:
        """The adjoint of `differentiate`: sums over windows (n_tilt, n, 4)."""
        sums = np.zeros((len(self.series), len(self.labels), 4))
        windows.over(windows.moments, len(images), self.threads, (*self.arrays(), images, sums))
        return sums

    def squares(self, images: FloatArray) -> FloatArray:
        """Σ image · (K, D dx, D dy)ᵀ(K, D dx, D dy) over the window of each atom, (n_tilt, n, 3, 3)."""
        sums = np.zeros((len(self.series), len(self.labels), 3, 3))
        windows.over(windows.squares, len(images), self.threads, (*self.arrays(), images, sums))
        return sums

    def arrays(self) -> tuple[Any, ...]:
        """What the kernels of `windows` begin with."""
        kernels = self.kernels
        return (*self._placed, self.labels, kernels.tables, kernels.reach, self.series.pixel_size)


def fit_kernels(
    atoms: Atoms,
    expected: FloatArray,
    series: TiltSeries,
    *,
    amplitudes: FloatArray | None = None,
    reach: float = REACH,
    spacing: float = KNOT_SPACING,
) -> AtomKernels:
    """The kernels that explain noise-free images `expected` (n_tilt, n_y, n_x) of `atoms` best."""
    names, labels = species(atoms.get_chemical_symbols())
    n = n_basis(reach, spacing)
    values, slopes = basis(np.sqrt(table_squares(reach)), reach, spacing)
    tilts = np.unique(np.linspace(0, len(series) - 1, min(len(series), MOST_TILTS)).astype(int))
    u, v = series.place(atoms.positions)
    weights = np.ones(len(labels)) if amplitudes is None else amplitudes
    normal, right = np.zeros((len(names) * n,) * 2), np.zeros(len(names) * n)
    for tilt in tilts:
        design = np.zeros((len(names) * n, series.n_pixels, series.n_pixels))
        for s in range(len(names)):
            own = labels == s
            coefficients = np.zeros((1, int(own.sum()), 4))
            coefficients[0, :, 0] = series.gains[tilt] * weights[own]
            for j in range(n):
                tables = np.stack([values[j], slopes[j]])[None]
                arrays = (
                    u[tilt : tilt + 1, own],
                    v[tilt : tilt + 1, own],
                    np.zeros(own.sum(), dtype=np.int64),
                )
                out = design[None, s * n + j]
                windows.differentiate(0, 1, *arrays, tables, reach, series.pixel_size, coefficients, out)
        flat = design.reshape(len(design), -1)
        normal += flat @ flat.T
        right += flat @ expected[tilt].ravel().astype(np.float64)
    coefficients = solve_coefficients(normal, right, len(names))
    return AtomKernels.splines(names, coefficients, reach, spacing)


def species(symbols: Sequence[str]) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
    """The species there are, alphabetically, and the label of each atom."""
    names, labels = np.unique(np.asarray(symbols), return_inverse=True)
    return tuple(map(str, names)), labels.astype(np.int64)
