"""Where probes stand in a field: their windows, cut out of it and put back."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch

from recon.ptychography.scan import Detector

ON_GRID = 1e-4
"""Probes closer to a pixel than this [pixel] stand on it."""
SHORT_RUN = 4
"""Fewer probes than this in a row are not worth a batch of their own."""


class Places:
    """Where probes stand in a field: windows cut out of it, and put back.

    `positions` (n_probes, 2) as [y, x] [Å]; pixel (0, 0) of the field lies at `origin` [Å] as [y, x], and the
    field has `shape` (n_y, n_x) pixels of `detector.voxel`, vacuum beyond. A probe stands at
    pixel W // 2 of its window, but for a part of a pixel.
    """

    def __init__(
        self,
        positions: npt.ArrayLike,
        detector: Detector,
        origin: tuple[float, float],
        shape: tuple[int, int],
    ) -> None:
        w = self.window = detector.window
        self.voxel = detector.voxel
        self.positions, self.detector, self.origin = np.asarray(positions, dtype=float), detector, origin
        pixel = (self.positions - np.asarray(origin)) / detector.voxel
        nearest = np.rint(pixel)
        self.fractions = pixel - nearest
        self.on_grid = bool(np.abs(self.fractions).max(initial=0.0) < ON_GRID)
        self.alike = bool(np.ptp(self.fractions, axis=0).max() < ON_GRID)
        corners = nearest.astype(np.intp) - w // 2
        low, high = corners.min(axis=0), corners.max(axis=0) + w
        self.pad = (max(0, -int(low[0])), max(0, -int(low[1])))
        self.shape = shape
        self.padded = tuple(max(n, int(h)) + p for n, h, p in zip(shape, high, self.pad, strict=True))
        self.corners = corners + np.asarray(self.pad)

    def subset(self, some: slice) -> Places:
        """The places of some probes, in the same field."""
        part = copy.copy(self)
        part.positions = self.positions[some]
        part.corners, part.fractions = self.corners[some], self.fractions[some]
        return part

    def moved(self, positions: npt.NDArray[np.float64]) -> Places:
        """Other `positions` in the same field."""
        return Places(positions, self.detector, self.origin, self.shape)

    def transmission(self, phases: torch.Tensor) -> torch.Tensor:
        """exp(i phases) (n_slices, n_y, n_x) with vacuum around it."""
        field = torch.polar(torch.ones_like(phases), phases)
        out = torch.ones((len(phases), *self.padded), dtype=field.dtype, device=field.device)
        self.crop(out).copy_(field)
        return out

    def crop(self, padded: torch.Tensor) -> torch.Tensor:
        """The field (n_slices, n_y, n_x) within what surrounds it, a view."""
        (top, left), (n_y, n_x) = self.pad, self.shape
        return padded[:, top : top + n_y, left : left + n_x]

    def batches(self, size: int) -> Iterator[slice]:
        """The probes, at most `size` at a time: runs in even steps, if any, whose windows are views."""
        first, n = 0, len(self.corners)
        while first < n:
            last = min(first + size, n)
            steps = np.diff(self.corners[first:last], axis=0)
            uneven = np.flatnonzero((steps != steps[:1]).any(axis=1))
            if len(uneven) and uneven[0] + 1 >= SHORT_RUN:
                last = first + int(uneven[0]) + 1
            yield slice(first, last)
            first = last

    def windows(self, field: torch.Tensor, some: slice) -> torch.Tensor:
        """The windows (n_slices, n, W, W) of the probes `some`: a view of `field` (n_slices, n_y, n_x) where
        they are in even steps."""
        corners, w = self.corners[some], self.window
        n_slices, _, n_x = field.shape
        steps = np.diff(corners, axis=0)
        jump = int(steps[0] @ (n_x, 1)) if len(steps) else 0
        if len(steps) and (jump < 0 or (steps != steps[0]).any()):
            parts = [field[:, row : row + w, column : column + w] for row, column in corners.tolist()]
            return torch.stack(parts, dim=1)
        offset = int(corners[0] @ (n_x, 1))
        return field.as_strided((n_slices, len(corners), w, w), (field.stride(0), jump, n_x, 1), offset)

    def add(self, total: torch.Tensor, parts: torch.Tensor, some: slice) -> None:
        """Add `parts` (n_slices, n, W, W) to the field where they were cut out."""
        w = self.window
        for n, (row, column) in enumerate(self.corners[some].tolist()):
            total[:, row : row + w, column : column + w] += parts[:, n]

    def ramps(self, k: torch.Tensor, some: slice) -> torch.Tensor | None:
        """The phases (n or 1, W, W), at the frequencies `k` (W,) [1/Å] along each axis, that move probes from
        their pixel to their place; None where all stand on pixels.
        """
        if self.on_grid:
            return None
        moved = self.fractions[some][: 1 if self.alike else None] * self.voxel
        phase = -2 * torch.pi * torch.as_tensor(moved, dtype=k.dtype, device=k.device)[..., None] * k
        waves = torch.polar(torch.ones_like(phase), phase)  # (n, 2, W)
        return waves[:, 0, :, None] * waves[:, 1, None, :]
