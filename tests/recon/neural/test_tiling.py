"""Tiles: the answer is that of the whole volume."""

import numpy as np
import pytest
import torch

from recon.neural.tiling import tiled
from recon.neural.unet import UNet3D


@pytest.mark.parametrize("shape", [(16, 16, 16), (21, 33, 50), (70, 9, 41)])
def test_a_local_filter_does_not_see_the_tiles(shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(0)
    volume = rng.normal(size=shape).astype(np.float32)
    kernel = torch.from_numpy(rng.normal(size=(2, 1, 5, 5, 5)).astype(np.float32))

    def filtered(patch: torch.Tensor, where: object = None) -> torch.Tensor:
        return torch.nn.functional.conv3d(patch, kernel, padding=2)

    found = tiled(filtered, volume, channels=2, tile=16, rim=8)
    whole = filtered(torch.from_numpy(volume)[None, None])[0].numpy()
    np.testing.assert_allclose(found, whole, atol=2e-4)


def test_where_a_tile_lies() -> None:
    """A network that answers with the coordinate it was told gives the coordinates."""

    def coordinate(patch: torch.Tensor, where: tuple[slice, slice, slice]) -> torch.Tensor:
        z = torch.arange(where[0].start, where[0].stop, dtype=torch.float32)
        return z[None, None, :, None, None].expand_as(patch)

    found = tiled(coordinate, np.zeros((50, 20, 20), dtype=np.float32), channels=1, tile=16, rim=8)
    np.testing.assert_array_equal(found[0, :, 3, 4], np.arange(50))


def test_what_the_network_sees_is_bounded() -> None:
    seen = []

    def remember(patch: torch.Tensor, where: object) -> torch.Tensor:
        seen.append(patch.shape[2:])
        return patch

    tiled(remember, np.zeros((120, 100, 90), dtype=np.float32), channels=1, tile=32, rim=8)
    assert max(max(sides) for sides in seen) <= 32 + 2 * 8


def test_a_u_net_in_tiles_is_nearly_the_one_of_the_whole() -> None:
    """Beyond the rim its answer depends on little, even of an untrained network."""
    torch.manual_seed(0)
    network = UNet3D(base=4).eval()
    volume = np.random.default_rng(0).random((96, 24, 24)).astype(np.float32)
    with torch.inference_mode():
        whole = network(torch.from_numpy(volume)[None, None])[0].numpy()
        parts = tiled(lambda patch, where: network(patch), volume, channels=1, tile=32, rim=16)
    assert np.abs(parts - whole).max() < 0.05 * np.abs(whole).max()
