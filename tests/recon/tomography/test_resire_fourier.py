"""RESIRE's kernel with projections by the Fourier slice theorem."""

from typing import Any

import pytest
import torch

from datasets.errors import InputError
from recon import registry
from recon.project.fourier import make_fourier_projector
from recon.tomography.r_factor import r_factor
from recon.tomography.resire import resire
from recon.tomography.resire_fourier import RESIREFourier


@pytest.fixture
def fourier(problem: Any) -> tuple[Any, torch.Tensor]:
    """The Fourier projector of the problem, and the projections of its truth."""
    projector = make_fourier_projector(problem.projector.geometry, oversample=2, dtype=torch.float64)
    return projector, projector.forward(problem.truth)


def test_truth_is_a_fixed_point(problem: Any, fourier: tuple[Any, torch.Tensor]) -> None:
    projector, projections = fourier
    volume = resire(projector, projections, 3, initial=problem.truth)
    torch.testing.assert_close(volume, problem.truth, rtol=0, atol=1e-12)


@pytest.mark.parametrize("problem", ["single axis"], indirect=True)
def test_the_kernel_converges_at_its_default_step(problem: Any, fourier: tuple[Any, torch.Tensor]) -> None:
    projector, projections = fourier
    volume = resire(projector, projections, 60, step=RESIREFourier().step)
    assert r_factor(projector.forward(volume), projections) < 0.05
    assert (volume - problem.truth).norm() < 0.35 * problem.truth.norm()


def test_restarts_change_nothing(fourier: tuple[Any, torch.Tensor]) -> None:
    projector, projections = fourier
    whole = resire(projector, projections, 9)
    volume = None
    for _ in range(3):
        volume = resire(projector, projections, 3, initial=volume)
    assert volume is not None
    torch.testing.assert_close(volume, whole, rtol=0, atol=0)


def test_volume_is_the_kernel_with_the_fourier_projector(problem: Any) -> None:
    method = RESIREFourier(n_iter=4, step=1.0, oversample=3, interpolation="linear")
    projector = make_fourier_projector(
        problem.projector.geometry, oversample=3, interpolation="linear", dtype=torch.float64
    )
    volume = method.volume(problem.projector, problem.projections, lambda iteration, figures: None)
    torch.testing.assert_close(volume, resire(projector, problem.projections, 4, step=1.0), rtol=0, atol=0)


def test_variants_hold_the_published_constants() -> None:
    """Oversampling 3 to 4, steps of 1 to 3, 100 to 200 iterations, linear interpolation."""
    published, cuau = (registry.get(f"resire-fourier[{name}]").parameters for name in ("published", "cuau"))
    assert (published["oversample"], published["n_iter"], published["step"]) == (4, 200, 2.0)
    assert (cuau["oversample"], cuau["n_iter"], cuau["denoise"]) == (3, 100, "none")
    assert published["interpolation"] == cuau["interpolation"] == "linear"


def test_bad_parameters_are_named() -> None:
    with pytest.raises(InputError, match="step"):
        registry.get("resire-fourier[step=0]")
    with pytest.raises(InputError, match=r"at least 1\.5"):
        registry.get("resire-fourier[oversample=1]")
