"""Limits kept beside the dataset that they belong to, so that each is computed once.

    ROOT/NAME-KEY.zarr/limits/KEY/dose-8000      variance (atom) [Å²], displacement (atom, xyz) [Å]

KEY is that of the version of the method and of what is unknown; the dataset's own key covers everything else.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from tqdm import tqdm

from benchmarks.limits.limit import Limit
from datasets.catalog import DatasetCard, content_key
from datasets.errors import InputError
from datasets.pieces import has_piece, join, read_piece, write_piece
from datasets.store import DatasetStore

if TYPE_CHECKING:
    from benchmarks.limits.diffraction import PatternLimit
    from benchmarks.limits.problem import LimitProblem

LIMIT_VERSION = {"adf": 1, "hrtem": 1, "4dstem": 2}
"""By modality; raised when the same dataset would get another limit."""

MOST_ATOMS = {"adf": 1666, "4dstem": 300}
"""Atoms up to which a grid computes limits by itself, by modality: of ADF images exactly and in seconds per
dose (`problem.MOST_DENSE`), of diffraction patterns in minutes. Beyond, it takes those that there are."""

log = logging.getLogger("dosebench")


def limit_url(store: DatasetStore, dose: float, unknown: Sequence[str] = ()) -> str:
    """Where the limit of a dataset at `dose` [e⁻/Å² per image] is kept."""
    key = content_key([LIMIT_VERSION[store.card.imaging.modality], sorted(unknown)])
    return join(store.url, "limits", key, f"dose-{dose:.12g}")


def stored_limit(store: DatasetStore, dose: float, unknown: Sequence[str] = ()) -> Limit | None:
    """The stored limit; None where there is none. Raises `StoreError` when it is damaged."""
    url = limit_url(store, dose, unknown)
    return _limit(read_piece(url)) if has_piece(url) else None


def limits(
    store: DatasetStore, doses: Sequence[float], unknown: Sequence[str] = (), *, progress: bool = True
) -> list[Limit]:
    """The limits of a dataset whose noise-free images are stored, at `doses`; what is missing is made and
    kept.

    Raises `InputError` for an unknown nuisance, or where the images do not determine what is unknown.
    """
    return list(each_limit(store, doses, unknown, progress=progress))


def each_limit(
    store: DatasetStore, doses: Sequence[float], unknown: Sequence[str] = (), *, progress: bool = True
) -> Iterator[Limit]:
    """As `limits`, one after the other."""
    problem: LimitProblem | PatternLimit | None = None
    missing = any(not has_piece(limit_url(store, dose, unknown)) for dose in doses)
    quiet = None if progress and missing else True
    for dose in tqdm(
        list(doses), desc=f"limit of {store.card.name}", unit="dose", disable=quiet, leave=False
    ):
        found = stored_limit(store, dose, unknown)
        if found is None:
            problem = problem or problem_of(store)
            found = problem.solve(dose, unknown)
            write_piece(limit_url(store, dose, unknown), _dataset(found))
        yield found


def problem_of(store: DatasetStore) -> LimitProblem | PatternLimit:
    """The problem of a dataset whose noise-free images are stored."""
    if store.card.imaging.modality == "4dstem":
        from benchmarks.limits.diffraction import PatternLimit

        return PatternLimit.of(store)
    from benchmarks.limits.problem import LimitProblem

    return LimitProblem.of(store.truth(), store.expected()["expected"].values, store.card)


def limit_version(store: DatasetStore, dose: float) -> int | None:
    """By which version of the limit scores at `dose` are judged; None where none is stored."""
    return LIMIT_VERSION[store.card.imaging.modality] if has_piece(limit_url(store, dose)) else None


def prepare(card: DatasetCard, doses: Sequence[float], root: str | None, *, progress: bool = True) -> None:
    """Make the limits that scores of `card` are judged by, unless the particle is too large to do so unasked.

    Where the images do not determine the positions there is none, and a warning says so; there is none for
    what is no tilt series. Raises `StoreError` when one that is stored is damaged.
    """
    most = MOST_ATOMS.get(card.imaging.modality)
    if most is None:
        return
    store = DatasetStore(card, root)
    missing = [dose for dose in doses if np.isfinite(dose) and stored_limit(store, dose) is None]
    if not missing or len(store.truth()) > most:
        return
    try:
        limits(store, missing, progress=progress)
    except InputError as error:
        log.warning("warning: %s: no limit: %s", card.name, error)


def _dataset(limit: Limit) -> xr.Dataset:
    return xr.Dataset(
        {
            "variance": ("atom", limit.variance, {"units": "Å²"}),
            "displacement": (("atom", "xyz"), limit.displacement, {"units": "Å"}),
        },
        attrs={
            "dose": limit.dose,
            "unknown": limit.unknown,
            "symbols": " ".join(limit.symbols),
            "unexplained": limit.unexplained,
            "error": limit.error,
            "seconds": limit.seconds,
        },
    )


def _limit(data: xr.Dataset) -> Limit:
    attrs = data.attrs
    return Limit(
        dose=float(attrs["dose"]),
        unknown=str(attrs["unknown"]),
        symbols=tuple(str(attrs["symbols"]).split()),
        variance=np.asarray(data["variance"].values),
        displacement=np.asarray(data["displacement"].values),
        unexplained=float(attrs["unexplained"]),
        error=float(attrs["error"]),
        seconds=float(attrs["seconds"]),
    )
