"""Losses: zero for a perfect fit, slopes by finite differences, one curvature for many counts."""

from __future__ import annotations

import math

import pytest
import torch

from recon.ptychography.losses import Loss, loss_and_slope

LOSSES: tuple[Loss, ...] = ("poisson", "amplitude", "mixed")
SHIFT = 0.3


@pytest.mark.parametrize("loss", LOSSES)
def test_a_perfect_fit_has_no_loss_and_no_slope(loss: Loss) -> None:
    counts = torch.tensor([0.5, 1.0, 7.0, 1e4], dtype=torch.float64)
    value, slope = loss_and_slope(counts.clone(), counts, loss, SHIFT)
    assert value == pytest.approx(0, abs=1e-9)
    assert float(slope.abs().max()) < 1e-6


@pytest.mark.parametrize("loss", LOSSES)
def test_slope(loss: Loss) -> None:
    counts = torch.tensor([0.0, 1.0, 3.0, 250.0], dtype=torch.float64)
    expected = torch.tensor([0.02, 0.6, 4.0, 240.0], dtype=torch.float64)
    _, slope = loss_and_slope(expected.clone(), counts, loss, SHIFT)
    for pixel in range(4):
        step = torch.zeros(4, dtype=torch.float64)
        step[pixel] = 1e-6 * expected[pixel]
        above, below = (loss_and_slope(expected + s * step, counts, loss, SHIFT)[0] for s in (1, -1))
        assert float(slope[pixel]) == pytest.approx((above - below) / (2 * float(step[pixel])), rel=1e-4)


@pytest.mark.parametrize("loss", LOSSES)
def test_many_counts_are_a_normal_distribution_of_amplitudes(loss: Loss) -> None:
    amplitude, step = 300.0, 0.5
    counts = torch.tensor([amplitude**2], dtype=torch.float64)
    value, _ = loss_and_slope(
        torch.tensor([(amplitude + step) ** 2], dtype=torch.float64), counts, loss, SHIFT
    )
    assert value == pytest.approx(step**2 / (2 * 0.25), rel=0.01)


@pytest.mark.parametrize(("loss", "biased"), [("poisson", False), ("mixed", False), ("amplitude", True)])
def test_where_counts_are_few_the_truth_has_no_slope_but_for_the_amplitudes(loss: Loss, biased: bool) -> None:
    mean = 0.02
    counts = torch.arange(6, dtype=torch.float64)
    often = torch.tensor([math.exp(-mean) * mean**n / math.factorial(n) for n in range(6)])
    _, slope = loss_and_slope(torch.full((6,), mean, dtype=torch.float64), counts, loss, SHIFT)
    assert (abs(float((slope * often).sum())) > 0.1) == biased


def test_what_nothing_was_expected_of_pulls_no_harder_than_the_shift_allows() -> None:
    nothing, one = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    _, slope = loss_and_slope(nothing, one, "mixed", SHIFT)
    assert float(slope[0]) == pytest.approx(-1 / SHIFT)
