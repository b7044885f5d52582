"""Sheets of graphene whose frames are computed by the project's own forward model."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch
import xarray as xr
from ase import Atoms
from scipy.optimize import minimize

from datasets.schema import make_measurement, pixel_axis
from recon.graphene.multislice import FrameModel, Lens
from recon.graphene.prior import Sheet
from recon.graphene.topology import bonds

PIXEL, BOND = 0.18, 1.42
LENS = Lens(80e3, defocus=-20.0, Cs=-2e4, focal_spread=30.0)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def rippled_sheet(
    width: float = 18.0, *, height: float = 0.0, turn: float = 0.0, scatter: float = 0.0, seed: int = 0
) -> Atoms:
    """A round flake of `width` [Å] turned by `turn` [deg], with one ripple of rms `height` along x and y
    each.
    """
    cell = np.array([[1.5, np.sqrt(3) / 2], [1.5, -np.sqrt(3) / 2]]) * BOND
    n = np.arange(-20, 21)
    corners = np.stack(np.meshgrid(n, n, indexing="ij"), axis=-1).reshape(-1, 2) @ cell
    plane = np.concatenate([corners + np.array([s * BOND / 2, 0]) for s in (1, -1)])
    angle = np.deg2rad(turn)
    plane = plane @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    plane = plane[np.hypot(*plane.T) < width / 2] + [0.31, -0.17]
    z = height * (np.sin(2 * np.pi * plane[:, 0] / width) + np.cos(2 * np.pi * plane[:, 1] / width))
    moved = np.random.default_rng(seed).normal(scale=scatter, size=plane.shape) if scatter else 0.0
    return Atoms(f"C{len(plane)}", np.column_stack([plane + moved, z - z.mean()]))


@pytest.fixture(scope="session")
def sheet() -> Callable[..., Atoms]:
    return rippled_sheet


def relaxed_sheet(width: float, height: float) -> Atoms:
    """A flake of `width` with ripples of rms `height` [Å] whose bonds are relaxed, its heights held."""
    atoms = rippled_sheet(width, height=height)
    bonded = Sheet(bonds(atoms.positions))

    def energy(plane: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        positions = np.column_stack([plane.reshape(-1, 2), atoms.positions[:, 2]])
        value, gradient = bonded.energy(positions)
        return value, gradient[:, :2].ravel()

    found = minimize(energy, atoms.positions[:, :2].ravel(), jac=True, method="L-BFGS-B")
    atoms.positions[:, :2] = found.x.reshape(-1, 2)
    return atoms


@pytest.fixture(scope="session")
def relaxed() -> Callable[[float, float], Atoms]:
    return relaxed_sheet


@pytest.fixture(scope="session")
def frame_of() -> Callable[..., xr.Dataset]:
    """An hrtem measurement of some atoms; noise-free unless a `seed` is given."""

    def make(
        atoms: Atoms,
        *,
        dose: float = 8e3,
        n: int = 128,
        lens: Lens = LENS,
        seed: int | None = None,
        n_frames: int = 1,
    ) -> xr.Dataset:
        axis = pixel_axis(n, PIXEL)
        model = FrameModel(axis, axis, lens, dose=dose)
        with torch.no_grad():
            image = (
                model.expected(torch.as_tensor(atoms.positions, dtype=torch.float32)).numpy().astype(float)
            )
        frames: npt.NDArray[np.float64] = np.stack([image] * n_frames)
        if seed is not None:
            frames = np.random.default_rng(seed).poisson(frames).astype(np.float64)
        return make_measurement(
            "hrtem",
            frames,
            {"time": np.arange(float(n_frames)), "x": axis, "y": axis},
            dose_per_area=dose,
            pixel_size=PIXEL,
            background=0.0,
            elements=["C"],
            optics={
                "energy_eV": lens.energy,
                "defocus": lens.defocus,
                "Cs": lens.Cs,
                "focal_spread": lens.focal_spread,
            },
        )

    return make
