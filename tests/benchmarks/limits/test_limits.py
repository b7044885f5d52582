"""The bound against theory, finite differences, and the scatter of estimates from drawn counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from benchmarks.limits import problem
from benchmarks.limits.covariance import Solver, inverse, probe_variances, variances
from benchmarks.limits.estimate import SETTLED, fit
from benchmarks.limits.information import Operator, dense, mean_counts, weights
from benchmarks.limits.kernels import AtomKernels
from benchmarks.limits.limit import Limit
from benchmarks.limits.model import ImageModel, TiltSeries
from benchmarks.limits.needed import dose_needed
from benchmarks.limits.problem import LimitProblem
from benchmarks.limits.stored import limit_url, limits, stored_limit
from benchmarks.limits.unknowns import NUISANCES, Unknowns
from datasets.catalog import DatasetCard
from datasets.errors import InputError
from datasets.pieces import has_piece
from datasets.schema import EULER_SEQUENCE, pixel_axis
from datasets.store import DatasetStore

SIGMA = 0.45
"""Å."""
WEIGHT = 2e-3
"""Electrons per pixel and unit dose, × Å²."""
PIXEL = 0.3


def series(n_tilt: int, n_pixels: int = 40) -> TiltSeries:
    """A single-axis series over the half circle."""
    theta = np.linspace(-90, 90, n_tilt, endpoint=False)
    angles = np.stack([0 * theta, theta, 0 * theta], axis=1)
    turns = Rotation.from_euler(EULER_SEQUENCE, angles, degrees=True)
    return TiltSeries.of(turns, pixel_axis(n_pixels, PIXEL))


def gaussian_model(positions: np.ndarray, tilts: TiltSeries, sigma: float = SIGMA) -> ImageModel:
    """Atoms of one species and one width, reaching 6 σ."""
    kernels = AtomKernels.gaussian(("Si",), [WEIGHT], [sigma], 6 * sigma)
    n = len(positions)
    return ImageModel(positions, np.zeros(n, dtype=np.int64), np.ones(n), kernels, tilts)


@pytest.fixture(scope="session")
def cluster() -> ImageModel:
    """Eight atoms 1.8 Å apart or a little more at 9 tilts: neighbours overlap in every image."""
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
    rng = np.random.default_rng(1)
    return gaussian_model(0.95 * corners + rng.normal(0, 0.1, corners.shape), series(9))


def covariance(model: ImageModel, dose: float, background: float, *names: str) -> np.ndarray:
    """C of a model whose own images are the noise-free ones."""
    unknowns = Unknowns.of(model, names)
    weight = weights(model.images(), dose, background)
    return inverse(dense(model, unknowns, weight), unknowns.n_own, unknowns.known(model))


def test_an_isolated_atom_is_as_certain_as_its_electrons_allow() -> None:
    """Without background, N electrons of a Gaussian of width σ place its centre to σ/√N along each axis.
    Tilts all around y see y in every image, and x and z each in half of them.
    """
    tilts, dose = series(12), 1e5
    found = covariance(gaussian_model(np.array([[0.31, -0.52, 0.13]]), tilts), dose, 0.0)
    electrons = dose * WEIGHT / PIXEL**2
    expected = SIGMA**2 / electrons / 12 * np.array([2, 1, 2])
    np.testing.assert_allclose(np.diag(found), expected, rtol=2e-3)
    np.testing.assert_allclose(found - np.diag(np.diag(found)), 0, atol=2e-3 * expected.min())


def test_where_background_drowns_the_atom_the_error_falls_with_the_dose() -> None:
    """With λ = β everywhere F = dose²/β Σ (∂K/∂y)², and ∫ (∂K/∂y)² = weight²/(8πσ⁴) of a Gaussian."""
    model = gaussian_model(np.zeros((1, 3)), series(6))
    background, dose = 1e3, 10.0
    found = covariance(model, dose, background)
    integral = WEIGHT**2 / (8 * np.pi * SIGMA**4)
    assert found[1, 1] == pytest.approx(background * PIXEL**2 / (6 * dose**2 * integral), rel=1e-3)


@pytest.mark.parametrize("name", [*NUISANCES])
def test_information_is_that_of_finite_differences(cluster: ImageModel, name: str) -> None:
    """∂E/∂θ as the operator has it, against images of a model whose parameters were moved."""
    unknowns = Unknowns.of(cluster, [name])
    operator = Operator(cluster, unknowns, np.ones_like(cluster.images()))
    rng = np.random.default_rng(0)
    theta = rng.normal(size=unknowns.n_own + unknowns.n_shared)
    n, step = unknowns.n_atoms, 1e-4

    def moved(by: float) -> np.ndarray:
        given = by * theta
        shared = given[unknowns.n_own :]
        model = cluster.moved(cluster.positions + given[: 3 * n].reshape(n, 3))
        tilts = cluster.series
        if name == "amplitudes":
            model = model.moved(model.positions, 1 + given[3 * n : 4 * n])
        elif name == "species":
            model = model.moved(model.positions, (1 + shared[0]) * np.ones(n))
        elif name == "widths":
            sigma = SIGMA * np.exp(shared[0])
            wider = gaussian_model(model.positions, tilts, sigma).kernels
            model = replace(model, kernels=wider)
        elif name == "shifts":
            model = replace(model, series=replace(tilts, shifts=shared.reshape(-1, 2)))
        elif name == "scales":
            model = replace(model, series=replace(tilts, gains=1 + shared))
        elif name == "angles":
            turns = Rotation.from_rotvec(shared.reshape(-1, 3)).as_matrix() @ tilts.turns
            model = replace(model, series=replace(tilts, turns=turns))
        return model.images() + (shared[0] if name == "background" else 0)

    difference = (moved(step) - moved(-step)) / (2 * step)
    images = operator.images(theta)
    assert np.abs(images - difference).max() < 2e-3 * np.abs(images).max()


@settings(max_examples=10)
@given(st.sets(st.sampled_from(sorted(set(NUISANCES) - {"species"}))), st.integers(0, 100))
def test_the_operator_is_the_dense_matrix_and_its_own_adjoint(names: set[str], seed: int) -> None:
    model = gaussian_model(np.random.default_rng(seed).normal(0, 1.5, (5, 3)), series(4, 30))
    unknowns = Unknowns.of(model, sorted(names))
    weight = weights(model.images(), 1e4, 1.0)
    matrix = dense(model, unknowns, weight)
    operator = Operator(model, unknowns, weight)
    x, y = np.random.default_rng(seed).normal(size=(2, len(matrix)))
    x, y = operator.project(x), operator.project(y)
    scale = np.sqrt((x @ matrix @ x) * (y @ matrix @ y))
    assert y @ operator(x) == pytest.approx(y @ matrix @ x, abs=1e-5 * scale)
    images = np.random.default_rng(seed).normal(size=model.images().shape)
    left, right = (operator.images(x) * images).sum(), x @ operator.gradient(images)
    assert left == pytest.approx(right, rel=1e-9, abs=1e-9 * np.abs(images * operator.images(x)).sum())


def test_what_is_unknown_widens_the_bound_and_is_named(cluster: ImageModel) -> None:
    n = len(cluster.labels)
    alone = variances(covariance(cluster, 1e4, 1.0), n).mean()
    for name in NUISANCES:
        assert variances(covariance(cluster, 1e4, 1.0, name), n).mean() > alone * (1 - 1e-9), name
        assert NUISANCES[name] in Unknowns.of(cluster, [name]).label
    everything = [name for name in NUISANCES if name != "species"]
    assert variances(covariance(cluster, 1e4, 1.0, *everything), n).mean() > 1.05 * alone
    with pytest.raises(InputError, match="cannot both be unknown"):
        Unknowns.of(cluster, ["species", "amplitudes"])
    with pytest.raises(InputError, match="shifts"):
        Unknowns.of(cluster, ["shift"])


def test_the_translation_that_a_score_removes_is_not_in_the_bound(cluster: ImageModel) -> None:
    n = len(cluster.labels)
    found = covariance(cluster, 1e4, 1.0)
    mean = np.kron(np.ones((n, n)) / n, np.eye(3))
    projector = np.eye(3 * n) - mean
    removed = np.diag(projector @ found @ projector).reshape(n, 3).sum(axis=1)
    np.testing.assert_allclose(variances(found, n), removed, rtol=1e-9)
    assert removed.mean() < np.trace(found) / n


def test_one_image_does_not_determine_depth() -> None:
    model = gaussian_model(np.array([[0.0, 0.0, 1.0]]), series(1))
    with pytest.raises(InputError, match=r"no trace|do not determine"):
        covariance(model, 1e4, 1.0)


def test_random_probes_estimate_what_the_inverse_says(cluster: ImageModel) -> None:
    n = len(cluster.labels)
    names = ("amplitudes", "background", "shifts", "scales", "angles")
    exact = variances(covariance(cluster, 1e4, 1.0, *names), n)
    unknowns = Unknowns.of(cluster, names)
    solver = Solver(Operator(cluster, unknowns, weights(cluster.images(), 1e4, 1.0)), tolerance=1e-5)
    found, error = probe_variances(solver, 30, np.random.default_rng(0))
    assert abs(found.mean() - exact.mean()) < 4 * error
    assert error < 0.08 * exact.mean()


def scatter(model: ImageModel, dose: float, background: float, draws: int, *names: str) -> float:
    """Rms error of maximum-likelihood estimates from drawn counts, over the bound."""
    n = len(model.labels)
    unknowns = Unknowns.of(model, names)
    mean = mean_counts(model.images(), dose, background)
    operator = Operator(model, unknowns, weights(model.images(), dose, background))
    bound = covariance(model, dose, background, *names)
    rng = np.random.default_rng(5)
    squares = 0.0
    for _ in range(draws):
        counts = rng.poisson(mean).astype(float)
        fitted, last = fit(operator, counts, dose, background, lambda g: bound @ g)
        assert last < SETTLED
        off = fitted.positions - model.positions
        squares += ((off - off.mean(axis=0)) ** 2).sum() / n / draws
    return float(np.sqrt(squares / variances(bound, n).mean()))


@pytest.mark.parametrize("names", [(), ("amplitudes",)])
def test_estimates_from_drawn_counts_scatter_as_the_bound_says(
    cluster: ImageModel, names: tuple[str, ...]
) -> None:
    """60 draws of 21 free coordinates: the ratio has a standard error of 2 %."""
    assert scatter(cluster, 2e5, 1.0, 60, *names) == pytest.approx(1, abs=0.06)


@pytest.mark.slow
@pytest.mark.parametrize("names", [(), ("amplitudes",)])
def test_two_hundred_draws_of_a_whole_particle(
    tiny_card: DatasetCard, tiny_store: DatasetStore, names: tuple[str, ...]
) -> None:
    """The tiny particle with the kernels read from its images; the standard error is below 1 %."""
    found = LimitProblem.of(tiny_store.truth(), tiny_store.expected()["expected"].values, tiny_card)
    assert scatter(found.model, 1e5, 1.0, 200, *names) == pytest.approx(1, abs=0.05)


def test_kernels_are_read_from_the_images(tiny_card: DatasetCard, tiny_store: DatasetStore) -> None:
    """Linear images are Gaussians of a known width, so kernels, bound and floor are known too."""
    from datasets.imaging.linear import width

    found = LimitProblem.of(tiny_store.truth(), tiny_store.expected()["expected"].values, tiny_card)
    assert found.unexplained < 2e-3
    sigma, r = width(tiny_card.imaging), np.linspace(0, 1.5, 30)
    for label, _ in enumerate(found.model.kernels.names):
        profile = found.model.kernels(label, r) / found.model.kernels(label, 0.0)
        np.testing.assert_allclose(profile, np.exp(-(r**2) / (2 * sigma**2)), atol=5e-3)
    limit = found.solve(1e5)
    assert limit.floor() < 0.02 * limit.bound()
    assert limit.with_floor() == pytest.approx(limit.bound(), rel=1e-3)


def test_a_particle_too_large_to_invert_gets_the_same_limit(
    tiny_card: DatasetCard, tiny_store: DatasetStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = LimitProblem.of(tiny_store.truth(), tiny_store.expected()["expected"].values, tiny_card)
    exact = found.solve(1e4)
    monkeypatch.setattr(problem, "MOST_DENSE", 10)
    probed = found.solve(1e4, n_probes=6)
    assert exact.error == 0 < probed.error < 0.05
    assert probed.bound() == pytest.approx(exact.bound(), rel=5 * probed.error)


def test_limits_are_computed_once_and_kept(tiny_store: DatasetStore) -> None:
    assert stored_limit(tiny_store, 777.0) is None
    (made,) = limits(tiny_store, [777.0], progress=False)
    assert has_piece(limit_url(tiny_store, 777.0))
    kept = stored_limit(tiny_store, 777.0)
    assert kept is not None
    assert kept.bound() == made.bound()
    assert kept.floor() == made.floor()
    assert kept.bound("Au") < kept.bound() < kept.bound("Cu")
    assert kept.bound(np.flatnonzero(np.array(kept.symbols) == "Cu")) == kept.bound("Cu")
    assert limit_url(tiny_store, 777.0, ["shifts"]) != limit_url(tiny_store, 777.0)


def test_the_dose_that_a_precision_needs() -> None:
    def at(dose: float) -> Limit:
        """Background-dominated at low dose; the floor is 3 pm."""
        variance = 4e4 / dose**2 + 40 / dose
        return Limit(dose, "", ("Si",), np.array([variance]) / 1e4, np.array([[0.03, 0, 0]]), 0.0)

    known = [at(1e2), at(1e3)]
    dose = dose_needed(5.0, known, at)
    assert at(dose).bound() == pytest.approx(5.0, rel=5e-3)
    dose = dose_needed(5.0, known, at, floor=True)
    assert at(dose).with_floor() == pytest.approx(5.0, rel=5e-3)
    assert dose_needed(2.9, known, at, floor=True) == np.inf
    assert at(dose_needed(0.5, known, at)).bound() == pytest.approx(0.5, rel=5e-3)
