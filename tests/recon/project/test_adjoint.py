"""Both projectors are linear maps with exact adjoints, for any geometry."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from datasets.errors import InputError
from datasets.schema import EULER_SEQUENCE, pixel_axis
from recon.project.general import GeneralProjector
from recon.project.geometry import Geometry, sub_voxel_offsets
from recon.project.projector import make_projector
from recon.project.single_axis import SingleAxisProjector
from recon.project.sparse import SparseProjector

SIZES = st.integers(1, 9)
OFFSETS = st.floats(-3, 3)


@st.composite
def geometries(draw: st.DrawFn, single_axis: bool) -> Geometry:
    angle = st.floats(-180, 180)
    tilt = st.tuples(st.just(0.0), angle, st.just(0.0)) if single_axis else st.tuples(angle, angle, angle)
    angles = draw(st.lists(tilt, min_size=1, max_size=4))
    pixel = draw(st.floats(0.1, 2.0))
    x, y, z = (pixel_axis(draw(SIZES), pixel) + draw(OFFSETS) for _ in range(3))
    return Geometry(Rotation.from_euler(EULER_SEQUENCE, angles, degrees=True), x, y, z, pixel)


def mismatch(geometry: Geometry, oversample: int, dtype: torch.dtype) -> float:
    """|⟨A x, p⟩ − ⟨x, Aᵀ p⟩| relative to |x| |p| for random x and p."""
    projector = make_projector(geometry, oversample=oversample, dtype=dtype)
    generator = torch.Generator().manual_seed(0)
    volume = torch.randn(geometry.volume_shape, dtype=dtype, generator=generator)
    projections = torch.randn(geometry.projection_shape, dtype=dtype, generator=generator)
    one = (projector.forward(volume).double() * projections.double()).sum()
    other = (volume.double() * projector.adjoint(projections).double()).sum()
    return float((one - other).abs() / (volume.double().norm() * projections.double().norm()))


@pytest.mark.parametrize("single_axis", [True, False])
@settings(max_examples=30, deadline=None)
@given(data=st.data(), oversample=st.integers(1, 3))
def test_adjoint_is_exact(single_axis: bool, data: st.DataObject, oversample: int) -> None:
    geometry = data.draw(geometries(single_axis))
    assert mismatch(geometry, oversample, torch.float64) < 1e-12
    assert mismatch(geometry, oversample, torch.float32) < 1e-5


@settings(max_examples=30, deadline=None)
@given(geometry=geometries(single_axis=True), oversample=st.integers(1, 3))
def test_general_projector_agrees_with_the_single_axis_one(geometry: Geometry, oversample: int) -> None:
    cpu = torch.device("cpu")
    one = SingleAxisProjector(geometry, oversample=oversample, dtype=torch.float64, device=cpu)
    other = GeneralProjector(geometry, oversample=oversample, dtype=torch.float64, device=cpu)
    volume = torch.rand(geometry.volume_shape, dtype=torch.float64)
    torch.testing.assert_close(one.forward(volume), other.forward(volume), rtol=0, atol=1e-9)


def test_slabs_of_the_general_projector_do_not_show() -> None:
    axis = pixel_axis(12, 0.4)
    turns = Rotation.from_euler(EULER_SEQUENCE, [[10, 20, 30], [40, -50, 5]], degrees=True)
    geometry, cpu = Geometry(turns, axis, axis, axis, 0.4), torch.device("cpu")
    assert isinstance(make_projector(geometry), SparseProjector)
    projector = GeneralProjector(geometry, dtype=torch.float64, device=cpu)
    volume = torch.rand(projector.geometry.volume_shape, dtype=torch.float64)
    whole = projector.forward(volume)
    projector._slab = 5
    torch.testing.assert_close(projector.forward(volume), whole, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(
        (projector.adjoint(whole) * volume).sum(), (whole * whole).sum(), rtol=1e-12, atol=0
    )


def test_two_sub_voxels_are_the_published_offsets() -> None:
    np.testing.assert_allclose(
        sorted(map(tuple, sub_voxel_offsets(2))), [(-0.25, -0.25), (-0.25, 0.25), (0.25, -0.25), (0.25, 0.25)]
    )


def test_bad_geometry_is_named() -> None:
    axis = pixel_axis(4, 0.4)
    turn = Rotation.identity(1)
    with pytest.raises(InputError, match="axis 'y'"):
        Geometry(turn, axis, axis[::-1], axis, 0.4)
    with pytest.raises(InputError, match="oversample"):
        make_projector(Geometry(turn, axis, axis, axis, 0.4), oversample=0)
    with pytest.raises(InputError, match="device"):
        make_projector(Geometry(turn, axis, axis, axis, 0.4), device="abacus")


@pytest.mark.parametrize("kind", ["single axis", "compiled", "sampled"])
def test_a_subset_projects_its_tilts_and_no_others(kind: str) -> None:
    axis, psi = pixel_axis(10, 0.4), 0.0 if kind == "single axis" else 5.0
    turns = Rotation.from_euler(EULER_SEQUENCE, [[0, t, psi] for t in range(-60, 61, 20)], degrees=True)
    geometry = Geometry(turns, axis, pixel_axis(8, 0.4), axis, 0.4)
    whole = make_projector(geometry, oversample=2, dtype=torch.float64)
    if kind == "sampled":
        whole = GeneralProjector(geometry, oversample=2, dtype=torch.float64, device=torch.device("cpu"))
    volume = torch.rand(geometry.volume_shape, dtype=torch.float64)
    projections = whole.forward(volume)
    tilts = [4, 0, 5]
    part = whole.subset(tilts)
    assert type(part) is type(whole)
    np.testing.assert_allclose(part.geometry.rotations.as_matrix(), turns[tilts].as_matrix())
    torch.testing.assert_close(part.forward(volume), projections[tilts])
    others = part.adjoint(projections[tilts]) + whole.subset([1, 2, 3, 6]).adjoint(projections[[1, 2, 3, 6]])
    torch.testing.assert_close(others, whole.adjoint(projections))
    torch.testing.assert_close(whole.forward(volume), projections)
