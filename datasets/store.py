"""Datasets on disk: truth, expected images, and the counts of every dose and replicate, as one zarr group.

    ROOT/structures/KEY                          a structure; KEY.work beside it while it is being made
    ROOT/images/KEY/tilt-007                     one multislice image; a killed simulation resumes here
    ROOT/images/KEY/frame-003                    the same of an HRTEM frame
    ROOT/NAME-KEY.zarr/truth                     numbers, positions [Å]
    ROOT/NAME-KEY.zarr/expected                  noise-free images per unit dose, float32
    ROOT/NAME-KEY.zarr/counts/dose-8000/replicate-0
                                                 a measurement, in the smallest integer that holds it;
                                                 dose-inf is the one without noise, in floats; patterns
                                                 of few electrons as a list of them (`datasets.events`)

Each leaf is a piece (`datasets.pieces`). Every (dose, replicate) has its own, so that doses and replicates
are added without touching what is there; `DatasetStore.series` shows them as one array (dose, replicate, …).
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr
from ase import Atoms

from datasets.catalog import DatasetCard
from datasets.errors import StoreError
from datasets.events import from_events, is_sparse, to_events
from datasets.pieces import has_piece, join, read_piece, write_piece
from datasets.schema import MODALITIES, check_measurement

DEFAULT_ROOT = "data"


def data_root() -> str:
    """Where datasets live when nobody says: the environment variable DOSEBENCH_DATA, or ./data."""
    return os.environ.get("DOSEBENCH_DATA", DEFAULT_ROOT)


class DatasetStore:
    """The stored pieces of one dataset below `root` (a folder or any fsspec URL)."""

    def __init__(self, card: DatasetCard, root: str | None = None) -> None:
        self.card = card
        self.root = root or data_root()
        safe = card.name.translate(str.maketrans("[],=", "-.._")).rstrip(".")
        self.url = join(self.root, f"{safe}-{card.key()}.zarr")

    def image_url(self, index: int) -> str:
        """Where the multislice image of one tilt or frame is kept."""
        kind = MODALITIES[self.card.imaging.modality].dims[0]
        return join(self.root, "images", self.card.images_key(), f"{kind}-{index:03d}")

    def counts_url(self, dose: float, replicate: int) -> str:
        """Where the counts of one dose [e⁻/Å² per image] and replicate are kept."""
        return join(self.url, "counts", f"dose-{dose:.12g}", f"replicate-{replicate}")

    def has(self, dose: float, replicate: int) -> bool:
        """Whether truth, expected images and these counts are stored."""
        return all(map(has_piece, (self._truth_url, self._expected_url, self.counts_url(dose, replicate))))

    @property
    def _truth_url(self) -> str:
        return join(self.url, "truth")

    @property
    def _expected_url(self) -> str:
        return join(self.url, "expected")

    def has_expected(self) -> bool:
        """Whether truth and expected images are stored."""
        return has_piece(self._truth_url) and has_piece(self._expected_url)

    def write_truth(self, atoms: Atoms) -> None:
        """Store the ground truth."""
        write_piece(self._truth_url, atoms_to_dataset(atoms))

    def truth(self) -> Atoms:
        """The ground truth."""
        return dataset_to_atoms(read_piece(self._truth_url))

    def write_expected(self, expected: xr.Dataset) -> None:
        """Store noise-free images: variable `expected` [electron per pixel and unit dose], an image or a tilt
        to a chunk. Arrays of dask are computed as they are written.
        """
        data = expected.assign(expected=expected["expected"].astype(np.float32, keep_attrs=True))
        write_piece(self._expected_url, data, chunks={"expected": (1, *data["expected"].shape[1:])})

    def expected(self, *, lazy: bool = False) -> xr.Dataset:
        """The noise-free images per unit dose; if `lazy`, read only as they are used."""
        return read_piece(self._expected_url, lazy=lazy)

    def write_counts(self, measurement: xr.Dataset, dose: float, replicate: int) -> None:
        """Store the counts of one dose and replicate, as the smallest unsigned integer that holds them; those
        without noise, at an infinite dose, as floats.
        """
        check_measurement(measurement, where=self.card.name)
        counts = measurement["counts"]
        data = measurement
        if not np.isinf(dose):
            kinds = {name: smallest_unsigned(values.values) for name, values in measurement.data_vars.items()}
            data = measurement.assign(
                {name: measurement[name].astype(kind, keep_attrs=True) for name, kind in kinds.items()}
            )
        if is_sparse(data["counts"]):
            data = to_events(data)
        write_piece(self.counts_url(dose, replicate), data, chunks={"counts": (1, *counts.shape[1:])})

    def measurement(self, dose: float, replicate: int) -> xr.Dataset:
        """What a reconstructor is handed: the counts of one dose and replicate, without the truth."""
        url = self.counts_url(dose, replicate)
        data = from_events(read_piece(url))
        check_measurement(data, where=url)
        return data

    def series(self, doses: Sequence[float], replicates: int) -> xr.DataArray:
        """All counts as one array with leading dims (dose, replicate)."""
        rows = [
            xr.concat([self.measurement(dose, r)["counts"] for r in range(replicates)], "replicate")
            for dose in doses
        ]
        counts = xr.concat(rows, "dose")
        counts = counts.assign_coords(dose=("dose", list(doses), {"units": "e⁻/Å² per image"}))
        return counts.assign_coords(replicate=range(replicates))


def smallest_unsigned(values: npt.NDArray[np.generic]) -> np.dtype[np.generic]:
    """The smallest unsigned integer type that holds the whole numbers `values`; raises `StoreError`
    otherwise.
    """
    largest = values.max()
    for kind in (np.uint8, np.uint16, np.uint32, np.uint64):
        if largest <= np.iinfo(kind).max:
            if not np.array_equal(values, values.astype(kind)):
                raise StoreError("counts to store must be whole electrons")
            return np.dtype(kind)
    raise StoreError(f"counts as large as {largest:g} cannot be stored")


def atoms_to_dataset(atoms: Atoms) -> xr.Dataset:
    """Numbers (atom), positions (atom, xyz) [Å], the cell where periodic, and `info` as attributes."""
    data = xr.Dataset(
        {
            "numbers": ("atom", atoms.numbers.astype(np.int16)),
            "positions": (("atom", "xyz"), atoms.positions, {"units": "Å"}),
        },
        attrs={key: value for key, value in atoms.info.items() if isinstance(value, (str, int, float))},
    )
    if atoms.pbc.any():
        data["cell"] = (("vector", "xyz"), atoms.cell.array, {"units": "Å"})
        data["pbc"] = ("vector", atoms.pbc)
    return data


def dataset_to_atoms(data: xr.Dataset) -> Atoms:
    """The inverse of `atoms_to_dataset`."""
    atoms = Atoms(numbers=data["numbers"].values, positions=data["positions"].values, info=dict(data.attrs))
    if "cell" in data:
        atoms.cell, atoms.pbc = data["cell"].values, data["pbc"].values
    return atoms
