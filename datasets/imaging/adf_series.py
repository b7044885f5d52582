"""Noise-free ADF tilt series: what `datasets.simulate` needs to know of this modality."""

from __future__ import annotations

import numpy as np
import xarray as xr
from ase import Atoms
from tqdm import tqdm

from datasets.catalog import DatasetCard
from datasets.errors import InputError
from datasets.imaging import detector
from datasets.imaging.detector import Imperfections, detector_angles
from datasets.imaging.engines import adf_image
from datasets.pieces import has_piece, read_piece, write_piece
from datasets.schema import pixel_axis
from datasets.store import DatasetStore


def check(card: DatasetCard) -> None:
    """Raise `InputError` where no image can be computed, before anything is made."""
    detector_angles(card.adf)


def check_field_of_view(card: DatasetCard, atoms: Atoms) -> None:
    """Raise `InputError` unless the image holds the particle at every tilt, in whatever orientation."""
    radius = float(np.linalg.norm(atoms.positions, axis=1).max())
    half = ((card.imaging.n_pixels - 1) // 2) * card.imaging.pixel_size
    if half < radius:
        raise InputError(
            f"dataset {card.name}: the image reaches {half:.3g} Å from its centre, the particle "
            f"{radius:.3g} Å; give it more pixels"
        )


def expected(store: DatasetStore, atoms: Atoms, progress: bool) -> xr.Dataset:
    """The noise-free images per unit dose, with nominal coordinates; each tilt is stored as it is done."""
    card = store.card
    nominal = card.adf.tilts.theta()
    imperfections = Imperfections.draw(card.imperfections, len(nominal), card.imaging.n_pixels)
    rotations = imperfections.rotations(nominal)
    recorded = card.imperfections.recorded(nominal)
    tilts = np.flatnonzero(recorded).tolist()
    finer = card.finer()
    imaging = card.adf.model_copy(
        update={
            "pixel_size": card.imaging.pixel_size / finer,
            "n_pixels": card.imaging.n_pixels * finer,
        }
    )
    bar = tqdm(tilts, desc=f"imaging {card.name}", unit="tilt", disable=None if progress else True)
    images = []
    for tilt in bar:
        url = store.image_url(tilt)
        if not has_piece(url):
            image = adf_image(
                atoms,
                imaging,
                rotations[tilt],
                defocus_error=float(imperfections.defocus[tilt]),
                seed=np.random.SeedSequence([card.imaging.seed, tilt]),
            )
            write_piece(url, xr.Dataset({"fraction": (("y", "x"), image)}))
        images.append(read_piece(url)["fraction"].values)
    fractions = imperfections.of(recorded).apply(np.stack(images), card.imaging.pixel_size, finer=finer)
    theta = card.theta()
    axis = pixel_axis(card.imaging.n_pixels, card.imaging.pixel_size)
    zero = np.zeros_like(theta)
    return xr.Dataset(
        {
            "expected": (
                ("tilt", "y", "x"),
                fractions * card.imaging.pixel_size**2,
                {"units": "electron per pixel and e⁻/Å²"},
            )
        },
        coords={
            "phi": ("tilt", zero, {"units": "deg"}),
            "theta": ("tilt", theta, {"units": "deg"}),
            "psi": ("tilt", zero, {"units": "deg"}),
            "y": ("y", axis, {"units": "Å"}),
            "x": ("x", axis, {"units": "Å"}),
        },
        attrs={"dataset": card.name, "engine": card.imaging.engine, "detector": _detector_note(card)},
    )


def _detector_note(card: DatasetCard) -> str:
    """One sentence on the angles that were detected."""
    inner, outer = detector_angles(card.adf)
    note = f"{inner:g}–{outer:.4g} mrad"
    if outer < card.adf.detector_outer_mrad:
        note += (
            f", clipped from {card.adf.detector_outer_mrad:g} mrad to what a potential sampled every "
            f"{card.imaging.potential_sampling:g} Å carries"
        )
    return note


def optics(card: DatasetCard) -> dict[str, float]:
    """The optics as a measurement states them."""
    return detector.optics(card.adf, source_sigma=card.adf.source_sigma)
