"""Where the probes really stood, and what the probe really was, from the patterns of a tilt series.

After a pass of `mset` the positions of all probes of a tilt move by a Gauss–Newton step against the volume
as it is, and the probe, one for all tilts, by a step of descent within its aperture. A position is known
beforehand to within `SPREAD`, so that one where nothing stands stays where it is.

Cost: for positions a forward pass of three waves, about as much as the pass itself; for the probe a sum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from recon.ptychography.losses import Loss
from recon.ptychography.tilt_series import TiltSeries

SPREAD = 0.5
"""Standard deviation [Å] of a position about the nominal one."""
LONGEST = 0.15
"""A step of a position [Å] is no longer than this."""
FIRST_PASS = 3
"""Before this pass the volume is too rough to move anything by."""


@dataclass(frozen=True)
class ScanErrors:
    """Which of the `positions` and the `probe` are refined."""

    positions: bool = False
    probe: bool = False

    def gradient(self, series: TiltSeries) -> torch.Tensor | None:
        """Room for the derivative by the probe, where it is refined."""
        return torch.zeros_like(series.multislice.probe) if self.probe else None

    def correct(
        self, series: TiltSeries, volume: torch.Tensor, loss: Loss, by_probe: torch.Tensor | None
    ) -> None:
        """Move the positions of every tilt, and the probe, of `series`."""
        if self.positions:
            for tilt in range(len(series)):
                _move_positions(series, volume, tilt, loss)
        if by_probe is not None:
            model = series.multislice
            aperture = model.ideal.abs() > 0
            n_patterns = len(series) * len(series.scan.positions)
            probe = model.probe - by_probe * aperture / (4 * model.electrons * n_patterns)
            model.probe = probe / probe.abs().square().sum().sqrt()


def _move_positions(series: TiltSeries, volume: torch.Tensor, tilt: int, loss: Loss) -> None:
    places = series.places[tilt]
    found = series.multislice.displacements(series.slices(volume, tilt), places, series.counts[tilt], loss)
    slopes, information = (values.double().cpu().numpy() for values in found)
    off = places.positions - series.scan.positions
    step = -np.linalg.solve(information + np.eye(2) / SPREAD**2, (slopes + off / SPREAD**2)[..., None])[
        ..., 0
    ]
    length = np.linalg.norm(step, axis=1, keepdims=True)
    step *= np.minimum(1, LONGEST / np.maximum(length, 1e-12))
    series.places[tilt] = places.moved(places.positions + step)
