"""A watch over one cell: the time it may take, and the most memory it held."""

from __future__ import annotations

import ctypes
import math
import threading
import time
from collections.abc import Callable
from types import TracebackType

import psutil  # type: ignore[import-untyped]

INTERVAL = 0.05
"""Seconds between two looks at the memory."""

_REPEAT = 5.0  # an exception raised from outside is lost when it lands in a destructor: so raise it again


class CellTimeout(BaseException):
    """Raised inside a cell that runs past its limit; no `except Exception` of a reconstructor holds it."""


class Watch:
    """Context manager: raises `CellTimeout` in the thread that entered it once `limit` seconds have passed.

    Python raises between two of its own instructions, so one long call into compiled code first comes to its
    end. If the block still runs `grace` seconds later, `on_hang` is called from the watching thread; so is
    `on_memory` as soon as the process holds more than `memory_limit` [byte]. Afterwards `seconds` and
    `peak_memory` [byte] (resident, of the whole process) are there.
    """

    def __init__(
        self,
        limit: float,
        *,
        grace: float = 30.0,
        on_hang: Callable[[], None] | None = None,
        memory_limit: float = math.inf,
        on_memory: Callable[[], None] | None = None,
    ) -> None:
        self.limit, self.grace, self.on_hang = limit, grace, on_hang
        self.memory_limit, self.on_memory = memory_limit, on_memory
        self.seconds = 0.0
        self.peak_memory = 0
        self._process = psutil.Process()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="dosebench-watch", daemon=True)

    def __enter__(self) -> Watch:
        self._target = threading.get_ident()
        self._start = time.perf_counter()
        self._look()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        _raise_in(self._target, None)
        self._look()

    def _look(self) -> None:
        self.seconds = time.perf_counter() - self._start
        self.peak_memory = max(self.peak_memory, self._process.memory_info().rss)

    def _watch(self) -> None:
        next_raise = self.limit
        while not self._done.wait(INTERVAL):
            self._look()
            if self.on_memory is not None and self.peak_memory > self.memory_limit:
                self.on_memory()
                return
            if self.on_hang is not None and self.seconds > self.limit + self.grace:
                self.on_hang()
                return
            if self.seconds > next_raise:
                next_raise = self.seconds + _REPEAT
                _raise_in(self._target, CellTimeout)


def _raise_in(thread: int, kind: type[BaseException] | None) -> None:
    """Raise `kind` in a running thread at its next instruction; None takes back what has not arrived."""
    pending = ctypes.py_object(kind) if kind is not None else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), pending)
