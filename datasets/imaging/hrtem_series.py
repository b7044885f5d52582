"""Noise-free HRTEM frames: what `datasets.simulate` needs to know of this modality.

A dataset is one frame with the truth of that frame, for atoms move from one to the next; which one is the
option `frame` of its name. `datasets.frames` puts several into one measurement.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from ase import Atoms

from datasets.catalog import DatasetCard
from datasets.errors import InputError
from datasets.imaging.detector import FrameImperfections
from datasets.imaging.engines import hrtem_image
from datasets.pieces import has_piece, read_piece, write_piece
from datasets.schema import pixel_axis
from datasets.store import DatasetStore


def check(card: DatasetCard) -> None:
    """Raise `InputError` where no image can be computed, before anything is made."""
    imaging = card.hrtem
    if imaging.potential_sampling > imaging.pixel_size:
        raise InputError(
            f"dataset {card.name}: potential_sampling ({imaging.potential_sampling:g} Å) must not be coarser "
            f"than the pixels ({imaging.pixel_size:g} Å)"
        )


def check_field_of_view(card: DatasetCard, atoms: Atoms) -> None:
    """Raise `InputError` unless every atom lies within the image."""
    reach = float(np.abs(atoms.positions[:, :2]).max())
    half = ((card.imaging.n_pixels - 1) // 2) * card.imaging.pixel_size
    if half < reach:
        raise InputError(
            f"dataset {card.name}: the image reaches {half:.3g} Å from its centre along x and y, the atoms "
            f"{reach:.3g} Å; give it more pixels"
        )


def expected(store: DatasetStore, atoms: Atoms, progress: bool) -> xr.Dataset:
    """The noise-free frame per unit dose; the image is stored before the detector's flaws act on it."""
    card = store.card
    imaging = card.hrtem
    flaws = FrameImperfections.draw(card.imperfections, imaging.n_pixels, card.frame)
    url = store.image_url(card.frame)
    if not has_piece(url):
        image = hrtem_image(atoms, imaging, defocus_error=flaws.defocus)
        write_piece(url, xr.Dataset({"fraction": (("y", "x"), image)}))
    fraction = flaws.apply(read_piece(url)["fraction"].values)
    axis = pixel_axis(imaging.n_pixels, imaging.pixel_size)
    return xr.Dataset(
        {
            "expected": (
                ("frame", "y", "x"),
                (fraction * imaging.pixel_size**2 * imaging.dqe)[None],
                {"units": "electron per pixel and e⁻/Å²"},
            )
        },
        coords={
            "time": ("frame", [card.frame * imaging.frame_interval], {"units": "ms"}),
            "y": ("y", axis, {"units": "Å"}),
            "x": ("x", axis, {"units": "Å"}),
        },
        attrs={"dataset": card.name, "engine": imaging.engine},
    )


def optics(card: DatasetCard) -> dict[str, float]:
    """The optics as a measurement states them; without an aperture there is no `aperture_mrad`."""
    imaging = card.hrtem
    names = ("energy_eV", "defocus", "Cs", "focal_spread", "convergence_mrad", "psf_sigma", "dqe")
    stated = {name: float(getattr(imaging, name)) for name in names}
    if imaging.aperture_mrad is not None:
        stated["aperture_mrad"] = imaging.aperture_mrad
    return stated
