"""How a diffraction pattern changes with what is in the slices: derivatives forward through the multislice.

Where the phases of a slice change by δφ, the wave behind it changes by i δφ χ; that change travels through
the remaining slices as the wave does, and the counts change by 2 N Re(Ψ* δΨ). Changes that begin in later
slices join on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from recon.ptychography.places import Places
from recon.ptychography.waves import WindowedMultislice


@dataclass(frozen=True)
class Change:
    """Derivatives (m, n, n_y, n_x) of the phases of `slices` (n,) by m parameters, the same m for every
    change of a list.
    """

    slices: npt.NDArray[np.intp]
    phases: torch.Tensor


def tangents(
    multislice: WindowedMultislice,
    field: torch.Tensor,
    places: Places,
    probe: int,
    changes: Sequence[Change],
) -> npt.NDArray[np.float64]:
    """The derivatives (len(changes) × m, pixels) of the expected counts of one probe by the parameters of all
    `changes`, through the transmission `field` (`Places.transmission`). A single mode of the probe is taken.
    """
    one = slice(probe, probe + 1)
    windows = places.windows(field, one)
    waves = multislice.through(windows, multislice.incoming(places, one))
    far = multislice.far(waves[-1], multislice.tails(places, one, len(windows)))
    m, w = changes[0].phases.shape[0], places.window
    beginning: dict[int, list[tuple[int, torch.Tensor]]] = {}
    for number, change in enumerate(changes):
        cut = _window(change.phases, places, probe)
        for s, at in enumerate(change.slices):
            beginning.setdefault(int(at), []).append((number, 1j * cut[:, s] * waves[at][0, 0]))
    moved = torch.zeros((m * len(changes), w, w), dtype=multislice.complex, device=multislice.device)
    live = torch.zeros(len(changes), dtype=torch.bool)
    for at in range(len(windows)):
        if at and bool(live.any()):
            index = live.repeat_interleave(m).nonzero().flatten()
            wave = torch.fft.ifft2(torch.fft.fft2(moved[index]).mul_(multislice.forth))
            moved[index] = wave.mul_(windows[at, 0])
        for number, wave in beginning.get(at, ()):
            moved[m * number : m * number + m] += wave
            live[number] = True
    slopes = [
        (wave[0].conj() * change[0]).real
        for wave, change in zip(far, multislice.far(moved[None]), strict=True)
    ]
    total = 2 * multislice.share * torch.stack(slopes).sum(dim=0)
    return np.asarray(total.reshape(len(moved), -1).double().cpu().numpy())


def _window(phases: torch.Tensor, places: Places, probe: int) -> torch.Tensor:
    """Part (m, n, W, W) of `phases` (m, n, n_y, n_x) in a probe's window, zero beyond the field."""
    w = places.window
    (row, column), (top, left) = places.corners[probe].tolist(), places.pad
    out = phases.new_zeros((*phases.shape[:2], w, w))
    n_y, n_x = phases.shape[2:]
    first, last = (
        [max(0, top - row), max(0, left - column)],
        [min(w, n_y + top - row), min(w, n_x + left - column)],
    )
    if first[0] < last[0] and first[1] < last[1]:
        out[:, :, first[0] : last[0], first[1] : last[1]] = phases[
            :,
            :,
            row - top + first[0] : row - top + last[0],
            column - left + first[1] : column - left + last[1],
        ]
    return out
