"""From a card to stored counts: structure, one image per tilt, expected images, Poisson counts.

Every step is a stored piece and only what is missing is made, so a killed run goes on where it stopped, and a
new dose or replicate costs nothing but its Poisson draw.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr
from ase import Atoms
from tqdm import tqdm

from datasets.catalog import DatasetCard
from datasets.errors import InputError
from datasets.imaging.detector import Imperfections, detector_angles, draw_counts, noise_seed
from datasets.imaging.engines import adf_image
from datasets.pieces import has_piece, read_piece, write_piece
from datasets.schema import make_measurement, pixel_axis
from datasets.store import DatasetStore
from datasets.structures import make_structure


def simulate(
    card: DatasetCard,
    doses: Sequence[float] | None = None,
    replicates: int = 1,
    *,
    root: str | None = None,
    progress: bool = True,
) -> DatasetStore:
    """The store of `card` below `root` with the counts of all `doses` [e⁻/Å² per image] and `replicates`.

    Without `doses`, those of the card. Raises `InputError` before any long work, `StoreError` when the disk
    fills or a stored piece is damaged.
    """
    wanted = card.doses if doses is None else tuple(doses)
    if not wanted or not all(np.isfinite(dose) and dose > 0 for dose in wanted):
        raise InputError(
            f"dataset {card.name}: doses must be positive numbers [e⁻/Å² per image], got {wanted}"
        )
    if replicates < 1:
        raise InputError(f"dataset {card.name}: replicates must be at least 1, got {replicates}")
    store = DatasetStore(card, root)
    detector_angles(card.imaging)
    missing = [(d, r) for d in wanted for r in range(replicates) if not store.has(d, r)]
    if not missing:
        return store
    if not store.has_expected():
        atoms = make_structure(card.structure, root=store.root, progress=progress)
        check_field_of_view(card, atoms)
        store.write_truth(atoms)
        store.write_expected(_expected(store, store.truth(), progress))
    expected = store.expected()
    elements = sorted(set(store.truth().symbols))
    for dose, replicate in missing:
        store.write_counts(_measure(card, expected, elements, dose, replicate), dose, replicate)
    return store


def check_field_of_view(card: DatasetCard, atoms: Atoms) -> None:
    """Raise `InputError` unless the image holds the particle at every tilt, in whatever orientation."""
    radius = float(np.linalg.norm(atoms.positions, axis=1).max())
    half = ((card.imaging.n_pixels - 1) // 2) * card.imaging.pixel_size
    if half < radius:
        raise InputError(
            f"dataset {card.name}: the image reaches {half:.3g} Å from its centre, the particle "
            f"{radius:.3g} Å; give it more pixels"
        )


def _expected(store: DatasetStore, atoms: Atoms, progress: bool) -> xr.Dataset:
    """The noise-free images per unit dose, with nominal coordinates; each tilt is stored as it is done."""
    card = store.card
    nominal = card.imaging.tilts.theta()
    imperfections = Imperfections.draw(card.imperfections, len(nominal), card.imaging.n_pixels)
    rotations = imperfections.rotations(nominal)
    recorded = card.imperfections.recorded(nominal)
    tilts = np.flatnonzero(recorded).tolist()
    finer = card.finer()
    imaging = card.imaging.model_copy(
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
    inner, outer = detector_angles(card.imaging)
    note = f"{inner:g}–{outer:.4g} mrad"
    if outer < card.imaging.detector_outer_mrad:
        note += (
            f", clipped from {card.imaging.detector_outer_mrad:g} mrad to what a potential sampled every "
            f"{card.imaging.potential_sampling:g} Å carries"
        )
    return note


def _measure(
    card: DatasetCard, expected: xr.Dataset, elements: Sequence[str], dose: float, replicate: int
) -> xr.Dataset:
    counts: npt.NDArray[np.int64] = draw_counts(
        expected["expected"].values, dose, card.background, noise_seed(card.name, dose, replicate)
    )
    imaging = card.imaging
    inner, outer = detector_angles(imaging)
    optics = {
        "energy_eV": imaging.energy_eV,
        "semiangle_mrad": imaging.semiangle_mrad,
        "defocus": imaging.defocus,
        "Cs": imaging.Cs,
        "focal_spread": 0.0,
        "detector_inner_mrad": inner,
        "detector_outer_mrad": outer,
        "source_sigma": imaging.source_sigma,
    }
    data = make_measurement(
        imaging.modality,
        counts,
        {str(name): expected[name].values for name in ("phi", "theta", "psi", "y", "x")},
        dose_per_area=dose,
        pixel_size=imaging.pixel_size,
        background=card.background,
        elements=elements,
        optics=optics,
    )
    data.attrs.update(engine=imaging.engine, dataset=card.name, replicate=replicate)
    return data
