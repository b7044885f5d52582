"""How many atoms were found, how many of those found are real, and how far off they are."""

from __future__ import annotations

import math

from benchmarks.metrics.match import Match

PM_PER_ANGSTROM = 100.0


def position_scores(match: Match) -> dict[str, float]:
    """recall, precision, rmsd [pm], the translation removed [pm], and the counts they rest on."""
    return {
        "recall": match.n / match.n_truth,
        "precision": match.n / match.n_answer if match.n_answer else 0.0,
        "rmsd": PM_PER_ANGSTROM * math.sqrt(match.sum_of_squares / match.n) if match.n else math.nan,
        "translation": PM_PER_ANGSTROM * math.hypot(*match.translation) if match.n else math.nan,
        "n_truth": float(match.n_truth),
        "n_answer": float(match.n_answer),
        "n_matched": float(match.n),
    }
