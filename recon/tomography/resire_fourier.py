"""RESIRE with projections by the Fourier slice theorem, the version of the earlier publications."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch

from datasets.errors import InputError
from datasets.naming import Value
from recon.base import Callback
from recon.project.fourier import make_fourier_projector
from recon.project.fourier_grid import Interpolation, Kernel
from recon.project.projector import Projector
from recon.tomography.iterative import IterativeReconstructor
from recon.tomography.resire import resire

_PUBLISHED: Mapping[str, Value] = {
    "interpolation": "linear",
    "step": 2.0,
    "min_height": 0.0,
    "classify": "published",
}


@dataclass(frozen=True)
class RESIREFourier(IterativeReconstructor):
    """RESIRE with its projections by the Fourier slice theorem, then tracing and classification.

    The kernel is that of `resire`; only the projector differs: voxels are band-limited points, so atoms are
    not widened by the pixel. An iteration takes several times as long as one of `resire`; where time is
    short, take `resire` or `fista`.

    `oversample` is the length of the zero-padded volume over that of the volume; `interpolation` is how the
    padded spectrum is read. The R-factor of the answer is that of `oversample`² sub-voxels in real space, so
    that it compares with other methods.
    """

    name: ClassVar[str] = "resire-fourier"
    reference: ClassVar[str] = "Pham et al., Sci. Rep. 13, 5624 (2023), its Fourier version"
    variants: ClassVar[Mapping[str, Mapping[str, Value]]] = {
        "published": {**_PUBLISHED, "oversample": 4, "n_iter": 200, "min_distance": 2.0},
        "cuau": {**_PUBLISHED, "oversample": 3, "n_iter": 100, "denoise": "none"},
    }
    """`published`: the public code's constants for the experimental glasses; `cuau`: those of paper 004. Its
    gradient reads residuals linearly in real space; here it is the exact adjoint."""

    n_iter: int = 200
    step: float = 1.5
    oversample: int = 2
    interpolation: Interpolation = "kaiser_bessel"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.blur == "fit":
            raise InputError(
                "blur=fit needs a projector in real space; resire-fourier has none, fista and resire have"
            )
        if not self.step > 0:
            raise InputError(f"step must be positive, not {self.step}")
        Kernel.of(self.interpolation, self.oversample)  # says what is wrong with the two

    def volume(self, projector: Projector, projections: torch.Tensor, callback: Callback) -> torch.Tensor:
        """The volume (n_z, n_y, n_x) after `n_iter` iterations."""
        slices = make_fourier_projector(
            projector.geometry,
            oversample=self.oversample,
            interpolation=self.interpolation,
            dtype=projector.dtype,
            device=projector.device,
        )
        return resire(slices, projections, self.n_iter, step=self.step, callback=callback)
