"""What a method cannot reconstruct it declines in one sentence, before any work."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from datasets.schema import make_measurement, pixel_axis
from recon import registry
from recon.base import Reconstructor, Status

MODALITIES = ("adf", "hrtem", "4dstem")


def measurement(modality: str) -> xr.Dataset:
    """Five empty images of a modality."""
    axis = pixel_axis(16, 0.3)
    zero = np.zeros(5)
    coords = {"phi": zero, "theta": np.linspace(-60, 60, 5), "psi": zero, "time": np.arange(5.0)}
    scan = {"scan_y": np.repeat(axis[:4], 4), "scan_x": np.tile(axis[:4], 4)}
    return make_measurement(
        modality,
        np.ones((5, 16, 16, 16) if modality == "4dstem" else (5, 16, 16), dtype=np.uint8),
        {**coords, "y": axis, "x": axis, **scan, "ky": axis, "kx": axis},
        dose_per_area=100.0,
        pixel_size=0.3,
        background=0.0,
        elements=["C"],
        optics={"energy_eV": 80e3, "defocus": 80.0, "Cs": 1e4, "focal_spread": 10.0},
    )


@pytest.mark.parametrize("name", registry.reconstructor_names())
def test_what_is_for_another_modality_is_declined_in_one_sentence(name: str) -> None:
    reconstructor = registry.get(name)
    assert isinstance(reconstructor, Reconstructor)
    answers = {modality: reconstructor.supports(measurement(modality)) for modality in MODALITIES}
    assert not all(supported for supported, _ in answers.values())
    for modality, (supported, reason) in answers.items():
        if not supported:
            assert reason
            assert "\n" not in reason
            found = reconstructor.reconstruct(measurement(modality), rng=np.random.default_rng(0))
            assert found.status is Status.SKIPPED
            assert len(found.atoms) == 0
