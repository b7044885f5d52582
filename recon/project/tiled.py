"""Both products of a single-axis projector on a CPU: many rows of the image at once, tile after tile."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import numpy.typing as npt
import torch

from recon.project.footprint import TILE, Footprint

LANES = 8
"""Rows of the image per step of the innermost loop: one vector register of float32."""

MOST_LANES = 128
"""Rows of the image that go through together at most: a tile of them fills two thirds of the first cache."""

OVERHEAD = 32
"""What finding a voxel's pixels costs, in rows: the balance between few wide blocks and no idle lanes."""


SUMS_IN_ANY_ORDER = {"reassoc", "contract", "nsz"}
"""What of fast arithmetic is allowed: a value that is not finite must still be seen."""

Indices = npt.NDArray[np.int64]


def forward(footprint: Footprint, volume: torch.Tensor, n_x: int, tilts: Indices) -> torch.Tensor:
    """(n_z, n_x, n_y) to (n_tilt, n_x, n_y), both contiguous, for these `tilts` of the footprint."""
    n_tilt, taps = len(tilts), footprint.taps
    n_y = volume.shape[2]
    images = torch.empty((n_tilt, n_x, n_y), dtype=volume.dtype)

    def splat(start: int, lanes: tuple[int, ...]) -> None:
        padded = torch.zeros((n_tilt, n_x + 2 * taps, len(lanes)), dtype=volume.dtype).numpy()
        tile = torch.zeros((TILE, TILE, len(lanes)), dtype=volume.dtype).numpy()
        _splat(volume.numpy(), start, lanes, tilts, *_fields(footprint), tile, padded, images.numpy())

    _share_out(splat, n_y)
    return images


def adjoint(footprint: Footprint, images: torch.Tensor, n_z: int, tilts: Indices) -> torch.Tensor:
    """(n_tilt, n_x, n_y) to (n_z, n_x, n_y): the transpose of `forward`."""
    n_tilt, n_x, n_y = images.shape
    volume = torch.empty((n_z, n_x, n_y), dtype=images.dtype)

    def gather(start: int, lanes: tuple[int, ...]) -> None:
        padded = torch.zeros((n_tilt, n_x + 2 * footprint.taps, len(lanes)), dtype=images.dtype).numpy()
        tile = torch.zeros((TILE, TILE, len(lanes)), dtype=images.dtype).numpy()
        _gather(images.numpy(), start, lanes, tilts, *_fields(footprint), tile, padded, volume.numpy())

    _share_out(gather, n_y)
    return volume


def _fields(footprint: Footprint) -> tuple[Indices, npt.NDArray[np.int32], npt.NDArray[np.floating]]:
    return footprint.tiles, footprint.first, footprint.shares


