"""Ptychography of one tilt: known objects found again, layers told apart, probe and positions mended."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
import torch

from recon.ptychography.curvature import Metric, curvature_matrices
from recon.ptychography.multislice import Ptychogram, like_layers, multislice_ptychography, with_modes
from recon.ptychography.places import Places
from recon.ptychography.scan import Detector, Lens
from recon.ptychography.single_slice import epie, single_slice_ptychography
from recon.ptychography.waves import WindowedMultislice

STEP_K = 1 / 12.8
DOSE = 1e4
"""Electrons per probe position; counts are expectations, without noise."""


def microscope(spacing: float = 8.0, defocus: float = -60.0, fine: int = 1) -> WindowedMultislice:
    """Probes of 21 mrad at 300 keV, in windows of 12.8 Å, that enter at z = 0."""
    k = (np.arange(32) - 16) * STEP_K
    detector = Detector(k, k, STEP_K, 32, fine)
    lens = Lens(300e3, 0.021, defocus)
    return WindowedMultislice(
        lens, detector, spacing=spacing, entrance=0.0, electrons=DOSE, dtype=torch.float64
    )


def raster(model: WindowedMultislice, n: int, step: float, size: int, jitter: float = 0.0) -> Places:
    """n × n positions about the middle of a field of size × size pixels."""
    axis = (np.arange(n) - (n - 1) / 2) * step
    y, x = np.meshgrid(axis, axis, indexing="ij")
    positions = np.stack([y.ravel(), x.ravel()], axis=-1)
    positions += jitter * np.random.default_rng(0).uniform(-1, 1, positions.shape)
    origin = -(size // 2) * model.detector.voxel
    return Places(positions, model.detector, (origin, origin), (size, size))


def spots(size: int, voxel: float, places: list[tuple[float, float]], height: float = 0.4) -> torch.Tensor:
    """Gaussian phases (size, size) of 0.5 Å width at places [Å]."""
    axis = torch.as_tensor((np.arange(size) - size // 2) * voxel)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return sum(
        (height * torch.exp(-0.5 * ((y - b) ** 2 + (x - a) ** 2) / 0.25) for a, b in places),
        torch.zeros_like(y),
    )


FRONT = [(-2.0, -1.2), (1.6, -2.4), (0.4, 0.8)]
BACK = [(2.0, 1.4), (-1.2, 2.2), (-0.6, -2.6)]


def unlike(found: torch.Tensor, truth: torch.Tensor) -> float:
    """Relative error after a blur of 0.35 Å, but for a constant."""
    voxel, size = 0.4, found.shape[-1]
    k = np.fft.fftfreq(size, voxel)
    blur = torch.as_tensor(np.exp(-2 * (np.pi * 0.35) ** 2 * (k[:, None] ** 2 + k**2)))
    blur[0, 0] = 0
    difference, norm = (torch.fft.fft2(part) * blur for part in (found - truth, truth))
    return float(difference.abs().square().sum().sqrt() / norm.abs().square().sum().sqrt())


@pytest.fixture(scope="module")
def thin() -> tuple[WindowedMultislice, Places, torch.Tensor, torch.Tensor]:
    """One slice: the microscope, where probes stood, the truth and its patterns."""
    model = microscope()
    places = raster(model, 8, 1.2, 32)
    truth = spots(32, 0.4, FRONT + BACK)[None]
    return model, places, truth, model.patterns(truth, places)


@pytest.fixture(scope="module")
def thick() -> tuple[WindowedMultislice, Places, torch.Tensor, torch.Tensor]:
    """Two slices 120 Å apart."""
    model = microscope(spacing=120.0)
    places = raster(model, 8, 1.2, 32)
    truth = torch.stack([spots(32, 0.4, FRONT), spots(32, 0.4, BACK)])
    return model, places, truth, model.patterns(truth, places)


@pytest.mark.parametrize("q", [2, 7, 14])
def test_the_curvature_is_that_of_the_loss(q: int) -> None:
    model = microscope(spacing=30.0)
    places = raster(model, 8, 1.6, 96)
    vacuum = model.patterns(torch.zeros((2, 96, 96), dtype=torch.float64), places)
    axis = torch.arange(96, dtype=torch.float64) * 0.4
    wave = 1e-2 * torch.cos(2 * math.pi * q * STEP_K * axis).expand(96, 96)
    table = curvature_matrices(model, torch.tensor([0.0, 30.0], dtype=torch.float64))
    mean_square = 0.5e-4
    for weights in ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, -1.0)):
        a = torch.tensor(weights, dtype=torch.float64)
        loss = model.gradient(a[:, None, None] * wave, places, vacuum, "amplitude").loss
        predicted = 2 * DOSE * len(vacuum) * mean_square * float(a @ table[q] @ a)
        assert loss == pytest.approx(predicted, rel=0.1)


def test_the_metric_is_symmetric_and_positive() -> None:
    model = microscope()
    places = raster(model, 6, 1.2, 30)
    metric = Metric(model, places, 3, damping=0.1)
    a, b = torch.randn((2, 3, 30, 30), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert float((a * metric(b)).sum()) == pytest.approx(float((b * metric(a)).sum()), rel=1e-9)
    assert float((a * metric(a)).sum()) > 0


def test_a_phase_object_is_found_again(thin) -> None:  # type: ignore[no-untyped-def]
    model, places, truth, counts = thin
    losses: list[float] = []
    found = single_slice_ptychography(
        model, places, counts, 25, callback=lambda _, figures: losses.append(figures["loss"])
    )
    assert unlike(found.projection, truth[0]) < 0.05
    assert losses[-1] < 1e-3 * losses[0]
    assert found.phases.shape == (1, 32, 32)


def test_layers_are_told_apart_by_several_slices_only(thick) -> None:  # type: ignore[no-untyped-def]
    model, places, truth, counts = thick
    two = multislice_ptychography(model, places, counts, 2, 40)
    one = single_slice_ptychography(model, places, counts, 40)
    assert two.loss < 0.05 * one.loss
    for found, own in zip(two.phases, truth, strict=True):
        assert unlike(found, own) < 0.3
    assert unlike(two.projection, truth.sum(dim=0)) < 0.2 < unlike(one.projection, truth.sum(dim=0))


def test_a_callback_stops_and_a_run_goes_on(thin) -> None:  # type: ignore[no-untyped-def]
    model, places, _, counts = thin
    seen: list[int] = []

    def stop(iteration: int, figures: Mapping[str, float]) -> None:
        seen.append(iteration)
        assert figures["loss"] > 0
        if iteration == 3:
            raise StopIteration

    stopped = multislice_ptychography(model, places, counts, 1, 9, callback=stop)
    short = multislice_ptychography(model, places, counts, 1, 3)
    assert seen == [1, 2, 3]
    torch.testing.assert_close(stopped.phases, short.phases)
    further = multislice_ptychography(model, places, counts, 1, 3, initial=short)
    assert further.loss < short.loss
    still = multislice_ptychography(model, places, counts, 1, 0, initial=short)
    torch.testing.assert_close(still.phases, short.phases)


def test_a_step_too_long_is_taken_back(thin) -> None:  # type: ignore[no-untyped-def]
    model, places, truth, counts = thin
    found = multislice_ptychography(model, places, counts, 1, 30, step=30.0)
    assert unlike(found.projection, truth[0]) < 0.3


def test_the_probe_is_mended(thin) -> None:  # type: ignore[no-untyped-def]
    model, places, _, counts = thin
    wrong = microscope(defocus=-70.0)
    before = wrong.probe.clone()

    def alike(probe: torch.Tensor) -> float:
        return float((probe[0].conj() * model.probe[0]).sum().abs())

    trusted = single_slice_ptychography(wrong, places, counts, 30)
    mended = single_slice_ptychography(wrong, places, counts, 30, refine_probe=True)
    assert mended.loss < 0.8 * trusted.loss
    assert 1 - alike(mended.probe) < 0.8 * (1 - alike(wrong.probe))
    torch.testing.assert_close(wrong.probe, before)


def test_positions_are_mended(thin) -> None:  # type: ignore[no-untyped-def]
    model, places, truth, _ = thin
    true = raster(model, 8, 1.2, 32, jitter=0.3)
    counts = model.patterns(truth, true)
    mended = single_slice_ptychography(model, places, counts, 40, refine_positions=True)
    error = [
        np.sqrt(np.mean((part - true.positions - (part - true.positions).mean(axis=0)) ** 2))
        for part in (places.positions, mended.positions)
    ]
    assert error[1] < 0.5 * error[0]


def test_modes_are_orthogonal_and_hold_all_electrons() -> None:
    modes = with_modes(microscope(), 4)
    overlaps = torch.einsum("myx,nyx->mn", modes.conj(), modes).abs()
    assert float(overlaps.trace()) == pytest.approx(1)
    torch.testing.assert_close(overlaps, overlaps.diag().diag(), atol=1e-12, rtol=0)
    assert with_modes(microscope(), 1).shape == (1, 32, 32)


def test_like_layers_leaves_what_all_layers_share() -> None:
    filtered = like_layers((4, 16, 16), 0.5)
    assert (filtered[0] == 1).all()
    assert 0 < float(filtered.min()) == float(filtered[2, 0, 0])
    assert (filtered[2, 0].diff() > 0).all()


def test_epie_is_the_same_object_more_slowly(thin) -> None:  # type: ignore[no-untyped-def]
    model, places, truth, counts = thin
    rng = np.random.default_rng(0)
    first = epie(model, places, counts, 3, rng=rng)
    later = epie(model, places, counts, 5, rng=rng, initial=first)
    fast = single_slice_ptychography(model, places, counts, 8, loss="amplitude")
    assert isinstance(later, Ptychogram)
    assert later.loss < first.loss
    assert unlike(later.projection, truth[0]) < 0.6
    assert unlike(fast.projection, truth[0]) < unlike(later.projection, truth[0])


def test_epie_mends_a_probe_behind_a_known_object(thin) -> None:  # type: ignore[no-untyped-def]
    model, places, truth, counts = thin
    wrong = microscope(defocus=-75.0)
    known = Ptychogram(truth, wrong.probe, places.positions)
    rng = np.random.default_rng(0)
    found = epie(wrong, places, counts, 3, rng=rng, object_step=0.0, probe_step=0.5, initial=known)
    alike = [float((probe[0].conj() * model.probe[0]).sum().abs()) for probe in (wrong.probe, found.probe)]
    assert 1 - alike[1] < 0.8 * (1 - alike[0])
    torch.testing.assert_close(found.phases, truth)
