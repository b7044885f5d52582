"""FISTA ends where RESIRE does, and far sooner."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch

from datasets.errors import InputError
from recon.tomography.fista import FISTA, fista
from recon.tomography.resire import resire


def objective(problem: Any, volume: torch.Tensor, projections: torch.Tensor) -> float:
    return float(((problem.projector.forward(volume) - projections) ** 2).sum())


@pytest.fixture
def noisy(problem: Any) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(problem.projections.shape, generator=generator, dtype=torch.float64)
    return problem.projections + 0.05 * problem.projections.max() * noise


def test_truth_is_a_fixed_point(problem: Any) -> None:
    volume = fista(problem.projector, problem.projections, 5, initial=problem.truth)
    torch.testing.assert_close(volume, problem.truth, rtol=0, atol=1e-12)


@pytest.mark.parametrize("problem", ["single axis"], indirect=True)
def test_the_optimum_of_the_constrained_problem(problem: Any, noisy: torch.Tensor) -> None:
    """Karush, Kuhn and Tucker: no gradient where the volume is positive, none downhill where it is zero."""
    volume = fista(problem.projector, noisy, 3000)
    gradient = problem.projector.adjoint(problem.projector.forward(volume) - noisy)
    scale = problem.projector.adjoint(noisy).abs().max()
    assert volume.min() == 0
    assert (gradient.abs() * (volume > 0)).max() < 2e-4 * scale
    assert gradient[volume == 0].min() > -2e-4 * scale


@pytest.mark.parametrize("problem", ["single axis"], indirect=True)
def test_sixty_iterations_do_what_many_hundreds_of_resire_do(problem: Any, noisy: torch.Tensor) -> None:
    quick = objective(problem, fista(problem.projector, noisy, 60), noisy)
    assert quick < objective(problem, resire(problem.projector, noisy, 400, step=1.0), noisy)


@pytest.mark.parametrize("problem", ["single axis"], indirect=True)
def test_the_restart_keeps_the_objective_from_rippling(problem: Any, noisy: torch.Tensor) -> None:
    ends = [objective(problem, fista(problem.projector, noisy, n), noisy) for n in range(20, 160, 20)]
    assert ends == sorted(ends, reverse=True)


def test_masks(problem: Any) -> None:
    """What a mask hides changes nothing; voxels outside the support stay empty."""
    hidden = torch.ones_like(problem.projections)
    hidden[2] = 0
    corrupt = torch.where(hidden > 0, problem.projections, 1e3)
    support = torch.ones_like(problem.truth)
    support[:3] = 0
    clean, spoilt = (
        fista(problem.projector, data, 10, projection_mask=hidden, volume_mask=support)
        for data in (problem.projections, corrupt)
    )
    torch.testing.assert_close(clean, spoilt, rtol=0, atol=0)
    assert (clean[:3] == 0).all()


def test_a_callback_can_stop_it(problem: Any) -> None:
    seen: list[float] = []

    def callback(iteration: int, figures: Mapping[str, float]) -> None:
        seen.append(figures["r_factor"])
        if iteration == 4:
            raise StopIteration

    fista(problem.projector, problem.projections, 50, callback=callback)
    assert len(seen) == 4
    assert seen[0] == pytest.approx(1.0)
    assert seen[-1] < 0.7


@pytest.mark.parametrize("problem", ["single axis"], indirect=True)
def test_subsets_get_there_in_a_tenth_of_the_iterations(problem: Any, noisy: torch.Tensor) -> None:
    target = objective(problem, resire(problem.projector, noisy, 100, step=1.0), noisy)
    assert objective(problem, fista(problem.projector, noisy, 10, subsets=4), noisy) < target
    assert objective(problem, fista(problem.projector, noisy, 10), noisy) > target


@pytest.mark.parametrize("problem", ["single axis"], indirect=True)
def test_subsets_settle_at_the_same_optimum(problem: Any, noisy: torch.Tensor) -> None:
    whole, parts = (
        objective(problem, fista(problem.projector, noisy, 400, subsets=m), noisy) for m in (1, 6)
    )
    assert parts == pytest.approx(whole, rel=1e-3)


@pytest.mark.parametrize("problem", ["single axis"], indirect=True)
def test_subsets_keep_the_truth(problem: Any) -> None:
    fixed = fista(problem.projector, problem.projections, 9, initial=problem.truth, subsets=4)
    torch.testing.assert_close(fixed, problem.truth, rtol=0, atol=1e-12)


def test_more_subsets_than_tilts_are_refused(problem: Any) -> None:
    with pytest.raises(InputError, match="between 1 and the number of tilts"):
        fista(problem.projector, problem.projections, 3, subsets=99)
    with pytest.raises(InputError, match="subsets must be at least 1"):
        FISTA(subsets=0)