def blocks(n_rows: int, threads: int) -> tuple[int, int]:
    """How many blocks to cut `n_rows` into, and how wide each is: multiples of `threads` and of `LANES`."""
    threads = max(1, min(threads, n_rows // (2 * LANES)))
    fewest = -(-n_rows // (MOST_LANES * threads))
    counts = [threads * rounds for rounds in range(fewest, 2 * fewest + 1)]
    widths = [LANES * -(-n_rows // (count * LANES)) for count in counts]
    return min(zip(counts, widths, strict=True), key=lambda cut: cut[0] * (cut[1] + OVERHEAD))


def _share_out(work: Callable[[int, tuple[int, ...]], None], n_rows: int) -> None:
    """`work` on every block of rows, on as many threads as torch has.

    The width of a block travels as the length of a tuple, which the compiler knows: loops over it unroll.
    """
    threads = torch.get_num_threads()
    count, width = blocks(n_rows, threads)
    lanes = (0,) * width
    starts = [width * block for block in range(count) if width * block < n_rows]
    if threads == 1 or len(starts) == 1:
        for start in starts:
            work(start, lanes)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, starts, [lanes] * len(starts)))


@numba.njit(cache=True, nogil=True, fastmath=SUMS_IN_ANY_ORDER)
def _splat(volume, start, lanes, tilts, tiles, first, shares, tile, padded, images):  # type: ignore[no-untyped-def]
    n_tile, n_tilt, taps = len(tiles), len(tilts), shares.shape[4]
    n_z, n_x, n_y = volume.shape
    rows = min(len(lanes), n_y - start)
    # unsigned, flat and of known width: nothing wraps around, and the compiler sees that rows do not overlap
    width, width2 = np.uint64(len(lanes)), np.uint64(2 * len(lanes))
    held, pixels = tile.reshape(-1), padded.reshape(-1)
    for i in range(n_tile):
        z0, x0 = tiles[i]
        n_row, n_column = min(TILE, n_z - z0), min(TILE, n_x - x0)
        empty = True
        for z in range(n_row):
            for x in range(n_column):
                for k in range(rows):
                    value = volume[z0 + z, x0 + x, start + k]
                    tile[z, x, k] = value
                    empty &= value == 0
        if empty:
            continue
        for t in range(n_tilt):
            tilt = tilts[t]
            for z in range(n_row):
                for x in range(n_column):
                    pixel = first[i, tilt, z, x]
                    if pixel < 0:
                        continue
                    voxel = np.uint64((z * TILE + x) * len(lanes))
                    at = np.uint64((t * padded.shape[1] + pixel) * len(lanes))
                    left, middle = shares[i, tilt, z, x, 0], shares[i, tilt, z, x, 1]
                    right = shares[i, tilt, z, x, 2]
                    for k in range(width):
                        value = held[voxel + k]
                        pixels[at + k] += left * value
                        pixels[at + width + k] += middle * value
                        pixels[at + width2 + k] += right * value
                    for tap in range(3, taps):
                        share, on = shares[i, tilt, z, x, tap], at + np.uint64(tap * len(lanes))
                        for k in range(width):
                            pixels[on + k] += share * held[voxel + k]
    for t in range(n_tilt):
        for x in range(n_x):
            for k in range(rows):
                images[t, x, start + k] = padded[t, x + taps, k]


@numba.njit(cache=True, nogil=True, fastmath=SUMS_IN_ANY_ORDER)
def _gather(images, start, lanes, tilts, tiles, first, shares, tile, padded, volume):  # type: ignore[no-untyped-def]
    n_tile, n_tilt, taps = len(tiles), len(tilts), shares.shape[4]
    n_z, n_x, n_y = volume.shape
    rows = min(len(lanes), n_y - start)
    width, width2 = np.uint64(len(lanes)), np.uint64(2 * len(lanes))
    held, pixels = tile.reshape(-1), padded.reshape(-1)
    for t in range(n_tilt):
        for x in range(n_x):
            for k in range(rows):
                padded[t, x + taps, k] = images[t, x, start + k]
    for i in range(n_tile):
        z0, x0 = tiles[i]
        n_row, n_column = min(TILE, n_z - z0), min(TILE, n_x - x0)
        held[:] = 0
        for t in range(n_tilt):
            tilt = tilts[t]
            for z in range(n_row):
                for x in range(n_column):
                    pixel = first[i, tilt, z, x]
                    if pixel < 0:
                        continue
                    voxel = np.uint64((z * TILE + x) * len(lanes))
                    at = np.uint64((t * padded.shape[1] + pixel) * len(lanes))
                    left, middle = shares[i, tilt, z, x, 0], shares[i, tilt, z, x, 1]
                    right = shares[i, tilt, z, x, 2]
                    for k in range(width):
                        held[voxel + k] += (
                            left * pixels[at + k]
                            + middle * pixels[at + width + k]
                            + right * pixels[at + width2 + k]
                        )
                    for tap in range(3, taps):
                        share, on = shares[i, tilt, z, x, tap], at + np.uint64(tap * len(lanes))
                        for k in range(width):
                            held[voxel + k] += share * pixels[on + k]
        for z in range(n_row):
            for x in range(n_column):
                for k in range(rows):
                    volume[z0 + z, x0 + x, start + k] = tile[z, x, k]
