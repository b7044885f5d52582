"""A small consistent problem: projections that the projector itself made."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from datasets.schema import EULER_SEQUENCE, pixel_axis
from recon.project.geometry import Geometry
from recon.project.projector import Projector, make_projector


@dataclass
class Problem:
    projector: Projector
    truth: torch.Tensor
    projections: torch.Tensor


@pytest.fixture(params=["single axis", "general"])
def problem(request: pytest.FixtureRequest) -> Problem:
    """Smooth blobs, 24 × 20 × 24 voxels, 12 tilts, float64."""
    phi, psi = (0.0, 0.0) if request.param == "single axis" else (7.0, -4.0)
    angles = [(phi, theta, psi) for theta in np.linspace(-80, 80, 12)]
    turns = Rotation.from_euler(EULER_SEQUENCE, angles, degrees=True)
    x, y = pixel_axis(24, 0.5), pixel_axis(20, 0.5)
    projector = make_projector(Geometry(turns, x, y, x, 0.5), dtype=torch.float64)
    centres = np.random.default_rng(0).uniform(-3, 3, (6, 3))
    parts = [np.exp(-0.5 * ((axis - centres[:, i : i + 1]) / 0.8) ** 2) for i, axis in enumerate((x, y, x))]
    truth = torch.as_tensor(np.einsum("ax,ay,az->zyx", *parts))
    return Problem(projector, truth, projector.forward(truth))
