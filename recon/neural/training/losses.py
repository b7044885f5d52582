"""What volume networks are trained to: the Gaussian atoms of the truth, and of PANN also what any structure
obeys.

All are means over a batch, relative to the truth's own power in it, so that a sparse patch counts as much as
a full one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from recon.neural.grid import SIGMA, VOXEL
from recon.neural.occupied import BALL

FLOOR = 0.002
"""Mean square of a target below which a patch counts as one with that: empty patches must not weigh
infinitely.
"""
FEW = 1e-4
"""The same for averages over neighbourhoods: that of two atoms in a patch."""


def augmentation_loss(answer: torch.Tensor, density: torch.Tensor, occupancy: torch.Tensor) -> torch.Tensor:
    """Of a U-Net: the mean squared error of the density (batch, 1, z, y, x) over its power."""
    del occupancy
    return _relative(answer, density)


@dataclass(frozen=True)
class PhysicsLoss:
    """Of PANN's first stage: errors of occupancy and density, and what their physics says, weighed.

    `projection`: sums of the density along a random direction normal to y, as a tilted image shows them;
    `atomicity`: where there is occupancy, it is that of whole atoms; `distance`: no ball of radius `BALL`
    holds more than one. Positivity is the network's own. The weights are our choice
    (`recon.neural.res_unet`).
    """

    density: float = 1.0
    occupancy: float = 1.0
    projection: float = 0.2
    atomicity: float = 0.2
    distance: float = 0.2

    def __call__(self, answer: torch.Tensor, density: torch.Tensor, occupancy: torch.Tensor) -> torch.Tensor:
        """`answer` (batch, 2, z, y, x): occupancy and density; the truth (batch, 1, z, y, x) each."""
        occupied, dense = answer[:, :1], answer[:, 1:]
        return (
            self.density * _relative(dense, density)
            + self.occupancy * _relative(occupied, occupancy)
            + self.projection * projection_error(dense, density)
            + self.atomicity * atomicity_error(occupied)
            + self.distance * crowding(occupied)
        )


def _relative(answer: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    axes = tuple(range(1, truth.ndim))
    power = truth.square().mean(dim=axes).clamp_min(FLOOR)
    return ((answer - truth).square().mean(dim=axes) / power).mean()


def projection_error(answer: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """The relative error of projections (batch, 1, z, y, x) along a direction drawn anew by the global
    generator.
    """
    angle = float(torch.rand(()) * torch.pi)
    cos, sin = torch.cos(torch.tensor(angle)), torch.sin(torch.tensor(angle))
    turn = torch.tensor(
        [[cos, 0, sin, 0], [0, 1, 0, 0], [-sin, 0, cos, 0]], dtype=answer.dtype, device=answer.device
    )
    size = list(answer.shape)
    grid = nn.functional.affine_grid(turn.expand(size[0], 3, 4), size, align_corners=False)
    both = torch.stack([answer, truth])
    seen = [nn.functional.grid_sample(part, grid, align_corners=False).sum(dim=2) for part in both]
    return _relative(seen[0], seen[1])


def atomicity_error(occupancy: torch.Tensor) -> torch.Tensor:
    """How far the occupancy is from that of whole atoms.

    The square of a Gaussian of height one is one of half the variance, so blurred by 3/2 of its own
    variance, and times 2√2, it is what the Gaussian blurred by its own variance is. For any arrangement of
    atoms that do not overlap the difference is zero, for a smear of less height it is not; its mean square
    over the power.
    """
    blurred = _blurred(occupancy, 1.0)
    left = 2**1.5 * _blurred(occupancy.square(), 1.5) - blurred
    return left.square().mean() / blurred.square().mean().clamp_min(FEW)


def crowding(occupancy: torch.Tensor) -> torch.Tensor:
    """How much more than one atom there is in a ball of radius `BALL`, mean square over the voxels, times
    100.
    """
    half = int(BALL / VOXEL)
    steps = torch.arange(-half, half + 1, device=occupancy.device) * VOXEL
    ball = (steps[:, None, None] ** 2 + steps[:, None] ** 2 + steps**2 <= BALL**2).to(occupancy.dtype)
    inside = nn.functional.conv3d(occupancy, ball[None, None], padding=half) * VOXEL**3
    atoms = inside / ((2 * torch.pi) ** 1.5 * SIGMA**3)
    return torch.relu(atoms - 1).square().mean() / atoms.square().mean().clamp_min(FEW)


def _blurred(volume: torch.Tensor, variance: float) -> torch.Tensor:
    """`volume` (batch, 1, z, y, x) convolved with a Gaussian of `variance` atoms' variances, zeros beyond it.

    One matrix per axis: with a single channel that is several times faster than a convolution.
    """
    sigma = SIGMA / VOXEL * variance**0.5
    n_z, n_y, n_x = volume.shape[2:]

    def matrix(n: int) -> torch.Tensor:
        place = torch.arange(n, device=volume.device)
        profile = torch.exp(-0.5 * ((place[:, None] - place) / sigma) ** 2)
        return (profile / ((2 * torch.pi) ** 0.5 * sigma)).to(volume.dtype)

    along_x = volume.reshape(-1, n_y, n_x) @ matrix(n_x)
    along_y = matrix(n_y) @ along_x
    return (matrix(n_z) @ along_y.reshape(-1, n_z, n_y * n_x)).reshape(volume.shape)
