"""The reconstructor `unet`: a volume, redrawn by the U-Net of neural tomogram augmentation, traced as any
other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np
import torch
from ase import Atoms

from recon.atoms.classify import (
    NON_ATOM,
    by_atomic_number,
    classify,
    classify_intensities,
    closest_approach,
)
from recon.atoms.trace import trace
from recon.neural.augmented import AugmentedReconstructor, evaluate
from recon.neural.grid import Frame, Volume
from recon.neural.occupied import occupied
from recon.neural.tiling import tiled
from recon.neural.unet import MULTIPLE, UNet3D
from recon.neural.weights import load_weights
from recon.project.projector import resolve_device


@dataclass(frozen=True)
class UNetAugmentation(AugmentedReconstructor):
    """Neural tomogram augmentation: a volume redrawn as Gaussian atoms by a 3D U-Net, then traced and
    classified.

    Trained on linear images of families of structures that the datasets reported on do not belong to
    (`recon.neural.training.corpus`).
    """

    name: ClassVar[str] = "unet"
    reference: ClassVar[str] = "Lee, Jeong & Yang, Nature Communications 12, 1962 (2021)"

    min_height: float = 0.01
    """The least height of a maximum, relative to the greatest of the redrawn volume."""
    enough: float = 0.6
    """A maximum that holds so much of an atom of a close-packed metal (`recon.neural.occupied`) is an atom,
    even where the mixture of intensities takes it for noise (tuned: README).
    """

    def redraw(self, volume: Volume) -> Volume:
        """(1, z, y, x): the density as Gaussian atoms."""
        device = resolve_device(self.device)
        network = _network(self.weights or self.name)
        return tiled(
            lambda patch, where: evaluate(network, (patch,), device), volume, channels=1, multiple=MULTIPLE
        )

    def trace(self, drawn: Volume, volume: Volume, frame: Frame, elements: list[str]) -> Atoms:
        """The maxima of the density that are atoms, as in any volume or by how much they hold, named by
        that.
        """
        shown = frame.with_coordinates(drawn[0])
        species = by_atomic_number(elements)
        threshold = self.min_height * max(float(shown.max()), 0.0)
        peaks = trace(shown, min_distance=closest_approach(elements), threshold=threshold)
        if not len(peaks.heights):
            return Atoms()
        held = occupied(shown, peaks.positions)
        labels, _ = classify(shown, peaks, elements)
        atom = (labels != NON_ATOM) | (held >= self.enough)
        named = np.maximum(classify_intensities(held[atom], species), 0)
        atoms = Atoms([species[label] for label in named], peaks.positions[atom])
        atoms.set_array("intensity", held[atom])
        return atoms


@cache
def _network(weights: str) -> torch.nn.Module:
    """The network with `weights`, ready to be asked."""
    state, card = load_weights(weights)
    network = UNet3D(base=int(card["network"]["base"]))
    network.load_state_dict(state)
    return network.eval()
