"""Shapes: roughness, volume, the deepest points."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.structures.shapes import SmoothShape


@given(seed=st.integers(0, 2**32), roughness=st.floats(0.0, 0.12))
@settings(max_examples=10, deadline=None)
def test_roughness_is_the_rms_of_the_relative_radius(seed: int, roughness: float) -> None:
    shape = SmoothShape.draw(roughness, np.random.default_rng(seed))
    directions = np.random.default_rng(0).normal(size=(20_000, 3))
    radius = shape.relative_radius(directions)
    assert radius.mean() == pytest.approx(1, abs=0.01)
    assert radius.std() == pytest.approx(roughness, abs=0.01)
    np.testing.assert_allclose(radius, shape.relative_radius(3 * directions), rtol=1e-12)


def test_the_deepest_points_fill_the_box_that_is_foretold() -> None:
    """Points at a density of 1: as many as the volume, and they reach as far as the box."""
    shape = SmoothShape.draw(0.1, np.random.default_rng(4))
    points = np.random.default_rng(1).uniform(-20, 20, size=(40**3, 3))
    inside = points[shape.deepest(points, 8000)]
    low, high = shape.reach(8000.0)
    np.testing.assert_allclose(inside.min(axis=0), low, atol=0.8)
    np.testing.assert_allclose(inside.max(axis=0), high, atol=0.8)
    assert (np.diff(shape.size(inside)) >= 0).all()


def test_a_sphere() -> None:
    low, high = SmoothShape.draw(0.0, np.random.default_rng(0)).reach(4 * np.pi / 3 * 5**3)
    np.testing.assert_allclose([-low, high], 5, rtol=1e-3)
