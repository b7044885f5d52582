"""Zero-padded spectra: where voxels sit among the zeros, and how a spectrum is read between grid points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.special
import torch

from datasets.errors import InputError
from recon.project.geometry import Geometry

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

Interpolation = Literal["kaiser_bessel", "linear"]
"""How a spectrum is read between the points of its grid. `linear` is what RESIRE's public code does: it dims
the volume by sinc² towards its edges (9 % at oversampling 3, along each axis). `kaiser_bessel` reads four
points per axis and divides the volume by the kernel's transform, so nothing is dimmed."""

BLOCK = 2**19
"""Grid points that are transformed together: 4 MB in complex64, so that a block stays in the cache."""

BEYOND = 2.0
"""A frequency [1/pixel] that stands for none: no grid has it."""


@dataclass(frozen=True)
class Kernel:
    """The weight of a grid point `width`/2 and less away from where a spectrum is read.

    `beta` is the shape of a Kaiser–Bessel window, None means a triangle.
    """

    width: int
    beta: float | None

    @classmethod
    def of(cls, interpolation: Interpolation, oversample: float) -> Kernel:
        """The kernel for a volume padded to `oversample` times its length. Raises `InputError` below 1.5
        (`kaiser_bessel`) or 1 (`linear`).

        Beatty et al., IEEE Trans. Med. Imaging 24, 799 (2005), equation 5, for four points.
        """
        least = 1.5 if interpolation == "kaiser_bessel" else 1.0
        if oversample < least:
            raise InputError(
                f"oversample must be at least {least:g} for {interpolation} interpolation, not {oversample:g}"
            )
        if interpolation == "linear":
            return cls(2, None)
        return cls(4, float(np.pi * np.sqrt((4 / oversample) ** 2 * (oversample - 0.5) ** 2 - 0.8)))

    def weights(self, away: FloatArray) -> FloatArray:
        """The weights of grid points that are `away` (in grid points) from the reading."""
        if self.beta is None:
            return np.maximum(1.0 - np.abs(away), 0.0)
        inner = np.sqrt(np.maximum(1.0 - (2.0 * away / self.width) ** 2, 0.0))
        # without its very edge the window is symmetric about every grid point too
        return np.where(
            np.abs(away) < self.width / 2,
            scipy.special.i0(self.beta * inner) / scipy.special.i0(self.beta),
            0.0,
        )

    def correction(self, n: int, length: int) -> FloatArray:
        """What each of `n` voxels is multiplied by before padding to `length`, to undo the kernel."""
        if self.beta is None:
            return np.ones(n)
        root = np.sqrt(self.beta**2 - (np.pi * self.width * (np.arange(n) - n // 2) / length) ** 2 + 0j)
        return np.asarray(scipy.special.i0(self.beta) / (self.width * np.real(np.sinh(root) / root)))


def axis_stencil(frequencies: FloatArray, length: int, kernel: Kernel) -> tuple[IntArray, FloatArray]:
    """Grid points g (may be negative) and weights, both (n, w), of readings at `frequencies` [1/pixel].

    Weights carry the sign (-1)^g that moves the origin to the middle of the padded volume; they are zero at
    and beyond the Nyquist frequency, so that what is real stays real.
    """
    inside = np.abs(frequencies) <= 0.5
    at = np.where(inside, frequencies, 0.0) * length
    first = np.floor(at).astype(np.int64) - (kernel.width // 2 - 1)
    near = first[:, None] + np.arange(kernel.width)
    held = inside[:, None] & (np.abs(near) < length // 2)
    return near, np.where(held, kernel.weights(near - at[:, None]) * (1.0 - 2.0 * (near % 2)), 0.0)


def stencil(points: FloatArray, lengths: tuple[int, ...], kernel: Kernel) -> tuple[IntArray, FloatArray]:
    """The grid points (flat index) and weights, both (n, w^d), of readings at `points` (n, d) [1/pixel]."""
    index = np.zeros((len(points), 1), dtype=np.int64)
    weight = np.ones((len(points), 1))
    for axis, length in enumerate(lengths):
        near, share = axis_stencil(points[:, axis], length, kernel)
        index = (index[:, :, None] * length + np.mod(near, length)[:, None]).reshape(len(points), -1)
        weight = (weight[:, :, None] * share[:, None]).reshape(len(points), -1)
    return index, weight


def padded_length(n: int, oversample: float) -> int:
    """The next even length, quick to transform, that is at least `oversample` times `n`, and eight."""
    return 2 * int(scipy.fft.next_fast_len(max(4, int(np.ceil(oversample * n / 2)))))


def padded(block: torch.Tensor, lengths: tuple[int, ...]) -> torch.Tensor:
    """`block` amid zeros: voxel n//2 of each of its last axes at point N/2, N being that axis' length."""
    widths: list[int] = []
    for axis, length in enumerate(reversed(lengths), start=1):
        n = block.shape[-axis]
        left = length // 2 - n // 2
        widths += [left, length - n - left]
    return torch.nn.functional.pad(block, widths)


def centre(grid: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """What `padded` has put amid the zeros: the transpose of the padding."""
    for axis, n in enumerate(reversed(shape), start=1):
        grid = grid.narrow(-axis, grid.shape[-axis] // 2 - n // 2, n)
    return grid


def paired(slices: torch.Tensor) -> torch.Tensor:
    """Slices (n, …) two by two as real and imaginary parts, (n/2 rounded up, …)."""
    even, odd = slices[0::2], slices[1::2]
    if len(odd) < len(even):
        odd = torch.cat([odd, torch.zeros_like(even[-1:])])
    return torch.complex(even, odd)


def unpaired(pairs: torch.Tensor, n: int) -> torch.Tensor:
    """The inverse of `paired` for `n` slices."""
    return torch.stack([pairs.real, pairs.imag], dim=1).flatten(0, 1)[:n]


def origin(geometry: Geometry) -> FloatArray:
    """Where (x, y, z) [Å] the phases of a padded volume have their origin: voxel n//2 of each axis."""
    return np.array([axis[len(axis) // 2] for axis in (geometry.x, geometry.y, geometry.z)])


def line_length(pixels: FloatArray, axes: tuple[FloatArray, ...]) -> int:
    """Samples along an image axis at `pixels` [Å] so that what leaves the image does not wrap into it.

    `axes` [Å] are those of the volume that may turn into it, by any angle.
    """
    reach = np.sqrt(sum(float(np.abs(axis[[0, -1]]).max()) ** 2 for axis in axes))
    overhang = max(reach - pixels[-1], reach + pixels[0], 0.0)
    spacing = (pixels[-1] - pixels[0]) / max(len(pixels) - 1, 1) or 1.0
    return int(scipy.fft.next_fast_len(len(pixels) + int(np.ceil(overhang / spacing)) + 4))


def line_frequencies(length: int) -> FloatArray:
    """The frequencies [1/pixel] of a transform, `BEYOND` for the lone Nyquist one of an even length."""
    frequencies = np.fft.fftfreq(length)
    return np.where(np.isclose(np.abs(frequencies), 0.5), BEYOND, frequencies)
