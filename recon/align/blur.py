"""A projector whose images are each as blurred as the measured one, so that the volume is not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from recon.project.projector import Projector

FloatArray = npt.NDArray[np.float64]


class BlurredProjector:
    """H A for a projector A: projections convolved with a Gaussian of its own variance for every tilt.

    Where focus varies, one volume cannot fit sharp and blurred images at once; given their blur, it can. The
    gain of H is at most 1, so whatever step is stable for A is stable here. Cost: two FFTs of the images more
    in each product.
    """

    def __init__(self, projector: Projector, variances: FloatArray) -> None:
        """`variances` (n_tilt,) [Å²] of the blur along each axis."""
        self.geometry, self.dtype, self.device = projector.geometry, projector.dtype, projector.device
        self._projector, self._variances = projector, np.asarray(variances, dtype=np.float64)
        _, n_y, n_x = self.geometry.projection_shape
        size = self.geometry.pixel_size
        squared = np.fft.fftfreq(n_y, size)[:, None] ** 2 + np.fft.rfftfreq(n_x, size) ** 2
        gain = np.exp(-2 * np.pi**2 * squared * self._variances[:, None, None])
        self._gain = torch.from_numpy(gain).to(self.dtype).to(self.device)

    def subset(self, tilts: Sequence[int]) -> BlurredProjector:
        """The projector of these `tilts` only, in that order."""
        return BlurredProjector(self._projector.subset(tilts), self._variances[list(tilts)])

    def zeros(self) -> torch.Tensor:
        """A volume of zeros (n_z, n_y, n_x)."""
        return self._projector.zeros()

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        """H A·volume: (n_z, n_y, n_x) to (n_tilt, n_y, n_x)."""
        return self._blur(self._projector.forward(volume))

    def adjoint(self, projections: torch.Tensor) -> torch.Tensor:
        """Aᵀ H·projections: (n_tilt, n_y, n_x) to (n_z, n_y, n_x)."""
        return self._projector.adjoint(self._blur(projections))

    def _blur(self, projections: torch.Tensor) -> torch.Tensor:
        spectra = torch.fft.rfft2(projections.contiguous())
        return torch.fft.irfft2(spectra * self._gain, s=self.geometry.projection_shape[1:])


def excess_blur(widths: FloatArray) -> FloatArray:
    """The variances [Å²] by which images are wider than the median of `widths` (n_tilt,) [Å²]; not below 0.

    A volume as sharp as the sharpest image would have to be guessed from that one alone.
    """
    return np.maximum(widths - np.median(widths), 0.0)
