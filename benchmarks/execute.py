"""One cell, from stored counts to a stored result, in whichever process it is run."""

from __future__ import annotations

import math
import os
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr
from ase import Atoms

from benchmarks import provenance
from benchmarks.cells import Arrays, Cell, CellResult, geometry_arrays, orthoslices, trusted_cell, write_cell
from benchmarks.limits.limit import Limit
from benchmarks.limits.stored import limit_version, stored_limit
from benchmarks.methods import Method
from benchmarks.metrics.angle_error import geometry_scores
from benchmarks.metrics.scoring import Scoring, score, score_match
from benchmarks.watch import CellTimeout, Watch
from datasets.acquisition import true_acquisition
from datasets.catalog import DatasetCard
from datasets.store import DatasetStore
from recon.base import Reconstruction, Status

DISTRIBUTED_THREADS = 1
"""Threads of a cell on a cluster: as many cells as cores run beside each other."""


@dataclass(frozen=True)
class Task:
    """A cell to run, with all that it takes; it travels to a worker."""

    cell: Cell
    method: Method
    card: DatasetCard
    dataset_info: Mapping[str, Any]
    data_root: str | None
    results: str
    scoring: Scoring
    time_limit: float
    run: str
    """Names the run, so that a cell that took its worker down is not begun again in the same run."""
    threads: int | None = None
    """None: leave them as they are."""
    own_process: bool = False
    """Whether the process may be ended: when the cell does not yield to its time limit within `grace` [s], or
    holds more than `memory_limit` [byte].
    """
    grace: float = 30.0
    memory_limit: float = math.inf
    software: Mapping[str, Any] = field(default_factory=provenance.software)

    def limit(self) -> Limit | None:
        """The physical limit that the answer is judged by; None where none is stored."""
        return stored_limit(DatasetStore(self.card, self.data_root), self.cell.dose)

    def scoring_record(self) -> dict[str, Any]:
        """The rule and the limit that answers are scored by: another one has stored answers scored again."""
        version = limit_version(DatasetStore(self.card, self.data_root), self.cell.dose)
        return {**self.scoring.record(), "limit": version}


def run_task(task: Task) -> Status:
    """Run a cell and store what became of it; whatever the method does is a result.

    Raises `StoreError` only: when the measurement cannot be read, or the result not be written.
    """
    if (before := trusted_cell(task.results, task.cell.key)) and before.provenance.get("run") == task.run:
        return before.status
    store = DatasetStore(task.card, task.data_root)
    truth = store.truth()
    measurement = store.measurement(task.cell.dose, task.cell.replicate)
    if task.threads is not None:
        _limit_threads(task.threads)
    _reset_gpu_memory()
    watch = _watch(task, truth)
    reconstruction, trace = _attempt(task, measurement, truth, watch)
    figures = {"seconds": watch.seconds, "peak_memory": watch.peak_memory, **_gpu_memory()}
    return store_answer(task, truth, reconstruction, trace, figures)


def _attempt(
    task: Task, measurement: xr.Dataset, truth: Atoms, watch: Watch
) -> tuple[Reconstruction, str | None]:
    """The method's answer, or as a value why there is none; and the traceback of what it raised."""
    try:
        with watch:
            found = task.method.answer(measurement, truth, task.cell.rng())
        return _checked(found), None
    except CellTimeout:
        message = f"It ran past its time limit of {task.time_limit:g} s."
        return _failure(Status.TIMEOUT, message), traceback.format_exc()
    except KeyboardInterrupt:
        raise
    except (Exception, SystemExit) as error:
        status = Status.OUT_OF_MEMORY if _is_out_of_memory(error) else Status.ERROR
        return _failure(status, _sentence(error)), traceback.format_exc()


def _checked(found: Reconstruction) -> Reconstruction:
    if not isinstance(found, Reconstruction):
        raise TypeError(f"reconstruct must return a recon.base.Reconstruction, it returned {type(found)!r}")
    if not found.status.failed and not np.isfinite(found.atoms.positions).all():
        return _failure(Status.NONFINITE, "The answer holds a position that is not finite.")
    return found


def _failure(status: Status, message: str) -> Reconstruction:
    return Reconstruction(Atoms(), status=status, message=message)


