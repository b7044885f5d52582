"""Derivatives of patterns, forward: beside finite differences."""

from __future__ import annotations

import numpy as np
import torch

from recon.ptychography.places import Places
from recon.ptychography.scan import Detector, Lens
from recon.ptychography.tangents import Change, tangents
from recon.ptychography.waves import WindowedMultislice


def test_derivatives_of_one_pattern() -> None:
    k = (np.arange(32) - 15.75) / 12.8
    seen = Detector(k, k, 1 / 12.8, 32)
    model = WindowedMultislice(
        Lens(300e3, 0.021, -60.0), seen, spacing=3.0, entrance=-6.0, electrons=500.0, dtype=torch.float64
    )
    rng = np.random.default_rng(0)
    phases = torch.as_tensor(0.2 * rng.normal(size=(4, 24, 24)))
    places = Places([[3.0, -4.0], [0.1, 0.2]], seen, (-4.8, -4.8), (24, 24))  # beyond the edge, and within
    changes = [
        Change(np.array([0, 1]), torch.as_tensor(rng.normal(size=(2, 2, 24, 24)))),
        Change(np.array([2]), torch.as_tensor(rng.normal(size=(2, 1, 24, 24)))),
    ]
    field = places.transmission(phases)
    for probe in range(2):
        found = tangents(model, field, places, probe, changes).reshape(2, 2, -1)
        for number, change in enumerate(changes):
            for parameter in range(2):
                step = torch.zeros_like(phases)
                step[change.slices] = 1e-5 * change.phases[parameter]
                above, below = (model.patterns(phases + s * step, places)[probe] for s in (1, -1))
                expected = ((above - below) / 2e-5).flatten().numpy()
                np.testing.assert_allclose(
                    found[number, parameter], expected, atol=1e-5 * np.abs(expected).max()
                )
