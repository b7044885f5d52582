"""The likelihood against finite differences, the fit against the truth, and its scatter over noise."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from datasets.schema import pixel_axis
from recon.atoms.covariance import local_covariance
from recon.atoms.halo import Halo
from recon.atoms.poisson_fit import Prior, Series, State, fit, state_of, with_mismatch
from recon.project.geometry import Geometry

PIXEL, WIDTH, BACKGROUND = 0.4, 0.5, 0.3
POSITIONS = np.array([[0.0, 0, 0], [2.3, 0.4, -0.3], [-0.5, 2.5, 0.7], [-1.2, -2.0, 1.4]])
HEIGHTS = np.array([60.0, 80.0, 70.0, 65.0])
HALO = Halo(0.2, 0.4)


def series_of(
    counts: np.ndarray | None = None, halo: Halo = HALO, shifts: float = 0.0, seed: int = 0
) -> Series:
    turns = Rotation.from_euler("Y", np.arange(-75, 76, 15.0)[:, None], degrees=True)
    n = len(turns)
    x, y = pixel_axis(30, PIXEL), pixel_axis(28, PIXEL)
    rng = np.random.default_rng(seed)
    moves, scales = shifts * rng.normal(size=(n, 2)), 1 + shifts * rng.normal(size=n)
    if counts is None:
        counts = np.zeros((n, 28, 30), dtype=np.float32)
    return Series(counts.astype(np.float32), Geometry(turns, x, y, x, PIXEL), moves, scales, halo)


def with_counts(empty: Series, counts: np.ndarray) -> Series:
    return Series(counts.astype(np.float32), empty.geometry, empty.shifts, empty.scales, empty.halo)


def expected(series: Series) -> np.ndarray:
    return state_of(series, POSITIONS, HEIGHTS, WIDTH, BACKGROUND).model.astype(np.float64)


def drawn(seed: int, **options: float) -> Series:
    empty = series_of(**options)  # type: ignore[arg-type]
    return with_counts(empty, np.random.default_rng(seed).poisson(expected(empty)))


def shaken(series: Series, seed: int = 5, by: float = 0.15) -> State:
    rng = np.random.default_rng(seed)
    start = POSITIONS + rng.normal(scale=by, size=POSITIONS.shape)
    return state_of(series, start, 0.8 * HEIGHTS, 0.45, 0.5)


@pytest.mark.parametrize("mismatch", [0.0, 0.2])
def test_the_score_is_the_derivative_of_the_energy(mismatch: float) -> None:
    series = drawn(0)
    at = state_of(series, POSITIONS + 0.1, HEIGHTS, WIDTH, BACKGROUND, mismatch)
    atoms = series.atoms(at.positions, at.width)
    moments = atoms.moments(at.weights * (series.counts - at.model))
    for atom in range(2):
        for axis in range(3):
            move = np.zeros_like(POSITIONS)
            move[atom, axis] = 0.02
            ends = [
                state_of(series, at.positions + sign * move, HEIGHTS, WIDTH, BACKGROUND, mismatch).energy
                for sign in (1, -1)
            ]
            assert HEIGHTS[atom] / PIXEL * moments[atom, 1 + axis] == pytest.approx(
                -(ends[0] - ends[1]) / 0.04, rel=0.03, abs=0.3
            )
        rise = np.eye(len(HEIGHTS))[atom]
        ends = [
            state_of(series, at.positions, HEIGHTS + sign * rise, WIDTH, BACKGROUND, mismatch).energy
            for sign in (1, -1)
        ]
        assert moments[atom, 0] == pytest.approx(-(ends[0] - ends[1]) / 2, rel=0.03, abs=0.01)


def test_the_likelihood_never_falls() -> None:
    series = drawn(1)
    energies = [fit(series, shaken(series), n_iter=n).energy for n in range(7)]
    assert all(b <= a for a, b in pairwise(energies))
    assert energies[-1] < energies[0] - 100


def test_without_noise_the_truth_is_found_through_shifts_scales_and_halo() -> None:
    empty = series_of(shifts=0.1)
    series = with_counts(empty, expected(empty))
    found = fit(series, shaken(series), n_iter=25)
    np.testing.assert_allclose(found.positions, POSITIONS, atol=0.005)
    np.testing.assert_allclose(found.heights, HEIGHTS, rtol=0.01)
    assert found.width == pytest.approx(WIDTH, abs=0.005)
    assert found.background == pytest.approx(BACKGROUND, abs=0.01)


def test_a_strong_prior_is_obeyed_at_once() -> None:
    series = drawn(2)
    prior = Prior(np.full(4, 100.0), np.full(4, 0.01))
    found = fit(series, shaken(series), prior=prior, n_iter=10)
    np.testing.assert_allclose(found.heights, 100.0, atol=0.1)


def test_a_fit_of_some_atoms_holds_all_else() -> None:
    series = drawn(7)
    rested = fit(series, shaken(series), n_iter=20)
    positions = rested.positions.copy()
    positions[1] += 0.2
    begin = state_of(series, positions, rested.heights, rested.width, rested.background)
    some = np.array([1])
    found = fit(series, begin, n_iter=10, free=some)
    others = [0, 2, 3]
    np.testing.assert_array_equal(found.positions[others], positions[others])
    np.testing.assert_array_equal(found.heights[others], rested.heights[others])
    assert (found.width, found.background) == (rested.width, rested.background)
    np.testing.assert_allclose(found.positions[1], rested.positions[1], atol=0.01)
    whole = state_of(series, found.positions, found.heights, found.width, found.background)
    assert found.energy == pytest.approx(whole.energy, abs=0.01)
    assert fit(series, begin, free=some[:0]) is begin


def test_a_fit_that_cannot_win_is_given_up() -> None:
    series = drawn(8)
    best = fit(series, shaken(series), n_iter=20)
    beaten = fit(series, shaken(series), n_iter=20, rival=best.energy - 1e6)
    assert beaten.energy > best.energy
    assert fit(series, shaken(series), n_iter=20, rival=best.energy + 1).energy == best.energy


def test_no_atoms_leave_the_background() -> None:
    series = with_counts(series_of(), np.random.default_rng(0).poisson(2.0, (11, 28, 30)))
    found = fit(series, state_of(series, np.empty((0, 3)), np.empty(0), WIDTH, 1.0))
    assert found.background == pytest.approx(series.counts.mean(), rel=1e-3)


def test_a_mismatch_is_seen_where_there_is_one_only() -> None:
    bright = 30 * expected(series_of())
    rng = np.random.default_rng(3)
    for part in (0.0, 0.3):
        factors = 1.0 if part == 0 else rng.gamma(1 / part**2, part**2, bright.shape)
        series = with_counts(series_of(), rng.poisson(bright * factors))
        state = state_of(series, POSITIONS, 30 * HEIGHTS, WIDTH, 30 * BACKGROUND)
        found = with_mismatch(series, state)
        assert np.sqrt(found.mismatch) == pytest.approx(part, rel=0.1, abs=1e-9)
        if part:
            exact = 1 / (bright + found.mismatch * bright**2)
            np.testing.assert_allclose(found.weights, exact, rtol=1e-3)


def test_a_small_mismatch_is_nearly_poisson() -> None:
    series = drawn(4)
    states = [state_of(series, POSITIONS, HEIGHTS, WIDTH, BACKGROUND, c2) for c2 in (0.0, 1e-5)]
    assert states[1].energy == pytest.approx(states[0].energy, abs=0.2)


@pytest.mark.parametrize(("halo", "least"), [(Halo(), 0.93), (HALO, 0.82)])
def test_the_scatter_over_noise_is_the_covariance(halo: Halo, least: float) -> None:
    """What a halo itself tells is left out of the covariance, which is then on the cautious side."""
    empty = series_of(halo=halo)
    mean = expected(empty)
    rng = np.random.default_rng(6)
    answers = []
    for _ in range(120):
        series = with_counts(empty, rng.poisson(mean))
        start = state_of(series, POSITIONS, HEIGHTS, WIDTH, BACKGROUND)
        found = fit(series, start, n_iter=5, with_width=False, with_background=False)
        answers.append(np.concatenate([found.heights[:, None], found.positions / PIXEL], axis=1))
    scatter = np.var(answers, axis=0)
    at = state_of(empty, POSITIONS, HEIGHTS, WIDTH, BACKGROUND)
    atoms = empty.atoms(POSITIONS, WIDTH)
    covariance = local_covariance(POSITIONS, HEIGHTS, atoms, at.weights, empty.near, radius=10.0)
    ratio = scatter / np.diagonal(covariance, axis1=1, axis2=2)
    assert least < np.sqrt(ratio[:, 1:].mean()) < 1.07
    assert least - 0.05 < np.sqrt(ratio[:, 0].mean()) < 1.1
    assert np.abs(np.mean(answers, axis=0)[:, 1:] - POSITIONS / PIXEL).max() < 0.05
