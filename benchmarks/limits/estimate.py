"""Maximum likelihood from the truth: where the counts, or noise-free images, pull the atoms to.

Fisher scoring with the information at the truth, θ ← θ + C Σ ∂λ/∂θ (n − λ)/λ. On counts drawn from the model
it shows that the bound is reached. On noise-free images of multislice it shows how far off the best fit of a
sum of atoms is, however many electrons there are: the floor of every method that takes an image for such a
sum.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from benchmarks.limits.information import Operator, mean_counts
from benchmarks.limits.model import ImageModel

FloatArray = npt.NDArray[np.float64]

SETTLED = 1e-4
"""Å rms: steps shorter than this end a fit."""

LONGEST = 0.2
"""Å. No atom moves further in a step, nor changes its amplitude by more than this part."""


def fit(
    operator: Operator,
    counts: FloatArray,
    dose: float,
    background: float,
    solve: Callable[[FloatArray], FloatArray],
    *,
    variance: FloatArray | None = None,
    n_iter: int = 30,
) -> tuple[ImageModel, float]:
    """The model of `operator` with its atoms where `counts` (n_tilt, n_y, n_x) want them, and the last step
    [Å, rms]; above `SETTLED` it has not settled.

    `solve` applies F⁻¹. `variance` of the counts, by default that of the model as it is fitted. Positions are
    fitted and, where they are among the unknowns, amplitudes; no other nuisance.
    """
    model = operator.model
    n = operator.unknowns.n_atoms
    size = 0.0
    for _ in range(n_iter):
        mean = mean_counts(model.images(), dose, background)
        pull = dose * (counts - mean) / (mean if variance is None else variance)
        step = solve(Operator(model, operator.unknowns, operator.weight).gradient(pull))
        moves = np.clip(step[: 3 * n].reshape(n, 3), -LONGEST, LONGEST)
        amplitudes = model.amplitudes
        if "amplitudes" in operator.unknowns.names:
            amplitudes = np.maximum(amplitudes + np.clip(step[3 * n : 4 * n], -LONGEST, LONGEST), 0.05)
        model = model.moved(model.positions + moves, amplitudes)
        size = float(np.sqrt((moves**2).sum(axis=1).mean()))
        if size < SETTLED:
            break
    return model, size
