"""From a card to stored counts: structure, one image per tilt or frame, expected images, Poisson counts.

Every step is a stored piece and only what is missing is made, so a killed run goes on where it stopped, and a
new dose or replicate costs nothing but its Poisson draw.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from types import ModuleType

import numpy as np
import numpy.typing as npt
import xarray as xr

from datasets.catalog import DatasetCard
from datasets.errors import InputError
from datasets.imaging.detector import mean_counts, noise_seed
from datasets.schema import MODALITIES, make_measurement
from datasets.store import DatasetStore, smallest_unsigned
from datasets.structures import make_structure

SERIES = {"4dstem": "diffraction_series", "adf": "adf_series", "hrtem": "hrtem_series"}
"""Modality → the module of `datasets.imaging` that has its `check`, `check_field_of_view`, `expected` and
`optics`."""

NOISE_FREE_DOSE = 1e9
"""The dose [e⁻/Å² per image] that a measurement without noise states, which is what the dose `inf` gives. Its
counts are those expected at that dose, as floats: a likelihood that knows nothing of this weighs them as
it should, noise being 1.8e-4 of what a pixel of 0.18 Å counts."""


def series_module(card: DatasetCard) -> ModuleType:
    """How the images of this card's modality are made."""
    return importlib.import_module(f"datasets.imaging.{SERIES[card.imaging.modality]}")


def simulate(
    card: DatasetCard,
    doses: Sequence[float] | None = None,
    replicates: int = 1,
    *,
    root: str | None = None,
    progress: bool = True,
) -> DatasetStore:
    """The store of `card` below `root` with the counts of all `doses` [e⁻/Å² per image] and `replicates`.

    Without `doses`, those of the card. A dose of infinity is the image without noise (`NOISE_FREE_DOSE`), of
    which all replicates are the same. Raises `InputError` before any long work, `StoreError` when the disk
    fills or a stored piece is damaged.
    """
    wanted = card.doses if doses is None else tuple(doses)
    if not wanted or not all(dose > 0 for dose in wanted):
        raise InputError(
            f"dataset {card.name}: doses must be positive numbers [e⁻/Å² per image], got {wanted}"
        )
    if replicates < 1:
        raise InputError(f"dataset {card.name}: replicates must be at least 1, got {replicates}")
    store = DatasetStore(card, root)
    series = series_module(card)
    series.check(card)
    missing = [(d, r) for d in wanted for r in range(replicates) if not store.has(d, r)]
    if not missing:
        return store
    if not store.has_expected():
        atoms = make_structure(card.structure, root=store.root, progress=progress)
        series.check_field_of_view(card, atoms)
        store.write_truth(atoms)
        store.write_expected(series.expected(store, store.truth(), progress))
    expected = store.expected(lazy=True)
    elements = sorted(set(store.truth().symbols))
    for dose, replicate in missing:
        store.write_counts(_measure(card, expected, elements, dose, replicate), dose, replicate)
    return store


def _measure(
    card: DatasetCard, expected: xr.Dataset, elements: Sequence[str], dose: float, replicate: int
) -> xr.Dataset:
    series = series_module(card)
    noise_free = bool(np.isinf(dose))
    stated = NOISE_FREE_DOSE if noise_free else dose
    rng = None if noise_free else np.random.default_rng(noise_seed(card.name, dose, replicate))
    counts = _counts(expected["expected"], stated, card.background, rng)
    beside = {
        name: _counts(expected[f"expected_{name}"], stated, 0.0, rng)
        for name in MODALITIES[card.imaging.modality].beside
    }
    data = make_measurement(
        card.imaging.modality,
        counts,
        {str(name): coord.values for name, coord in expected.coords.items()},
        dose_per_area=stated,
        pixel_size=card.imaging.pixel_size,
        background=card.background,
        elements=elements,
        optics=series.optics(card),
        beside=beside,
    )
    data.attrs.update(engine=card.imaging.engine, dataset=card.name, replicate=replicate)
    if noise_free:
        data.attrs["noise_free"] = 1
    return data


def _counts(
    expected: xr.DataArray, dose: float, background: float, rng: np.random.Generator | None
) -> npt.NDArray[np.generic]:
    """Counts of `expected`, image by image so that little more than they is in memory; without `rng` those
    expected, as float32 where patterns make many of them.
    """
    exact = np.float32 if "kx" in expected.dims else np.float64
    images: list[npt.NDArray[np.generic]] = []
    for index in range(len(expected)):
        mean = mean_counts(expected[index].values, dose, background)
        if rng is None:
            images.append(mean.astype(exact))
        else:
            drawn = rng.poisson(mean)
            images.append(drawn.astype(smallest_unsigned(drawn)))
    return np.stack(images)
