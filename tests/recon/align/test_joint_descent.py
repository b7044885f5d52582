"""Joint descent in volume and angles: the truth is its fixed point, and it finds its way there."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from recon.align.alignment import Alignment
from recon.align.joint_descent import joint_descent
from recon.project.sparse import SparseProjector
from recon.tomography.fista import fista


@pytest.fixture
def consistent(misaligned: Callable[..., Any]) -> tuple[SparseProjector, torch.Tensor, np.ndarray]:
    """A projector, a volume, and the volume's own projections."""
    series = misaligned(n_atom=20, n_tilt=8, n_pixel=32)
    projector = SparseProjector(series.nominal, dtype=torch.float64)
    volume = fista(projector, torch.from_numpy(series.images), 30)
    return projector, volume, projector.forward(volume).numpy()


def test_the_truth_is_a_fixed_point(
    consistent: tuple[SparseProjector, torch.Tensor, np.ndarray],
) -> None:
    projector, volume, images = consistent
    nominal = projector.geometry.rotations
    start = Alignment.identity(nominal)
    turns, found = joint_descent(projector, images, start, volume, 20, expected_error=0.5)
    assert (turns * nominal.inv()).magnitude().max() < 1e-9
    np.testing.assert_allclose(found.shifts, 0, atol=1e-9)
    np.testing.assert_allclose(found.scales, 1, atol=1e-9)
    assert found.rounds == len(found.history) == 2
    assert max(found.history) < 1e-9


def test_back_to_the_truth_from_the_true_volume(
    consistent: tuple[SparseProjector, torch.Tensor, np.ndarray],
) -> None:
    projector, volume, images = consistent
    true = projector.geometry.rotations
    errors = np.deg2rad(0.3) * np.random.default_rng(0).normal(size=(len(images), 3))
    projector.turn(replace(projector.geometry, rotations=Rotation.from_rotvec(errors) * true))
    start = Alignment.identity(projector.geometry.rotations)
    turns, found = joint_descent(projector, images, start, volume, 10, expected_error=0.5, nuisance=False)
    rest = (turns * true.inv()).as_rotvec()
    assert np.sqrt(np.mean(rest**2)) < 0.3 * np.sqrt(np.mean(errors**2))
    assert not found.shifts.any()


def test_a_narrow_prior_holds_the_angles(
    consistent: tuple[SparseProjector, torch.Tensor, np.ndarray],
) -> None:
    projector, volume, images = consistent
    nominal = projector.geometry.rotations
    noisy = images + np.random.default_rng(0).normal(scale=0.1 * images.max(), size=images.shape)
    start = Alignment.identity(nominal)
    moved = []
    for expected in (1e-3, 5.0):
        projector.turn(replace(projector.geometry, rotations=nominal))
        turns, _ = joint_descent(projector, noisy, start, volume, 5, expected_error=expected)
        moved.append(np.rad2deg((turns * nominal.inv()).magnitude().max()))
    assert moved[0] < 2e-3
    assert moved[1] > 0.1
