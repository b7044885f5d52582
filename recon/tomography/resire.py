"""RESIRE: real-space iterative reconstruction by projected gradient descent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch

from datasets.errors import InputError
from datasets.naming import Value
from recon.base import Callback
from recon.project.projector import Projector
from recon.tomography.iterative import IterativeReconstructor
from recon.tomography.normal_equations import Normal, NormalEquations, normal_equations
from recon.tomography.r_factor import absolute_sums, relative_residual


def resire(
    projector: Projector,
    projections: torch.Tensor,
    n_iter: int,
    *,
    step: float = 1.0,
    initial: torch.Tensor | None = None,
    positivity: bool = True,
    volume_mask: torch.Tensor | None = None,
    projection_mask: torch.Tensor | None = None,
    callback: Callback | None = None,
    equations: NormalEquations | None = None,
) -> torch.Tensor:
    """x ← max(0, x − dt Aᵀ(A x − b)), dt = step / (n_tilt n_z).

    n_tilt n_z is close to the largest eigenvalue of AᵀA, so that steps below 2 converge and larger ones
    diverge. The public code of paper 003 writes dt = step / (4 n_tilt n_z) because its adjoint is the sum of
    four sub-voxels whose mean its projection takes; here the adjoint is exact and the step is the same.

    `projections` b are (n_tilt, n_y, n_x); the volume is (n_z, n_y, n_x) and starts from `initial` (zero).
    Voxels where `volume_mask` is 0 stay zero; pixels where `projection_mask` is 0 are not looked at.
    `callback` gets the `r_factor` of the volume each iteration started from. With `equations`, which know no
    single pixels, the gradient is theirs, and that figure is ‖A x − b‖/‖b‖. Pham et al., Sci. Rep. 13, 5624
    (2023), its Radon version.
    """
    n_tilt, n_z = len(projections), projector.geometry.volume_shape[0]
    volume = projector.zeros()
    if initial is not None:
        volume = volume + initial
    if volume_mask is not None:
        volume = volume * volume_mask.to(volume)
    measured = projections
    if projection_mask is not None:
        measured = torch.where(projection_mask > 0, projections, 0.0)
    sums = absolute_sums(measured)
    for iteration in range(1, n_iter + 1):
        if equations is None:
            residual = projector.forward(volume).sub_(measured)
            if projection_mask is not None:
                residual = residual * projection_mask.to(residual)
            gradient, error = projector.adjoint(residual), relative_residual(residual, sums)
        else:
            gradient, error = equations.gradient(volume)
        if volume_mask is not None:
            gradient = gradient * volume_mask.to(gradient)
        volume.sub_(gradient, alpha=step / (n_tilt * n_z))
        if positivity:
            volume.clamp_(min=0)
        if callback is not None:
            try:
                callback(iteration, {"r_factor": error})
            except StopIteration:
                break
    return volume


_PUBLISHED: Mapping[str, Value] = {
    "oversample": 2,
    "background": "minimum",
    "min_height": 0.0,
    "classify": "published",
}


@dataclass(frozen=True)
class RESIRE(IterativeReconstructor):
    """Real-space iterative reconstruction (RESIRE), then tracing and classification.

    Projected gradient descent with one global step; a `step` of 2 or more diverges.
    """

    name: ClassVar[str] = "resire"
    reference: ClassVar[str] = "Pham et al., Sci. Rep. 13, 5624 (2023)"
    variants: ClassVar[Mapping[str, Mapping[str, Value]]] = {
        "published": {**_PUBLISHED, "step": 1.0, "n_iter": 1000, "min_distance": 1.8, "background": "known"},
        "random-defocus": {**_PUBLISHED, "step": 2.0, "n_iter": 1000, "min_distance": 1.8},
        "si-208": {
            **_PUBLISHED,
            "step": 0.25,
            "n_iter": 200,
            "min_distance": 1.93,
            "trace_sigma": 1.0,
        },
        "si-19993": {**_PUBLISHED, "step": 1.0, "n_iter": 200, "min_distance": 1.65},
        "sigesn": {
            **_PUBLISHED,
            "step": 2.0,
            "n_iter": 2000,
            "min_distance": 1.92,
            "split_radius": 1,
            "species_radius": 7,
        },
        "sio2": {
            **_PUBLISHED,
            "step": 1.0,
            "n_iter": 1000,
            "min_distance": 1.0,
            "classify": "k_means",
            "cluster_radius": 4,
        },
        "cuau": {"n_iter": 100, "step": 2.0, "oversample": 3, "denoise": "none", "classify": "published"},
    }
    """Constants of the public code of paper 003 by specimen (`published`: CoPdPt), and of paper 004
    (`cuau`: 100 iterations, oversampling 3, no denoising; the step is that of the Fourier code).
    Paper 003 denoises by BM3D; its variants keep this package's filter."""

    n_iter: int = 240
    step: float = 1.5
    normal: Normal = "auto"
    """How AᵀA is applied: by `projections`, by one convolution (`toeplitz`), or as is cheaper."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.step > 0:
            raise InputError(f"step must be positive, not {self.step}")

    def volume(self, projector: Projector, projections: torch.Tensor, callback: Callback) -> torch.Tensor:
        """The volume (n_z, n_y, n_x) after `n_iter` iterations."""
        equations = normal_equations(projector, projections, self.normal, oversample=self.oversample)
        return resire(
            projector, projections, self.n_iter, step=self.step, callback=callback, equations=equations
        )
