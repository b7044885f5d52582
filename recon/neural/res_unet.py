"""Global–local 3D ResUNet, the first stage of PANN: what is an atom here, given what the whole particle
looks like.

A coarse branch sees the whole volume at a quarter of the resolution (missing wedge, noise, spacing and dose
are the same everywhere) and hands its features to a residual U-Net that works patch by patch at full
resolution. Two channels come out: the occupancy, a Gaussian of height one at every atom of any species, and
the density, with the heights that the electrons have. Of the paper (arXiv:2603.19942) only the abstract is
public; everything beyond "a global local 3D ResUNet refines the initial reconstruction" is our reading.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn

COARSE = 4
"""Voxels per coarse voxel along each axis; the sides of volumes and the corners of patches are multiples of
it.
"""
LEVELS = 3


class ResUNet3D(nn.Module):
    """Patches (batch, 1, z, y, x) and the coarse features around them to (batch, 2, z, y, x)."""

    channels: ClassVar[int] = 2

    def __init__(self, base: int = 16, coarse: int = 16) -> None:
        super().__init__()
        self.coarse = nn.Sequential(
            nn.Conv3d(2, coarse, kernel_size=3, padding=1),
            *(_Residual(coarse, dilation) for dilation in (1, 2, 4, 1)),
        )
        widths = [base * 2**level for level in range(LEVELS)]
        self.first = nn.Conv3d(1, base, kernel_size=3, padding=1)
        self.down = nn.ModuleList(_Residual(width) for width in widths)
        self.shrink = nn.ModuleList(
            nn.Conv3d(width, 2 * width, kernel_size=2, stride=2) for width in widths[:-1]
        )
        self.join = nn.Conv3d(widths[-1] + coarse, widths[-1], kernel_size=1)
        self.deep = nn.Sequential(_Residual(widths[-1]), _Residual(widths[-1], 2))
        self.up = nn.ModuleList(
            nn.ConvTranspose3d(2 * width, width, kernel_size=2, stride=2) for width in widths[:-1]
        )
        self.fuse = nn.ModuleList(nn.Conv3d(2 * width, width, kernel_size=1) for width in widths[:-1])
        self.merge = nn.ModuleList(_Residual(width) for width in widths[:-1])
        self.out = nn.Conv3d(base, 2, kernel_size=1)
        nn.init.constant_(self.out.get_parameter("bias"), -2.0)  # almost every voxel is empty

    def context(self, volume: torch.Tensor) -> torch.Tensor:
        """The coarse features (batch, features, z/4, y/4, x/4) of whole volumes (batch, 1, z, y, x)."""
        mean = nn.functional.avg_pool3d(volume, COARSE)
        found: torch.Tensor = self.coarse(torch.cat([mean, nn.functional.max_pool3d(volume, COARSE)], dim=1))
        return found

    def forward(self, patch: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """Occupancy and density of patches, given the coarse features that lie on them; both are positive."""
        found = self.first(patch)
        kept: list[torch.Tensor] = []
        for level in range(LEVELS):
            found = self.down[level](found)
            if level < LEVELS - 1:
                kept.append(found)
                found = self.shrink[level](found)
        found = self.deep(self.join(torch.cat([found, context], dim=1)))
        for level in reversed(range(LEVELS - 1)):
            found = self.fuse[level](torch.cat([self.up[level](found), kept[level]], dim=1))
            found = self.merge[level](found)
        return nn.functional.softplus(self.out(found))


class _Residual(nn.Module):
    """x + conv(relu(norm(conv(relu(norm(x))))))."""

    def __init__(self, width: int, dilation: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm3d(width),
            nn.ReLU(),
            nn.Conv3d(width, width, kernel_size=3, padding=dilation, dilation=dilation, bias=False),
            nn.BatchNorm3d(width),
            nn.ReLU(),
            nn.Conv3d(width, width, kernel_size=3, padding=dilation, dilation=dilation, bias=False),
        )

    def forward(self, found: torch.Tensor) -> torch.Tensor:
        return found + self.body(found)
