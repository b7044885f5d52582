"""What the volume networks learn: volumes of the corpus in, Gaussian atoms out, on a validation family of
its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from recon.neural.res_unet import COARSE, ResUNet3D
from recon.neural.training.corpus import Sample
from recon.neural.training.patches import Patches, draw_patches, whole_sample

Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""Of an answer (batch, channels, z, y, x), given the density and the occupancy that are true."""


@dataclass
class Augmentation:
    """Patches of `training` samples, judged on whole `validation` samples (`descent.Problem`)."""

    loss_of: Loss
    training: Sequence[Sample]
    validation: Sequence[Sample]
    held: Sequence[Patches] = field(init=False)

    def __post_init__(self) -> None:
        self.held = [whole_sample(sample) for sample in self.validation]

    def draw(self, n: int, edge: int, rng: np.random.Generator) -> Patches:
        """`n` patches of `edge` voxels."""
        return draw_patches(self.training, n, edge, rng)

    def loss(self, network: nn.Module, batch: Patches, device: torch.device) -> torch.Tensor:
        """The loss of `network` on `batch`; what is not a convolution is done in float32."""
        volume, density, occupancy = (
            part.to(device, memory_format=torch.channels_last_3d)
            for part in (batch.volume, batch.density, batch.occupancy)
        )
        if isinstance(network, ResUNet3D):
            answer = network(volume, on_patches(network.context(batch.whole.to(device)), batch))
        else:
            answer = network(volume)
        with torch.autocast(device.type, enabled=False):
            return self.loss_of(answer.float(), density, occupancy)


def on_patches(context: torch.Tensor, batch: Patches) -> torch.Tensor:
    """The coarse features of each whole volume where its patch lies."""
    edge = batch.volume.shape[-1] // COARSE
    parts = []
    for features, corner in zip(context, batch.corner // COARSE, strict=True):
        z, y, x = (int(c) for c in corner)
        parts.append(features[:, z : z + edge, y : y + edge, x : x + edge])
    return torch.stack(parts)
