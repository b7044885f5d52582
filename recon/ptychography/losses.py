"""How far expected counts are from measured ones: the losses of ptychography and their derivatives.

All are negative log-likelihoods, zero for a perfect fit, and for many counts they are one, 2 (√expected −
√counts)², because the square root of a Poisson number has variance 1/4 (Thibault and Guizar-Sicairos, New J.
Phys. 14, 063004 (2012)). They differ where counts are few: √I is biased there, so `amplitude`, the published
one of multislice electron tomography but for the factor, is not the likelihood, and `poisson` is. `mixed` is
the amplitude loss after Anscombe's shift by 3/8, whose bias is second order and whose slope stays finite
where nothing is expected.
"""

from __future__ import annotations

from typing import Literal

import torch

Loss = Literal["poisson", "amplitude", "mixed"]

ANSCOMBE = 0.375
"""Shift that makes the square root of a Poisson number nearly unbiased and of constant variance."""
FAINTEST = 1e-8
"""Fewer electrons than this are never expected in a pixel: keeps logarithms and quotients finite."""


def loss_and_slope(expected: torch.Tensor, counts: torch.Tensor, loss: Loss) -> tuple[float, torch.Tensor]:
    """The loss summed over all pixels, and its derivative by `expected`; both have the shape of `counts`."""
    if loss == "poisson":
        expected = expected.clamp_min(FAINTEST)
        # the deviance over 2; counts log counts is left out of the slope, and cancels in differences
        value = (expected - counts + torch.special.xlogy(counts, counts / expected)).sum()
        return float(value), 1 - counts / expected
    shift = ANSCOMBE if loss == "mixed" else FAINTEST
    root, measured = (expected + shift).sqrt_(), (counts + shift).sqrt_()
    difference = root - measured
    return 2 * float(difference.square().sum()), difference.div_(root).mul_(2)
