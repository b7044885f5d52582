"""Noise-free 4D-STEM tilt series: what `datasets.simulate` needs to know of this modality.

Patterns fill gigabytes, so they go through memory a tilt at a time: each is stored as it is done, and the
series is put together from what is stored, as it is written.
"""

from __future__ import annotations

import dask
import dask.array
import numpy as np
import numpy.typing as npt
import xarray as xr
from ase import Atoms
from tqdm import tqdm

from datasets.catalog import DatasetCard
from datasets.catalog.acquisition import wavelength
from datasets.errors import InputError
from datasets.imaging import detector
from datasets.imaging.detector import Imperfections, carried_angle, detector_angles
from datasets.imaging.engines import diffraction_patterns
from datasets.pieces import has_piece, read_piece, write_piece
from datasets.schema import pixel_axis
from datasets.store import DatasetStore


def check(card: DatasetCard) -> None:
    """Raise `InputError` where no pattern can be computed, before anything is made."""
    imaging = card.four_d_stem
    detector_angles(imaging)
    largest = float(np.abs(imaging.detector_points()).max()) * wavelength(imaging.energy_eV) * 1e3
    if largest > carried_angle(imaging):
        raise InputError(
            f"dataset {card.name}: a potential sampled every {imaging.sampling:.3g} Å carries scattering up "
            f"to {carried_angle(imaging):.1f} mrad only, but the detector reaches {largest:.1f} mrad"
        )


def check_field_of_view(card: DatasetCard, atoms: Atoms) -> None:
    """Raise `InputError` unless the scan covers the particle at every tilt, in whatever orientation."""
    imaging = card.four_d_stem
    radius = float(np.linalg.norm(atoms.positions, axis=1).max())
    half = imaging.n_scan * imaging.scan_step / 2
    if half < radius:
        raise InputError(
            f"dataset {card.name}: the scan reaches {half:.3g} Å from its centre, the particle "
            f"{radius:.3g} Å; give it more positions"
        )


def expected(store: DatasetStore, atoms: Atoms, progress: bool) -> xr.Dataset:
    """The noise-free patterns per unit dose, with nominal coordinates, and beside them the electrons on the
    annular detector; arrays of dask, a tilt to a chunk.
    """
    card = store.card
    imaging = card.four_d_stem
    nominal = card.tilts.theta()
    imperfections = Imperfections.draw(card.imperfections, len(nominal))
    rotations = imperfections.rotations(nominal)
    tilts = np.flatnonzero(card.imperfections.recorded(nominal)).tolist()
    for tilt in tqdm(tilts, desc=f"imaging {card.name}", unit="tilt", disable=None if progress else True):
        url = store.image_url(tilt)
        if has_piece(url):
            continue
        y, x = imperfections.shifts[tilt]
        seen = diffraction_patterns(
            atoms,
            imaging,
            rotations[tilt],
            shift=(float(x), float(y)),
            defocus_error=float(imperfections.defocus[tilt]),
            seed=np.random.SeedSequence([imaging.seed, tilt]),
        )
        pieces = {"patterns": (("scan", "ky", "kx"), seen.patterns), "annular": ("scan", seen.annular)}
        write_piece(url, xr.Dataset(pieces))
    scales = np.maximum(1 + imperfections.intensities, 0) * imaging.scan_step**2
    series = [
        _tilt(store.image_url(tilt), float(scales[tilt]), imaging.n_scan**2, imaging.n_pixels)
        for tilt in tilts
    ]
    annular = np.stack([scales[t] * read_piece(store.image_url(t))["annular"].values for t in tilts])
    return xr.Dataset(
        {
            "expected": (
                ("tilt", "scan", "ky", "kx"),
                dask.array.stack(series),
                {"units": "electron per pixel and e⁻/Å²"},
            ),
            "expected_adf": (
                ("tilt", "scan"),
                annular.astype(np.float32),
                {"units": "electron per position and e⁻/Å²"},
            ),
        },
        coords=coordinates(card),
        attrs={"dataset": card.name, "engine": imaging.engine},
    )


def _tilt(url: str, scale: float, n_positions: int, n_pixels: int) -> dask.array.Array:
    def read() -> npt.NDArray[np.float32]:
        return np.asarray(read_piece(url)["patterns"].values * np.float32(scale))

    return dask.array.from_delayed(
        dask.delayed(read, pure=False)(), (n_positions, n_pixels, n_pixels), dtype=np.float32
    )


def coordinates(card: DatasetCard) -> dict[str, xr.Variable]:
    """The nominal coordinates of a measurement: probes row by row, scan = iy n_scan + ix."""
    imaging = card.four_d_stem
    theta = card.theta()
    axis = pixel_axis(imaging.n_scan, imaging.scan_step)
    pixels = imaging.detector_axis()
    values = {
        "phi": ("tilt", np.zeros_like(theta), "deg"),
        "theta": ("tilt", theta, "deg"),
        "psi": ("tilt", np.zeros_like(theta), "deg"),
        "scan_y": ("scan", np.repeat(axis, imaging.n_scan), "Å"),
        "scan_x": ("scan", np.tile(axis, imaging.n_scan), "Å"),
        "ky": ("ky", pixels, "1/Å"),
        "kx": ("kx", pixels, "1/Å"),
    }
    return {name: xr.Variable(dim, array, {"units": units}) for name, (dim, array, units) in values.items()}


def optics(card: DatasetCard) -> dict[str, float]:
    """The optics as a measurement states them."""
    imaging = card.four_d_stem
    return detector.optics(imaging, detector_binning=float(imaging.binning), source_sigma=0.0)
