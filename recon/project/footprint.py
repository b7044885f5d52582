"""What voxels add to the images of a single-axis series: a table in the order that a tiled loop reads."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from recon.project.geometry import Geometry, sub_voxel_offsets

TILE = 8
"""Voxels along z and along x of one tile. With 128 rows of the image in float32 a tile is 32 KiB and stays
in the first cache while every tilt passes over it."""

GROUP = 4
"""Tiles along z and along x that are visited together, so that the pixels under them stay in the second
cache."""


@dataclass(frozen=True)
class Footprint:
    """For every tile of (z, x), tilt and voxel: the first pixel it lands on, its share there and in the next.

    `tiles` (n_tile, 2) are the (z, x) of each tile's first voxel; `first` (n_tile, n_tilt, TILE, TILE) counts
    from `taps` pixels before the image and is negative for a voxel that misses the image or is not in the
    volume; `shares` has one axis more, of `taps` pixels. All of a voxel's shares add up to one.
    """

    tiles: npt.NDArray[np.int64]
    first: npt.NDArray[np.int32]
    shares: npt.NDArray[np.floating]

    @property
    def taps(self) -> int:
        """The pixels that one voxel reaches: 3, or 4 with sub-voxels wider apart than a pixel."""
        return int(self.shares.shape[-1])


def make_footprint(geometry: Geometry, oversample: int, dtype: npt.DTypeLike) -> Footprint:
    """The footprints of voxels of `oversample`² sub-voxels, each shared between its two nearest pixels."""
    turns = geometry.rotations.as_matrix()
    cosine, sine = turns[:, 0, 0].copy(), turns[:, 0, 2].copy()
    offsets = sub_voxel_offsets(oversample)
    shifts = cosine[:, None] * offsets[:, 1] + sine[:, None] * offsets[:, 0]
    taps = 3 + int(np.ptp(shifts, axis=1).max())
    tiles = _tiles(len(geometry.z), len(geometry.x))
    first = np.empty((len(tiles), len(turns), TILE, TILE), dtype=np.int32)
    shares = np.empty((*first.shape, taps), dtype=dtype)
    size = geometry.pixel_size
    x, z, origin = geometry.x / size, geometry.z / size, geometry.x[0] / size
    _fill(tiles, cosine, sine, x, z, origin, shifts, first, shares)
    return Footprint(tiles, first, shares)


def _tiles(n_z: int, n_x: int) -> npt.NDArray[np.int64]:
    """The (z, x) of every tile's first voxel, group by group."""
    z, x = (axis.ravel() for axis in np.mgrid[0 : -(-n_z // TILE), 0 : -(-n_x // TILE)])
    order = np.lexsort((x, z, x // GROUP, z // GROUP))
    return np.ascontiguousarray(np.stack([z, x], axis=1)[order] * TILE)


@numba.njit(cache=True, nogil=True)
def _fill(tiles, cosine, sine, x, z, origin, shifts, first, shares):  # type: ignore[no-untyped-def]
    n_tile, n_tilt, _, _, taps = shares.shape
    n_sub = shifts.shape[1]
    for i in range(n_tile):
        for t in range(n_tilt):
            least = shifts[t].min()
            for row in range(TILE):
                for column in range(TILE):
                    iz, ix = tiles[i, 0] + row, tiles[i, 1] + column
                    first[i, t, row, column] = -1
                    shares[i, t, row, column] = 0
                    if iz >= len(z) or ix >= len(x):
                        continue
                    centre = cosine[t] * x[ix] + sine[t] * z[iz] - origin
                    left = int(np.floor(centre + least))
                    if left <= -taps or left >= len(x):
                        continue
                    first[i, t, row, column] = left + taps
                    for tap in range(taps):
                        share = 0.0
                        for sub in range(n_sub):
                            share += max(0.0, 1.0 - abs(centre + shifts[t, sub] - (left + tap)))
                        shares[i, t, row, column, tap] = share / n_sub
