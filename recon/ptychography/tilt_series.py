"""One volume behind all patterns of a 4D-STEM tilt series: turn it, slice it, let the probes through."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr

from datasets.schema import pixel_axis
from recon.ptychography.fourier_shear import cylinder, rotate, rotate_adjoint
from recon.ptychography.losses import Loss, loss_and_slope
from recon.ptychography.places import Places
from recon.ptychography.scan import Scan
from recon.ptychography.waves import WindowedMultislice

PIECE = 1024
"""Patterns of which sums are taken at a time."""


@dataclass(frozen=True)
class Slicing:
    """How `n` voxels along the beam make slices of `thickness` voxels; the last may hold fewer."""

    n: int
    thickness: int

    @property
    def n_slices(self) -> int:
        """Number of slices."""
        return -(-self.n // self.thickness)

    def slices(self, volume: torch.Tensor) -> torch.Tensor:
        """The sums (n_slices, n_y, n_x) of `volume` (n, n_y, n_x)."""
        missing = self.n_slices * self.thickness - self.n
        if missing:
            volume = torch.cat([volume, volume.new_zeros(missing, *volume.shape[1:])])
        return volume.reshape(self.n_slices, self.thickness, *volume.shape[1:]).sum(dim=1)

    def adjoint(self, slices: torch.Tensor) -> torch.Tensor:
        """The volume (n, n_y, n_x) whose voxels all have the value of their slice."""
        repeated = slices[:, None].expand(-1, self.thickness, -1, -1)
        return repeated.reshape(-1, *slices.shape[1:])[: self.n]


class TiltSeries:
    """The counts of a tilt series and the model of them that a volume of phases is.

    The volume (n, n, n) as [z, y, x] holds the phase [rad] that each voxel adds to a wave; voxel n // 2 is
    the specimen's origin. Its slices are as close to `slice_thickness` [Å] as whole voxels make them.
    """

    def __init__(
        self,
        measurement: xr.Dataset,
        scan: Scan,
        *,
        slice_thickness: float,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.scan, self.device, self.dtype = scan, torch.device(device), dtype
        self.n, self.voxel = scan.volume_size, scan.detector.voxel
        self.slicing = Slicing(self.n, min(self.n, max(1, round(slice_thickness / self.voxel))))
        # a slice acts in one plane, the middle of its voxels
        middle = (self.slicing.thickness - 1) / 2 - self.n // 2
        self.multislice = WindowedMultislice(
            scan.lens,
            scan.detector,
            spacing=self.slicing.thickness * self.voxel,
            entrance=middle * self.voxel,
            electrons=scan.electrons,
            background=scan.background,
            dtype=dtype,
            device=device,
        )
        origin = -(self.n // 2) * self.voxel
        self.places = [Places(scan.positions, scan.detector, (origin, origin), (self.n, self.n))] * len(self)
        self.counts = [torch.as_tensor(np.ascontiguousarray(tilt)) for tilt in measurement["counts"].values]
        self.support = torch.tensor(cylinder(self.n), dtype=dtype, device=device)

    def __len__(self) -> int:
        """Number of tilts."""
        return len(self.scan.rotations)

    @property
    def curvature(self) -> float:
        """About the largest curvature of the loss of one tilt by the volume, for a specimen that fills it:
        a phase common to all voxels of a column changes the wave by as much, and every amplitude counts 4.
        """
        density = self.scan.electrons / self.scan.scan_step**2
        return 4 * density * self.voxel**2 * self.n

    @property
    def noise(self) -> float:
        """Standard deviation that counting gives the derivative of the loss by a voxel, if all is seen."""
        return math.sqrt(len(self) * self.curvature / self.n)

    def zeros(self) -> torch.Tensor:
        """An empty volume."""
        return torch.zeros((self.n,) * 3, dtype=self.dtype, device=self.device)

    def slices(self, volume: torch.Tensor, tilt: int) -> torch.Tensor:
        """The phases (n_slices, n, n) that the beam meets at a tilt."""
        return self.slicing.slices(rotate(volume, self.scan.rotations[tilt]))

    def gradient(
        self, volume: torch.Tensor, tilt: int, loss: Loss, by_probe: torch.Tensor | None = None
    ) -> tuple[float, torch.Tensor]:
        """The loss of one tilt and its derivative by the volume; that by the probe is added to `by_probe`."""
        places, counts = self.places[tilt], self.counts[tilt]
        slices = self.slices(volume, tilt)
        found = self.multislice.gradient(slices, places, counts, loss, probe=by_probe is not None)
        if by_probe is not None and found.probe is not None:
            by_probe += found.probe
        back = rotate_adjoint(self.slicing.adjoint(found.phases), self.scan.rotations[tilt])
        return found.loss, back

    def vacuum_loss(self, loss: Loss) -> float:
        """The loss of an empty volume: every probe shows the same pattern."""
        nothing = torch.zeros((self.slicing.n_slices, self.n, self.n), dtype=self.dtype, device=self.device)
        total = 0.0
        for places, counts in zip(self.places, self.counts, strict=True):
            one = self.multislice.patterns(nothing, places.subset(slice(0, 1)))
            for some in counts.split(PIECE):
                measured = some.to(self.device, self.dtype)
                total += loss_and_slope(
                    one.expand_as(measured).clone(), measured, loss, self.multislice.shift
                )[0]
        return total

    def r_factor(self, volume: torch.Tensor) -> float:
        """Σ|√expected − √measured| / Σ√measured over all patterns."""
        above, below = 0.0, 0.0
        for tilt in range(len(self)):
            slices = self.slices(volume, tilt)
            for first in range(0, len(self.scan.positions), PIECE):
                part = slice(first, first + PIECE)
                places = self.places[tilt].subset(part)
                measured = self.counts[tilt][part].to(self.device, self.dtype).sqrt_()
                above += float((self.multislice.patterns(slices, places).sqrt_() - measured).abs().sum())
                below += float(measured.sum())
        return above / max(below, 1e-30)

    def potential(self, volume: torch.Tensor, constant: float) -> xr.DataArray:
        """The volume as the mean potential of its voxels [V], from the interaction `constant` [rad/(V Å)]."""
        axis = pixel_axis(self.n, self.voxel)
        return xr.DataArray(
            np.ascontiguousarray(volume.cpu().numpy()) / (constant * self.voxel),
            dims=("z", "y", "x"),
            coords={name: (name, axis, {"units": "Å"}) for name in ("z", "y", "x")},
            attrs={"units": "V"},
        )


def memory_needed(measurement: xr.Dataset, scan: Scan, slice_thickness: float) -> float:
    """Bytes that a reconstruction takes beside its input: volumes, slices with their gradients, and the waves
    of one batch.
    """
    n, voxel = scan.volume_size, scan.detector.voxel
    n_slices = math.ceil(n * voxel / max(slice_thickness, voxel))
    field = (n + scan.detector.window) ** 2 * n_slices
    counts = measurement["counts"].nbytes / measurement.sizes["tilt"]
    return 4.0 * (12 * n**3 + 8 * field) + counts + 5e8
