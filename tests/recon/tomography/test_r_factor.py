"""R1 as paper 003 defines it."""

import pytest
import torch

from recon.tomography.r_factor import r_factor


def test_known_value() -> None:
    measured = torch.tensor([[[1.0, 3.0]], [[2.0, 0.0]]])
    calculated = torch.tensor([[[2.0, 3.0]], [[2.0, -1.0]]])
    assert r_factor(calculated, measured) == pytest.approx((1 / 4 + 1 / 2) / 2)


def test_limits() -> None:
    measured = torch.rand(3, 4, 5)
    assert r_factor(measured, measured) == 0.0
    assert r_factor(torch.zeros_like(measured), measured) == pytest.approx(1.0)
    assert r_factor(measured, torch.zeros_like(measured)) == 0.0
    measured[1] = 0.0  # an empty projection has no relative error
    assert r_factor(2 * measured, measured) == pytest.approx(1.0)
