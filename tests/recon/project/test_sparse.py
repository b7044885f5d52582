"""The sparse projector is the general one, without what is empty."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from datasets.schema import EULER_SEQUENCE, pixel_axis
from recon.project.general import GeneralProjector
from recon.project.geometry import Geometry
from recon.project.sparse import SparseProjector, runs_of


@pytest.fixture
def geometry() -> Geometry:
    """Rotations of all kinds, axes of different lengths and origins, a volume that overhangs the images."""
    angles = [(0, 0, 0), (0, 90, 0), (20, -35, 10), (170, 60, -80)]
    turns = Rotation.from_euler(EULER_SEQUENCE, angles, degrees=True)
    return Geometry(turns, pixel_axis(12, 0.5) + 0.13, pixel_axis(9, 0.5), pixel_axis(14, 0.5) - 0.2, 0.5)


@pytest.fixture
def random(geometry: Geometry) -> Callable[[tuple[int, ...]], torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return lambda shape: torch.randn(shape, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("oversample", [1, 2, 3])
def test_the_same_map_as_the_general_projector(
    geometry: Geometry, random: Callable[..., torch.Tensor], oversample: int
) -> None:
    cpu = torch.device("cpu")
    sparse = SparseProjector(geometry, oversample=oversample, dtype=torch.float64)
    general = GeneralProjector(geometry, oversample=oversample, dtype=torch.float64, device=cpu)
    volume, images = random(geometry.volume_shape), random(geometry.projection_shape)
    torch.testing.assert_close(sparse.forward(volume), general.forward(volume), rtol=0, atol=1e-9)
    torch.testing.assert_close(sparse.adjoint(images), general.adjoint(images), rtol=0, atol=1e-9)


def test_adjoint_is_exact_within_a_support(geometry: Geometry, random: Callable[..., torch.Tensor]) -> None:
    support = np.zeros(geometry.volume_shape, dtype=bool)
    support[3:9, 2:7, 4:10] = True
    projector = SparseProjector(geometry, support=support, dtype=torch.float64)
    volume, images = random(geometry.volume_shape), random(geometry.projection_shape)
    back = projector.adjoint(images)
    assert not back.numpy()[~support].any()
    left, right = (projector.forward(volume) * images).sum(), (volume * back).sum()
    assert float(left) == pytest.approx(float(right), abs=1e-11)


def test_depth_moments(geometry: Geometry, random: Callable[..., torch.Tensor]) -> None:
    """They are the projections of a volume that is multiplied by the depth of each voxel."""
    projector = SparseProjector(geometry, dtype=torch.float64)
    volume = random(geometry.volume_shape)
    images, moments = projector.with_depth(volume)
    np.testing.assert_allclose(images, projector.forward(volume).numpy(), atol=1e-12)
    z, y, x = np.meshgrid(geometry.z, geometry.y, geometry.x, indexing="ij")
    for tilt, turn in enumerate(geometry.rotations.as_matrix()):
        depth = torch.from_numpy(turn[2, 0] * x + turn[2, 1] * y + turn[2, 2] * z)
        expected = projector.forward(volume * depth)[tilt].numpy()
        np.testing.assert_allclose(moments[tilt], expected, atol=1e-10)


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_change_nothing(
    geometry: Geometry, random: Callable[..., torch.Tensor], threads: int
) -> None:
    """Three threads do not divide the four tilts, nor the fourteen planes."""
    projector = SparseProjector(geometry, oversample=2, dtype=torch.float64)
    volume, images = random(geometry.volume_shape), random(geometry.projection_shape)
    before, answers = torch.get_num_threads(), []
    try:
        for n in (1, threads):
            torch.set_num_threads(n)
            answers.append((projector.forward(volume), projector.adjoint(images)))
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(answers[0][0], answers[1][0], rtol=0, atol=0)
    torch.testing.assert_close(answers[0][1], answers[1][1], rtol=0, atol=1e-12)


def test_runs_bracket_the_support() -> None:
    support = np.array([[[0, 1, 0, 1, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]]], dtype=bool)
    first, last = runs_of(support)
    assert first.tolist() == [[1, 0, 0]]
    assert last.tolist() == [[4, 0, 5]]


def test_single_precision(geometry: Geometry, random: Callable[..., torch.Tensor]) -> None:
    volume = random(geometry.volume_shape)
    exact = SparseProjector(geometry, dtype=torch.float64).forward(volume)
    single = SparseProjector(geometry).forward(volume.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), exact, rtol=0, atol=1e-4)
