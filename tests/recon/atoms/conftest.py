"""Series of noise without an atom."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from datasets.schema import pixel_axis
from recon.atoms.halo import Halo
from recon.atoms.poisson_fit import Series, state_of
from recon.atoms.selection import Evidence, evidence
from recon.project.geometry import Geometry
from recon.project.projector import make_projector

PIXEL, WIDTH = 0.4, 0.6
TURNS = Rotation.from_euler("Y", np.arange(-90, 90, 6.0)[:, None], degrees=True)


@pytest.fixture(scope="session")
def evidence_of_noise() -> Callable[[float, int], tuple[Evidence, np.ndarray]]:
    """The evidence in 30 images of so many electrons per pixel and nothing else, by level and seed, and the
    voxels whose information no edge of an image takes away; voxels of `PIXEL`, atoms of `WIDTH` Å.
    """

    def make(level: float, seed: int, n: int = 56) -> tuple[Evidence, np.ndarray]:
        axis = pixel_axis(n, PIXEL)
        counts = np.random.default_rng(seed).poisson(level, (len(TURNS), n, n)).astype(np.float32)
        geometry = Geometry(TURNS, axis, axis, axis, PIXEL)
        series = Series(counts, geometry, np.zeros((len(TURNS), 2)), np.ones(len(TURNS)), Halo())
        state = state_of(series, np.empty((0, 3)), np.empty(0), WIDTH, level)
        found = evidence(series, state, make_projector(geometry), 1.0)
        z, y, x = np.meshgrid(*(3 * [axis]), indexing="ij")
        return found, (np.hypot(z, x) < 9) & (np.abs(y) < 9)

    return make
