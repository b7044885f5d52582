"""Which atom of the answer is which true atom: one to one, within a cutoff, one rigid translation removed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, maximum_filter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching
from scipy.spatial import KDTree

from datasets.errors import InputError

CUTOFF = 1.0
"""Å. Below half the nearest-neighbour distance of a metal (1.33 Å in CuAu, 1.18 Å in Si), so that the balls
around the true atoms do not overlap and an atom of the answer can belong to one of them only; within the
0.9–1.5 Å of the published rules."""

MAX_TRANSLATION = 1.0
"""Å. A voxel or two: enough for the conventions of grids, too little to shift a crystal onto its lattice."""

_MAX_ROUNDS = 30
_MAX_STARTS = 4
_NEGLIGIBLE = 1e-3  # of the cutoff: a bound so small needs no search
_MOST_STEPS = 60  # from no translation to the longest one

Positions = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Match:
    """Pairs of atoms and what is left between them.

    `pairs` (n, 2) holds truth index and answer index, sorted by truth index; `residuals` (n, 3) [Å] answer −
    truth − `translation`, none longer than `cutoff` [Å].
    """

    pairs: npt.NDArray[np.int64]
    residuals: Positions
    translation: Positions
    cutoff: float
    n_truth: int
    n_answer: int

    @property
    def n(self) -> int:
        """Number of pairs."""
        return len(self.pairs)

    @property
    def sum_of_squares(self) -> float:
        """Summed squared distance of the pairs [Å²]."""
        return float((self.residuals**2).sum())

    @property
    def agreement(self) -> float:
        """Σ (cutoff² − distance²) over the pairs [Å²]."""
        return self.n * self.cutoff**2 - self.sum_of_squares


def match_positions(
    answer: npt.ArrayLike,
    truth: npt.ArrayLike,
    *,
    cutoff: float = CUTOFF,
    max_translation: float = MAX_TRANSLATION,
) -> Match:
    """Match positions (a, 3) of an answer to those (t, 3) of the truth [Å].

    At any one translation the assignment is optimal: the most pairs closer than `cutoff` [Å], and among those
    the least summed squared distance. Among translations no longer than `max_translation` [Å] the one of the
    largest Σ (cutoff² − distance²) over the pairs is sought (truncated least squares), because the one with
    the most pairs would be drawn away by false atoms: the densest places among all differences answer − truth
    are the starts, and from each one assignment and mean residual alternate until the pairs stay. A
    translation is all that is removed: no rotation, no scale, no reflection. Raises `InputError`.
    """
    found, true = _checked(answer, "answer"), _checked(truth, "truth")
    if not cutoff > 0 or max_translation < 0:
        raise InputError(
            f"cutoff must be positive and max_translation not negative, they are {cutoff!r} and "
            f"{max_translation!r} Å"
        )
    best: Match | None = None
    for start in _starts(found, true, cutoff, max_translation):
        settled = _settle(found, true, start, cutoff, max_translation)
        if best is None or _better(settled, best):
            best = settled
    assert best is not None
    return best


def _checked(positions: npt.ArrayLike, what: str) -> Positions:
    array = np.asarray(positions, dtype=np.float64)
    if array.size == 0:
        return array.reshape(0, 3)
    if array.ndim != 2 or array.shape[1] != 3:
        raise InputError(f"positions of the {what} must have shape (n, 3), they have {array.shape}")
    if not np.isfinite(array).all():
        raise InputError(f"positions of the {what} hold a value that is not finite")
    return array


def _better(a: Match, b: Match) -> bool:
    """Whether the translation of `a` explains more than that of `b`, beyond rounding."""
    return a.agreement > b.agreement + 1e-9 * a.cutoff**2


def _starts(found: Positions, true: Positions, cutoff: float, bound: float) -> Iterator[Positions]:
    """No translation, then the densest places among the differences between the two sets."""
    yield np.zeros(3)
    if bound < _NEGLIGIBLE * cutoff or not len(found) or not len(true):
        return
    near = KDTree(true).sparse_distance_matrix(KDTree(found), bound + cutoff, output_type="ndarray")
    differences = found[near["j"]] - true[near["i"]]
    step = max(min(cutoff, bound) / 5, bound / _MOST_STEPS)
    half = int(np.ceil(bound / step))
    edges = (np.arange(-half - 0.5, half + 1) * step,) * 3
    counts, _ = np.histogramdd(differences, bins=edges)
    density = gaussian_filter(counts, 1.0, mode="constant")
    peaks = np.argwhere((density == maximum_filter(density, size=3)) & (density > 0))
    order = np.argsort(-density[tuple(peaks.T)], kind="stable")
    for peak in peaks[order[: _MAX_STARTS - 1]]:
        yield _clip((peak - half) * step, bound)


def _clip(translation: Positions, bound: float) -> Positions:
    length = float(np.linalg.norm(translation))
    return translation if length <= bound else translation * (bound / length)


def _settle(found: Positions, true: Positions, start: Positions, cutoff: float, bound: float) -> Match:
    """Alternate assignment and mean residual from `start` until the pairs do not get better."""
    best = _match_at(found, true, start, cutoff)
    for _ in range(_MAX_ROUNDS):
        if not best.n:
            return best
        i, j = best.pairs.T
        match = _match_at(found, true, _clip((found[j] - true[i]).mean(axis=0), bound), cutoff)
        same = np.array_equal(match.pairs, best.pairs)
        if not (same or _better(match, best)):
            return best
        best = match
        if same:
            return best
    return best


def _match_at(found: Positions, true: Positions, translation: Positions, cutoff: float) -> Match:
    pairs = assign(found - translation, true, cutoff)
    i, j = pairs.T
    residuals = found[j] - true[i] - translation
    return Match(pairs, residuals, translation, cutoff, len(true), len(found))


def assign(answer: Positions, truth: Positions, cutoff: float) -> npt.NDArray[np.int64]:
    """The one-to-one pairs (n, 2) of truth index and answer index closer than `cutoff` [Å]: as many as there
    can be, and among those the least summed squared distance. Nothing is moved.
    """
    if not len(answer) or not len(truth):
        return np.empty((0, 2), dtype=np.int64)
    near = KDTree(truth).sparse_distance_matrix(KDTree(answer), cutoff, output_type="ndarray")
    i, j, squared = near["i"], near["j"], near["v"] ** 2
    alone = (np.bincount(i, minlength=len(truth))[i] == 1) & (np.bincount(j, minlength=len(answer))[j] == 1)
    pairs = np.stack([i[alone], j[alone]], axis=1)
    if not alone.all():
        contested = _assign_contested(i[~alone], j[~alone], squared[~alone], cutoff)
        pairs = np.concatenate([pairs, contested])
    return pairs[np.argsort(pairs[:, 0])].astype(np.int64)


def _assign_contested(
    i: npt.NDArray[np.int64], j: npt.NDArray[np.int64], squared: Positions, cutoff: float
) -> npt.NDArray[np.int64]:
    """Optimal assignment along the edges (i, j), each row of which may also stay alone, at a price that no
    saved distance can pay.
    """
    rows, row = np.unique(i, return_inverse=True)
    columns, column = np.unique(j, return_inverse=True)
    n = len(rows)
    alone = (n + 1) * cutoff**2
    offset = cutoff**2  # the same for all n edges of a solution; a cost of zero would mean no edge
    costs = coo_array(
        (
            np.concatenate([squared, np.full(n, alone)]) + offset,
            (np.concatenate([row, np.arange(n)]), np.concatenate([column, len(columns) + np.arange(n)])),
        ),
        shape=(n, len(columns) + n),
    )
    chosen_row, chosen_column = min_weight_full_bipartite_matching(costs.tocsr())
    paired = chosen_column < len(columns)
    return np.stack([rows[chosen_row[paired]], columns[chosen_column[paired]]], axis=1)
