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
    limits = list(known)
    if floor and all(limit.floor() >= rmsd for limit in limits):
        return math.inf
    for _ in range(MOST_STEPS):
        nearest = min(limits, key=lambda limit: _off(limit, rmsd, floor))
        wanted = _wanted(nearest, rmsd, floor)
        points = [(limit.dose, limit.bound()) for limit in limits]
        dose = _secant(sorted(points, key=lambda point: abs(math.log(point[1] / wanted)))[:2], wanted)
        if _off(nearest, rmsd, floor) < CLOSE:
            return dose
        low, high = min(points)[0] / FACTOR, max(points)[0] * FACTOR
        limits.append(at(min(max(dose, low), high)))
    return dose


def _wanted(limit: Limit, rmsd: float, floor: bool) -> float:
    """The bound [pm] that leaves room for the floor, which hardly changes with the dose."""
    return math.sqrt(rmsd**2 - limit.floor() ** 2) if floor else rmsd


def _off(limit: Limit, rmsd: float, floor: bool) -> float:
    """How far the bound is from what is wanted, as a logarithm; infinite where the floor leaves no room."""
    if floor and limit.floor() >= rmsd:
        return math.inf
    return abs(math.log(limit.bound() / _wanted(limit, rmsd, floor)))


def _secant(points: Sequence[tuple[float, float]], rmsd: float) -> float:
    """Where the power law through two (dose, RMSD), or one of power −1/2, has `rmsd`."""
    (dose, value), *others = points
    power = -0.5
    if others and others[0][0] != dose:
        power = math.log(others[0][1] / value) / math.log(others[0][0] / dose)
        power = min(max(power, -2.0), -0.1)
    return dose * math.exp(math.log(rmsd / value) / power)
