"""Tilt series of Gaussian atoms, whose every projection is known exactly."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pytest
import torch
import xarray as xr
from ase import Atoms
from ase.build import bulk
from ase.data import atomic_numbers
from scipy.spatial.transform import Rotation

from datasets.schema import EULER_SEQUENCE, make_measurement, pixel_axis

PIXEL = 0.4
SIGMA = 0.5


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Volumes here are too small to share among threads."""
    torch.set_num_threads(1)


def gaussian_images(
    atoms: Atoms,
    turns: Rotation,
    x: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
    sigma: float = SIGMA,
) -> npt.NDArray[np.float64]:
    """Images (n_tilt, n_y, n_x) of atoms that are Gaussians of height (Z/79)^1.7."""
    weights = (np.array([atomic_numbers[s] for s in atoms.get_chemical_symbols()]) / 79) ** 1.7
    images = []
    for turn in turns:
        rotated = turn.apply(atoms.positions)
        along_x = np.exp(-0.5 * ((x - rotated[:, :1]) / sigma) ** 2)
        along_y = np.exp(-0.5 * ((y - rotated[:, 1:2]) / sigma) ** 2)
        images.append(np.einsum("a,ay,ax->yx", weights, along_y, along_x))
    return np.array(images)


@pytest.fixture(scope="session")
def images_of() -> Callable[..., npt.NDArray[np.float64]]:
    return gaussian_images


@pytest.fixture(scope="session")
def measure() -> Callable[..., xr.Dataset]:
    """A tilt series of Gaussian atoms; noise-free unless a `seed` is given."""

    def make(
        atoms: Atoms,
        theta: npt.ArrayLike,
        *,
        phi: float = 0.0,
        psi: float = 0.0,
        peak: float = 1000.0,
        background: float = 0.0,
        shape: tuple[int, int] = (48, 48),
        elements: Sequence[str] | None = None,
        seed: int | None = None,
    ) -> xr.Dataset:
        theta = np.asarray(theta, dtype=float)
        angles = np.stack([np.full_like(theta, phi), theta, np.full_like(theta, psi)], axis=-1)
        y, x = (pixel_axis(n, PIXEL) for n in shape)
        expected = peak * gaussian_images(
            atoms, Rotation.from_euler(EULER_SEQUENCE, angles, degrees=True), x, y
        )
        expected = expected + background
        counts = expected if seed is None else np.random.default_rng(seed).poisson(expected).astype(np.uint32)
        return make_measurement(
            "adf",
            counts,
            {"phi": angles[:, 0], "theta": theta, "psi": angles[:, 2], "x": x, "y": y},
            dose_per_area=1e4,
            pixel_size=PIXEL,
            background=background,
            elements=elements or sorted(set(atoms.get_chemical_symbols())),
        )

    return make


@pytest.fixture(scope="session")
def cluster() -> Callable[..., Atoms]:
    """A randomly turned fcc cluster of `n` atoms (3.78 Å), the inner ones of the first of `symbols`."""

    def make(n: int, symbols: Sequence[str] = ("Au",), seed: int = 0) -> Atoms:
        rng = np.random.default_rng(seed)
        lattice = bulk("Cu", "fcc", a=3.78, cubic=True).repeat(8)
        positions = lattice.positions - lattice.positions.mean(axis=0) + rng.uniform(-0.5, 0.5, 3)
        positions = positions[np.argsort(np.linalg.norm(positions, axis=1))[:n]]
        positions = Rotation.random(random_state=seed).apply(positions)
        positions += rng.normal(scale=0.08, size=positions.shape)
        inner = n // 3 if len(symbols) > 1 else 0
        names = [symbols[0]] * inner + [symbols[-1]] * (n - inner)
        return Atoms(names, positions=positions - positions.mean(axis=0))

    return make
