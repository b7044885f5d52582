"""Atoms drawn into the slices of a multislice as sums of Gaussians, and the way back to their parameters.

An atom at height w is shared between the two slices next to it, in proportion to how near they are, so that
the phases change smoothly as it moves. Its Gaussians are those of its species, integrated over voxels.

Operations: atoms × 2 slices × Gaussians × (2 R + 1)² multiplications with R the reach in voxels, 1602 × 2 × 4
× 21² = 6 million: nothing beside the waves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Single = npt.NDArray[np.float32]

REACH = 3.5
"""An atom is drawn as far as this many of its widest Gaussian's standard deviations, at most `LONGEST`."""
LONGEST = 3.0
"""Å."""


@dataclass(frozen=True)
class SliceGrid:
    """Slices of `n` × `n` voxels of `voxel` [Å], with voxel n // 2 at x = y = 0: `n_slices` of them `spacing`
    [Å] apart, the first one at z = `entrance` [Å].
    """

    n: int
    voxel: float
    n_slices: int
    spacing: float
    entrance: float

    def _reach(self, widths: FloatArray) -> int:
        return math.ceil(min(REACH * float(widths.max()), LONGEST) / self.voxel)

    def draw(self, positions: FloatArray, phases: FloatArray, widths: FloatArray) -> Single:
        """The phases (n_slices, n, n) [rad] of atoms at `positions` (n_atoms, 3) [Å] with `phases`
        (n_atoms, n_gaussians) [rad Å²] in Gaussians of `widths` (n_gaussians,) [Å].
        """
        out = np.zeros((self.n_slices, self.n, self.n), dtype=np.float32)
        _draw(*self._placed(positions), phases, widths / self.voxel, self._reach(widths), self.voxel, out)
        return out

    def adjoint(
        self, slices: npt.NDArray[np.floating], positions: FloatArray, phases: FloatArray, widths: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """The derivatives of Σ slices · draw(…) by `positions` (n_atoms, 3) [1/Å] and `phases`
        (n_atoms, n_gaussians) [1/(rad Å²)].
        """
        by_place = np.zeros((len(positions), 3))
        by_phase = np.zeros(phases.shape)
        place = self._placed(positions)
        scaled, reach = widths / self.voxel, self._reach(widths)
        _gather(*place, phases, scaled, reach, self.voxel, np.ascontiguousarray(slices), by_place, by_phase)
        by_place[:, :2] /= self.voxel
        by_place[:, 2] /= self.spacing
        return by_place, by_phase

    def _placed(self, positions: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """x and y in voxels, z in slices."""
        x, y, z = positions.T
        middle = self.n // 2
        return x / self.voxel + middle, y / self.voxel + middle, (z - self.entrance) / self.spacing


@numba.njit(cache=True)
def _profile(centre, width, reach, first, n, values, slopes):  # type: ignore[no-untyped-def]
    """A Gaussian integrated over voxels, and its derivative by its centre."""
    scale = 1.0 / (math.sqrt(2.0) * width)
    norm = 1.0 / (math.sqrt(2.0 * math.pi) * width)
    edge = (first - 0.5 - centre) * scale
    before, height = math.erf(edge), norm * math.exp(-edge * edge)
    for i in range(n):
        edge = (first + i + 0.5 - centre) * scale
        after, next_height = math.erf(edge), norm * math.exp(-edge * edge)
        values[i] = 0.5 * (after - before)
        slopes[i] = height - next_height
        before, height = after, next_height


@numba.njit(cache=True)
def _shares(height, n_slices):  # type: ignore[no-untyped-def]
    """The slice below, the part of the atom in the one above it, and whether that changes as it moves."""
    low = math.floor(height)
    if low < 0:
        return 0, 0.0, 0.0
    if low >= n_slices - 1:
        return n_slices - 1, 0.0, 0.0
    return low, height - low, 1.0


@numba.njit(cache=True, nogil=True)
def _draw(x, y, z, phases, widths, reach, voxel, out):  # type: ignore[no-untyped-def]
    n_slices, n = out.shape[0], out.shape[1]
    side = 2 * reach + 1
    vx, vy, d = np.empty(side), np.empty(side), np.empty(side)
    for atom in range(len(x)):
        left, top = round(x[atom]) - reach, round(y[atom]) - reach
        low, upper, _ = _shares(z[atom], n_slices)
        for g in range(len(widths)):
            _profile(x[atom], widths[g], reach, left, side, vx, d)
            _profile(y[atom], widths[g], reach, top, side, vy, d)
            phase = phases[atom, g] / (voxel * voxel)
            for i in range(max(0, -top), min(side, n - top)):
                for j in range(max(0, -left), min(side, n - left)):
                    value = phase * vy[i] * vx[j]
                    out[low, top + i, left + j] += (1.0 - upper) * value
                    if upper > 0.0:
                        out[low + 1, top + i, left + j] += upper * value


@numba.njit(cache=True, nogil=True)
def _gather(x, y, z, phases, widths, reach, voxel, slices, by_place, by_phase):  # type: ignore[no-untyped-def]
    n_slices, n = slices.shape[0], slices.shape[1]
    side = 2 * reach + 1
    vx, vy, dx, dy = np.empty(side), np.empty(side), np.empty(side), np.empty(side)
    for atom in range(len(x)):
        left, top = round(x[atom]) - reach, round(y[atom]) - reach
        low, upper, inside = _shares(z[atom], n_slices)
        above = min(low + 1, n_slices - 1)
        for g in range(len(widths)):
            _profile(x[atom], widths[g], reach, left, side, vx, dx)
            _profile(y[atom], widths[g], reach, top, side, vy, dy)
            whole, along_x, along_y, along_z = 0.0, 0.0, 0.0, 0.0
            for i in range(max(0, -top), min(side, n - top)):
                for j in range(max(0, -left), min(side, n - left)):
                    lower, higher = slices[low, top + i, left + j], slices[above, top + i, left + j]
                    value = (1.0 - upper) * lower + upper * higher
                    whole += value * vy[i] * vx[j]
                    along_x += value * vy[i] * dx[j]
                    along_y += value * dy[i] * vx[j]
                    along_z += inside * (higher - lower) * vy[i] * vx[j]
            by_phase[atom, g] += whole / (voxel * voxel)
            phase = phases[atom, g] / (voxel * voxel)
            by_place[atom, 0] += phase * along_x
            by_place[atom, 1] += phase * along_y
            by_place[atom, 2] += phase * along_z
