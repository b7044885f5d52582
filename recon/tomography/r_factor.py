"""The R-factor of a tilt series: how far calculated projections are from measured ones."""

from __future__ import annotations

import torch


def r_factor(calculated: torch.Tensor, measured: torch.Tensor) -> float:
    """R1 = mean over projections of Σ|calculated − measured| / Σ|measured| (Methods of paper 003).

    Both have shape (n_tilt, n_y, n_x). Projections that hold nothing are left out; zero when all do.
    """
    return relative_residual(calculated - measured, absolute_sums(measured))


def absolute_sums(projections: torch.Tensor) -> torch.Tensor:
    """Σ|b| of every projection, (n_tilt,)."""
    return projections.abs().sum(dim=(1, 2))


def relative_residual(residual: torch.Tensor, sums: torch.Tensor) -> float:
    """R1 from the residual (n_tilt, n_y, n_x) and the `absolute_sums` of the measured projections."""
    return mean_ratio(absolute_sums(residual), sums)


def mean_ratio(left: torch.Tensor, sums: torch.Tensor) -> float:
    """The mean over projections of Σ|residual| / Σ|b|, both (n_tilt,), of those that hold anything."""
    held = sums > 0
    if not bool(held.any()):
        return 0.0
    return float((left[held] / sums[held]).mean())
