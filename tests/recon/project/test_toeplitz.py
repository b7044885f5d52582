"""The convolution is the projector's AᵀA, averaged over where the pixels are."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from datasets.errors import InputError
from datasets.schema import EULER_SEQUENCE, pixel_axis
from recon.project.geometry import Geometry, sub_voxel_offsets
from recon.project.projector import make_projector
from recon.project.toeplitz import ToeplitzNormal, normal_kernel


def single_axis(theta: list[float], n_z: int, n_y: int, n_x: int) -> Geometry:
    turns = Rotation.from_euler(EULER_SEQUENCE, [[0, angle, 0] for angle in theta], degrees=True)
    z, y, x = (pixel_axis(n, 0.5) for n in (n_z, n_y, n_x))
    return Geometry(turns, x, y, z, 0.5)


def pixel_integral(lag: float, oversample: int, cosine: float, sine: float) -> float:
    """∫ f(s) f(s − lag) ds of one voxel's footprint f, by summing over fine pixels."""
    s = np.arange(-5, 5, 1e-3)
    shifts = sub_voxel_offsets(oversample) @ (sine, cosine)
    one, other = (
        np.mean([np.maximum(0, 1 - np.abs(s - at - shift)) for shift in shifts], axis=0) for at in (0, lag)
    )
    return float((one * other).sum() * 1e-3)


@pytest.mark.parametrize("oversample", [1, 2, 3])
def test_kernel_is_the_overlap_of_footprints(oversample: int) -> None:
    kernel = normal_kernel(single_axis([25.0], 4, 1, 5), oversample)
    cosine, sine = np.cos(np.deg2rad(25)), np.sin(np.deg2rad(25))
    for z, x in [(0, 0), (1, 0), (0, -1), (-1, 2), (3, -1), (2, 4)]:
        expected = pixel_integral(cosine * x + sine * z, oversample, cosine, sine)
        assert kernel[z + 3, x + 4] == pytest.approx(expected, abs=1e-6)


@settings(max_examples=20, deadline=None)
@given(
    theta=st.lists(st.floats(-90, 90), min_size=1, max_size=4),
    shape=st.tuples(st.integers(1, 7), st.integers(1, 3), st.integers(1, 8)),
)
def test_it_is_that_kernel_summed_over_voxels(theta: list[float], shape: tuple[int, int, int]) -> None:
    geometry = single_axis(theta, *shape)
    volume = torch.rand(shape, dtype=torch.float64)
    n_z, _, n_x = shape
    kernel = normal_kernel(geometry, 2)
    z, x = np.arange(n_z), np.arange(n_x)
    dense = kernel[(z[:, None] - z)[:, None, :, None] + n_z - 1, (x[:, None] - x)[None, :, None] + n_x - 1]
    expected = np.einsum("zxwv,wyv->zyx", dense, volume.numpy())
    found = ToeplitzNormal(geometry, oversample=2, dtype=torch.float64)(volume)
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-10)


def test_symmetric_and_positive() -> None:
    normal = ToeplitzNormal(single_axis([-60, -10, 40, 70], 9, 2, 8), dtype=torch.float64)
    one, other = torch.randn((2, 9, 2, 8), dtype=torch.float64)
    torch.testing.assert_close((normal(one) * other).sum(), (one * normal(other)).sum())
    assert (normal(one) * one).sum() > 0


@pytest.mark.parametrize("n_tilt", [5, 40])
def test_near_the_products_of_the_projector(n_tilt: int) -> None:
    """Within what linear interpolation aliases; the object stays clear of the edge."""
    geometry = single_axis(list(np.linspace(-75, 75, n_tilt)), 40, 3, 40)
    projector = make_projector(geometry, oversample=2, dtype=torch.float64)
    normal = ToeplitzNormal(geometry, oversample=2, dtype=torch.float64)
    volume = normal.zeros()
    volume[12:28, :, 12:28] = torch.rand((16, 3, 16), dtype=torch.float64)
    expected = projector.adjoint(projector.forward(volume))
    assert (normal(volume) - expected).norm() < 1e-2 * expected.norm()


def test_other_axes_are_refused() -> None:
    axis = pixel_axis(4, 0.5)
    turns = Rotation.from_euler(EULER_SEQUENCE, [[3, 20, 0]], degrees=True)
    with pytest.raises(InputError, match="about y only"):
        ToeplitzNormal(Geometry(turns, axis, axis, axis, 0.5))
