"""What became of each species: found and rightly named, wrongly claimed, and how far off."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from ase.data import chemical_symbols

from benchmarks.metrics.match import Match
from benchmarks.metrics.position import PM_PER_ANGSTROM


def identification_scores(
    match: Match, answer_numbers: npt.NDArray[np.integer], truth_numbers: npt.NDArray[np.integer]
) -> dict[str, float]:
    """For each species of the truth, e.g. Cu: identified_Cu (of the true ones), identified_precision_Cu (of
    those called so) and identified_rmsd_Cu [pm]. `*_numbers` (a,) and (t,) are atomic numbers.
    """
    i, j = match.pairs.T
    agree = answer_numbers[j] == truth_numbers[i]
    scores: dict[str, float] = {}
    for number in np.unique(truth_numbers):
        right = agree & (truth_numbers[i] == number)
        n = int(right.sum())
        claimed = int(np.count_nonzero(answer_numbers == number))
        element = chemical_symbols[number]
        scores[f"identified_{element}"] = n / int(np.count_nonzero(truth_numbers == number))
        scores[f"identified_precision_{element}"] = n / claimed if claimed else 0.0
        squares = float((match.residuals[right] ** 2).sum())
        scores[f"identified_rmsd_{element}"] = PM_PER_ANGSTROM * math.sqrt(squares / n) if n else math.nan
    return scores
