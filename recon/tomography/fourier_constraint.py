"""The measured Fourier points of a tilt series on a Cartesian grid, and how a volume is made to hold them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch

from recon.project.fourier_grid import (
    BLOCK,
    FloatArray,
    IntArray,
    centre,
    origin,
    padded,
    padded_length,
    paired,
    unpaired,
)
from recon.project.geometry import Geometry, is_single_axis

NEAREST = 1e-5
"""Distances [grid steps] below this count as this one (public code)."""


class FourierConstraint(Protocol):
    """The measured points of a tilt series."""

    def enforce(self, volume: torch.Tensor, cutoff: float) -> tuple[torch.Tensor, float]:
        """The volume (n_z, n_y, n_x) with its measured points up to `cutoff` times Nyquist put right, cut out
        of the padding, and how far it was from all measured points (relative, 2-norm).
        """
        ...


def make_constraint(
    geometry: Geometry, projections: torch.Tensor, *, oversample: float, radius: float
) -> FourierConstraint:
    """The measured points of `projections` (n_tilt, n_y, n_x), slice by slice when all tilts are about y."""
    kind = SliceConstraint if is_single_axis(geometry.rotations) else VolumeConstraint
    return kind(geometry, projections, oversample=oversample, radius=radius)


class SliceConstraint:
    """Tilts about y: every y is a 2D problem on (k_z, k_x), and no transform along y is needed.

    Whether and how near a point is measured does not depend on k_y. Two slices travel together as the real
    and imaginary part of one. Frequencies are counted normal to y.

    Cost of one iteration with padded length N: n_y transforms of 10 N² log₂N operations. Memory: the measured
    points, about 16 `radius` n_tilt N n_y/2 bytes in float32 (0.13 GB for 290³ voxels, 60 tilts, oversampling
    3, radius 0.5), and 20 MB of work space beside the volume.
    """

    def __init__(
        self, geometry: Geometry, projections: torch.Tensor, *, oversample: float, radius: float
    ) -> None:
        n_z, _, n_x = geometry.volume_shape
        self._shape = n_z, n_x
        length = padded_length(max(n_z, n_x), oversample)
        self._lengths = length, length
        turns = geometry.rotations.as_matrix()
        planes = [Plane(turn[np.ix_((0, 2), (2, 0))], length, radius) for turn in turns]
        gathered = Gathered(planes, self._lengths)
        centred = turns[:, 0] @ origin(geometry)
        for tilt, plane in enumerate(planes):
            waves = _waves(plane.within[:, 0], geometry.x - centred[tilt], geometry.pixel_size, projections)
            gathered.add(plane, waves @ paired(projections[tilt]).mT)
        self._nodes, self._radii, measured = gathered.mean()
        self._measured = measured.mT.contiguous()
        self._norm = float(torch.linalg.vector_norm(self._measured))
        self._pairs = max(1, BLOCK // length**2)

    def enforce(self, volume: torch.Tensor, cutoff: float) -> tuple[torch.Tensor, float]:
        """See `FourierConstraint`."""
        n_y, step = volume.shape[1], 2 * self._pairs
        held = self._radii <= cutoff
        answer, error = torch.empty_like(volume), 0.0
        for start in range(0, n_y, step):
            rows = slice(start, min(start + step, n_y))
            slices = paired(volume[:, rows].permute(1, 0, 2))
            spectrum = torch.fft.fft2(padded(slices, self._lengths)).reshape(len(slices), -1)
            measured = self._measured[start // 2 : start // 2 + len(slices)]
            found = spectrum[:, self._nodes]
            error += float(torch.linalg.vector_norm(found - measured)) ** 2
            spectrum[:, self._nodes] = torch.where(held, measured, found)
            grid = torch.fft.ifft2(spectrum.reshape(-1, *self._lengths))
            answer[:, rows] = unpaired(centre(grid, self._shape), rows.stop - start).permute(1, 0, 2)
        return answer, error**0.5 / self._norm if self._norm else 0.0


class VolumeConstraint:
    """Any rotations: one padded 3D spectrum, the half of it with k_x ≥ 0.

    Cost of one iteration with padded length N: two transforms of 2.5 N³ log₂N³ operations; once, the exact
    transforms at about 2 `radius` N² points per tilt, 8 n_y n_x operations each. Memory: about 12 N³ bytes in
    float32, 0.2 GB for 80³ voxels and oversampling 3, 8 GB for 290³.
    """

    def __init__(
        self, geometry: Geometry, projections: torch.Tensor, *, oversample: float, radius: float
    ) -> None:
        self._shape = geometry.volume_shape
        length = padded_length(max(self._shape), oversample)
        self._lengths = length, length, length
        turns = geometry.rotations.as_matrix()
        planes = [Plane(turn[:, ::-1], length, radius, half=True) for turn in turns]
        gathered = Gathered(planes, (length, length, length // 2 + 1))
        for tilt, plane in enumerate(planes):
            centred = turns[tilt] @ origin(geometry)
            values = []
            for block in np.array_split(plane.within, max(1, len(plane.within) // 2**14)):
                along_x = _waves(block[:, 0], geometry.x - centred[0], geometry.pixel_size, projections)
                along_y = _waves(block[:, 1], geometry.y - centred[1], geometry.pixel_size, projections)
                values.append(((along_x @ projections[tilt].mT.to(along_x)) * along_y).sum(dim=1))
            gathered.add(plane, torch.cat(values)[:, None])
        self._nodes, self._radii, measured = gathered.mean()
        self._measured = measured[:, 0]
        self._norm = float(torch.linalg.vector_norm(self._measured))

    def enforce(self, volume: torch.Tensor, cutoff: float) -> tuple[torch.Tensor, float]:
        """See `FourierConstraint`."""
        spectrum = torch.fft.rfftn(padded(volume, self._lengths))
        flat = spectrum.reshape(-1)
        found = flat[self._nodes]
        error = float(torch.linalg.vector_norm(found - self._measured))
        flat[self._nodes] = torch.where(self._radii <= cutoff, self._measured, found)
        grid = torch.fft.irfftn(spectrum, s=self._lengths)
        return centre(grid, self._shape).clone(), error / self._norm if self._norm else 0.0


class Plane:
    """The grid points within `radius` grid steps of the plane normal to the beam, and where they meet it.

    `turn` (d, d) turns a frequency, its axes in the order of the grid's, into the frame of the image: its
    last row is the beam. `points` (n, d) are the grid points, below Nyquist in every axis, those with k_x ≥ 0
    only if `half`; `within` (n, d-1) [1/pixel] their nearest points of the plane, below Nyquist as well;
    `distances` (n,) [grid steps].
    """

    def __init__(self, turn: FloatArray, length: int, radius: float, *, half: bool = False) -> None:
        beam = turn[-1]
        solved = int(np.argmax(np.abs(beam)))
        others = [axis for axis in range(len(beam)) if axis != solved]
        half_axis = len(beam) - 1
        ranges = [
            np.arange(0 if half and axis == half_axis else 1 - length // 2, length // 2) for axis in others
        ]
        points = np.zeros((int(np.prod([len(r) for r in ranges])), len(beam)), dtype=np.int64)
        points[:, others] = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, len(others))
        on_plane = np.rint(-(points @ beam) / beam[solved]).astype(np.int64)
        reach = int(np.ceil(radius / abs(beam[solved]) + 0.5))
        found = []
        for offset in range(-reach, reach + 1):
            points[:, solved] = on_plane + offset
            at = points[:, solved]
            least = 0 if half and solved == half_axis else 1 - length // 2
            near = (at >= least) & (at < length // 2) & (np.abs(points @ beam) <= radius)
            found.append(points[near])
        self.points = np.concatenate(found)
        self.within = self.points @ turn[:-1].T / length
        sampled = (np.abs(self.within) < 0.5).all(axis=1)
        self.points, self.within = self.points[sampled], self.within[sampled]
        self.distances = np.abs(self.points @ beam)


class Gathered:
    """Values at the points of several planes, averaged where they share one, by inverse distance."""

    def __init__(self, planes: Sequence[Plane], lengths: tuple[int, ...]) -> None:
        self._lengths = lengths
        self._nodes = np.unique(np.concatenate([self._flat(plane) for plane in planes]))
        self._weights = torch.zeros(len(self._nodes), dtype=torch.float64)
        self._sums: torch.Tensor | None = None

    def _flat(self, plane: Plane) -> IntArray:
        wrapped = tuple(np.mod(plane.points, np.array(self._lengths[0])).T)
        return np.ravel_multi_index(wrapped, self._lengths).astype(np.int64)

    def add(self, plane: Plane, values: torch.Tensor) -> None:
        """`values` (n, m) at the points of `plane`."""
        if self._sums is None:
            self._sums = torch.zeros(
                (len(self._nodes), values.shape[1]), dtype=values.dtype, device=values.device
            )
        at = torch.as_tensor(np.searchsorted(self._nodes, self._flat(plane)))
        weights = torch.as_tensor(1.0 / np.maximum(plane.distances, NEAREST))
        self._weights.index_add_(0, at, weights)
        # the sign moves the origin to the middle of the padded volume
        signs = torch.as_tensor(1.0 - 2.0 * (plane.points.sum(axis=1) % 2))
        signed = values * (weights * signs)[:, None].to(values)
        self._sums.index_add_(0, at.to(values.device), signed)

    def mean(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Flat indices (n,), frequencies (n,) over that of Nyquist, and values (n, m) of the points."""
        assert self._sums is not None
        index = np.stack(np.unravel_index(self._nodes, self._lengths), axis=-1)
        signed = np.where(index > self._lengths[0] // 2, index - self._lengths[0], index)
        radii = np.linalg.norm(signed, axis=1) / (self._lengths[0] / 2)
        device = self._sums.device
        means = self._sums / self._weights.to(self._sums)[:, None]
        return torch.as_tensor(self._nodes, device=device), torch.as_tensor(radii, device=device), means


def _waves(
    frequencies: FloatArray, pixels: FloatArray, pixel_size: float, like: torch.Tensor
) -> torch.Tensor:
    """exp(-2πi q X), (n, n_pixel), in the precision of `like`."""
    phases = np.multiply.outer(frequencies, pixels / pixel_size)
    waves = torch.as_tensor(np.exp(-2j * np.pi * phases))
    return waves.to(torch.complex128 if like.dtype == torch.float64 else torch.complex64).to(like.device)
