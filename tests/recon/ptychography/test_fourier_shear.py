"""Turning volumes: known answers, adjoints, quarter turns."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from recon.ptychography.fourier_shear import cylinder, rotate, rotate_adjoint

N = 32
ANGLES = [
    (0, 30, 0),
    (0, -75, 0),
    (0, 90, 0),
    (0, 130, 0),
    (20, -60, 12),
    (0, 0, 40),
    (100, 0, 0),
    (30, -90, 0),
]


def gaussians(positions: npt.NDArray[np.float64]) -> torch.Tensor:
    """Gaussian atoms at `positions` (n, 3) [voxel] about voxel N // 2, [z, y, x]."""
    axis = np.arange(N) - N // 2
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    r = np.stack([x, y, z], axis=-1)
    return torch.as_tensor(
        sum(np.exp(-((r - place) ** 2).sum(axis=-1) / (2 * 1.4**2)) for place in positions)
    )


@pytest.mark.parametrize("angles", ANGLES)
def test_atoms_go_where_the_active_rotation_takes_them(angles: tuple[float, float, float]) -> None:
    positions = np.random.default_rng(0).uniform(-5, 5, (4, 3))
    turn = Rotation.from_euler("ZYX", angles, degrees=True)
    turned = rotate(gaussians(positions), turn)
    assert float((turned - gaussians(turn.apply(positions))).abs().max()) < 3e-4


@settings(max_examples=20, deadline=None)
@given(*[st.floats(-180, 180)] * 3, st.integers(0, 2**16))
def test_adjoint(phi: float, theta: float, psi: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    turn = Rotation.from_euler("ZYX", [phi, theta, psi], degrees=True)
    a, b = (torch.as_tensor(rng.normal(size=(12, 12, 12))) for _ in range(2))
    forth, back = (rotate(a, turn) * b).sum(), (a * rotate_adjoint(b, turn)).sum()
    assert float(forth) == pytest.approx(float(back), abs=1e-9)


def test_quarter_turns_permute_voxels_and_no_turn_is_none() -> None:
    volume = torch.as_tensor(np.random.default_rng(1).normal(size=(8, 8, 8)))
    quarter = Rotation.from_euler("ZYX", [0, 90, 0], degrees=True)
    turned = volume
    for _ in range(4):
        turned = rotate(turned, quarter)
    assert torch.equal(turned, volume)
    assert sorted(rotate(volume, quarter).flatten().tolist()) == sorted(volume.flatten().tolist())
    assert torch.equal(rotate(volume, Rotation.identity()), volume)


def test_what_lies_in_the_cylinder_stays_in_the_cube() -> None:
    inside = torch.as_tensor(cylinder(N).astype(np.float64))
    smooth = gaussians(np.array([[0.0, 0.0, 0.0]])) * inside
    turned = rotate(smooth, Rotation.from_euler("ZYX", [0, 44, 0], degrees=True))
    assert float(turned.sum()) == pytest.approx(float(smooth.sum()), rel=1e-9)
    edge = turned.clone()
    edge[1:-1, :, 1:-1] = 0
    assert float(edge.abs().max()) < 1e-3
