"""Seconds of a projector's products and of one RESIRE iteration; peak memory of a RESIRE run."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from datasets.schema import EULER_SEQUENCE, pixel_axis
from recon.project.fourier import make_fourier_projector
from recon.project.geometry import Geometry
from recon.project.projector import Projector, make_projector
from recon.project.toeplitz import ToeplitzNormal
from recon.tomography.fista import fista
from recon.tomography.fourier_constraint import make_constraint
from recon.tomography.mlem import mlem
from recon.tomography.resire import resire
from recon.tomography.sart import sart
from recon.tomography.wbp import wbp

N_PIXEL = 96
N_TILT = 41
PIXEL_SIZE = 0.35
MAX_TILT = 70.0


def tilt_series(single_axis: bool) -> tuple[Projector, torch.Tensor, torch.Tensor]:
    """A projector of `N_TILT` tilts, a positive volume (n, n, n) and its projections."""
    rng = np.random.default_rng(0)
    euler = np.zeros((N_TILT, 3))
    euler[:, 1] = np.linspace(-MAX_TILT, MAX_TILT, N_TILT)
    if not single_axis:
        euler[:, ::2] = rng.normal(0.0, 0.5, (N_TILT, 2))
    axis = pixel_axis(N_PIXEL, PIXEL_SIZE)
    turns = Rotation.from_euler(EULER_SEQUENCE, euler, degrees=True)
    projector = make_projector(Geometry(turns, axis, axis, axis, PIXEL_SIZE))
    volume = torch.as_tensor(rng.uniform(size=(N_PIXEL,) * 3)).to(projector.dtype)
    return projector, volume, projector.forward(volume)


class Tomography:
    """Single-axis tilts use a sparse matrix, tilts about any axis a splat."""

    params = ("single axis", "any axis")
    param_names = ("tilts",)

    def setup(self, tilts: str) -> None:
        """Build the projector once; its construction is timed by itself."""
        torch.set_num_threads(1)
        self.projector, self.volume, self.projections = tilt_series(tilts == "single axis")

    def time_forward(self, tilts: str) -> None:
        """A·x, all tilts."""
        self.projector.forward(self.volume)

    def time_adjoint(self, tilts: str) -> None:
        """Aᵀ·b, all tilts."""
        self.projector.adjoint(self.projections)

    def time_resire_iteration(self, tilts: str) -> None:
        """One iteration from a given volume."""
        resire(self.projector, self.projections, 1, initial=self.volume)

    def time_mlem_iteration(self, tilts: str) -> None:
        """One iteration from a given volume, and the sensitivities that the first one needs."""
        mlem(self.projector, self.projections, 1, initial=self.volume)

    def time_sart_sweep(self, tilts: str) -> None:
        """One sweep over all tilts from a given volume, and what the first one needs."""
        sart(self.projector, self.projections, 1, initial=self.volume)

    def time_wbp(self, tilts: str) -> None:
        """The whole reconstruction: weights, filter, one adjoint."""
        wbp(self.projector, self.projections)

    def time_make_projector(self, tilts: str) -> None:
        """What a change of geometry costs, as in angular refinement."""
        make_projector(self.projector.geometry)

    def peakmem_resire(self, tilts: str) -> None:
        """The most memory of the process in three iterations from zero."""
        resire(self.projector, self.projections, 3)


class FourierMethods:
    """Tilts about y, slice by slice, by length of the zero-padded volume over that of the volume."""

    params = (2, 3)
    param_names = ("oversample",)

    def setup(self, oversample: int) -> None:
        """Grid the projections once: GENFIRE's iterations only enforce them."""
        torch.set_num_threads(1)
        projector, self.volume, self.projections = tilt_series(True)
        self.fourier = make_fourier_projector(projector.geometry, oversample=oversample)
        self.constraint = make_constraint(
            projector.geometry, self.projections, oversample=oversample, radius=0.5
        )

    def time_resire_iteration(self, oversample: int) -> None:
        """One iteration from a given volume."""
        resire(self.fourier, self.projections, 1, initial=self.volume)

    def time_genfire_iteration(self, oversample: int) -> None:
        """The measured points of all slices put right once."""
        self.constraint.enforce(self.volume, np.inf)


class Accelerated:
    """Tilts about y: what brings the same volume sooner than plain descent by a projector."""

    def setup(self) -> None:
        """The convolution is made once; its cost knows no tilts."""
        torch.set_num_threads(1)
        self.projector, self.volume, self.projections = tilt_series(True)
        self.normal = ToeplitzNormal(self.projector.geometry)

    def time_normal_by_fft(self) -> None:
        """AᵀA·x as one convolution."""
        self.normal(self.volume)

    def time_fista_with_subsets(self) -> None:
        """Four iterations of eight steps each."""
        fista(self.projector, self.projections, 4, subsets=8)
