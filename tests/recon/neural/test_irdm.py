"""Completed measurements: what was measured stays, in the frame of the tilts."""

from collections.abc import Callable
from typing import cast

import numpy as np
import pytest
import torch
import xarray as xr
from ase import Atoms
from torch import nn

from datasets.schema import check_measurement
from recon import registry
from recon.neural.inpaint import ImageUNet
from recon.neural.irdm import IRDM, completed

THETA = tuple(np.arange(-60.0, 61.0, 4.0))


class Nearest(nn.Module):
    """Answers with what is shown, and with a constant where nothing was measured."""

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        return torch.where(seen[:, 3:] > 0, seen[:, :1], torch.full_like(seen[:, :1], 0.5))


def test_measured_images_stay_and_missing_ones_are_drawn(
    measure: Callable[..., xr.Dataset], cluster: Callable[..., Atoms]
) -> None:
    data = measure(cluster(13, ("Au",)), THETA, background=2.0, seed=1)
    shuffled = data.isel(tilt=np.random.default_rng(0).permutation(len(THETA)))
    whole, measured = completed(shuffled, cast(ImageUNet, Nearest()))
    check_measurement(whole)
    assert whole.sizes["tilt"] == 45
    np.testing.assert_allclose(whole["theta"].values[measured], THETA)
    np.testing.assert_array_equal(whole["counts"].values[measured], data["counts"].values)
    drawn = whole["counts"].values[~measured]
    assert (drawn >= 2.0).all()
    assert drawn.std() < 1e-3 * drawn.mean()
    assert whole.attrs["background"] == 2.0


def test_what_it_does_not_support(
    measure: Callable[..., xr.Dataset], cluster: Callable[..., Atoms], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(IRDM, "needed", ())  # whether they are there is another matter
    method = registry.get("irdm")
    atoms = cluster(13, ("Au",))
    assert method.supports(measure(atoms, THETA))[0]
    assert "up to 6°" in method.supports(measure(atoms, tuple(np.arange(-60.0, 61.0, 10.0))))[1]
    assert "about y only" in method.supports(measure(atoms, THETA, phi=5.0))[1]
