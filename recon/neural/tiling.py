"""A network over a volume of any size in bounded memory: tiles with a rim that is thrown away."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

Volume = npt.NDArray[np.float32]

TILE = 64
"""Voxels of a tile along each axis that are kept."""
RIM = 16
"""Voxels around them that the network sees too: how far its answer depends on what it sees, to a good
approximation.
"""


def tiled(
    network: Callable[[torch.Tensor, tuple[slice, slice, slice]], torch.Tensor],
    volume: Volume,
    *,
    channels: int,
    tile: int = TILE,
    rim: int = RIM,
    multiple: int = 8,
) -> Volume:
    """`network` on `volume` (z, y, x), tile by tile: (channels, z, y, x).

    `network(patch, where)` takes (1, 1, z, y, x) with sides that are multiples of `multiple`, as `tile` and
    `rim` must be, and where in the volume it lies, padded so that all sides are multiples; it answers (1,
    channels, z, y, x). Beyond the volume there are zeros. Memory is that of one tile, beside the volumes;
    where the whole fits into one, it is done at once.
    """
    padded = [-(-n // multiple) * multiple for n in volume.shape]
    whole = np.zeros(padded, dtype=np.float32)
    whole[tuple(slice(n) for n in volume.shape)] = volume
    answer = np.zeros((channels, *padded), dtype=np.float32)
    edges = [[0] if n <= tile + 2 * rim else list(range(0, n, tile)) for n in padded]
    for begin in itertools.product(*edges):
        keep = [
            slice(b, n if len(e) == 1 else min(b + tile, n))
            for b, n, e in zip(begin, padded, edges, strict=True)
        ]
        z, y, x = (
            slice(max(k.start - rim, 0), min(k.stop + rim, n)) for k, n in zip(keep, padded, strict=True)
        )
        patch = torch.from_numpy(whole[z, y, x])[None, None]
        found = network(patch, (z, y, x))[0].float().cpu().numpy()
        inner = tuple(
            slice(k.start - s.start, k.stop - s.start) for k, s in zip(keep, (z, y, x), strict=True)
        )
        answer[(slice(None), *keep)] = found[(slice(None), *inner)]
    return answer[(slice(None), *(slice(n) for n in volume.shape))]
