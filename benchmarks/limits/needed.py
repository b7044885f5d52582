"""The dose that a wanted precision needs, from the bound: where RMSD against dose crosses it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from benchmarks.limits.limit import Limit

CLOSE = 0.002
"""Relative error of the RMSD at which the search for the dose ends."""

MOST_STEPS = 12

FACTOR = 10.0
"""How far beyond the doses known a search may step at once."""


def dose_needed(
    rmsd: float, known: Sequence[Limit], at: Callable[[float], Limit], *, floor: bool = False
) -> float:
    """The dose [e⁻/Å² per image] at which the bound is `rmsd` [pm]; with `floor`, bound and floor together.

    `known` are limits at some doses, `at` computes one more. Infinite where the floor alone is above `rmsd`.
    Secants in the logarithms of dose and RMSD: the bound falls as a power of the dose that changes slowly,
    from −1 where the background hides the atoms to −1/2 where they outshine it.
    """
    value = Limit.with_floor if floor else Limit.bound
    points = sorted((limit.dose, value(limit)) for limit in known)
    if floor and max(known, key=lambda limit: limit.dose).floor() >= rmsd:
        return math.inf
    for _ in range(MOST_STEPS):
        nearest = sorted(points, key=lambda point: abs(math.log(point[1] / rmsd)))[:2]
        dose = _secant(nearest, rmsd)
        if abs(math.log(nearest[0][1] / rmsd)) < CLOSE:
            return dose
        low, high = points[0][0] / FACTOR, points[-1][0] * FACTOR
        limit = at(min(max(dose, low), high))
        if floor and limit.floor() >= rmsd:
            return math.inf
        points = sorted([*points, (limit.dose, value(limit))])
    return _secant(sorted(points, key=lambda point: abs(math.log(point[1] / rmsd)))[:2], rmsd)


def _secant(points: Sequence[tuple[float, float]], rmsd: float) -> float:
    """Where the power law through two (dose, RMSD), or one of power −1/2, has `rmsd`."""
    (dose, value), *others = points
    power = -0.5
    if others:
        power = math.log(others[0][1] / value) / math.log(others[0][0] / dose)
        power = min(max(power, -2.0), -0.1)
    return dose * math.exp(math.log(rmsd / value) / power)
