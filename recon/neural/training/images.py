"""What the image networks learn: series of training families drawn anew for every batch, and what lies
behind them.

Linear images cost milliseconds, so nothing is kept: no two batches are alike. Validation series are of the
validation family and drawn once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from datasets.corpus.families import TRAIN, VALIDATION, draw
from datasets.corpus.series import Acquisition, make_series
from datasets.corpus.support import supporting_film
from recon.neural.grid import VOXEL
from recon.neural.inpaint import LARGEST_STEP, WRAP, scale_of, sinogram_channels

N_VALIDATION = 8
FLOOR = 1e-3
"""Mean square of a target below which a batch counts as one with that."""
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Images:
    """A batch: `seen` (n, channels, y, x), the `target` (n, 1, y, x), and the `weight` (n, 1, y, x) of its
    pixels.
    """

    seen: torch.Tensor
    target: torch.Tensor
    weight: torch.Tensor


@dataclass
class _ImageProblem(ABC):
    held: Sequence[Images] = field(init=False)

    def __post_init__(self) -> None:
        seeds = range(N_VALIDATION)
        self.held = [self.series(16, np.random.default_rng([7, seed]), VALIDATION) for seed in seeds]

    def draw(self, n: int, edge: int, rng: np.random.Generator) -> Images:
        """`n` images of one series."""
        del edge
        return self.series(n, rng, TRAIN)

    @abstractmethod
    def series(self, n: int, rng: np.random.Generator, families: Sequence[str]) -> Images:
        """`n` images of one series of `families`."""

    def loss(self, network: nn.Module, batch: Images, device: torch.device) -> torch.Tensor:
        """The mean square error over the target's power."""
        answer = network(batch.seen.to(device)).float()
        target, weight = batch.target.to(device), batch.weight.to(device)
        power = (weight * target.square()).mean().clamp_min(FLOOR)
        return (weight * (answer - target).square()).mean() / power


@dataclass
class SupportRemoval(_ImageProblem):
    """Images of particles on a film of carbon, at tilts that leave it in view; the target is the particle
    alone.
    """

    def series(self, n: int, rng: np.random.Generator, families: Sequence[str]) -> Images:
        """`n` images of one series of `families`."""
        tilt_range = float(rng.uniform(40, 70))
        drawn = Acquisition.draw(rng)
        took = replace(drawn, pixel_size=VOXEL, n_tilt=n, tilt_range=tilt_range, halo=0.0)
        atoms = draw(str(rng.choice(families)), np.random.SeedSequence(int(rng.integers(2**32))))
        reach = float(np.linalg.norm(atoms.positions, axis=1).max())
        film = supporting_film(reach, float(rng.uniform(8, 40)), tilt_range, rng)
        series = make_series(atoms, took, rng, support=film)
        counts = series.measurement["counts"].values.astype(np.float64)
        counts -= series.measurement.attrs["background"]
        scale = scale_of(counts, VOXEL)
        seen, target = _even(counts / scale), _even(series.expected / scale)
        return _batch(seen[:, None], target[:, None], np.ones_like(target[:, None]))


@dataclass
class WedgeCompletion(_ImageProblem):
    """Sinograms without the tilts beyond a range; the target are all of them, without noise."""

    def series(self, n: int, rng: np.random.Generator, families: Sequence[str]) -> Images:
        """`n` rows of the sinogram of one particle of `families`."""
        step = float(rng.uniform(1.5, LARGEST_STEP))
        n_all = round(180 / step)
        drawn = Acquisition.draw(rng)
        took = replace(
            drawn, pixel_size=VOXEL, n_tilt=n_all, tilt_range=90 - 90 / n_all, angle_rms=0.0, shift_rms=0.0
        )
        atoms = draw(str(rng.choice(families)), np.random.SeedSequence(int(rng.integers(2**32))))
        series = make_series(atoms, took, rng)
        theta = series.measurement["theta"].values
        measured = np.abs(theta) <= rng.uniform(45, 80)
        counts = series.measurement["counts"].values - series.measurement.attrs["background"]
        scale = scale_of(counts[measured], VOXEL)
        sinograms = _even(np.where(measured[:, None, None], counts, 0.0) / scale)
        target = _even(series.expected / scale)
        middle = np.flatnonzero(target.sum(axis=(0, 2)) > 0)
        rows = rng.choice(middle, min(n, len(middle)), replace=False)
        channels = sinogram_channels(sinograms, measured)[rows]
        wanted = np.zeros((len(rows), 1, *channels.shape[2:]))
        weight = np.zeros_like(wanted)
        wanted[:, 0, WRAP : WRAP + n_all] = target[:, rows].transpose(1, 0, 2)
        weight[:, :, WRAP : WRAP + n_all] = 1
        return _batch(channels, wanted, weight)


def _even(images: FloatArray) -> FloatArray:
    """`images` (n, y, x) filled up with zeros, evenly about pixel n // 2, to multiples of 8."""
    sides = []
    for n in images.shape[1:]:
        m = -(-n // 8) * 8
        first = m // 2 - n // 2
        sides.append((first, m - n - first))
    return np.pad(images, [(0, 0), *sides])


def _batch(seen: FloatArray, target: FloatArray, weight: FloatArray) -> Images:
    return Images(
        *(torch.from_numpy(np.ascontiguousarray(part, dtype=np.float32)) for part in (seen, target, weight))
    )
