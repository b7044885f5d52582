"""Tracing error and total classification rate, as MSET (004) defines them in section II.F."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from benchmarks.metrics.match import Match


def tracing_scores(
    match: Match, answer_numbers: npt.NDArray[np.integer], truth_numbers: npt.NDArray[np.integer]
) -> dict[str, float]:
    """tracing_error (ii): false and missing atoms over true atoms; classification (iii): atoms found and
    rightly named over true atoms. `*_numbers` (a,) and (t,) are atomic numbers.
    """
    false, missing = match.n_answer - match.n, match.n_truth - match.n
    i, j = match.pairs.T
    correct = int(np.count_nonzero(answer_numbers[j] == truth_numbers[i]))
    return {
        "tracing_error": (false + missing) / match.n_truth,
        "classification": correct / match.n_truth,
    }
