"""A small 4D-STEM tilt series of a few atoms, its patterns those of the model of the reconstructors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch
import xarray as xr
from ase import Atoms
from scipy.spatial.transform import Rotation

from datasets.schema import make_measurement, pixel_axis
from recon.ptychography.atom_fit import slice_grid
from recon.ptychography.atom_potential import gaussian_widths, phase_integrals
from recon.ptychography.scan import Scan
from recon.ptychography.tilt_series import TiltSeries

OPTICS = {"energy_eV": 300e3, "semiangle_mrad": 21.0, "defocus": -60.0, "Cs": 0.0}
FIELD = 12.8
N_PIXELS = 32


def raster(n_scan: int, step: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """y and x [Å] of n_scan × n_scan positions."""
    axis = pixel_axis(n_scan, step)
    y, x = np.meshgrid(axis, axis, indexing="ij")
    return y.ravel(), x.ravel()


def empty(n_tilt: int = 12, n_scan: int = 8, dose: float = 1e4) -> xr.Dataset:
    """A measurement without a count."""
    y, x = raster(n_scan, FIELD / n_scan)
    k = (np.arange(N_PIXELS) - N_PIXELS // 2 + 0.25) / FIELD
    zero = np.zeros(n_tilt)
    theta = -90 + 180 / n_tilt * np.arange(n_tilt)
    return make_measurement(
        "4dstem",
        np.zeros((n_tilt, n_scan**2, N_PIXELS, N_PIXELS), dtype=np.uint8),
        {"phi": zero, "theta": theta, "psi": zero, "scan_y": y, "scan_x": x, "ky": k, "kx": k},
        dose_per_area=dose,
        pixel_size=FIELD / n_scan,
        background=0.0,
        elements=["Au", "Cu"],
        optics=OPTICS,
    )


def few_atoms() -> Atoms:
    """Eight atoms of copper and gold, 2.6 Å apart, turned so that no two hide each other for long."""
    corners = np.array([[i, j, k] for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)]) * 1.35
    turn = Rotation.from_euler("ZYX", [20.0, 35.0, 50.0], degrees=True)
    return Atoms("CuAuCuAuAuCuAuCu", turn.apply(corners))


def imaged(atoms: Atoms, blank: xr.Dataset, seed: int | None = 0) -> xr.Dataset:
    """`blank` with the counts of `atoms`; without a seed those expected, without noise."""
    scan = Scan.of(blank)
    series = TiltSeries(blank, scan, slice_thickness=1.6, dtype=torch.float64)
    grid = slice_grid(series)
    symbols = ["Cu", "Au"]
    profiles = phase_integrals(symbols, scan.lens.energy)
    phases = profiles[[symbols.index(symbol) for symbol in atoms.symbols]]
    widths = gaussian_widths(0.08, series.voxel)
    patterns = []
    for tilt, rotation in enumerate(scan.rotations):
        slices = grid.draw(rotation.apply(atoms.positions), phases, widths).astype(np.float64)
        patterns.append(series.multislice.patterns(torch.as_tensor(slices), series.places[tilt]).numpy())
    expected = np.stack(patterns)
    rng = np.random.default_rng(seed)
    counts = expected if seed is None else rng.poisson(expected).astype(np.uint16)
    return blank.assign(counts=(blank["counts"].dims, counts, blank["counts"].attrs))


@pytest.fixture(scope="session")
def truth() -> Atoms:
    """The atoms of `measured`."""
    return few_atoms()


@pytest.fixture(scope="session")
def measured(truth: Atoms) -> xr.Dataset:
    """Poisson counts at 1e4 e⁻/Å² per tilt."""
    return imaged(truth, empty())


@pytest.fixture(scope="session")
def distances() -> Callable[[Atoms, Atoms], npt.NDArray[np.float64]]:
    """The distance [Å] from each atom of the first to the nearest of the second."""

    def nearest(of: Atoms, to: Atoms) -> npt.NDArray[np.float64]:
        apart = np.linalg.norm(of.positions[:, None] - to.positions, axis=-1)
        return np.asarray(apart.min(axis=1))

    return nearest
