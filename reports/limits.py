"""The limits that lie stored beside a dataset: what results do not hold of them, by element and with a floor.

Nothing is computed here: a limit that was never made, or whose dataset is not stored on this machine, is
none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.cells import CellResult, counts_key
from benchmarks.limits.limit import Limit
from benchmarks.limits.stored import stored_limit
from datasets.catalog import load_dataset
from datasets.errors import InputError, StoreError
from datasets.store import DatasetStore


def stored_limits(store: DatasetStore, doses: Iterable[float]) -> dict[float, Limit]:
    """The stored limits of a dataset by dose [e⁻/Å² per image]."""
    found = {}
    for dose in doses:
        try:
            limit = stored_limit(store, dose)
        except (StoreError, OSError):  # damaged, or out of reach: the results do without it
            continue
        if limit is not None:
            found[dose] = limit
    return found


def store_of(cells: Sequence[CellResult], asked: Iterable[str], root: str | None) -> DatasetStore | None:
    """The store of the dataset that `cells` were made from, below `root`; None where its card cannot be read
    or has changed since. `asked` are the names or files in the preset.
    """
    if not cells:
        return None
    cell = cells[0].cell
    for name in (cell.dataset, *asked):
        try:
            card = load_dataset(name)
        except (InputError, OSError):
            continue
        if card.name == cell.dataset:
            return DatasetStore(card, root) if counts_key(card) == cell.dataset_key else None
    return None
