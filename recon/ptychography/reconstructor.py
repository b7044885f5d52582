"""What the methods that make a volume of phases from a 4D-STEM tilt series have in common.

One transmission function behind all patterns of a tilt series (Lee et al., Phys. Rev. Applied 19, 054062
(2023)), or a phase image of every tilt first (Pelz et al., Nat. Commun. 14, 7906 (2023)): the atoms are the
maxima of the volume, named by their heights.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import xarray as xr
from ase import Atoms

from datasets.errors import InputError
from recon.atoms.classify import Classify
from recon.atoms.from_volume import atoms_from_volume
from recon.atoms.spline import OVERSAMPLE
from recon.base import Callback, Reconstruction, Reconstructor, Status
from recon.memory import peak_memory, shortage
from recon.optics import interaction_constant
from recon.pipeline import MIN_TILTS
from recon.project.projector import resolve_device
from recon.ptychography.losses import Loss
from recon.ptychography.scan import Scan, needs_4dstem
from recon.ptychography.tilt_series import TiltSeries, memory_needed

PHASE_EXPONENT = 0.7
"""The phase of an atom goes about as this power of its atomic number: Cu and Au, O and Ba, Si and O."""


@dataclass(frozen=True)
class Solution:
    """The outcome of the inverse problem: the phases (n, n, n) [rad] of a `TiltSeries`, unless `status` says
    that there are none, figures of it, and the geometry that it rests on, where that was refined.
    """

    phases: torch.Tensor | None
    stats: dict[str, float]
    geometry: xr.Dataset | None = None
    status: Status = Status.OK
    message: str = ""


@dataclass(frozen=True)
class PtychographicReconstructor(Reconstructor):
    """From a 4D-STEM tilt series to atoms by way of a volume of phases; a subclass gives `solve`.

    Fields: `n_iter` iterations of length `step`; `loss` (`recon.ptychography.losses`); `slice_thickness` [Å];
    `voxel` [Å], by default what just carries the detector's edge; `blur`, standard deviation of a Gaussian
    [Å] against noise; `min_height`, the least height of a maximum relative to the volume's greatest value;
    `min_distance` between atoms [Å] (by default `recon.atoms.classify.closest_approach`); `classify`
    (`recon.atoms.classify`); `device`, a PyTorch device or "auto".
    """

    single_slice: ClassVar[bool] = False
    """Whether one slice holds the whole specimen, whatever `slice_thickness` is."""
    blurs_volume: ClassVar[bool] = True
    """Whether it is the volume that `blur` smooths, before tracing."""

    n_iter: int = 8
    step: float = 1.0
    loss: Loss = "mixed"
    slice_thickness: float = 3.2
    voxel: float | None = None
    blur: float = 0.4
    min_height: float = 1e-3
    min_distance: float | None = None
    classify: Classify = "mixture"
    device: str = "auto"

    def __post_init__(self) -> None:
        require_positive(self, "n_iter", "step", "slice_thickness", "voxel", "min_distance")
        require_not_negative(self, "blur", "min_height")

    @abstractmethod
    def solve(self, series: TiltSeries, rng: np.random.Generator, callback: Callback | None) -> Solution:
        """The phases that explain the patterns of `series`."""

    def supports(self, measurement: xr.Dataset) -> tuple[bool, str]:
        """Whether this is a 4D-STEM tilt series of at least `MIN_TILTS` tilts, as the method needs it, that
        fits into memory.
        """
        fits, reason = needs_4dstem(self.name, measurement, MIN_TILTS)
        if not fits:
            return fits, reason
        scan = self._scan(measurement)
        lack = self._lack(scan)
        lack = lack or shortage(self.name, memory_needed(measurement, scan, self._thickness(scan)))
        return not lack, lack

    def _lack(self, scan: Scan) -> str:
        """What the method lacks in a scan, in a sentence; empty where nothing."""
        return ""

    def _scan(self, measurement: xr.Dataset) -> Scan:
        return Scan.of(measurement, self.voxel)

    def _thickness(self, scan: Scan) -> float:
        return scan.volume_size * scan.detector.voxel if self.single_slice else self.slice_thickness

    def reconstruct(
        self, measurement: xr.Dataset, *, rng: np.random.Generator, callback: Callback | None = None
    ) -> Reconstruction:
        """The atoms of `measurement`, with the potential [V] that they were traced in."""
        if (declined := self.declined(measurement)) is not None:
            return declined
        start = time.perf_counter()
        scan = self._scan(measurement)
        device = resolve_device(self.device)
        series = TiltSeries(measurement, scan, slice_thickness=self._thickness(scan), device=device)
        found = self.solve(series, rng, callback)
        if found.phases is None:
            message = found.message or found.status.sentence
            return Reconstruction(Atoms(), None, found.status, message, found.stats)
        volume = series.potential(found.phases, interaction_constant(scan.lens.energy))
        atoms = atoms_from_volume(
            volume,
            list(measurement.attrs["elements"]),
            min_height=self.min_height,
            min_distance=self.min_distance,
            sigma=OVERSAMPLE * self.blur / series.voxel if self.blurs_volume else 0.0,
            method=self.classify,
            exponent=PHASE_EXPONENT,
        )
        stats = found.stats | {"seconds": time.perf_counter() - start, "peak_memory": peak_memory()}
        return Reconstruction(atoms, volume, found.status, found.status.sentence, stats, found.geometry)


def require_positive(method: Reconstructor, *names: str) -> None:
    """Raise `InputError` unless the parameters of these names are above 0, where they are given."""
    for name in names:
        value = getattr(method, name)
        if value is not None and not value > 0:
            raise InputError(f"{name} must be positive, not {value}")


def require_not_negative(method: Reconstructor, *names: str) -> None:
    """Raise `InputError` unless the parameters of these names are 0 or above."""
    for name in names:
        if not getattr(method, name) >= 0:
            raise InputError(f"{name} must not be negative, it is {getattr(method, name)}")
