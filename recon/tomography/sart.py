"""SART: simultaneous algebraic reconstruction, one tilt at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from datasets.errors import InputError
from recon.base import Callback
from recon.project.projector import Projector
from recon.tomography.iterative import IterativeReconstructor
from recon.tomography.ordering import spread_order
from recon.tomography.r_factor import absolute_sums, relative_residual


def sart(
    projector: Projector,
    projections: torch.Tensor,
    n_iter: int,
    *,
    relaxation: float = 0.5,
    initial: torch.Tensor | None = None,
    positivity: bool = True,
    volume_mask: torch.Tensor | None = None,
    projection_mask: torch.Tensor | None = None,
    callback: Callback | None = None,
) -> torch.Tensor:
    """x ← max(0, x + λ Aᵀ_t R_t (b_t − A_t x)) for every tilt t in turn, `n_iter` times over.

    R_t are the inverse row sums of A_t (the lengths of the rays), λ is `relaxation`. The column sums of a
    single tilt's A, by which SART also divides, are 1 for every voxel that falls inside the image; they are
    taken as 1 at the edge as well, where that only shortens the step. Tilts come in the order of
    `spread_order`. With consistent data it converges for λ below 2, far sooner than methods that add up all
    tilts before they move; with noise it ends in a cycle among the tilts whose width grows with λ.

    A sweep does the arithmetic of one iteration of SIRT, but reads and writes the volume once per tilt.

    `projections` b are (n_tilt, n_y, n_x); the volume is (n_z, n_y, n_x) and starts from `initial` (zero).
    Voxels where `volume_mask` is 0 stay zero; pixels where `projection_mask` is 0 are not looked at.
    `callback` gets after every sweep the `r_factor` of the volumes that its tilts met. Andersen & Kak,
    Ultrasonic Imaging 6, 81 (1984); the order: `recon.tomography.ordering`.
    """
    seen = torch.ones_like(projections) if projection_mask is None else projection_mask.to(projections)
    support = None if volume_mask is None else volume_mask.to(projections)
    volume = projector.zeros()
    if initial is not None:
        volume += initial if support is None else initial * support
    lengths = projector.forward(projector.zeros() + 1 if support is None else projector.zeros() + support)
    enough = lengths > 1e-3 * lengths.max()
    weights = seen * torch.where(enough, relaxation / torch.where(enough, lengths, 1.0), 0.0)
    measured = torch.where(seen > 0, projections, 0.0)
    sums = absolute_sums(measured)
    tilts = [(tilt, projector.subset([tilt])) for tilt in spread_order(projector.geometry.rotations)]
    residual = torch.empty_like(measured)
    for iteration in range(1, n_iter + 1):
        for tilt, one in tilts:
            residual[tilt] = measured[tilt] - one.forward(volume)[0] * seen[tilt]
            change = one.adjoint((weights[tilt] * residual[tilt])[None])
            volume += change if support is None else change * support
            if positivity:
                volume.clamp_(min=0)
        if callback is not None:
            try:
                callback(iteration, {"r_factor": relative_residual(residual, sums)})
            except StopIteration:
                break
    return volume


@dataclass(frozen=True)
class SART(IterativeReconstructor):
    """Simultaneous algebraic reconstruction (SART), then tracing and classification.

    The volume moves after every tilt, so a few sweeps do what tens of iterations of SIRT do. Noisy tilts
    contradict each other, and the volume then follows the last one seen: keep `relaxation` small.
    """

    name: ClassVar[str] = "sart"
    reference: ClassVar[str] = "Andersen & Kak, Ultrasonic Imaging 6, 81 (1984)"

    n_iter: int = 10
    relaxation: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.relaxation < 2:
            raise InputError(f"relaxation must be between 0 and 2, not {self.relaxation}")

    def volume(self, projector: Projector, projections: torch.Tensor, callback: Callback) -> torch.Tensor:
        """The volume (n_z, n_y, n_x) after `n_iter` sweeps over the tilts."""
        return sart(projector, projections, self.n_iter, relaxation=self.relaxation, callback=callback)
