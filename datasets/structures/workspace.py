"""What a generator may use while it works: a place for checkpoints, a progress bar, threads."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm


@dataclass(frozen=True)
class Workspace:
    """Handed to every generator.

    `checkpoints` is a folder of its own for this structure, kept until the structure is stored, so that long
    work goes on where it stopped; None where nothing is kept. `progress` shows bars on a terminal.
    """

    checkpoints: Path | None = None
    progress: bool = False

    def bar(self, total: int, description: str, unit: str = "step") -> tqdm[NoReturn]:
        """A progress bar with an estimate; silent unless `progress` and a terminal."""
        bar: tqdm[NoReturn] = tqdm(
            total=total,
            desc=description,
            unit=unit,
            unit_scale=True,
            disable=None if self.progress else True,
        )
        return bar

    def clear(self) -> None:
        """Remove the checkpoints: what they were for is stored."""
        if self.checkpoints is not None:
            shutil.rmtree(self.checkpoints, ignore_errors=True)


def available_threads() -> int:
    """Threads to use: OMP_NUM_THREADS where it is set, as in a dask worker, otherwise all cores of this
    process.
    """
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return int(wanted) if wanted.isdigit() and int(wanted) > 0 else len(os.sched_getaffinity(0))
