"""PANN's way from a redrawn volume to atoms, with networks whose answer is known."""

import numpy as np
import pytest
import torch

from recon.neural.grid import VOXEL, Frame, gaussian_volume
from recon.neural.pann import find_atoms, redraw
from recon.neural.res_unet import ResUNet3D

FRAME = Frame(np.array([-8.0, -9.0, -10.0]), 1.0)
SHAPE = (56, 48, 64)
POSITIONS = np.array([[0.2, 1.1, -2.0], [3.1, 0.0, 1.0], [-4.0, -2.2, 2.4]])
INDEX = FRAME.index(POSITIONS)


def drawn(heights: np.ndarray, occupied: np.ndarray) -> np.ndarray:
    return np.stack([gaussian_volume(INDEX, occupied, SHAPE), gaussian_volume(INDEX, heights, SHAPE)])


def test_atoms_are_where_they_are_drawn() -> None:
    heights = np.array([1.0, 2.0, 3.0])
    volume = drawn(heights, np.ones(3))
    found = find_atoms(volume, volume[1], FRAME, 1.5, 0.5)
    order = np.argsort(found.intensities)
    np.testing.assert_allclose(found.positions[order], POSITIONS, atol=0.01)
    np.testing.assert_allclose(found.probability, 1, atol=0.02)
    np.testing.assert_allclose(found.intensities[order], heights, rtol=0.02)
    assert found.descriptors.shape == (3, 50)
    # the redrawn and the given volume are the same here
    np.testing.assert_allclose(found.descriptors[:, :25], found.descriptors[:, 25:])


def test_an_uncertain_place_is_no_uncertain_atom() -> None:
    """An atom whose place is uncertain by 0.25 Å is low, wide, and still an atom; half an atom is none."""
    rng = np.random.default_rng(0)
    smeared = np.zeros(SHAPE, dtype=np.float32)
    for _ in range(400):
        smeared += gaussian_volume(
            INDEX + rng.normal(scale=0.25 / VOXEL, size=(3, 3)), np.ones(3) / 400, SHAPE
        )
    assert smeared.max() < 0.7
    found = find_atoms(np.stack([smeared, smeared]), smeared, FRAME, 1.5, 0.5)
    assert len(found.positions) == 3
    assert found.probability.min() > 0.75
    halved = drawn(np.ones(3), np.array([1.0, 0.4, 1.0]))
    assert len(find_atoms(halved, halved[1], FRAME, 1.5, 0.5).positions) == 2


def test_an_empty_volume_has_no_atoms() -> None:
    nothing = np.zeros((2, *SHAPE), dtype=np.float32)
    found = find_atoms(nothing, nothing[0], FRAME, 1.5, 0.5)
    assert found.positions.shape == (0, 3)
    assert found.descriptors.shape == (0, 50)


@pytest.mark.parametrize("shape", [(40, 40, 40), (37, 50, 43)])
def test_tiles_see_the_context_that_lies_on_them(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    network = ResUNet3D(base=4, coarse=4).eval()
    volume = np.random.default_rng(0).random(shape).astype(np.float32)
    answer = redraw(network, volume, torch.device("cpu"))
    assert answer.shape == (2, *shape)
    padded = np.zeros([-(-n // 8) * 8 for n in shape], dtype=np.float32)
    padded[tuple(slice(n) for n in shape)] = volume
    whole = torch.from_numpy(padded)[None, None]
    with torch.inference_mode():
        expected = network(whole, network.context(whole))[0].numpy()
    np.testing.assert_allclose(answer, expected[(slice(None), *(slice(n) for n in shape))], atol=1e-5)
