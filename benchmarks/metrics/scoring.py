"""The one entry to scoring: an answer and the truth in, every metric out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ase import Atoms

from benchmarks.limits.limit import Limit
from benchmarks.metrics.defects import defect_scores
from benchmarks.metrics.identification import identification_scores
from benchmarks.metrics.match import CUTOFF, MAX_TRANSLATION, Match, match_positions
from benchmarks.metrics.over_limit import limit_scores
from benchmarks.metrics.position import position_scores
from benchmarks.metrics.published import PUBLISHED_CUTOFF, published_scores
from benchmarks.metrics.residual import residual_scores
from benchmarks.metrics.sheet import is_sheet, sheet_scores
from benchmarks.metrics.tracing import tracing_scores
from datasets.errors import InputError

SCORING_VERSION = 1
"""Raised when the same answer would get other scores: stored answers are then scored again."""


@dataclass(frozen=True)
class Scoring:
    """The rule of a score: the cutoff of the one-to-one pairs, the longest translation removed before, and
    the cutoff of the published rule, all in Å.
    """

    cutoff: float = CUTOFF
    max_translation: float = MAX_TRANSLATION
    published_cutoff: float = PUBLISHED_CUTOFF

    def record(self) -> dict[str, Any]:
        """What is written beside a score, so that it is known by which rule it came."""
        return {**dataclasses.asdict(self), "version": SCORING_VERSION}


def score(
    answer: Atoms,
    truth: Atoms,
    cutoff: float = CUTOFF,
    *,
    scoring: Scoring | None = None,
    stats: Mapping[str, float] | None = None,
    limit: Limit | None = None,
) -> dict[str, float]:
    """Every metric of `answer` against `truth`, by variable name; NaN where there is no value.

    `cutoff` [Å] is that of the one-to-one pairs; `scoring` replaces it and sets the rest of the rule. `stats`
    are what a reconstructor reported; with `limit`, scores against the bound too. Raises `InputError`.
    """
    return score_match(answer, truth, scoring or Scoring(cutoff), stats or {}, limit)[0]


def score_match(
    answer: Atoms, truth: Atoms, scoring: Scoring, stats: Mapping[str, float], limit: Limit | None = None
) -> tuple[dict[str, float], Match]:
    """As `score`, with the pairs that the scores rest on."""
    if not len(truth):
        raise InputError("the truth has no atoms to score against")
    match = match_positions(
        answer.positions,
        truth.positions,
        cutoff=scoring.cutoff,
        max_translation=scoring.max_translation,
    )
    scores = {
        **position_scores(match),
        **tracing_scores(match, answer.numbers, truth.numbers),
        **identification_scores(match, answer.numbers, truth.numbers),
        **residual_scores(stats),
        **published_scores(answer, truth, cutoff=scoring.published_cutoff),
        **({} if limit is None else limit_scores(match, limit)),
        **({**sheet_scores(answer, truth), **defect_scores(answer, truth)} if is_sheet(truth) else {}),
        **_of_network(match, answer, truth),
    }
    return scores, match


def _of_network(match: Match, answer: Atoms, truth: Atoms) -> dict[str, float]:
    """The scores of a network of Si and O; none where the truth is no such. Rings are compiled, so that only
    those who need them wait for it.
    """
    if set(truth.symbols) != {"Si", "O"}:
        return {}
    from benchmarks.metrics.rings import is_network, ring_scores

    return ring_scores(match, answer, truth) if is_network(truth) else {}


def failure_scores(truth: Atoms) -> dict[str, float]:
    """The scores of a cell without an answer: those of no atoms at all, and no R-factor."""
    return score(Atoms(), truth)
