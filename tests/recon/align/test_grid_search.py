"""The published grid finds what lies on it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from datasets.schema import EULER_SEQUENCE
from recon.align.alignment import euler_angles
from recon.align.grid_search import grid_search
from recon.project.sparse import SparseProjector
from recon.tomography.fista import fista


def test_offsets_on_the_grid_are_found(misaligned: Callable[..., Any]) -> None:
    series = misaligned(n_atom=20, n_pixel=32, n_tilt=4)
    truth = SparseProjector(series.nominal)
    volume = fista(truth, torch.from_numpy(series.images).float(), 20)
    angles = euler_angles(series.nominal.rotations)
    offsets = 0.1 * np.array([[1, -1, 0], [0, 1, 1], [-1, 0, 1], [0, 0, 0]])
    turned = replace(
        series.nominal, rotations=Rotation.from_euler(EULER_SEQUENCE, angles - offsets, degrees=True)
    )
    found = grid_search(SparseProjector(turned), volume, truth.forward(volume), n_offset=3, step=0.1)
    np.testing.assert_allclose(euler_angles(found), angles, atol=1e-6)
