"""What expectation maximisation guarantees, and that the counts reach it as they are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
import xarray as xr
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from datasets.errors import InputError
from datasets.schema import pixel_axis
from recon.base import Callback
from recon.pipeline import TomographicReconstructor
from recon.project.geometry import Geometry
from recon.project.projector import Projector, make_projector
from recon.tomography.mlem import mlem, smoothed

BACKGROUND = 2.0


@pytest.fixture
def counts(problem: Any) -> torch.Tensor:
    """About ten electrons in a bright pixel, and two of background everywhere."""
    generator = torch.Generator().manual_seed(0)
    expected = 10 * problem.projections / problem.projections.max() + BACKGROUND
    return torch.poisson(expected, generator=generator)


def likelihoods(projector: Projector, counts: torch.Tensor, n_iter: int, **options: Any) -> list[float]:
    seen: list[float] = []
    mlem(
        projector,
        counts,
        n_iter,
        callback=lambda _, figures: seen.append(figures["log_likelihood"]),
        **options,
    )
    return seen


@pytest.mark.parametrize("background", [0.0, BACKGROUND])
def test_the_likelihood_never_falls(problem: Any, counts: torch.Tensor, background: float) -> None:
    seen = likelihoods(problem.projector, counts, 60, background=background)
    assert all(later >= earlier for earlier, later in pairwise(seen))
    assert seen[-1] > seen[0]


def test_the_reported_likelihood(problem: Any, counts: torch.Tensor) -> None:
    [seen] = likelihoods(problem.projector, counts, 1, background=BACKGROUND, initial=problem.truth)
    expected = problem.projector.forward(problem.truth) + BACKGROUND
    known = torch.distributions.Poisson(expected).log_prob(counts) + torch.lgamma(counts + 1)
    assert seen == pytest.approx(float(known.sum()))


def test_electrons_are_conserved(problem: Any, counts: torch.Tensor) -> None:
    reached = problem.projector.forward(torch.ones_like(problem.truth)) > 0
    for n_iter in (2, 5, 20):
        volume = mlem(problem.projector, counts, n_iter)
        explained = float(problem.projector.forward(volume).sum())
        assert explained == pytest.approx(float(counts[reached].sum()))


@pytest.mark.parametrize("subsets", [1, 3])
def test_truth_is_a_fixed_point(problem: Any, subsets: int) -> None:
    level = torch.rand_like(problem.projections)
    volume = mlem(
        problem.projector,
        problem.projections + level,
        5,
        background=level,
        initial=problem.truth,
        subsets=subsets,
    )
    torch.testing.assert_close(volume, problem.truth, rtol=0, atol=1e-9)


def test_consistent_data_are_explained_in_the_limit(problem: Any) -> None:
    volume = mlem(problem.projector, problem.projections + BACKGROUND, 600, background=BACKGROUND)
    assert (volume - problem.truth).norm() < 0.15 * problem.truth.norm()


@pytest.mark.parametrize("subsets", [1, 4])
def test_restarts_change_nothing(problem: Any, counts: torch.Tensor, subsets: int) -> None:
    def run(n_iter: int, initial: torch.Tensor | None = None) -> torch.Tensor:
        return mlem(problem.projector, counts, n_iter, background=2.0, subsets=subsets, initial=initial)

    torch.testing.assert_close(run(10, run(10, run(10))), run(30), rtol=0, atol=0)


def test_one_projection_has_a_known_answer() -> None:
    """The likeliest expectation is the count itself, or the background where that is more."""
    axis = pixel_axis(6, 0.5)
    projector = make_projector(Geometry(Rotation.identity(1), axis, axis, axis, 0.5), dtype=torch.float64)
    counts = torch.poisson(torch.full((1, 6, 6), 3.0, dtype=torch.float64))
    volume = mlem(projector, counts, 20_000, background=2.0)
    torch.testing.assert_close(projector.forward(volume) + 2.0, counts.clamp(min=2.0), rtol=0, atol=2e-3)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, 1000), min_size=48, max_size=48),
    st.floats(0, 10),
    st.floats(0.01, 100),
    st.booleans(),
)
def test_positive_and_the_same_in_any_unit(
    numbers: list[int], background: float, gain: float, parts: bool
) -> None:
    """Counts and background in units of `gain` electrons give the same volume in these units."""
    axis = pixel_axis(4, 0.5)
    turns = Rotation.from_euler("Y", [[-40.0], [10.0], [70.0]], degrees=True)
    projector = make_projector(Geometry(turns, axis, axis, axis, 0.5), dtype=torch.float64)
    counts = torch.tensor(numbers, dtype=torch.float64).reshape(3, 4, 4)
    subsets = 3 if parts else 1
    one = mlem(projector, counts, 4, background=background, subsets=subsets)
    other = mlem(projector, gain * counts, 4, background=gain * background, subsets=subsets)
    assert torch.isfinite(one).all()
    assert one.min() >= 0
    torch.testing.assert_close(other, gain * one, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("background", [0.0, 1.5])
def test_no_electrons_no_volume(problem: Any, background: float) -> None:
    volume = mlem(problem.projector, torch.zeros_like(problem.projections), 5, background=background)
    assert volume.abs().max() == 0


def test_parts_of_the_tilts_are_as_many_times_faster(problem: Any, counts: torch.Tensor) -> None:
    quick = mlem(problem.projector, counts, 5, background=BACKGROUND, subsets=4)
    [reached] = likelihoods(problem.projector, counts, 1, background=BACKGROUND, initial=quick)
    plain = likelihoods(problem.projector, counts, 17, background=BACKGROUND)
    assert reached > plain[15]


def test_masks(problem: Any, counts: torch.Tensor) -> None:
    """What a mask hides changes nothing; voxels outside the support stay empty."""
    hidden = torch.ones_like(counts)
    hidden[2] = 0
    hidden[:, 3:6] = 0
    support = torch.ones_like(problem.truth)
    support[:3] = 0
    clean, spoilt = (
        mlem(problem.projector, data, 10, projection_mask=hidden, volume_mask=support, background=1.0)
        for data in (counts, torch.where(hidden > 0, counts, torch.nan))
    )
    torch.testing.assert_close(clean, spoilt, rtol=0, atol=0)
    assert (clean[:3] == 0).all()
    assert clean[3:].sum() > 0


def test_negative_counts_are_refused(problem: Any) -> None:
    with pytest.raises(InputError, match="must not be negative"):
        mlem(problem.projector, problem.projections - 1.0, 3)


def test_a_callback_can_stop_it(problem: Any, counts: torch.Tensor) -> None:
    def stop(iteration: int, figures: Mapping[str, float]) -> None:
        assert 0 < figures["r_factor"] < 2
        if iteration == 4:
            raise StopIteration

    torch.testing.assert_close(
        mlem(problem.projector, counts, 50, callback=stop), mlem(problem.projector, counts, 4)
    )


def test_smoothing_keeps_the_sum_and_adds_its_variance() -> None:
    point = torch.zeros(25, 27, 29, dtype=torch.float64)
    point[12, 13, 14] = 5.0
    found = smoothed(point, 1.5)
    assert float(found.sum()) == pytest.approx(5.0)
    along_x = found.sum(dim=(0, 1)) / 5.0
    offsets = torch.arange(29, dtype=torch.float64) - 14
    assert float((along_x * offsets**2).sum()) == pytest.approx(1.5**2, rel=1e-2)
    assert smoothed(point, 0.0) is point


@dataclass(frozen=True)
class Listener(TomographicReconstructor):
    """Keeps what the pipeline hands to a method that models the background."""

    name: ClassVar[str] = "listener"
    heard: ClassVar[list[torch.Tensor]] = []

    def volume(self, projector: Projector, projections: torch.Tensor, callback: Callback) -> torch.Tensor:
        return projector.zeros()

    def volume_with_background(
        self, projector: Projector, projections: torch.Tensor, background: torch.Tensor, callback: Callback
    ) -> torch.Tensor:
        self.heard[:] = [projections, background]
        return projector.zeros()


@pytest.mark.parametrize("background", ["known", "border", "minimum", "none"])
def test_counts_reach_the_model_whole(
    background: Any, measure: Callable[..., xr.Dataset], cluster: Callable[..., Atoms]
) -> None:
    data = measure(cluster(13), [-60, -20, 20, 60], peak=20.0, background=3.0, seed=0, shape=(30, 30))
    Listener(denoise="none", background=background).reconstruct(data, rng=np.random.default_rng(0))
    projections, level = Listener.heard
    np.testing.assert_allclose(projections + level, data["counts"].values, atol=1e-5)
    if background == "known":
        np.testing.assert_allclose(level, 3.0, rtol=1e-6)
    if background == "none":
        assert level.abs().max() == 0
