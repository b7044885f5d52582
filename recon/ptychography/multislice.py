"""Multislice ptychography of one tilt: the phases of slices, and where asked for the probe and its positions.

Maximum likelihood (Thibault and Guizar-Sicairos, New J. Phys. 14, 063004 (2012)) for several slices (Maiden,
Humphry and Rodenburg, J. Opt. Soc. Am. A 29, 1606 (2012); Tsai et al., Opt. Express 24, 29089 (2016)), with
all patterns in each step, Nesterov's momentum, which begins anew where it points uphill (O'Donoghue and
Candès, Found. Comput. Math. 15, 715 (2015)), and steps in the metric of `curvature`. Published codes divide
by the illumination alone (ePIE, LSQ-ML) and need about a hundred passes, most of them for the lowest
frequencies; here ten do.

Cost of an iteration: one `WindowedMultislice.gradient`, 4 S + 8 FFTs of W² per probe, beside which S + 2
FFTs of the field do not count. Memory: ten times the slices.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import numpy as np
import torch

from recon.base import Callback
from recon.ptychography.curvature import Metric
from recon.ptychography.losses import Loss
from recon.ptychography.places import Places
from recon.ptychography.waves import WindowedMultislice

WORSE = 1.05
"""A loss that grows by this factor in one iteration shows a step too long: it is taken back and halved."""
SIDE_MODE = 0.02
"""Part of the electrons that each mode beside the first begins with."""
PROBE_START = 2
"""Iterations before probe and positions move: what a first rough object would make of them is wrong."""

FLAT = 1e-4
"""Square of the slope of the phase [rad²/Å²] below which it shows no positions."""
FARTHEST = 0.1
"""No probe moves farther than this in one step [Å]."""


@dataclass
class Ptychogram:
    """What ptychography found: `phases` (n_slices, n_y, n_x) [rad], the `probe` (n_modes, W, W) as
    `WindowedMultislice` has it, and the `positions` (n_scan, 2) [Å] as [y, x]; `loss` per pixel of the last
    iteration.
    """

    phases: torch.Tensor
    probe: torch.Tensor
    positions: np.ndarray
    loss: float = math.nan

    @property
    def projection(self) -> torch.Tensor:
        """The phase of all slices together (n_y, n_x) [rad]."""
        return self.phases.sum(dim=0)


def multislice_ptychography(
    multislice: WindowedMultislice,
    places: Places,
    counts: torch.Tensor,
    n_slices: int,
    n_iter: int,
    *,
    loss: Loss = "mixed",
    step: float = 1.0,
    damping: float = 0.1,
    layer_regularisation: float = 0.0,
    refine_probe: bool = False,
    refine_positions: bool = False,
    n_modes: int = 1,
    initial: Ptychogram | None = None,
    callback: Callback | None = None,
) -> Ptychogram:
    """The phases of `n_slices` slices behind `counts` (n_scan, n_ky, n_kx) of probes at `places`.

    `multislice` holds lens, detector and the spacing of slices; it is not changed. A `step` of 2 is where a
    thin specimen would begin to diverge; `damping` is the curvature, relative to that of a frequency fully
    transferred, below which frequencies come late. `layer_regularisation` damps what layers differ by
    (`like_layers`). The probe, of `n_modes` modes, moves within its own aperture; positions keep their mean.
    It goes on from `initial`; `callback` gets the `loss` per pixel, and may end it.
    """
    model = copy.copy(multislice)
    model.probe = with_modes(model, n_modes)
    positions = places.positions
    phases = torch.zeros((n_slices, *places.shape), dtype=model.real, device=model.device)
    if initial is not None:
        phases, model.probe, positions = initial.phases.clone(), initial.probe.clone(), initial.positions
        places = places.moved(positions)
    aperture = model.probe.abs().sum(dim=0) > 0
    metric = Metric(model, places, n_slices, damping=damping)
    regular = like_layers(phases.shape, layer_regularisation).to(phases)
    now = [phases, model.probe, torch.as_tensor(positions).to(phases)]
    ahead, before, last, momentum, latest = now, now, math.inf, 1.0, math.nan
    for iteration in range(1, n_iter + 1):
        moving = iteration > PROBE_START or initial is not None
        if refine_positions:
            places = places.moved(ahead[2].double().cpu().numpy())
        model.probe = ahead[1]
        found = model.gradient(
            ahead[0],
            places,
            counts,
            loss,
            probe=refine_probe and moving,
            positions=refine_positions and moving,
        )
        latest = found.loss / counts.numel()
        if not latest < WORSE * last:  # nor where it is not a number
            step, momentum, now, ahead, last = step / 2, 1.0, before, before, math.inf
        else:
            before, last = now, latest
            moved = list(ahead)
            moved[0] = ahead[0] - step * metric(found.phases)
            if layer_regularisation > 0:
                moved[0] = torch.fft.irfftn(torch.fft.rfftn(moved[0]) * regular, s=phases.shape)
            if found.probe is not None:
                # its curvature is 4 N for every pattern
                change = step * found.probe * aperture / (4 * model.electrons * len(counts))
                moved[1] = ahead[1] - change
                moved[1] = moved[1] / moved[1].abs().square().sum().sqrt()
            if found.positions is not None:
                moved[2] = ahead[2] - step * shift(model, ahead[0], found.positions)
            if float(((ahead[0] - moved[0]) * (moved[0] - now[0])).sum()) > 0:
                momentum = 1.0
            following = (1 + math.sqrt(1 + 4 * momentum**2)) / 2
            beyond = (momentum - 1) / following
            ahead = [new + beyond * (new - old) for new, old in zip(moved, now, strict=True)]
            now, momentum = moved, following
        if callback is not None:
            try:
                callback(iteration, {"loss": latest})
            except StopIteration:
                break
    return Ptychogram(now[0], now[1], now[2].double().cpu().numpy(), latest)


def like_layers(shape: tuple[int, ...], strength: float) -> torch.Tensor:
    """The filter (n_slices, n_y, n_x // 2 + 1) of real fields of `shape` that damps their missing cone,

        W = 1 − 2/π atan(strength² k_z² / (k_y² + k_x² + 10⁻³)),   k in cycles per layer and per pixel,

    which is that of fold_slice (`regularize_layers`) but for its Gaussian blur in the plane.
    """
    k_z, k_y = (torch.fft.fftfreq(n) for n in shape[:2])
    k_x = torch.fft.rfftfreq(shape[2])
    ratio = (strength * k_z[:, None, None]) ** 2 / (k_y[:, None] ** 2 + k_x**2 + 1e-3)
    return 1 - 2 / math.pi * torch.atan(ratio)


def with_modes(model: WindowedMultislice, n_modes: int) -> torch.Tensor:
    """The probe of `model` with modes (n_modes, W, W) beside it that it would have if it trembled: its
    derivatives by y, x, y², yx and so on, orthogonal and of small power.
    """
    modes = list(model.probe)
    orders = [(total - x, x) for total in range(1, n_modes) for x in range(total + 1)]
    for along_y, along_x in orders[: max(0, n_modes - len(modes))]:
        mode = modes[0] * model.k[:, None] ** along_y * model.k**along_x
        for other in modes:
            mode = mode - other * ((other.conj() * mode).sum() / other.abs().square().sum())
        modes.append(mode * (SIDE_MODE / mode.abs().square().sum()).sqrt())
    probe = torch.stack(modes[:n_modes])
    return probe / probe.abs().square().sum().sqrt()


def shift(model: WindowedMultislice, phases: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """How far to move probes (n_scan, 2) [Å] down the `gradient`, of mean 0. The curvature is 4 N times the
    square of the slope of the phase, for which its mean over the field is taken.
    """
    projection = phases.sum(dim=0)
    slopes = [part.square() for part in torch.gradient(projection, spacing=model.detector.voxel)]
    curvature = torch.stack([part.mean() for part in slopes]).clamp_min(FLAT)
    change = gradient / (4 * model.electrons * curvature)
    change = change.clamp(-FARTHEST, FARTHEST)
    return change - change.mean(dim=0)
