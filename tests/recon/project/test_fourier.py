"""Projection by the Fourier slice theorem: exact adjoints, and the projections of things that are known."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from datasets.errors import InputError
from datasets.schema import EULER_SEQUENCE, pixel_axis
from recon.project.fourier import FourierProjector, make_fourier_projector
from recon.project.fourier_general import GeneralFourierProjector
from recon.project.fourier_grid import Interpolation
from recon.project.geometry import Geometry
from recon.project.projector import make_projector

SINGLE = [(0.0, t, 0.0) for t in (-70.0, -20.0, 0.0, 35.0, 90.0)]
GENERAL = [(0.0, 30.0, 0.0), (25.0, 12.0, 0.0), (0.0, 0.0, -40.0), (110.0, -60.0, 15.0)]
INTERPOLATIONS: list[Interpolation] = ["kaiser_bessel", "linear"]
SIZES = st.integers(1, 9)


@st.composite
def geometries(draw: st.DrawFn, single_axis: bool) -> Geometry:
    angle = st.floats(-180, 180)
    tilt = st.tuples(st.just(0.0), angle, st.just(0.0)) if single_axis else st.tuples(angle, angle, angle)
    angles = draw(st.lists(tilt, min_size=1, max_size=3))
    pixel = draw(st.floats(0.1, 2.0))
    x, y, z = (pixel_axis(draw(SIZES), pixel) + draw(st.floats(-3, 3)) for _ in range(3))
    return Geometry(Rotation.from_euler(EULER_SEQUENCE, angles, degrees=True), x, y, z, pixel)


@pytest.mark.parametrize("single_axis", [True, False])
@settings(max_examples=20, deadline=None)
@given(
    data=st.data(), oversample=st.sampled_from([1.5, 2.0, 3.0]), interpolation=st.sampled_from(INTERPOLATIONS)
)
def test_adjoint_is_exact(
    single_axis: bool, data: st.DataObject, oversample: float, interpolation: Interpolation
) -> None:
    geometry = data.draw(geometries(single_axis))
    for dtype, limit in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
        projector = make_fourier_projector(
            geometry, oversample=oversample, interpolation=interpolation, dtype=dtype
        )
        generator = torch.Generator().manual_seed(0)
        volume = torch.randn(geometry.volume_shape, dtype=dtype, generator=generator)
        projections = torch.randn(geometry.projection_shape, dtype=dtype, generator=generator)
        one = (projector.forward(volume).double() * projections.double()).sum()
        other = (volume.double() * projector.adjoint(projections).double()).sum()
        assert float((one - other).abs()) < limit * float(
            volume.double().norm() * projections.double().norm() + 1
        )


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


def uneven(angles: list[tuple[float, float, float]]) -> Geometry:
    """Axes that differ and hold no zero: only coordinates can tell where the origin is."""
    turns = Rotation.from_euler(EULER_SEQUENCE, angles, degrees=True)
    x, y, z = pixel_axis(40, 0.3) + 0.37, pixel_axis(35, 0.3) - 0.21, pixel_axis(43, 0.3) + 0.11
    return Geometry(turns, x, y, z, 0.3)


POSITIONS = np.array([[2.0, 1.0, -1.5], [-1.0, -2.0, 2.2], [0.0, 0.0, 0.0]])


@pytest.mark.parametrize("angles", [SINGLE, GENERAL])
@pytest.mark.parametrize(
    ("interpolation", "oversample", "limit"),
    [("kaiser_bessel", 2, 3e-3), ("kaiser_bessel", 3, 1.5e-3), ("linear", 3, 0.035), ("linear", 4, 0.02)],
)
def test_projection_of_gaussian_atoms_is_analytic(
    angles: list[tuple[float, float, float]], interpolation: Interpolation, oversample: float, limit: float
) -> None:
    """No splat widens them: ten times nearer than in real space, with the better interpolation."""
    geometry, sigma = uneven(angles), 0.6
    projector = make_fourier_projector(
        geometry, oversample=oversample, interpolation=interpolation, dtype=torch.float64
    )
    images = projector.forward(torch.as_tensor(gaussian_volume(POSITIONS, geometry, sigma))).numpy()
    for turn, image in zip(geometry.rotations, images, strict=True):
        rotated = turn.apply(POSITIONS)
        along_x = np.exp(-0.5 * ((geometry.x - rotated[:, :1]) / sigma) ** 2)
        along_y = np.exp(-0.5 * ((geometry.y - rotated[:, 1:2]) / sigma) ** 2)
        expected = (0.3 / sigma) ** 2 / (2 * np.pi) * np.einsum("ay,ax->yx", along_y, along_x)
        assert np.abs(image - expected).max() < limit * expected.max()


@pytest.mark.parametrize("angles", [SINGLE, GENERAL])
def test_agrees_with_the_projector_in_real_space(angles: list[tuple[float, float, float]]) -> None:
    geometry = uneven(angles)
    volume = torch.as_tensor(gaussian_volume(POSITIONS, geometry, 1.0))
    fourier = make_fourier_projector(geometry, dtype=torch.float64)
    real = make_projector(geometry, oversample=3, dtype=torch.float64)
    one, other = fourier.forward(volume), real.forward(volume)
    assert (one - other).abs().max() < 0.03 * other.max()
    back, straight = fourier.adjoint(other), real.adjoint(other)
    assert (back - straight).abs().max() < 0.03 * straight.max()


def test_slices_agree_with_the_whole_spectrum() -> None:
    geometry, cpu = uneven(SINGLE), torch.device("cpu")
    volume = torch.as_tensor(gaussian_volume(POSITIONS, geometry, 0.8))
    one, other = (
        kind(geometry, oversample=3, interpolation="kaiser_bessel", dtype=torch.float64, device=cpu)
        for kind in (FourierProjector, GeneralFourierProjector)
    )
    images = one.forward(volume)
    assert (images - other.forward(volume)).abs().max() < 2e-3 * images.max()
    back = one.adjoint(images)
    assert (back - other.adjoint(images)).abs().max() < 2e-3 * back.max()


@pytest.mark.parametrize("phi", [0.0, 5.0])
def test_what_leaves_the_image_does_not_come_back(phi: float) -> None:
    """An atom that a tilt by 45° takes out of the image, on either side, leaves it empty."""
    axis, short = pixel_axis(48, 0.5), pixel_axis(12, 0.5)
    angles = [(phi, 0.0, 0.0), (phi, 45.0, 0.0), (phi, -135.0, 0.0)]
    geometry = Geometry(Rotation.from_euler(EULER_SEQUENCE, angles, degrees=True), axis, short, axis, 0.5)
    atom = torch.as_tensor(gaussian_volume(np.array([[10.0, 0.0, 10.0]]), geometry, 0.5))
    images = make_fourier_projector(geometry, dtype=torch.float64).forward(atom)
    assert float(images[1:].abs().max()) < 0.01 * float(images[0].max())


@pytest.mark.parametrize("angles", [SINGLE, GENERAL])
def test_a_projection_keeps_the_sum_of_what_is_inside(angles: list[tuple[float, float, float]]) -> None:
    geometry = uneven(angles)
    volume = torch.as_tensor(gaussian_volume(POSITIONS, geometry, 0.6))
    images = make_fourier_projector(geometry, dtype=torch.float64).forward(volume)
    torch.testing.assert_close(images.sum(dim=(1, 2)), volume.sum().expand(len(angles)), rtol=2e-3, atol=0)


@pytest.mark.parametrize("angles", [SINGLE, GENERAL])
def test_a_subset_is_the_same_projector_of_fewer_tilts(angles: list[tuple[float, float, float]]) -> None:
    geometry = uneven(angles)
    projector = make_fourier_projector(geometry, dtype=torch.float64)
    volume = torch.rand(geometry.volume_shape, dtype=torch.float64)
    fewer = projector.subset([2, 0])
    assert fewer.geometry.projection_shape[0] == 2
    torch.testing.assert_close(fewer.forward(volume), projector.forward(volume)[[2, 0]], rtol=0, atol=1e-9)


def test_largest_eigenvalue_leaves_room_for_the_step() -> None:
    """Steps of RESIRE up to 2 (the published one) converge: AᵀA stays below n_tilt n_z."""
    axis = pixel_axis(24, 0.4)
    turns = Rotation.from_euler("y", np.linspace(-75, 75, 12)[:, None], degrees=True)
    for interpolation in INTERPOLATIONS:
        projector = make_fourier_projector(
            Geometry(turns, axis, pixel_axis(2, 0.4), axis, 0.4),
            interpolation=interpolation,
            dtype=torch.float64,
        )
        vector = torch.rand(projector.geometry.volume_shape, dtype=torch.float64)
        for _ in range(30):
            vector = projector.adjoint(projector.forward(vector / vector.norm()))
        assert 0.85 < float(vector.norm()) / (12 * 24) < 1.0


def test_bad_parameters_are_named() -> None:
    geometry = uneven(SINGLE)
    with pytest.raises(InputError, match="at least 1\\.5 for kaiser_bessel"):
        make_fourier_projector(geometry, oversample=1)
    with pytest.raises(InputError, match="at least 1 for linear"):
        make_fourier_projector(geometry, oversample=0.5, interpolation="linear")
    with pytest.raises(InputError, match="device"):
        make_fourier_projector(geometry, device="abacus")
    with pytest.raises(InputError, match="about y only"):
        FourierProjector(
            uneven(GENERAL),
            oversample=2,
            interpolation="linear",
            dtype=torch.float32,
            device=torch.device("cpu"),
        )
