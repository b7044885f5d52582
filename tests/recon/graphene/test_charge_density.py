"""Contrast against height: the limit of small χ, and the forward model itself."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from ase import Atoms

from datasets.errors import InputError
from recon.graphene.charge_density import depth_of_contrast, heights_from_contrast
from recon.graphene.multislice import FrameModel, Lens


def test_the_charge_density_limit() -> None:
    """Little defocus, no aberration, first reflections alone: contrast is proportional to defocus."""
    blurred = Lens(300e3, defocus=3.0, focal_spread=80.0)
    assert depth_of_contrast(blurred, "charge_density") == 3.0
    # σφ is not infinitely weak: its square gives contrast in focus too, which moves the zero
    assert 3.0 < depth_of_contrast(blurred) < 7.0
    nearer = Lens(300e3, defocus=12.0, focal_spread=80.0)
    difference = depth_of_contrast(nearer) - depth_of_contrast(blurred)
    assert difference == pytest.approx(9.0, rel=0.05)


@pytest.mark.parametrize("lens", [Lens(80e3, -20, -2e4, 30), Lens(80e3, -40, -1e4, 30)])
def test_the_contrast_of_a_raised_flat_sheet(lens: Lens, sheet: Callable[..., Atoms]) -> None:
    """A flat sheet 1 Å nearer to or farther from focus: atom less hexagon centre changes by 2 / L."""
    x = np.arange(-4, 4, 0.05)
    model = FrameModel(x, x, lens, dose=1.0, margin=10.0, dtype=torch.float64)
    flat = torch.as_tensor(sheet(26.0).positions)
    shift = flat[:, :2].mean(dim=0) * 0 + torch.tensor([0.31, -0.17])

    def contrast(z: float) -> float:
        image = model.intensity(flat + torch.tensor([0.0, 0.0, z])).numpy()
        atom, centre = [shift[0] + 1.42 / 2, shift[1]], [shift[0] + 1.5 * 1.42, shift[1]]
        values = [
            image[round((float(b) + 4) / 0.05), round((float(a) + 4) / 0.05)] for a, b in (atom, centre)
        ]
        return values[0] - values[1]

    measured = 2 * contrast(0) / (contrast(1.0) - contrast(-1.0))
    assert depth_of_contrast(lens) == pytest.approx(measured, rel=0.4)


def test_heights_are_relative_contrast() -> None:
    z = heights_from_contrast(np.array([0.9, 1.0, 1.1]) * -0.04, 20.0)
    np.testing.assert_allclose(z, [-2, 0, 2], atol=1e-9)


def test_in_focus_there_is_nothing_to_tell_heights_from() -> None:
    with pytest.raises(InputError, match="in focus"):
        depth_of_contrast(Lens(80e3, 0.0), "charge_density")
    with pytest.raises(InputError, match="no height"):
        heights_from_contrast(np.array([1.0, -1.0]), 20.0)
