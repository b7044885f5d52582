"""3D U-Net tomogram augmentation: from a blurred, noisy volume to Gaussian atoms, the atomicity prior as a
network.

Lee, Jeong and Yang, Nature Communications 12, 1962 (2021), after Çiçek et al., MICCAI 2016: 12 base filters
doubled at each of three poolings, batch norm, leaky ReLU of 0.2, ReLU at the output; about 0.79 million
weights. It works on the grid and the scale of `recon.neural.grid`. A voxel costs 30,000 multiplications, 80
% of them at full resolution.
"""

from __future__ import annotations

import torch
from torch import nn

LEVELS = 4
SLOPE = 0.2
MULTIPLE = 2 ** (LEVELS - 1)
"""Volumes must have a multiple of this many voxels along each axis."""


_LAYERS: dict[int, tuple[type[nn.Module], type[nn.Module], type[nn.Module], type[nn.Module]]] = {
    2: (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.Dropout2d),
    3: (nn.Conv3d, nn.ConvTranspose3d, nn.BatchNorm3d, nn.Dropout3d),
}


class UNet(nn.Module):
    """A U-Net of `dimensions` 2 or 3: (batch, `n_channels`, …) in, (batch, 1, …) out and nowhere negative;
    sides are multiples of `MULTIPLE`.
    """

    def __init__(self, dimensions: int, n_channels: int, base: int, dropout: float = 0.0) -> None:
        super().__init__()
        convolution, widening, _, _ = _LAYERS[dimensions]
        widths = [base * 2**level for level in range(LEVELS)]
        self.down = nn.ModuleList(
            _double(dimensions, first, width, dropout)
            for first, width in zip([n_channels, *widths], widths, strict=False)
        )
        self.up = nn.ModuleList(widening(2 * width, width, kernel_size=2, stride=2) for width in widths[:-1])
        self.merge = nn.ModuleList(_double(dimensions, 2 * width, width, dropout) for width in widths[:-1])
        self.out = convolution(base, 1, kernel_size=1)
        nn.init.constant_(self.out.get_parameter("bias"), 0.05)  # a ReLU beginning at zero passes no gradient
        self.shrink = nn.functional.max_pool2d if dimensions == 2 else nn.functional.max_pool3d

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        """What is seen as it would be."""
        kept: list[torch.Tensor] = []
        found = seen
        for level, block in enumerate(self.down):
            found = block(found if level == 0 else self.shrink(found, 2))
            kept.append(found)
        for level in reversed(range(LEVELS - 1)):
            found = self.merge[level](torch.cat([self.up[level](found), kept[level]], dim=1))
        return torch.relu(self.out(found))


class UNet3D(UNet):
    """A volume in, Gaussian atoms out: (batch, 1, z, y, x) both.

    `dropout` is 0.2 in the paper, whose 10,000 training volumes are met a hundred times each; ours are met a
    few times and from other sides every time, and it is 0.
    """

    def __init__(self, base: int = 12, dropout: float = 0.0) -> None:
        super().__init__(3, 1, base, dropout)


def _double(dimensions: int, before: int, after: int, dropout: float) -> nn.Sequential:
    """Twice convolution, batch norm, leaky ReLU and dropout."""
    convolution, _, norm, drop = _LAYERS[dimensions]
    layers: list[nn.Module] = []
    for first in (before, after):
        layers += [
            convolution(first, after, kernel_size=3, padding=1, bias=False),
            norm(after),
            nn.LeakyReLU(SLOPE, inplace=True),
        ]
        if dropout:
            layers.append(drop(dropout))
    return nn.Sequential(*layers)
