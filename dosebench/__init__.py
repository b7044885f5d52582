"""dosebench: how few electrons does a 3D atomic structure need, and with which method?

import dosebench
results = dosebench.run("resire", "cuau-150")     # an xarray.Dataset: dataset, dose, replicate, reconstructor
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr
    from ase import Atoms

    from datasets.store import DatasetStore
    from recon.base import Reconstruction, Reconstructor

__all__ = ["Reconstruction", "Reconstructor", "reconstruct", "run", "score", "simulate"]


def __getattr__(name: str) -> object:
    if name in ("Reconstruction", "Reconstructor"):
        import recon.base

        return getattr(recon.base, name)
    raise AttributeError(f"module 'dosebench' has no attribute {name!r}")


def simulate(
    dataset: str,
    *,
    doses: Sequence[float] | None = None,
    replicates: int = 1,
    root: str | None = None,
    progress: bool = True,
) -> DatasetStore:
    """Make a dataset of the catalog, or what is missing of it.

    `doses` [e⁻/Å² per image] default to the card's; `root` is where datasets are stored. Raises `InputError`.
    """
    from datasets.catalog import load_dataset
    from datasets.simulate import simulate as make

    return make(load_dataset(dataset), doses, replicates, root=root, progress=progress)


def reconstruct(
    measurement: xr.Dataset,
    reconstructor: str | Reconstructor | type[Reconstructor],
    *,
    seed: int = 0,
    progress: bool = False,
) -> Reconstruction:
    """The answer of one reconstructor to one measurement (`datasets.schema`), with its status.

    Raises `InputError` when the measurement is off its schema or the reconstructor does not support it.
    """
    from dosebench.running import reconstruct_one

    return reconstruct_one(measurement, reconstructor, seed=seed, progress=progress)


def score(answer: Atoms, truth: Atoms, *, cutoff: float | None = None) -> dict[str, float]:
    """Every position, tracing and classification metric of `answer` against `truth`.

    Atoms are matched one to one within `cutoff` [Å] (the default is `benchmarks.metrics.match.CUTOFF`) after
    removing one rigid translation.
    """
    from benchmarks.metrics.scoring import CUTOFF
    from benchmarks.metrics.scoring import score as compare

    return compare(answer, truth, CUTOFF if cutoff is None else cutoff)


def run(
    reconstructors: str
    | Reconstructor
    | type[Reconstructor]
    | Sequence[str | Reconstructor | type[Reconstructor]],
    datasets: str | Sequence[str] = "cuau-150",
    *,
    doses: Sequence[float] | None = None,
    replicates: int = 2,
    results: str | Path | None = None,
    data_root: str | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Run reconstructors on datasets at several doses and score them, beside the controls.

    `reconstructors` are names, classes or instances; your own need no registration. `doses` [e⁻/Å² per image]
    default to those of the dataset's card. Finished cells are kept in `results` (default: results/python) and
    not run again.
    The result has dims (dataset, dose, replicate, reconstructor). Raises `InputError`.
    """
    from dosebench.running import run_grid

    return run_grid(
        reconstructors, datasets, doses, replicates, results=results, data_root=data_root, progress=progress
    )
