"""Dense random packing."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from datasets.corpus.packing import FRACTION, random_packing


@settings(max_examples=15, deadline=None)
@given(
    n=st.integers(20, 200), small=st.floats(2.0, 3.0), ratio=st.floats(1.0, 1.3), seed=st.integers(0, 1000)
)
def test_spheres_hardly_overlap_and_fill_the_ball(n: int, small: float, ratio: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    diameters = np.where(rng.random(n) < 0.5, small, small * ratio)
    points = random_packing(n, diameters, rng)
    pairs = cKDTree(points).query_pairs(float(diameters.max()), output_type="ndarray")
    distance = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    overlap = 1 - distance / diameters[pairs].mean(axis=1)
    assert overlap.max(initial=0) < 0.2
    radius = (np.sum(diameters**3) / FRACTION / 8) ** (1 / 3)
    assert np.linalg.norm(points, axis=1).max() < radius + 0.5 * small


def test_there_is_no_crystal_in_it() -> None:
    """Of a close-packed crystal the second shell lies at √2 of the first; a packing has hardly anything
    there.
    """
    points = random_packing(300, np.full(300, 2.5), np.random.default_rng(0))
    distance = cKDTree(points).sparse_distance_matrix(cKDTree(points), 4.5, output_type="ndarray")["v"]
    near = ((distance > 3.4) & (distance < 3.7)).sum()
    beyond = ((distance > 4.2) & (distance < 4.5)).sum()
    assert near < 0.6 * beyond
