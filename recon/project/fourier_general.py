"""Projection by the Fourier slice theorem for any rotations: one padded 3D spectrum, read plane by plane."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy

import numpy as np
import torch

from recon.project.fourier_grid import (
    BEYOND,
    FloatArray,
    Interpolation,
    Kernel,
    axis_stencil,
    centre,
    line_frequencies,
    line_length,
    origin,
    padded,
    padded_length,
)
from recon.project.geometry import Geometry

POINTS = 2**14
"""Readings that are worked out together: 64 grid points each, about 40 MB in all."""


class GeneralFourierProjector:
    """The central plane normal to the beam of each tilt, read from the spectrum of the padded volume.

    The same map as `FourierProjector` for tilts about y, for any rotation. Only half of the spectrum of a
    real volume is kept, k_x ≥ 0; the other half is read as its conjugate.

    Cost of one product with padded length N: 2.5 N³ log₂N³ operations, and w³ complex products per tilt and
    sample of its plane (about 1.5 n_y n_x samples). Memory: 8 N³ bytes in float32, volume and spectrum: 0.1
    GB for 80³ voxels and oversampling 3, but 5.3 GB for 290³. At that size take oversampling 2 (1.6 GB) with
    `kaiser_bessel`, or a projector in real space.
    """

    def __init__(
        self,
        geometry: Geometry,
        *,
        oversample: float,
        interpolation: Interpolation,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.geometry, self.dtype, self.device = geometry, dtype, device
        self._kernel = Kernel.of(interpolation, oversample)
        n_z, n_y, n_x = geometry.volume_shape
        self._lengths = tuple(padded_length(n, oversample) for n in (n_z, n_y, n_x))
        self._plane = tuple(
            line_length(pixels, (geometry.x, geometry.y, geometry.z)) for pixels in (geometry.y, geometry.x)
        )
        self._complex = torch.complex128 if dtype == torch.float64 else torch.complex64
        self._turns = geometry.rotations.as_matrix()
        self._factors = [
            torch.as_tensor(self._kernel.correction(n, length)).to(dtype).to(device)
            for n, length in zip((n_z, n_y, n_x), self._lengths, strict=True)
        ]

    def subset(self, tilts: Sequence[int]) -> GeneralFourierProjector:
        """The projector of these `tilts` only, in that order."""
        chosen = copy(self)
        chosen.geometry = self.geometry.subset(tilts)
        chosen._turns = self._turns[list(tilts)]
        return chosen

    def zeros(self) -> torch.Tensor:
        """A volume of zeros (n_z, n_y, n_x)."""
        return torch.zeros(self.geometry.volume_shape, dtype=self.dtype, device=self.device)

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        """A·volume: (n_z, n_y, n_x) to (n_tilt, n_y, n_x)."""
        _, n_y, n_x = self.geometry.projection_shape
        spectrum = torch.fft.rfftn(padded(self._corrected(volume), self._lengths)).reshape(-1)
        half = self._plane[0], self._plane[1] // 2 + 1
        frequencies = line_frequencies(self._plane[0]), line_frequencies(self._plane[1])[: half[1]]
        images = []
        for tilt in range(len(self._turns)):
            plane = torch.zeros(half[0] * half[1], dtype=self._complex, device=self.device)
            points, shifts = self._points(tilt, *frequencies)
            for block, index, weight, mirrored in self._readings(points):
                found = spectrum[index]
                plane[block] = (weight * torch.where(mirrored, found.conj(), found)).sum(dim=1)
            image = torch.fft.irfft2((plane * shifts).reshape(half), s=self._plane)
            images.append(image[:n_y, :n_x])
        return torch.stack(images)

    def adjoint(self, projections: torch.Tensor) -> torch.Tensor:
        """Aᵀ·projections: (n_tilt, n_y, n_x) to (n_z, n_y, n_x)."""
        held = self._lengths[2] // 2 + 1
        size = self._lengths[0] * self._lengths[1] * held
        spectrum = torch.zeros(size, dtype=self._complex, device=self.device)
        frequencies = line_frequencies(self._plane[0]), line_frequencies(self._plane[1])
        for tilt, image in enumerate(projections):
            points, shifts = self._points(tilt, *frequencies)
            plane = torch.fft.fft2(image, s=self._plane, norm="forward").reshape(-1) * shifts.conj()
            for block, index, weight, mirrored in self._readings(points):
                # the mirrored half comes of itself: the spectrum of a real volume is Hermitian
                values = torch.where(mirrored, 0.0, weight) * plane[block, None]
                spectrum.index_add_(0, index.reshape(-1), values.reshape(-1))
        shape = self._lengths[0], self._lengths[1], held
        grid = torch.fft.irfftn(spectrum.reshape(shape), s=self._lengths, norm="forward")
        return self._corrected(centre(grid, self.geometry.volume_shape))

    def _corrected(self, volume: torch.Tensor) -> torch.Tensor:
        z, y, x = self._factors
        return volume * z[:, None, None] * y[:, None] * x

    def _points(self, tilt: int, q_y: FloatArray, q_x: FloatArray) -> tuple[FloatArray, torch.Tensor]:
        """Where (n, z y x) [1/pixel] the samples of a tilt's plane are, and their phases (n,)."""
        turn = self._turns[tilt]
        row, column = (part.reshape(-1) for part in np.meshgrid(q_y, q_x, indexing="ij"))
        points = np.stack([column * turn[0, axis] + row * turn[1, axis] for axis in (2, 1, 0)], axis=-1)
        points[(row == BEYOND) | (column == BEYOND)] = BEYOND
        centred = turn[:2] @ origin(self.geometry)
        steps = (np.array([self.geometry.x[0], self.geometry.y[0]]) - centred) / self.geometry.pixel_size
        shifts = np.exp(2j * np.pi * (column * steps[0] + row * steps[1]))
        return points, torch.as_tensor(shifts).to(self._complex).to(self.device)

    def _readings(
        self, points: FloatArray
    ) -> Iterator[tuple[slice, torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Block by block of `points`: which they are, and, (n, w³), the flat index into the half spectrum of
        each grid point that is read, its weight, and whether it lies in the other half.
        """
        _, n_y, n_x = self._lengths
        held = n_x // 2 + 1
        for start in range(0, len(points), POINTS):
            block = slice(start, start + POINTS)
            stencils = [
                axis_stencil(points[block, axis], n, self._kernel) for axis, n in enumerate(self._lengths)
            ]
            near = [torch.as_tensor(found, device=self.device) for found, _ in stencils]
            share = [torch.as_tensor(weight).to(self.dtype).to(self.device) for _, weight in stencils]
            # the rows of the grid that are read, and those of their mirror images
            rows, mirror_rows = (
                torch.remainder(sign * near[0], self._lengths[0])[:, :, None] * n_y
                + torch.remainder(sign * near[1], n_y)[:, None, :]
                for sign in (1, -1)
            )
            column = near[2][:, None, None, :]
            mirrored = (column < 0).expand(*rows.shape, -1)
            index = torch.where(mirrored, mirror_rows[..., None], rows[..., None]) * held
            index += column.abs().clamp(max=held - 1)  # beyond Nyquist the weight is zero
            weight = share[0][:, :, None, None] * share[1][:, None, :, None] * share[2][:, None, None, :]
            yield block, index.flatten(1), weight.flatten(1), mirrored.flatten(1)
