"""The grid that the networks know: one voxel size and one scale of density for every measurement.

A network has no units. A volume comes with any voxel size and in electrons; here it is laid on voxels of
`VOXEL` and divided by the density inside the particle, so that an atom looks alike at any dose, sampling and
cross-section.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.ndimage import gaussian_filter, map_coordinates

VOXEL = 0.35
"""Edge of a voxel [Å]."""
SIGMA = 0.4
"""Standard deviation [Å] of the Gaussian that stands for an atom in the answer, as a B factor of 12.6 Å²:
the probe of an annular image included. Narrower, 0.35 Å would not sample it.
"""
SMOOTH = 2.0
"""Standard deviation [Å] of the Gaussian that the density inside the particle is measured with."""
TYPICAL = 0.065
"""Atoms per Å³ of a close-packed metal: with it, such atoms are answered with a height of about one."""

FloatArray = npt.NDArray[np.float64]
Volume = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Frame:
    """Where a volume on the networks' grid came from.

    `origin` (z, y, x) [Å] is the centre of voxel (0, 0, 0); `density` [electron/Å³] is that inside the
    particle, and `scale` what voxels in electrons/Å³ were multiplied with.
    """

    origin: FloatArray
    density: float

    @property
    def scale(self) -> float:
        """Heights on the grid per electron/Å³: an atom of a pure close-packed metal has a height of about
        one.
        """
        return (2 * np.pi * SIGMA**2) ** 1.5 * TYPICAL / self.density

    def positions(self, index: FloatArray) -> FloatArray:
        """Positions x, y, z [Å] of (fractional) voxel indices z, y, x, (n, 3)."""
        return np.asarray((index * VOXEL + self.origin)[:, ::-1])

    def index(self, positions: FloatArray) -> FloatArray:
        """Voxel indices z, y, x of positions x, y, z [Å], (n, 3)."""
        return np.asarray((positions[:, ::-1] - self.origin) / VOXEL)

    def with_coordinates(self, values: Volume) -> xr.DataArray:
        """`values` (n_z, n_y, n_x) with their coordinates [Å]."""
        axes = {
            name: (name, start + VOXEL * np.arange(size), {"units": "Å"})
            for name, start, size in zip(("z", "y", "x"), self.origin, values.shape, strict=True)
        }
        return xr.DataArray(values, dims=("z", "y", "x"), coords=axes)


def height_inside(smooth: npt.NDArray[np.floating]) -> float:
    """The height of `smooth` values inside an object, ∑S²/∑S of what is positive of them; zero where nothing
    is.

    Hardly any noise reaches it, and nothing is thresholded.
    """
    positive = np.maximum(smooth, 0).astype(np.float64)
    total = float(positive.sum())
    return float((positive**2).sum()) / total if total > 0 else 0.0


def to_grid(volume: xr.DataArray) -> tuple[Volume, Frame]:
    """`volume` (z, y, x) [electron per voxel] on the networks' grid, and where that lies.

    Cubic splines interpolate; finer voxels are first smoothed to what the grid can hold. The density inside
    is ∑S²/∑S of S, the volume smoothed by `SMOOTH`: hardly any noise reaches it, nothing is thresholded. A
    volume without anything positive is laid on the grid unscaled.
    """
    start = np.array([float(volume[name].values[0]) for name in ("z", "y", "x")])
    step = float(volume["x"].values[1] - volume["x"].values[0])
    values = volume.values.astype(np.float32) / step**3
    density = height_inside(gaussian_filter(values, SMOOTH / step, mode="constant"))
    if step < 0.8 * VOXEL:
        values = gaussian_filter(values, 0.5 * np.sqrt((VOXEL / step) ** 2 - 1), mode="constant")
    extent = (np.array(values.shape) - 1) * step
    counts = np.floor(extent / VOXEL + 1e-9).astype(int) + 1
    origin = start + (extent - (counts - 1) * VOXEL) / 2
    axes = [(o - s + VOXEL * np.arange(n)) / step for o, s, n in zip(origin, start, counts, strict=True)]
    index = np.stack(np.meshgrid(*axes, indexing="ij"))
    frame = Frame(origin, density if density > 0 else (2 * np.pi * SIGMA**2) ** 1.5 * TYPICAL)
    laid = map_coordinates(values, index, order=3, mode="nearest", output=np.float32)
    return laid * np.float32(frame.scale), frame


def gaussian_volume(
    index: FloatArray, heights: FloatArray, shape: tuple[int, int, int], *, reach: float = 4.0
) -> Volume:
    """Gaussians of `SIGMA` with `heights` (n,) at voxel `index` (n, 3) as z, y, x, out to `reach` sigma:
    (`shape`).

    Each is the product of three vectors, so an atom costs as many operations as it has voxels.
    """
    sigma = SIGMA / VOXEL
    half = int(np.ceil(reach * sigma))
    offsets = np.arange(-half, half + 1)
    volume = np.zeros([n + 2 * half for n in shape], dtype=np.float32)
    nearest = np.rint(index).astype(int)
    near = ((nearest >= -half) & (nearest < np.array(shape) + half)).all(axis=1)
    for centre, exact, height in zip(nearest[near], index[near], heights[near], strict=True):
        profiles = [
            np.exp(-0.5 * ((offsets + c - e) / sigma) ** 2) for c, e in zip(centre, exact, strict=True)
        ]
        lo = np.maximum(centre, 0)
        hi = np.minimum(centre + 2 * half + 1, volume.shape)
        z, y, x = (p[a - c : b - c] for p, a, b, c in zip(profiles, lo, hi, centre, strict=True))
        volume[lo[0] : hi[0], lo[1] : hi[1], lo[2] : hi[2]] += height * np.einsum("i,j,k->ijk", z, y, x)
    return volume[half:-half, half:-half, half:-half]
