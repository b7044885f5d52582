"""Sampled errors: against the normal posterior where doses are so high that it is one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from benchmarks.limits.endless_sheet import BASIS, EDGES
from benchmarks.limits.graphene import sheet_bound
from benchmarks.limits.posterior import PosteriorError, posterior_error
from datasets.schema import pixel_axis
from recon.graphene.multislice import FrameModel, Lens

AXIS = pixel_axis(72, 0.18)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def _patch() -> np.ndarray:  # type: ignore[type-arg]
    corners = np.stack(np.meshgrid(np.arange(3), np.arange(3)), axis=-1).reshape(-1, 2) @ EDGES
    plane = (corners[:, None] + BASIS).reshape(-1, 2)
    plane -= plane.mean(axis=0)
    return np.column_stack([plane, 0.4 * np.sin(2 * np.pi * plane[:, 0] / 9)])


def test_at_a_high_dose_sheets_spread_as_the_bound_says() -> None:
    model = FrameModel(AXIS, AXIS, Lens(80e3, 80.0, 1e4, 10.0), dose=3e8)
    found = posterior_error(model, _patch(), 300.0, np.random.default_rng(1), n_frames=4, n_samples=400)
    bound = sheet_bound(model, _patch()).levelled()  # at this dose the frame says all
    assert float(found.spread.mean()) == pytest.approx(bound, rel=0.15)
    assert found.mean()[0] == pytest.approx(bound, rel=0.35)  # 4 frames × 15 heights: 9 % and the walk's


def test_the_mean_of_frames_and_its_standard_error() -> None:
    ones = np.ones(3)
    assert PosteriorError(ones, ones, ones).mean() == (1.0, 0.0)
    assert PosteriorError(ones[:1], ones[:1], ones[:1]).mean() == (1.0, math.inf)
    error, standard_error = PosteriorError(np.array([1.0, 2.0, 3.0]), ones, ones).mean()
    assert error == pytest.approx(math.sqrt(14 / 3))
    assert standard_error == pytest.approx(np.std([1, 4, 9], ddof=1) / math.sqrt(3) / (2 * error))