def _sentence(error: BaseException) -> str:
    first = str(error).strip().splitlines()[:1]
    return f"{type(error).__name__}: {first[0]}" if first else type(error).__name__


def _is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out: on the GPU, PyTorch says so by name, and on the CPU only in words."""
    words = ("out of memory", "can't allocate memory", "not enough memory")
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and any(word in str(error).lower() for word in words))
    )


def _watch(task: Task, truth: Atoms) -> Watch:
    if not task.own_process:
        return Watch(task.time_limit)
    slow = f"It ran past its time limit of {task.time_limit:g} s and did not yield; its process was ended."
    large = f"It held more than its {task.memory_limit / 2**30:.2g} GiB of memory; its process was ended."

    def end(status: Status, message: str) -> None:
        try:
            figures = {"seconds": watch.seconds, "peak_memory": watch.peak_memory}
            store_answer(task, truth, _failure(status, message), None, figures)
        finally:
            os._exit(1)

    watch = Watch(
        task.time_limit,
        grace=task.grace,
        on_hang=lambda: end(Status.TIMEOUT, slow),
        memory_limit=task.memory_limit,
        on_memory=lambda: end(Status.OUT_OF_MEMORY, large),
    )
    return watch


def store_answer(
    task: Task,
    truth: Atoms,
    reconstruction: Reconstruction,
    trace: str | None,
    figures: Mapping[str, float],
) -> Status:
    """Score an answer and store the cell; `figures` (seconds, peak_memory) go to its provenance.

    An answer that cannot be scored, or that is not what it should be, is recorded as an error.
    """
    try:
        scores, stats, arrays = _scored(task, truth, reconstruction)
    except Exception as error:
        reconstruction, trace = _failure(Status.ERROR, _sentence(error)), traceback.format_exc()
        scores, stats, arrays = _scored(task, truth, reconstruction)
    result = CellResult(
        cell=task.cell,
        status=reconstruction.status,
        message=reconstruction.message or reconstruction.status.sentence,
        traceback=trace,
        scores=scores,
        stats=stats,
        scoring=task.scoring_record(),
        dataset_info=task.dataset_info,
        provenance={
            **task.software,
            **provenance.hardware(),
            "threads": task.threads,
            **figures,
            "time": provenance.now(),
            "run": task.run,
        },
    )
    write_cell(task.results, result, arrays)
    return reconstruction.status


def _scored(
    task: Task, truth: Atoms, reconstruction: Reconstruction
) -> tuple[dict[str, float], dict[str, float], Arrays]:
    """Scores, stats and arrays of an answer; of a failure, the scores of no atoms at all."""
    arrays: Arrays = {"truth_numbers": truth.numbers, "truth_positions": truth.positions}
    stats = {str(key): float(value) for key, value in reconstruction.stats.items()}
    limit = task.limit()
    if reconstruction.status.failed:
        return score(Atoms(), truth, scoring=task.scoring, limit=limit), stats, arrays
    atoms = reconstruction.atoms
    scores, match = score_match(atoms, truth, task.scoring, stats, limit)
    arrays |= {
        "answer_numbers": atoms.numbers,
        "answer_positions": atoms.positions,
        "pairs": match.pairs,
        "residuals": match.residuals,
        "translation": match.translation,
    }
    if "intensity" in atoms.arrays:
        arrays["answer_intensity"] = np.asarray(atoms.arrays["intensity"], dtype=np.float32)
    if reconstruction.volume is not None:
        arrays |= orthoslices(reconstruction.volume)
    if reconstruction.geometry is not None:
        arrays |= geometry_arrays(reconstruction.geometry)
        scores |= geometry_scores(reconstruction.geometry, true_acquisition(task.card))
    return scores, stats, arrays


def _limit_threads(threads: int) -> None:
    """Hold the libraries that this process has loaded to so many threads."""
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(threads)
    if (numba := sys.modules.get("numba")) is not None:
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))


def _reset_gpu_memory() -> None:
    if (torch := sys.modules.get("torch")) is not None and torch.cuda.is_initialized():
        torch.cuda.reset_peak_memory_stats()


def _gpu_memory() -> dict[str, float]:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return {}
    return {"gpu_peak_memory": torch.cuda.max_memory_allocated()}
