"""Laws that SIRT, RESIRE and SART all keep."""

from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import torch

from recon.tomography.r_factor import r_factor
from recon.tomography.resire import resire
from recon.tomography.sart import sart
from recon.tomography.sirt import sirt

KERNELS = [sirt, partial(resire, step=1.0), partial(sart, relaxation=0.8)]
Kernel = Callable[..., torch.Tensor]


@pytest.fixture(params=KERNELS, ids=["sirt", "resire", "sart"])
def kernel(request: pytest.FixtureRequest) -> Kernel:
    found: Kernel = request.param
    return found


def test_restarts_change_nothing(kernel: Kernel, problem: Any) -> None:
    whole = kernel(problem.projector, problem.projections, 30)
    volume = None
    for _ in range(3):
        volume = kernel(problem.projector, problem.projections, 10, initial=volume)
    assert volume is not None
    torch.testing.assert_close(volume, whole, rtol=0, atol=0)


def test_truth_is_a_fixed_point(kernel: Kernel, problem: Any) -> None:
    volume = kernel(problem.projector, problem.projections, 5, initial=problem.truth)
    torch.testing.assert_close(volume, problem.truth, rtol=0, atol=1e-12)


def test_r_factor_falls_at_every_iteration(kernel: Kernel, problem: Any) -> None:
    seen: list[float] = []

    def callback(iteration: int, figures: Mapping[str, float]) -> None:
        assert iteration == len(seen) + 1
        seen.append(figures["r_factor"])

    kernel(problem.projector, problem.projections, 60, callback=callback)
    assert seen[0] == pytest.approx(1.0) or seen[0] < 0.9  # SART has moved before its last tilt is met
    assert all(later < earlier for earlier, later in pairwise(seen))
    assert seen[-1] < 0.05


def test_consistent_data_are_explained_in_the_limit(kernel: Kernel, problem: Any) -> None:
    volume = kernel(problem.projector, problem.projections, 600)
    assert r_factor(problem.projector.forward(volume), problem.projections) < 5e-3
    error = (volume - problem.truth).norm() / problem.truth.norm()
    assert error < 0.1  # twelve projections of a positive object all but determine it


def test_linear_without_positivity(kernel: Kernel, problem: Any) -> None:
    one = kernel(problem.projector, problem.projections, 7, positivity=False)
    scaled = kernel(problem.projector, -3.0 * problem.projections, 7, positivity=False)
    torch.testing.assert_close(scaled, -3.0 * one)


def test_positivity_holds(kernel: Kernel, problem: Any) -> None:
    noisy = problem.projections + 0.5 * torch.randn_like(problem.projections)
    assert kernel(problem.projector, noisy, 10).min() >= 0
    assert kernel(problem.projector, noisy, 10, positivity=False).min() < 0


def test_masked_pixels_are_not_looked_at(kernel: Kernel, problem: Any) -> None:
    mask = torch.ones_like(problem.projections)
    mask[3] = 0
    mask[:, 5:8, 4:9] = 0
    clean = kernel(problem.projector, problem.projections, 15, projection_mask=mask)
    corrupt = torch.where(mask > 0, problem.projections, torch.nan)
    torch.testing.assert_close(
        kernel(problem.projector, corrupt, 15, projection_mask=mask), clean, rtol=0, atol=0
    )


def test_masked_voxels_stay_empty(kernel: Kernel, problem: Any) -> None:
    mask = torch.zeros_like(problem.truth)
    mask[4:20, 3:17, 4:20] = 1
    volume = kernel(problem.projector, problem.projections, 10, volume_mask=mask)
    assert volume[mask == 0].abs().max() == 0
    assert volume[mask > 0].sum() > 0


def test_zero_in_zero_out(kernel: Kernel, problem: Any) -> None:
    assert kernel(problem.projector, torch.zeros_like(problem.projections), 5).abs().max() == 0


def test_callback_stops_early(kernel: Kernel, problem: Any) -> None:
    def stop(iteration: int, figures: Mapping[str, float]) -> None:
        if iteration == 4:
            raise StopIteration

    stopped = kernel(problem.projector, problem.projections, 50, callback=stop)
    torch.testing.assert_close(stopped, kernel(problem.projector, problem.projections, 4))


def test_resire_step_is_below_the_stability_limit(problem: Any) -> None:
    """n_tilt n_z bounds the largest eigenvalue of AᵀA here, so steps below 2 are stable; 3 is not."""
    n_tilt, n_z = len(problem.projections), problem.truth.shape[0]
    vector = torch.rand_like(problem.truth)
    for _ in range(50):
        vector = problem.projector.adjoint(problem.projector.forward(vector / vector.norm()))
    assert 0.8 < float(vector.norm()) / (n_tilt * n_z) < 1.05
    grown = resire(problem.projector, problem.projections, 200, step=3.0, positivity=False)
    assert grown.abs().max() > 1e3 * problem.truth.max()
