"""Patches of corpus samples: cut near atoms, mirrored, rescaled, with the truth drawn into them as
Gaussians.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from recon.neural.grid import gaussian_volume
from recon.neural.res_unet import COARSE
from recon.neural.training.corpus import EDGE, Sample

ELSEWHERE = 0.1
"""Part of the patches that are cut anywhere, most of them at the edge of the particle or outside."""
RESCALE = 0.3
"""Volumes are multiplied by exp of a number evenly within ± this: the density inside is never known exactly.
"""


@dataclass(frozen=True)
class Patches:
    """A batch. `volume`, `density` and `occupancy` are (batch, 1, z, y, x); `whole` is what the patches were
    cut from, (batch, 1, EDGE, EDGE, EDGE), and `corner` (batch, 3) where, in voxels, multiples of `COARSE`.
    """

    volume: torch.Tensor
    density: torch.Tensor
    occupancy: torch.Tensor
    whole: torch.Tensor
    corner: torch.Tensor


def draw_patches(samples: Sequence[Sample], n_patches: int, edge: int, rng: np.random.Generator) -> Patches:
    """`n_patches` of `edge` voxels from as many samples drawn by `rng`.

    All three mirrors keep what a tilt axis along y and symmetric tilts mean; turns do not, and are not used.
    """
    parts = [_cut(samples[int(rng.integers(len(samples)))], edge, rng) for _ in range(n_patches)]
    return _stack(parts)


def whole_sample(sample: Sample) -> Patches:
    """All of `sample`, as a batch of one."""
    index = sample.index
    volume = sample.volume.astype(np.float32)
    shape = (EDGE, EDGE, EDGE)
    density = gaussian_volume(index, sample.heights, shape)
    occupancy = gaussian_volume(index, np.ones(len(index)), shape)
    return _stack([(volume, density, occupancy, volume, np.zeros(3, dtype=int))])


_Part = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _cut(sample: Sample, edge: int, rng: np.random.Generator) -> _Part:
    whole = sample.volume.astype(np.float32)
    index = sample.index.copy()
    mirrored = tuple(np.flatnonzero(rng.random(3) < 0.5).tolist())
    whole = np.flip(whole, mirrored)
    index[:, mirrored] = EDGE - 1 - index[:, mirrored]
    scale = float(np.exp(rng.uniform(-RESCALE, RESCALE)))
    whole = np.ascontiguousarray(whole * scale)
    anywhere = rng.random() < ELSEWHERE or not len(index)
    centre = rng.uniform(0, EDGE, 3) if anywhere else index[rng.integers(len(index))]
    corner = np.rint((centre + rng.uniform(-edge / 4, edge / 4, 3) - edge / 2) / COARSE).astype(int) * COARSE
    corner = np.clip(corner, 0, (EDGE - edge) // COARSE * COARSE)
    cut = tuple(slice(c, c + edge) for c in corner)
    shape = (edge, edge, edge)
    density = gaussian_volume(index - corner, sample.heights * scale, shape)
    occupancy = gaussian_volume(index - corner, np.ones(len(index)), shape)
    return whole[cut], density, occupancy, whole, corner


def _stack(parts: list[_Part]) -> Patches:
    volume, density, occupancy, whole = (
        torch.from_numpy(np.stack([part[k] for part in parts]))[:, None] for k in range(4)
    )
    return Patches(volume, density, occupancy, whole, torch.from_numpy(np.stack([part[4] for part in parts])))
