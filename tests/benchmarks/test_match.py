"""Matching: laws that hold for every input, brute force on small sets, and known answers."""

from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmarks.metrics.match import assign, match_positions
from datasets.errors import InputError

COORDINATE = st.floats(-4, 4, allow_nan=False, width=32)


def positions(most: int) -> st.SearchStrategy[np.ndarray]:
    return st.integers(0, most).flatmap(lambda n: arrays(np.float64, (n, 3), elements=COORDINATE))


def brute_force(answer: np.ndarray, truth: np.ndarray, cutoff: float) -> tuple[int, float]:
    """Most pairs, and the least summed squared distance of so many, by trying all of them."""
    squared = ((truth[:, None] - answer) ** 2).sum(-1)
    allowed = np.sqrt(squared) <= cutoff
    for n in range(min(len(answer), len(truth)), 0, -1):
        costs = [
            squared[list(i), list(j)].sum()
            for i in combinations(range(len(truth)), n)
            for j in permutations(range(len(answer)), n)
            if allowed[list(i), list(j)].all()
        ]
        if costs:
            return n, min(costs)
    return 0, 0.0


def scattered(n: int, spacing: float, seed: int) -> np.ndarray:
    """`n` places on a jittered grid, no two closer than about `spacing`."""
    rng = np.random.default_rng(seed)
    side = int(np.ceil(n ** (1 / 3)))
    grid = np.stack(np.meshgrid(*[np.arange(side)] * 3), -1).reshape(-1, 3)[:n] * spacing * 1.4
    return grid + rng.uniform(-0.2, 0.2, grid.shape) * spacing - grid.mean(axis=0)


@settings(max_examples=150, deadline=None)
@given(positions(4), positions(4), st.floats(0.5, 5))
def test_assignment_is_optimal(answer, truth, cutoff) -> None:
    pairs = assign(answer, truth, cutoff)
    most, least = brute_force(answer, truth, cutoff)
    cost = ((truth[pairs[:, 0]] - answer[pairs[:, 1]]) ** 2).sum()
    assert len(pairs) == most
    assert cost == pytest.approx(least, abs=1e-6)


@settings(max_examples=100, deadline=None)
@given(positions(12), positions(12), st.floats(0.2, 4), st.floats(0, 2))
def test_laws(answer, truth, cutoff, bound) -> None:
    match = match_positions(answer, truth, cutoff=cutoff, max_translation=bound)
    i, j = match.pairs.T
    assert match.n <= min(len(answer), len(truth))
    assert len(set(i)) == len(set(j)) == match.n
    assert np.linalg.norm(match.translation) <= bound + 1e-9
    assert (np.linalg.norm(match.residuals, axis=1) <= cutoff + 1e-9).all()
    np.testing.assert_allclose(match.residuals, answer[j] - truth[i] - match.translation, atol=1e-9)
    still = match_positions(answer, truth, cutoff=cutoff, max_translation=0)
    assert match.agreement >= still.agreement - 1e-9
    assert still.n == len(assign(answer, truth, cutoff))


@settings(max_examples=100, deadline=None)
@given(positions(15), positions(15), st.floats(0.2, 4))
def test_assignment_does_not_care_who_is_the_truth(a, b, cutoff) -> None:
    assert len(assign(a, b, cutoff)) == len(assign(b, a, cutoff))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 60))
