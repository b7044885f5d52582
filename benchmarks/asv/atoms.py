"""Seconds of tracing a volume of atoms, of refining them against images and of matching 2,000 atoms; the
errors of tracing and of refining."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr
from ase.build import bulk
from scipy.spatial.transform import Rotation

from benchmarks.metrics.match import match_positions
from benchmarks.metrics.position import position_scores
from datasets.schema import pixel_axis
from recon.atoms.refine import refine
from recon.atoms.trace import trace
from recon.project.gaussian_atoms import GaussianAtoms
from recon.project.geometry import Geometry

LATTICE = 4.08
"""Å, fcc gold."""
DISPLACEMENT = 0.1
"""Å rms per axis: no two neighbourhoods are alike."""
WIDTH = 0.6
"""Å, the Gaussian width of an atom in a volume."""
VOXEL_SIZE = 0.35
MIN_DISTANCE = 1.9


def particle(n_atoms: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """The `n_atoms` sites of a gold crystal nearest to the origin, displaced; (n_atoms, 3) as x, y, z [Å]."""
    sites = (bulk("Au", "fcc", a=LATTICE, cubic=True) * (12, 12, 12)).positions
    sites = sites - sites.mean(axis=0)
    nearest = sites[np.argsort(np.linalg.norm(sites, axis=1), kind="stable")[:n_atoms]]
    return nearest + rng.normal(0.0, DISPLACEMENT, nearest.shape)


def gaussian_volume(positions: npt.NDArray[np.float64], n: int) -> xr.DataArray:
    """The volume (n, n, n) of Gaussian atoms at `positions`, dims (z, y, x)."""
    axis = pixel_axis(n, VOXEL_SIZE)
    along = np.exp(-0.5 * ((axis - positions[:, :, np.newaxis]) / WIDTH) ** 2).astype(np.float32)
    values = np.einsum("az,ay,ax->zyx", along[:, 2], along[:, 1], along[:, 0], optimize=True)
    return xr.DataArray(values, dims=("z", "y", "x"), coords=dict.fromkeys("zyx", axis))


class Tracing:
    """321 atoms in 80³ voxels."""

    def setup(self) -> None:
        """Make the volume, and compile what is compiled."""
        self.positions = particle(321, np.random.default_rng(1))
        self.volume = gaussian_volume(self.positions, 80)
        trace(gaussian_volume(self.positions[:1], 12), min_distance=MIN_DISTANCE)

    def time_trace(self) -> None:
        """Interpolate, find the maxima, fit them."""
        trace(self.volume, min_distance=MIN_DISTANCE)

    def track_trace_rmsd(self) -> float:
        """What fitting a polynomial to overlapping Gaussians costs when there is no noise."""
        peaks = trace(self.volume, min_distance=MIN_DISTANCE)
        return position_scores(match_positions(peaks.positions, self.positions))["rmsd"]

    track_trace_rmsd.unit = "pm"  # type: ignore[attr-defined]


class Refining:
    """321 atoms on 40 images of 80² pixels, counted with noise, from 0.2 Å off per axis."""

    def setup(self) -> None:
        """Count the images, and compile what is compiled."""
        rng = np.random.default_rng(3)
        self.positions = particle(321, rng)
        axis = pixel_axis(80, VOXEL_SIZE)
        turns = Rotation.from_euler("y", np.linspace(-78.0, 78.0, 40)[:, np.newaxis], degrees=True)
        self.geometry = Geometry(turns, axis, axis, axis, VOXEL_SIZE)
        rows = np.ascontiguousarray(turns.as_matrix()[:, :2])
        atoms = GaussianAtoms.at(
            self.positions / VOXEL_SIZE,
            np.full(321, WIDTH / VOXEL_SIZE),
            rows,
            np.full(2, axis[0] / VOXEL_SIZE),
            (80, 80),
        )
        self.images = rng.poisson(atoms.project(np.full(321, 500.0))).astype(np.float64)
        self.start = self.positions + rng.normal(0.0, 0.2, self.positions.shape)
        self.labels = np.zeros(321, dtype=np.int64)
        refine(self.start, self.labels, self.images, self.geometry, n_iter=1)

    def time_refine(self) -> None:
        """Gauss–Newton steps until the atoms rest."""
        refine(self.start, self.labels, self.images, self.geometry)

    def track_refine_rmsd(self) -> float:
        """What counting noise leaves."""
        found = refine(self.start, self.labels, self.images, self.geometry)
        return position_scores(match_positions(found.positions, self.positions))["rmsd"]

    track_refine_rmsd.unit = "pm"  # type: ignore[attr-defined]


class Matching:
    """2,000 atoms, of which the answer misses one in twenty, has as many false ones, and is displaced."""

    def setup(self) -> None:
        """Make truth and answer."""
        rng = np.random.default_rng(2)
        self.truth = particle(2000, rng)
        found = self.truth[rng.permutation(2000)[:1900]] + rng.normal(0.0, 0.2, (1900, 3))
        false = rng.uniform(-18.0, 18.0, (100, 3))
        self.answer = np.concatenate([found, false]) + np.array([0.2, -0.1, 0.15])

    def time_match(self) -> None:
        """Assignment and translation together."""
        match_positions(self.answer, self.truth)
