"""The frame: where a voxel lands, held against rotations done by others and against analytic atoms."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import scipy.ndimage
import torch
import xarray as xr
from ase import Atoms
from scipy.spatial.transform import Rotation

from datasets.schema import EULER_SEQUENCE, pixel_axis
from recon.project.geometry import Geometry
from recon.project.projector import make_projector

SINGLE = [(0.0, t, 0.0) for t in (-70.0, -20.0, 0.0, 35.0, 90.0)]
GENERAL = [(0.0, 30.0, 0.0), (25.0, 12.0, 0.0), (0.0, 0.0, -40.0), (110.0, -60.0, 15.0)]


def gaussian_volume(
    positions: npt.NDArray[np.float64], geometry: Geometry, sigma: float
) -> npt.NDArray[np.float64]:
    """Unit-sum Gaussians at `positions` (n, 3), as x, y, z [Å]."""
    norm = (geometry.pixel_size / sigma / np.sqrt(2 * np.pi)) ** 3
    parts = [
        np.exp(-0.5 * ((getattr(geometry, a) - positions[:, i : i + 1]) / sigma) ** 2)
        for i, a in enumerate("xyz")
    ]
    return norm * np.einsum("ax,ay,az->zyx", *parts)


@pytest.mark.parametrize("angles", [SINGLE, GENERAL])
def test_projection_of_gaussian_atoms_is_analytic(angles: list[tuple[float, float, float]]) -> None:
    turns = Rotation.from_euler(EULER_SEQUENCE, angles, degrees=True)
    # axes on which no coordinate is zero, and that differ: only coordinates can tell where the origin is
    geometry = Geometry(
        turns, pixel_axis(60, 0.2) + 0.37, pixel_axis(54, 0.2) - 0.21, pixel_axis(64, 0.2) + 0.11, 0.2
    )
    positions = np.array([[2.0, 1.0, -1.5], [-1.0, -2.0, 2.2], [0.0, 0.0, 0.0]])
    sigma = 0.6
    projector = make_projector(geometry, oversample=3, dtype=torch.float64)
    images = projector.forward(torch.as_tensor(gaussian_volume(positions, geometry, sigma))).numpy()
    wide = np.sqrt(sigma**2 + (0.2**2) / 6)  # a linear splat widens by the variance of its triangle
    for turn, image in zip(turns, images, strict=True):
        rotated = turn.apply(positions)
        along_x = np.exp(-0.5 * ((geometry.x - rotated[:, :1]) / wide) ** 2)
        along_y = np.exp(-0.5 * ((geometry.y - rotated[:, 1:2]) / wide) ** 2)
        expected = (0.2 / wide) ** 2 / (2 * np.pi) * np.einsum("ay,ax->yx", along_y, along_x)
        assert np.abs(image - expected).max() < 0.03 * expected.max()


@pytest.mark.parametrize("angles", [SINGLE, GENERAL])
def test_projection_agrees_with_scipy_rotation(angles: list[tuple[float, float, float]]) -> None:
    turns = Rotation.from_euler(EULER_SEQUENCE, angles, degrees=True)
    axis = pixel_axis(49, 0.25)
    geometry = Geometry(turns, axis, axis, axis, 0.25)
    volume = gaussian_volume(np.array([[1.5, -1.0, 2.0], [-2.0, 0.5, 0.3]]), geometry, 0.7)
    projector = make_projector(geometry, oversample=3, dtype=torch.float64)
    images = projector.forward(torch.as_tensor(volume)).numpy()
    origin = np.array([24.0, 24.0, 24.0])
    for turn, image in zip(turns, images, strict=True):
        # scipy pulls: the value at r' comes from r = R⁻¹ r'; its axes run z, y, x
        pull = turn.inv().as_matrix()[::-1, ::-1]
        rotated = scipy.ndimage.affine_transform(volume, pull, offset=origin - pull @ origin, order=3)
        assert (
            np.abs(image - rotated.sum(axis=0)).max() < 0.05 * image.max()
        )  # the splat widens by its triangle


@pytest.mark.parametrize("angles", [SINGLE, GENERAL])
def test_a_projection_keeps_the_sum_of_what_is_inside(angles: list[tuple[float, float, float]]) -> None:
    axis = pixel_axis(31, 0.4)
    turns = Rotation.from_euler(EULER_SEQUENCE, angles, degrees=True)
    volume = torch.zeros((31, 31, 31), dtype=torch.float64)
    volume[10:20, 11:21, 9:18] = torch.rand((10, 10, 9), dtype=torch.float64)
    images = make_projector(Geometry(turns, axis, axis, axis, 0.4), dtype=torch.float64).forward(volume)
    torch.testing.assert_close(images.sum(dim=(1, 2)), volume.sum().expand(len(angles)))


def test_positive_tilt_sends_z_to_x() -> None:
    axis = pixel_axis(21, 1.0)
    volume = torch.zeros((21, 21, 21))
    volume[15, 10, 10] = 1.0  # at z = 5
    turns = Rotation.from_euler(EULER_SEQUENCE, [[0, 90, 0], [0, 30, 0]], degrees=True)
    images = make_projector(Geometry(turns, axis, axis, axis, 1.0)).forward(volume)
    assert images[0, 10, 15] == pytest.approx(1.0, abs=1e-6)
    assert images[1, 10, 12] + images[1, 10, 13] == pytest.approx(1.0, abs=1e-6)


def test_geometry_of_a_measurement(measure: Callable[..., xr.Dataset]) -> None:
    atom = Atoms("Au", positions=[[1.0, 0.5, -0.5]])
    data = measure(atom, [-30.0, 0.0, 30.0], shape=(20, 32))
    geometry = Geometry.of(data)
    assert geometry.volume_shape == (32, 20, 32)
    np.testing.assert_array_equal(geometry.x, data["x"].values)
    np.testing.assert_array_equal(geometry.y, data["y"].values)
    assert Geometry.of(measure(atom, [-30.0, 0.0, 30.0], phi=5.0, shape=(40, 32))).volume_shape == (
        40,
        40,
        32,
    )