def test_order_does_not_matter(seed, n) -> None:
    rng = np.random.default_rng(seed)
    truth = scattered(n, 2.5, seed)
    answer = np.concatenate([truth + rng.normal(0, 0.3, truth.shape), rng.uniform(-8, 8, (n // 2, 3))])
    match = match_positions(answer, truth)
    of_truth, of_answer = rng.permutation(n), rng.permutation(len(answer))
    other = match_positions(answer[of_answer], truth[of_truth])
    expected = {(int(i), int(j)) for i, j in match.pairs}
    assert {(int(of_truth[i]), int(of_answer[j])) for i, j in other.pairs} == expected
    np.testing.assert_allclose(other.translation, match.translation, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(10, 60),
    st.tuples(*[st.floats(-0.55, 0.55)] * 3),
)
def test_a_translation_within_the_bound_changes_nothing(seed, n, shift) -> None:
    rng = np.random.default_rng(seed)
    truth = scattered(n, 2.5, seed)
    kept = truth[rng.permutation(n)[: max(8, int(0.8 * n))]]
    answer = kept + rng.normal(0, 0.08, kept.shape)
    plain, shifted = match_positions(answer, truth), match_positions(answer + shift, truth)
    np.testing.assert_array_equal(plain.pairs, shifted.pairs)
    np.testing.assert_allclose(shifted.residuals, plain.residuals, atol=1e-9)
    np.testing.assert_allclose(shifted.translation - plain.translation, shift, atol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_the_translation_is_robust_to_missing_and_false_atoms(seed) -> None:
    rng = np.random.default_rng(seed)
    truth = scattered(300, 2.4, seed)
    shift = rng.uniform(-0.55, 0.55, 3)
    found = truth[rng.permutation(300)[:150]] + rng.normal(0, 0.1, (150, 3)) + shift
    false = rng.uniform(truth.min(), truth.max(), (200, 3))
    match = match_positions(np.concatenate([found, false]), truth)
    np.testing.assert_allclose(match.translation, shift, atol=0.1)
    assert (match.pairs[:, 1] < 150).sum() >= 147


def test_a_crystal_is_not_shifted_onto_its_lattice() -> None:
    """Moved by a whole lattice vector, all but one layer would match: the bound forbids it."""
    truth = np.stack(np.meshgrid(*[np.arange(8) * 2.6] * 3), -1).reshape(-1, 3)
    match = match_positions(truth + np.array([2.6, 0, 0]), truth)
    assert match.n == 7 * 64
    assert np.linalg.norm(match.translation) == pytest.approx(0)


def test_the_truth_matches_itself_exactly() -> None:
    truth = scattered(500, 2.2, 1)
    match = match_positions(truth, truth)
    np.testing.assert_array_equal(match.pairs[:, 0], match.pairs[:, 1])
    assert match.n == 500
    assert not match.residuals.any()
    assert not match.translation.any()


def test_more_pairs_come_before_closer_ones() -> None:
    """The close pair alone would leave both others without a partner."""
    truth = np.array([[0.0, 0, 0], [0.9, 0, 0]])
    answer = np.array([[0.85, 0, 0], [1.7, 0, 0]])
    match = match_positions(answer, truth, max_translation=0)
    np.testing.assert_array_equal(match.pairs, [[0, 0], [1, 1]])


def test_twenty_thousand_atoms() -> None:
    """A dense particle with three displaced answers in four, and chance for the rest."""
    rng = np.random.default_rng(0)
    truth = scattered(20_000, 1.9, 0)
    answer = truth + rng.normal(0, 0.1, truth.shape) + (0.3, -0.2, 0.1)
    answer[:5000] = rng.uniform(truth.min(axis=0), truth.max(axis=0), (5000, 3))
    match = match_positions(answer, truth)
    right = (match.pairs[:, 0] == match.pairs[:, 1]) & (match.pairs[:, 0] >= 5000)
    assert right.sum() > 0.99 * 15_000
    np.testing.assert_allclose(match.translation, (0.3, -0.2, 0.1), atol=0.02)


@pytest.mark.parametrize(
    ("answer", "truth", "options", "words"),
    [
        (np.zeros((3, 2)), np.zeros((3, 3)), {}, r"the answer must have shape \(n, 3\)"),
        (np.zeros((3, 3)), np.full((3, 3), np.nan), {}, "the truth hold a value that is not finite"),
        (np.zeros((3, 3)), np.zeros((3, 3)), {"cutoff": 0.0}, "cutoff must be positive"),
        (np.zeros((3, 3)), np.zeros((3, 3)), {"max_translation": -1.0}, "max_translation not negative"),
    ],
)
def test_bad_input(answer, truth, options, words) -> None:
    with pytest.raises(InputError, match=words):
        match_positions(answer, truth, **options)
