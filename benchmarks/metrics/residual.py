"""How well the answer explains the counts: figures that the reconstructor reports, and that need no truth."""

from __future__ import annotations

import math
from collections.abc import Mapping


def residual_scores(stats: Mapping[str, float]) -> dict[str, float]:
    """r_factor, as reported in `stats`; NaN when it is not."""
    return {"r_factor": float(stats.get("r_factor", math.nan))}
