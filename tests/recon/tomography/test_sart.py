"""SART where its answer is known, and how soon it gets there; shared laws are in `test_iterative`."""

from typing import Any

import pytest
import torch
from scipy.spatial.transform import Rotation

from datasets.errors import InputError
from datasets.schema import pixel_axis
from recon.project.geometry import Geometry
from recon.project.projector import make_projector
from recon.tomography.r_factor import r_factor
from recon.tomography.sart import SART, sart
from recon.tomography.sirt import sirt


def test_one_tilt_is_explained_at_once() -> None:
    axis = pixel_axis(7, 0.5)
    projector = make_projector(Geometry(Rotation.identity(1), axis, axis, axis, 0.5), dtype=torch.float64)
    projections = torch.rand(1, 7, 7, dtype=torch.float64)
    volume = sart(projector, projections, 1, relaxation=1.0)
    torch.testing.assert_close(projector.forward(volume), projections)
    torch.testing.assert_close(volume, sirt(projector, projections, 1))


def test_ten_sweeps_do_what_a_hundred_iterations_of_sirt_do(problem: Any) -> None:
    quick = sart(problem.projector, problem.projections, 10, relaxation=1.0)
    slow = sirt(problem.projector, problem.projections, 100)
    reached, known = (
        r_factor(problem.projector.forward(volume), problem.projections) for volume in (quick, slow)
    )
    assert reached < known


def test_relaxation_is_bounded() -> None:
    with pytest.raises(InputError, match="relaxation"):
        SART(relaxation=2.0)
