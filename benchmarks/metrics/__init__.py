"""One file per metric family, one card per metric; `score` is the one entry."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.metrics.scoring import score

__all__ = ["score"]


def __getattr__(name: str) -> object:
    if name == "score":
        from benchmarks.metrics.scoring import score

        return score
    raise AttributeError(f"module 'benchmarks.metrics' has no attribute {name!r}")
