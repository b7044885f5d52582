"""The reconstructor `pann`: physics-aware two-stage networks, from a volume to atoms and from atoms to their
names.

Zhou et al., arXiv:2603.19942 (2026). Of that paper the abstract is public: "a global local 3D ResUNet
refines the initial reconstruction", "the local density around each identified atom is encoded using 3D
Zernike moments", "a graph attention Transformer to classify the elemental species". What that leaves open is
our reading: see `recon.neural.res_unet`, `recon.neural.training.losses`, `recon.neural.zernike` and
`recon.neural.species`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from ase import Atoms

from datasets.errors import InputError
from recon.atoms.classify import by_atomic_number, closest_approach
from recon.atoms.trace import trace
from recon.neural.augmented import AugmentedReconstructor, evaluate
from recon.neural.grid import VOXEL, Frame, Volume
from recon.neural.occupied import occupied
from recon.neural.res_unet import COARSE, ResUNet3D
from recon.neural.species import SpeciesNetwork, SpeciesSizes, name_atoms
from recon.neural.tiling import tiled
from recon.neural.weights import load_weights
from recon.neural.zernike import zernike_descriptors
from recon.project.projector import resolve_device

FAINT = 0.05
"""Least height of a maximum of the occupancy that is looked at."""
RADIUS = 1.75
"""Radius [Å] of the density around an atom that describes it: most of a bond."""
ORDER = 8

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Found:
    """Atoms without names: `positions` (n, 3) as x, y, z [Å], the `probability` (n,) of each that it is one,
    its `intensities` (n,) and `descriptors` (n, n_descriptors).
    """

    positions: FloatArray
    probability: FloatArray
    intensities: FloatArray
    descriptors: FloatArray


@dataclass(frozen=True)
class PANN(AugmentedReconstructor):
    """Physics-aware neural networks: a volume redrawn by a global–local ResUNet, atoms named by a graph
    transformer.

    `threshold` is the least probability that a maximum is an atom. Atoms have arrays `confidence`, that
    probability, and `certainty`, that of their species. `weights` are those of the volume network and
    `names` those of the other.
    """

    name: ClassVar[str] = "pann"
    reference: ClassVar[str] = "Zhou et al., arXiv:2603.19942 (2026); our reading of its abstract"

    threshold: float = 0.5
    names: str | None = None

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise InputError(f"threshold must be between 0 and 1, not {self.threshold}")

    @property
    def needed(self) -> tuple[str, ...]:
        """The weights of both stages."""
        return self.weights or "pann-volumes", self.names or "pann-species"

    def redraw(self, volume: Volume) -> Volume:
        """(2, z, y, x): occupancy and density."""
        network = volume_network(self.needed[0])
        return redraw(network, volume, resolve_device(self.device))

    def trace(self, drawn: Volume, volume: Volume, frame: Frame, elements: list[str]) -> Atoms:
        """The maxima of the occupancy that are more likely atoms than not, named."""
        species = by_atomic_number(elements)
        found = find_atoms(drawn, volume, frame, closest_approach(elements), self.threshold)
        network = species_network(self.needed[1])
        numbers, certainty = name_atoms(
            network, found.positions, found.intensities, found.descriptors, species
        )
        atoms = Atoms(numbers=numbers, positions=found.positions)
        atoms.set_array("intensity", found.intensities)
        atoms.set_array("confidence", found.probability)
        atoms.set_array("certainty", certainty.max(axis=1) if len(atoms) else np.empty(0))
        return atoms


def redraw(network: ResUNet3D, volume: Volume, device: torch.device) -> Volume:
    """Occupancy and density (2, z, y, x) of `volume` (z, y, x): the whole at a quarter of the resolution
    once, then tile by tile.
    """
    padded = np.zeros([-(-n // 8) * 8 for n in volume.shape], dtype=np.float32)
    padded[tuple(slice(n) for n in volume.shape)] = volume
    network.to(device)
    with torch.inference_mode():
        context = network.context(torch.from_numpy(padded)[None, None].to(device))

    def local(patch: torch.Tensor, where: tuple[slice, slice, slice]) -> torch.Tensor:
        z, y, x = (slice(axis.start // COARSE, axis.stop // COARSE) for axis in where)
        return evaluate(network, (patch, context[:, :, z, y, x]), device)

    return tiled(local, volume, channels=2, multiple=8)


def find_atoms(drawn: Volume, volume: Volume, frame: Frame, min_distance: float, threshold: float) -> Found:
    """The atoms in what was `drawn` (2, z, y, x) of `volume` (z, y, x), with what they are named by.

    An atom whose place is uncertain is drawn low and wide: its probability is the occupancy of a ball,
    relative to that of an atom whose place is known. The density around it is described as it was and as
    redrawn.
    """
    occupancy, density = (frame.with_coordinates(channel) for channel in drawn)
    peaks = trace(occupancy, min_distance=min_distance, threshold=FAINT)
    if not len(peaks.heights):
        n_features = 2 * sum(n // 2 + 1 for n in range(ORDER + 1))
        return Found(np.empty((0, 3)), np.empty(0), np.empty(0), np.empty((0, n_features)))
    probability = occupied(occupancy, peaks.positions)
    kept = probability >= threshold
    positions = peaks.positions[kept]
    intensities = occupied(density, positions)
    origin = tuple(float(o) for o in frame.origin[::-1])
    described = [
        zernike_descriptors(
            part, VOXEL, positions, radius=RADIUS, order=ORDER, origin=(origin[0], origin[1], origin[2])
        )
        for part in (drawn[1], volume)
    ]
    return Found(
        positions, np.minimum(probability[kept], 1.0), intensities, np.concatenate(described, axis=1)
    )


@cache
def volume_network(weights: str) -> ResUNet3D:
    """The first stage with `weights`."""
    state, card = load_weights(weights)
    network = ResUNet3D(base=int(card["network"]["base"]), coarse=int(card["network"]["coarse"]))
    network.load_state_dict(state)
    return network.eval()


@cache
def species_network(weights: str) -> SpeciesNetwork:
    """The second stage with `weights`."""
    state, card = load_weights(weights)
    network = SpeciesNetwork(SpeciesSizes(**card["network"]))
    network.load_state_dict(state)
    return network.eval()
