"""Tasks on dask: a cluster of this machine's cores, or one that already runs; deaths are survived."""

from __future__ import annotations

import logging
import os
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import dask
from ase import Atoms
from dask.system import CPU_COUNT
from distributed import Client, KilledWorker, LocalCluster, as_completed
from distributed.system import MEMORY_LIMIT

from benchmarks.execute import DISTRIBUTED_THREADS, Task, run_task, store_answer
from datasets.errors import InputError
from datasets.store import DatasetStore
from recon.base import Reconstruction, Status

RETRIES = 2
"""How often a cell is begun again after its worker died, before it counts as failed."""

_START_TIMEOUT = 60  # s
_MEMORY_SHARE = 0.9  # of the machine's memory, which the cells running beside each other may hold

_CONFIG = {
    "distributed.scheduler.allowed-failures": RETRIES,
    "distributed.comm.timeouts.connect": "60s",
}

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
"""Not Numba's: a worker sets its threads when it begins a cell, and this process may have started them."""


@contextmanager
def connect(scheduler: str | None, n_workers: int) -> Iterator[tuple[Client, int]]:
    """A client, and how many cells it runs at a time.

    Without `scheduler`, `n_workers` processes of one thread each are started here, and ended afterwards.
    Raises `InputError` when no worker answers at the address `scheduler`.
    """
    with dask.config.set(_CONFIG):
        if scheduler is None:
            with _local_cluster(n_workers) as cluster, Client(cluster) as client:
                yield client, n_workers
            return
        try:
            client = Client(scheduler, timeout=_START_TIMEOUT)
            client.wait_for_workers(1, timeout=_START_TIMEOUT)
        except (OSError, TimeoutError, ValueError) as error:
            raise InputError(f"scheduler {scheduler!r}: no worker answers there ({error})") from error
        with client:
            yield client, sum(client.nthreads().values())


@contextmanager
def _local_cluster(workers: int) -> Iterator[LocalCluster]:
    threads = dict.fromkeys(_THREAD_VARIABLES, str(DISTRIBUTED_THREADS))
    with (
        _main_not_imported(),
        _environment_restored(),
        dask.config.set({"distributed.nanny.pre-spawn-environ": threads}),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            memory_limit=0,  # dask would pause a full worker for ever; a cell's own watch ends it instead
            processes=True,
            host="127.0.0.1",
            dashboard_address=":0",
            worker_dashboard_address=None,
            silence_logs=logging.CRITICAL,
        ) as cluster,
    ):
        yield cluster


@contextmanager
def _environment_restored() -> Iterator[None]:
    """Take back what starting a worker leaves in this process's environment."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


@contextmanager
def _main_not_imported() -> Iterator[None]:
    """Keep new processes from importing the user's script again, which would start the run anew unless the
    script guarded itself; a reconstructor defined in it travels by value.
    """
    main = sys.modules["__main__"]
    hidden = {name: vars(main)[name] for name in ("__file__", "__spec__") if name in vars(main)}
    for name in hidden:
        setattr(main, name, None)
    try:
        yield
    finally:
        for name, value in hidden.items():
            setattr(main, name, value)


def run_on_cluster(
    tasks: Sequence[Task], scheduler: str | None, n_workers: int | None
) -> Iterator[tuple[Task, Status]]:
    """Run `tasks`, in order as far as workers are free; yields each one as it ends.

    No more are handed out than can run, so that a worker that dies is blamed for the cell that it ran.
    Without `scheduler` a cell's memory is limited too: to its share of the machine's, unless its task says
    less. Raises what `run_task` raises.
    """
    with connect(scheduler, min(n_workers or CPU_COUNT, len(tasks))) as (client, slots):
        share = _MEMORY_SHARE * MEMORY_LIMIT / slots
        waiting = deque(
            replace(
                task,
                threads=DISTRIBUTED_THREADS,
                own_process=scheduler is None,
                memory_limit=min(share, task.memory_limit),
            )
            for task in tasks
        )
        running: dict[Any, Task] = {}

        def hand_out() -> Any:
            task = waiting.popleft()
            future = client.submit(run_task, task, key=f"{task.cell.key}-{task.run}", pure=False)
            running[future] = task
            return future

        completed = as_completed([hand_out() for _ in range(min(slots, len(waiting)))], loop=client.loop)
        for future in completed:
            task = running.pop(future)
            try:
                status = future.result()
            except KilledWorker:
                status = _record_death(task)
            if waiting:
                completed.add(hand_out())
            yield task, status


def _record_death(task: Task) -> Status:
    """Store a cell whose worker died each time it was begun."""
    message = (
        f"Its worker process died {RETRIES + 1} times while running it: "
        "compiled code crashed, or the system ran out of memory."
    )
    truth = DatasetStore(task.card, task.data_root).truth()
    failure = Reconstruction(Atoms(), status=Status.ERROR, message=message)
    return store_answer(task, truth, failure, None, {})
