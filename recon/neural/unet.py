"""3D U-Net tomogram augmentation: from a blurred, noisy volume to Gaussian atoms, the atomicity prior as a
network.

Lee, Jeong and Yang, Nature Communications 12, 1962 (2021), after Çiçek et al., MICCAI 2016: 12 base filters
doubled at each of three poolings, batch norm, leaky ReLU of 0.2, ReLU at the output; about 0.79 million
weights. It works on the grid and the scale of `recon.neural.grid`. A voxel costs 30,000 multiplications, 80
% of them at full resolution.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn

LEVELS = 4
SLOPE = 0.2
MULTIPLE = 2 ** (LEVELS - 1)
"""Volumes must have a multiple of this many voxels along each axis."""


class UNet3D(nn.Module):
    """One channel in, one out: (batch, 1, z, y, x) both, sides multiples of `MULTIPLE`.

    `dropout` is 0.2 in the paper, whose 10,000 training volumes are met a hundred times each; ours are met a
    few times and from other sides every time, and it is 0.
    """

    channels: ClassVar[int] = 1

    def __init__(self, base: int = 12, dropout: float = 0.0) -> None:
        super().__init__()
        widths = [base * 2**level for level in range(LEVELS)]
        self.down = nn.ModuleList(
            _double(first, width, dropout) for first, width in zip([1, *widths], widths, strict=False)
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose3d(2 * width, width, kernel_size=2, stride=2) for width in widths[:-1]
        )
        self.merge = nn.ModuleList(_double(2 * width, width, dropout) for width in widths[:-1])
        self.out = nn.Conv3d(base, 1, kernel_size=1)
        nn.init.constant_(
            self.out.get_parameter("bias"), 0.05
        )  # a ReLU that begins at zero would pass no gradient

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        """The volume as Gaussian atoms."""
        kept: list[torch.Tensor] = []
        found = volume
        for level, block in enumerate(self.down):
            found = block(found if level == 0 else nn.functional.max_pool3d(found, 2))
            kept.append(found)
        for level in reversed(range(LEVELS - 1)):
            found = self.merge[level](torch.cat([self.up[level](found), kept[level]], dim=1))
        return torch.relu(self.out(found))


def _double(before: int, after: int, dropout: float) -> nn.Sequential:
    """Twice convolution, batch norm, leaky ReLU and dropout."""
    layers: list[nn.Module] = []
    for first in (before, after):
        layers += [
            nn.Conv3d(first, after, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm3d(after),
            nn.LeakyReLU(SLOPE, inplace=True),
        ]
        if dropout:
            layers.append(nn.Dropout3d(dropout))
    return nn.Sequential(*layers)
