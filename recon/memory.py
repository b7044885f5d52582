"""How much memory a reconstruction took, and how much there is."""

from __future__ import annotations

import resource
import sys

import psutil  # type: ignore[import-untyped]


def peak_memory() -> float:
    """The most memory [byte] that this process has held so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


def shortage(name: str, needed: float) -> str:
    """A sentence where `needed` bytes are more than this machine has free; empty where they fit."""
    free = float(psutil.virtual_memory().available)
    if needed <= free:
        return ""
    needs, has = (f"{size / 2**30:.2g} GiB" for size in (needed, free))
    return f"{name} needs {needs} of memory for this measurement, {has} are free"
