"""How close an answer comes to what physics allows: its RMSD over the bound of the atoms that it found."""

from __future__ import annotations

import math

from benchmarks.limits.limit import Limit
from benchmarks.metrics.match import Match
from benchmarks.metrics.position import PM_PER_ANGSTROM

LARGEST = 0.5
"""Of the cutoff. Where the bound is larger, the cutoff of the matching decides the RMSD and the ratio says
nothing: at a half it cuts off 1 % of the atoms of a method that reaches the bound."""


def limit_scores(match: Match, limit: Limit) -> dict[str, float]:
    """rmsd_limit [pm], the bound over all atoms of the truth, and rmsd_over_limit, the RMSD over the bound of
    the matched atoms, so that a method gains nothing by finding only atoms that are easily placed.
    """
    bound = limit.bound(match.pairs[:, 0]) if match.n else math.nan
    ratio = math.nan
    if match.n and 0 < bound <= LARGEST * PM_PER_ANGSTROM * match.cutoff:
        ratio = PM_PER_ANGSTROM * math.sqrt(match.sum_of_squares / match.n) / bound
    return {"rmsd_limit": limit.bound(), "rmsd_over_limit": ratio}
