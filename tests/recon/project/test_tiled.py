"""The tiled loops are the matrix of the splat, however rows are cut and shared out."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from datasets.schema import EULER_SEQUENCE, pixel_axis
from recon.project.footprint import make_footprint
from recon.project.geometry import Geometry
from recon.project.single_axis import SingleAxisProjector, _matrix
from recon.project.tiled import LANES, MOST_LANES, blocks


def geometry(n_z: int, n_y: int, n_x: int) -> Geometry:
    turns = Rotation.from_euler(EULER_SEQUENCE, [[0, t, 0] for t in (-70, -20, 0, 33, 90)], degrees=True)
    z, y, x = (pixel_axis(n, 0.5) for n in (n_z, n_y, n_x))
    return Geometry(turns, x, y, z, 0.5)


def projector(chosen: Geometry, oversample: int) -> SingleAxisProjector:
    cpu = torch.device("cpu")
    return SingleAxisProjector(chosen, oversample=oversample, dtype=torch.float64, device=cpu)


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("oversample", [1, 2, 3, 4])
@pytest.mark.parametrize("shape", [(9, 5, 17), (20, 3, 6)])
def test_both_products_are_those_of_the_matrix(oversample: int, shape: tuple[int, int, int]) -> None:
    chosen = geometry(*shape)
    made, matrix = projector(chosen, oversample), _matrix(chosen, oversample)
    volume = torch.randn(shape, dtype=torch.float64)
    images = torch.randn(chosen.projection_shape, dtype=torch.float64)
    forward = (matrix @ volume.numpy().transpose(0, 2, 1).reshape(-1, shape[1])).reshape(5, -1, shape[1])
    adjoint = (matrix.T @ images.numpy().transpose(0, 2, 1).reshape(-1, shape[1])).reshape(
        shape[0], -1, shape[1]
    )
    np.testing.assert_allclose(made.forward(volume), forward.transpose(0, 2, 1), atol=1e-12)
    np.testing.assert_allclose(made.adjoint(images), adjoint.transpose(0, 2, 1), atol=1e-12)


@pytest.mark.usefixtures("two_threads")
def test_threads_and_blocks_do_not_show() -> None:
    """Every row goes through the same sums in the same order, whoever does it."""
    chosen = geometry(12, 40, 12)
    made = projector(chosen, 2)
    volume = torch.rand(chosen.volume_shape, dtype=torch.float64)
    shared = made.forward(volume), made.adjoint(made.forward(volume))
    torch.set_num_threads(1)
    alone = made.forward(volume), made.adjoint(made.forward(volume))
    for one, other in zip(shared, alone, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_a_value_that_is_not_finite_is_not_lost() -> None:
    made = projector(geometry(12, 4, 12), 2)
    volume = made.zeros()
    volume[5, 2, 5] = torch.nan
    assert made.forward(volume)[:, 2].isnan().any(dim=1).all()


@given(n_rows=st.integers(1, 3000), threads=st.integers(1, 64))
def test_blocks_hold_every_row(n_rows: int, threads: int) -> None:
    count, width = blocks(n_rows, threads)
    assert width % LANES == 0
    assert width <= MOST_LANES
    assert count * width >= n_rows
    assert (count - 1) * (width - LANES) <= n_rows


def test_shares_of_a_voxel_add_up_to_one() -> None:
    footprint = make_footprint(geometry(9, 1, 17), 3, np.float64)
    held = footprint.first >= 0
    np.testing.assert_allclose(footprint.shares.sum(axis=-1)[held], 1.0, atol=1e-12)
    assert (footprint.shares[~held] == 0).all()
