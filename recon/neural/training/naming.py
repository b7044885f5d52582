"""Samples for the network that names atoms: what the first stage finds in the volumes of the corpus, and
what it is.

Atoms are those that a trained first stage really finds, with its errors of place and its false atoms, not
those of the truth: what it is used on later looks the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from ase.data import chemical_symbols
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from recon.atoms.classify import by_atomic_number, closest_approach
from recon.neural.grid import VOXEL, Frame
from recon.neural.pann import find_atoms, redraw
from recon.neural.res_unet import ResUNet3D
from recon.neural.training.corpus import Sample
from recon.neural.training.species import SpeciesSample

MATCHED = 0.8
"""Distance [Å] within which an atom found is one of the truth."""
FEW = 8
"""A particle of which fewer atoms were found teaches nothing."""


def species_samples(
    network: ResUNet3D, samples: Iterable[Sample], *, threshold: float = 0.5, device: str = "cpu"
) -> Iterator[SpeciesSample]:
    """What `network` finds in `samples`, with the true species where there is an atom and no weight where
    not.

    Particles of one species, which need no names, and such of which hardly anything was found are left out.
    """
    for sample in samples:
        elements = by_atomic_number([chemical_symbols[z] for z in sorted(set(sample.numbers.tolist()))])
        if len(elements) < 2:
            continue
        volume = sample.volume.astype(np.float32)
        frame = Frame(np.zeros(3), 1.0)
        drawn = redraw(network, volume, torch.device(device))
        found = find_atoms(drawn, volume, frame, closest_approach(elements), threshold)
        if len(found.positions) < FEW:
            continue
        distance = cdist(found.positions, sample.index[:, ::-1] * VOXEL)
        rows, columns = linear_sum_assignment(np.minimum(distance, MATCHED))
        matched = distance[rows, columns] < MATCHED
        weights = np.zeros(len(found.positions))
        weights[rows[matched]] = 1.0
        target = np.zeros(len(found.positions), dtype=np.int64)
        known = np.array([chemical_symbols.index(symbol) for symbol in elements])
        target[rows[matched]] = np.searchsorted(known, sample.numbers[columns[matched]])
        if not matched.any():
            continue
        yield SpeciesSample(
            found.positions,
            found.intensities,
            found.descriptors,
            target,
            tuple(elements),
            sample.family,
            weights,
        )
