"""The volume networks: shapes, sizes, locality, and that the losses know the truth."""

import numpy as np
import pytest
import torch

from recon.neural.grid import SIGMA, VOXEL, gaussian_volume
from recon.neural.res_unet import COARSE, ResUNet3D
from recon.neural.training.losses import (
    PhysicsLoss,
    atomicity_error,
    augmentation_loss,
    crowding,
    projection_error,
)
from recon.neural.unet import MULTIPLE, UNet3D

SHAPE = (32, 32, 32)


def atoms(*index: tuple[float, float, float], height: float = 1.0) -> torch.Tensor:
    volume = gaussian_volume(np.array(index), np.full(len(index), height), SHAPE)
    return torch.from_numpy(np.ascontiguousarray(volume))[None, None]


def test_the_published_size() -> None:
    """About 0.77 million weights with 12 base filters."""
    assert abs(sum(p.numel() for p in UNet3D().parameters()) - 0.77e6) < 0.03e6


@pytest.mark.parametrize("shape", [(16, 24, 32), (MULTIPLE,) * 3])
def test_u_net_keeps_the_shape_and_is_positive(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    answer = UNet3D(base=4).eval()(torch.randn(2, 1, *shape))
    assert answer.shape == (2, 1, *shape)
    assert (answer >= 0).all()


def test_global_branch_reaches_everywhere_and_the_local_one_does_not() -> None:
    torch.manual_seed(0)
    network = ResUNet3D(base=4, coarse=6).eval()
    volume = torch.randn(1, 1, 48, 48, 48)
    patch = volume[..., :16, :16, :16]
    context = network.context(volume)
    assert context.shape == (1, 6, 12, 12, 12)
    answer = network(patch, context[..., :4, :4, :4])
    assert answer.shape == (1, 2, 16, 16, 16)
    assert (answer > 0).all()
    changed = volume.clone()
    changed[..., 30:, 30:, 30:] += 1  # nothing in the patch
    other = network(patch, network.context(changed)[..., :4, :4, :4])
    assert not torch.allclose(other, answer)
    assert COARSE == 4


def test_losses_are_least_at_the_truth() -> None:
    truth = atoms((10, 12, 14), (18, 15, 16), (20, 24, 9))
    density = 2.5 * truth
    right = torch.cat([truth, density], dim=1)
    loss = PhysicsLoss()
    assert float(loss(right, density, truth)) < 1e-3
    for wrong in (
        torch.cat([0.5 * truth, density], dim=1),
        torch.cat([truth, truth], dim=1),
        torch.cat([truth.roll(1, dims=2), density], dim=1),
        torch.zeros_like(right),
    ):
        assert float(loss(wrong, density, truth)) > 0.02
    assert float(augmentation_loss(density, density, truth)) == 0
    np.testing.assert_allclose(float(augmentation_loss(0 * density, density, truth)), 1, rtol=1e-5)


def test_atomicity_is_zero_for_atoms_and_not_for_smears() -> None:
    whole = atoms((10, 12, 14), (20, 20, 20))
    assert float(atomicity_error(whole)) < 1e-3
    halved = 0.5 * (atoms((10, 12, 12), (20, 20, 20)) + atoms((10, 12, 16), (20, 20, 20)))
    assert float(atomicity_error(halved)) > 100 * float(atomicity_error(whole))


def test_crowding_knows_the_shortest_bond() -> None:
    bond = 1.6 / VOXEL
    assert float(crowding(atoms((16, 16, 16), (16, 16, 16 + bond)))) < 1e-4
    assert float(crowding(atoms((16, 16, 16), (16, 16, 16 + bond / 2)))) > 2e-3


def test_projections_along_the_beam_see_no_depth() -> None:
    """Of all directions normal to y: moving an atom along y is seen from all, a change of weight too."""
    truth = atoms((16, 16, 16), height=2.0)
    torch.manual_seed(0)
    assert float(projection_error(truth, truth)) == 0
    assert float(projection_error(truth.roll(2, dims=3), truth)) > 0.5
    shift = np.mean([float(projection_error(1.1 * truth, truth)) for _ in range(5)])
    np.testing.assert_allclose(shift, 0.01, rtol=0.05)


def test_gaussian_atoms_of_height_one_hold_one_atom() -> None:
    total = float(atoms((16, 16, 16)).sum()) * VOXEL**3
    np.testing.assert_allclose(total, (2 * np.pi * SIGMA**2) ** 1.5, rtol=2e-3)
