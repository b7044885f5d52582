"""How far expected counts are from measured ones: the losses of ptychography and their derivatives.

All are negative log-likelihoods, zero for a perfect fit, and for many counts they are one, 2 (√expected −
√counts)², because the square root of a Poisson number has variance 1/4 (Thibault and Guizar-Sicairos, New J.
Phys. 14, 063004 (2012)). They differ where counts are few: √I is biased there, so `amplitude`, the published
one of multislice electron tomography but for the factor, is not the likelihood, and `poisson` is; but its
slope −counts/expected knows no limit where a model that is not there yet expects nothing. `mixed`, the
likelihood of Poisson counts with Gaussian noise of variance `shift`, adds that to both (Seifert et al.,
Opt. Lett. 48, 6027 (2023)): its slope (expected − counts)/(expected + shift) is finite, and on
average zero at the truth, however few counts there are.
"""

from __future__ import annotations

from typing import Literal

import torch

Loss = Literal["poisson", "amplitude", "mixed"]

SHIFT = 0.1
"""The shift of the mixed loss, as a part of the mean count of a pixel: pixels that expect a tenth of it weigh
half of what they could, and a slope is at most ten per electron and mean count."""
FAINTEST = 1e-8
"""Fewer electrons than this are never expected in a pixel: keeps logarithms and quotients finite."""


def loss_and_slope(
    expected: torch.Tensor, counts: torch.Tensor, loss: Loss, shift: float
) -> tuple[float, torch.Tensor]:
    """The loss summed over all pixels, and its derivative by `expected`; both have the shape of `counts`.
    `shift` [e⁻/pixel] is that of the mixed loss.
    """
    if loss == "amplitude":
        root, measured = (expected + FAINTEST).sqrt_(), (counts + FAINTEST).sqrt_()
        difference = root - measured
        return 2 * float(difference.square().sum()), difference.div_(root).mul_(2)
    if loss == "mixed":
        expected, counts = expected + shift, counts + shift
    else:
        expected = expected.clamp_min(FAINTEST)
    # the deviance over 2; counts log counts is left out of the slope, and cancels in differences
    value = (expected - counts + torch.special.xlogy(counts, counts / expected)).sum()
    return float(value), 1 - counts / expected
