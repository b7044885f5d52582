"""What can be told from noise, against an exact count and against what must hold."""

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from benchmarks.limits.detectable import Detectable, detectable, dose_to_trace
from benchmarks.limits.kernels import AtomKernels
from benchmarks.limits.model import ImageModel, TiltSeries
from benchmarks.limits.problem import LimitProblem
from datasets.schema import pixel_axis

BACKGROUND = 0.5


@pytest.fixture(scope="module")
def problem() -> LimitProblem:
    """27 atoms on a lattice of 2.8 Å, Gaussian, in 20 images."""
    points = 2.8 * np.stack(np.meshgrid(*(3 * [np.arange(-1.0, 2.0)])), axis=-1).reshape(-1, 3)
    turns = Rotation.from_euler("Y", np.arange(-90, 90, 9.0)[:, None], degrees=True)
    series = TiltSeries.of(turns, pixel_axis(32, 0.4))
    kernels = AtomKernels.gaussian(("Si",), [1e-2], [0.5], 2.5)
    model = ImageModel(points, np.zeros(27, dtype=np.int64), np.ones(27), kernels, series)
    return LimitProblem(model, model.images(), BACKGROUND, ("Si",) * 27)


def test_more_dose_finds_more(problem: LimitProblem) -> None:
    errors = [detectable(problem, dose).tracing_error for dose in (30.0, 100.0, 300.0, 1e3)]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 0.1
    assert errors[-1] < 1e-3


def test_the_dose_is_where_the_error_is(problem: LimitProblem) -> None:
    dose = dose_to_trace(0.05, lambda dose: detectable(problem, dose))
    assert detectable(problem, dose).tracing_error == pytest.approx(0.05, rel=0.1)


def test_what_no_dose_reaches() -> None:
    assert math.isinf(dose_to_trace(0.05, lambda dose: Detectable(dose, 0.5, 0.0)))
