"""What the volume networks share as reconstructors: a start gives a volume, the network redraws it, atoms
are traced.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from ase import Atoms

from datasets.errors import InputError
from recon import registry
from recon.base import Callback, Reconstruction, Reconstructor, Status
from recon.memory import peak_memory
from recon.neural.grid import Frame, Volume, to_grid
from recon.neural.presence import LEAST, presence
from recon.neural.weights import has_weights, shipped_names
from recon.pipeline import TomographicReconstructor
from recon.preprocess.annular import annular_images


@dataclass(frozen=True)
class AugmentedReconstructor(Reconstructor):
    """From an ADF tilt series to atoms by way of a volume that a trained network has redrawn.

    `start` is the tomographic reconstructor whose volume the network is given, and whose alignment is kept;
    `weights` are shipped ones or the file of own ones, by default those of the method's name; `device`, a
    PyTorch device or "auto".
    """

    start: str = "mlem[denoise=wiener]"
    weights: str | None = None
    device: str = "auto"

    @abstractmethod
    def redraw(self, volume: Volume) -> Volume:
        """(channels, z, y, x): what the network makes of `volume` (z, y, x) on the networks' grid."""

    @abstractmethod
    def trace(self, drawn: Volume, volume: Volume, frame: Frame, elements: list[str]) -> Atoms:
        """The atoms in what was `drawn` of `volume`."""

    def _starter(self) -> TomographicReconstructor:
        found = registry.get(self.start)
        if not isinstance(found, TomographicReconstructor):
            raise InputError(f"{self.name} starts from a tomographic reconstructor, {self.start!r} is none")
        return found

    @property
    def needed(self) -> tuple[str, ...]:
        """The weights that it works with."""
        return (self.weights or self.name,)

    def supports(self, measurement: xr.Dataset) -> tuple[bool, str]:
        """Whether its weights are there, and the reconstructor that it starts from supports this
        measurement.
        """
        for weights in self.needed:
            if not has_weights(weights):
                return False, (
                    f"{self.name} needs the weights {weights!r}, which are not among those shipped "
                    f"({', '.join(shipped_names())}): make them by `dosebench train`, and name the file"
                )
        return self._starter().supports(measurement)

    def reconstruct(
        self, measurement: xr.Dataset, *, rng: np.random.Generator, callback: Callback | None = None
    ) -> Reconstruction:
        """The atoms of `measurement`, with the volume that they were traced in."""
        if (declined := self.declined(measurement)) is not None:
            return declined
        begin = time.perf_counter()
        if presence(annular_images(measurement)) < LEAST:
            nothing = "The images show no more than their background."
            return Reconstruction(Atoms(), message=nothing, stats={"seconds": time.perf_counter() - begin})
        first = self._starter().reconstruct(measurement, rng=rng, callback=callback)
        if first.status.failed or first.volume is None:
            return first
        volume, frame = to_grid(first.volume)
        drawn = self.redraw(volume)
        atoms = self.trace(drawn, volume, frame, list(measurement.attrs["elements"]))
        stats = {**first.stats, "seconds": time.perf_counter() - begin, "peak_memory": peak_memory()}
        status = Status.OK if np.isfinite(drawn).all() else Status.NONFINITE
        shown = frame.with_coordinates(drawn[-1])
        return Reconstruction(atoms, shown, status, status.sentence, stats, first.geometry)


def evaluate(network: torch.nn.Module, inputs: tuple[Any, ...], device: torch.device) -> torch.Tensor:
    """`network` without gradients, in the memory layout that convolutions like best."""
    network.to(device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    with torch.inference_mode():
        moved = (part.to(device, memory_format=torch.channels_last_3d) for part in inputs)
        answer: torch.Tensor = network(*moved)
    return answer
