"""How many atoms the counts tell from noise at a dose: what nobody who looks for them one by one can beat.

The information on the intensity of an atom, every position and every other intensity unknown too, is that of
the Cramér–Rao bound with `amplitudes`; so an estimate of it is normal about the truth with variance σ² at the
least. Whether an atom is there is decided by the odds of that estimate, and false ones are the highest points
that the noise has between the atoms (`recon.atoms.detection`). At the cost where false and missed atoms are
fewest, this gives what is found and what is made up. It knows where all other atoms are to begin with, which
no reconstructor does; it does not use that atoms keep regular distances.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.limits.covariance import inverse
from benchmarks.limits.information import dense, weights
from benchmarks.limits.kernels import AtomKernels, table_squares
from benchmarks.limits.problem import MOST_DENSE, LimitProblem
from benchmarks.limits.unknowns import Unknowns
from datasets.errors import InputError
from recon.atoms.classify import closest_approach, shortest_bond
from recon.atoms.detection import Detection, places
from recon.atoms.selection import Species

FloatArray = npt.NDArray[np.float64]

SPREAD = 0.05
"""Relative spread of the intensities of a species."""

CLOSE = 0.01
"""Relative error of a dose at which the search for it ends."""

LIGHTEST, LARGEST = 1.0, 1e9
"""Doses [e⁻/Å² per image] between which one is looked for."""


@dataclass(frozen=True)
class Detectable:
    """Expected at `dose` [e⁻/Å² per image]: the part of the atoms that is `found`, and how many `false` ones
    there are for each atom.
    """

    dose: float
    found: float
    false: float

    @property
    def tracing_error(self) -> float:
        """Missed and false atoms for each atom."""
        return 1 - self.found + self.false


def detectable(problem: LimitProblem, dose: float) -> Detectable:
    """What can be found at `dose`. Raises `InputError` for a particle of too many atoms to invert F."""
    model, kernels = problem.model, problem.model.kernels
    unknowns = Unknowns.of(model, ("amplitudes",))
    n = unknowns.n_atoms
    if unknowns.n_own > MOST_DENSE:
        raise InputError(
            f"limit: {n} atoms are too many to say which can be found; at most {MOST_DENSE // 4}"
        )
    information = dense(model, unknowns, weights(problem.expected, dose, problem.background))
    relative = np.diag(inverse(information, unknowns.n_own, unknowns.known(model)))[3 * n : 4 * n]
    means = kernels.integral()
    variances = relative * means[model.labels] ** 2
    order = np.argsort(means)
    shares = np.bincount(model.labels, minlength=len(means)) / n
    species = Species(means[order], SPREAD * means[order], shares[order])
    names = list(kernels.names)
    points, each = places(model.positions, shortest_bond(names), closest_approach(names))
    told = Detection.of(
        species, variances, n, variances, each * len(points), _width(kernels), model.series.turns[:, :2]
    )
    false, missed = told.expected(told.cost(math.inf))
    return Detectable(dose, 1 - missed / n, false / n)


def _width(kernels: AtomKernels) -> float:
    """The σ [Å] of the Gaussian whose image falls off as fast as those of the kernels: ½ ∫K² / ∫(∂K/∂x)²."""
    square = table_squares(kernels.reach)
    power = np.trapezoid(kernels.tables[:, 0] ** 2, square, axis=1)
    slope = np.trapezoid(square * kernels.tables[:, 1] ** 2, square, axis=1) / 2
    return float(np.sqrt(np.mean(power / (2 * slope))))


def dose_to_trace(tracing_error: float, at: Callable[[float], Detectable]) -> float:
    """The dose [e⁻/Å² per image] at which that tracing error can be reached, by bisection in its
    logarithm."""
    low, high = math.log(LIGHTEST), math.log(LARGEST)
    if at(LARGEST).tracing_error > tracing_error:
        return math.inf
    while high - low > CLOSE:
        middle = (low + high) / 2
        low, high = (low, middle) if at(math.exp(middle)).tracing_error <= tracing_error else (middle, high)
    return math.exp((low + high) / 2)
