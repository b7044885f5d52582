"""What the network that names atoms is told of a particle, free of units, of place and of orientation.

Intensities and descriptors are divided by their medians over the particle, distances by its typical bond, and
a species is known by how bright and how large it should be beside the others present: so materials of other
bonds, doses and elements than those of the training look alike. Plain NumPy; time goes as n log n in atoms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.spatial
import scipy.stats
from ase.data import atomic_numbers, covalent_radii

from datasets.errors import InputError
from datasets.schema import check_elements
from recon.atoms.mixture import Z_EXPONENT, fit_mixture

CUTOFF = 1.9
"""Neighbours are nearer than this times the typical bond: two shells of a crystal (they end at 1.41 bonds in
fcc, 1.15 in bcc, 1.63 in diamond), fading to nothing before the third or fourth."""
N_NEIGHBOURS = 20
"""Most neighbours of an atom; 18 are in two shells of fcc."""
FAINTEST = 0.05
"""Intensities below this part of the median are taken for this."""
QUANTILES = (0.02, 0.1, 0.25, 0.4, 0.6, 0.75, 0.9, 0.98)
"""What is said of the intensities of the whole particle."""
N_LEVELS = 3
"""Features of an atom beside its descriptors."""
N_CANDIDATE = 6
N_OVERVIEW = len(QUANTILES) + 2
"""Features of a species and of the whole particle."""
N_PAIR = 3
"""Features of an atom and a species together."""
LEAST_SHARE = 3e-4
"""A share of a species in an atom is not told from this one."""

FloatArray = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class AtomGraph:
    """A measured particle as the network sees it.

    `nodes` (n, 3 + n_descriptors): of every atom log intensity, its rank and coordination, and descriptors;
    `neighbours` (n, 1 + n_neighbours) their indices, the atom itself first; `distances` alike [typical bond],
    and `envelope`, how much each counts: from one, smoothly to nothing, which is where there is none.
    `candidates` (n_species, 6) the species as they were given; `overview` (n_overview,) of the whole; `pairs`
    (n, n_species, 3) what the mixture of all intensities (`fit_mixture`) says of each atom and species.
    """

    nodes: Floats
    neighbours: npt.NDArray[np.int64]
    distances: Floats
    envelope: Floats
    candidates: Floats
    overview: Floats
    pairs: Floats


def atom_graph(
    positions: FloatArray,
    intensities: FloatArray,
    descriptors: FloatArray,
    elements: Sequence[str],
    *,
    n_neighbours: int = N_NEIGHBOURS,
) -> AtomGraph:
    """The graph of atoms at `positions` (n, 3) that may be any of `elements`.

    `intensities` (n,) and `descriptors` (n, n_descriptors), which are not negative, may have any scale.
    Raises `InputError`.
    """
    check_elements(elements, where="naming atoms")
    n = len(positions)
    shapes = np.shape(positions), np.shape(intensities), np.shape(descriptors)
    if shapes[:2] != ((n, 3), (n,)) or len(shapes[2]) != 2 or shapes[2][0] != n:
        raise InputError(
            "naming atoms needs positions (n, 3), intensities (n,) and descriptors (n, n_descriptors), got "
            f"{shapes[0]}, {shapes[1]} and {shapes[2]}"
        )
    for what, values in (("position", positions), ("intensity", intensities), ("descriptor", descriptors)):
        if not np.isfinite(values).all():
            raise InputError(f"naming atoms needs finite numbers: a {what} is not")
    candidates = _candidates(elements).astype(np.float32)
    if not n:
        nobody = np.zeros((0, 1 + n_neighbours), dtype=np.float32)
        empty = np.zeros((0, N_LEVELS + shapes[2][1]), dtype=np.float32)
        nothing = np.zeros(N_OVERVIEW, dtype=np.float32)
        pairs = np.zeros((0, len(elements), N_PAIR), dtype=np.float32)
        return AtomGraph(empty, nobody.astype(np.int64), nobody, nobody, candidates, nothing, pairs)
    neighbours, distances, envelope = _neighbours(np.asarray(positions, dtype=np.float64), n_neighbours)
    level = np.log(np.maximum(_relative(intensities[:, None])[:, 0], FAINTEST))
    rank = 2 * (scipy.stats.rankdata(level) - 0.5) / n - 1
    shape = np.log1p(np.maximum(_relative(descriptors), 0.0)) - np.log(2)
    nodes = np.column_stack([level, rank, envelope.sum(axis=1) / 6, shape])
    overview = [*np.quantile(level, QUANTILES), level.std(), len(elements) / 4]
    return AtomGraph(
        nodes.astype(np.float32),
        neighbours,
        distances.astype(np.float32),
        envelope.astype(np.float32),
        candidates,
        np.array(overview, dtype=np.float32),
        _pairs(np.exp(level), elements).astype(np.float32),
    )


def _relative(values: FloatArray) -> FloatArray:
    """Columns (n, m) divided by their medians, or where these are not positive by their mean sizes."""
    middle = np.median(values, axis=0)
    middle = np.where(middle > 0, middle, np.abs(values).mean(axis=0))
    return np.asarray(values / np.where(middle > 0, middle, 1.0))


def _neighbours(
    positions: FloatArray, n_neighbours: int
) -> tuple[npt.NDArray[np.int64], FloatArray, FloatArray]:
    """Neighbours, distances and envelope as in `AtomGraph`.

    An atom with more than `n_neighbours` within the cutoff has its own, the distance of the first that is
    left out: so it does not matter which of several equally far ones that is.
    """
    n, k = len(positions), min(n_neighbours, len(positions) - 1)
    neighbours = np.tile(np.arange(n)[:, None], (1, 1 + n_neighbours))
    distances = np.zeros(neighbours.shape)
    envelope = np.zeros(neighbours.shape)
    envelope[:, 0] = 1.0
    if n < 2:
        return neighbours, distances, envelope
    nearest = scipy.spatial.cKDTree(positions).query(positions, k=list(range(1, min(k + 2, n) + 1)))
    found, index = np.asarray(nearest[0]), np.asarray(nearest[1])
    oneself = index == np.arange(n)[:, None]
    oneself[~oneself.any(axis=1), -1] = True  # where many atoms share a place, the search may leave one out
    found, index = (array[~oneself].reshape(n, -1) for array in (found, index))
    typical = max(float(np.median(found[:, 0])), 1e-12)
    cutoff = np.full((n, 1), CUTOFF * typical)
    if found.shape[1] > k:
        cutoff = np.clip(found[:, k:], 1e-12, cutoff)
    near = found[:, :k] < cutoff
    neighbours[:, 1 : 1 + k] = np.where(near, index[:, :k], neighbours[:, :1])
    distances[:, 1 : 1 + k] = np.where(near, found[:, :k] / typical, 0.0)
    fading = 0.5 + 0.5 * np.cos(np.pi * np.minimum(found[:, :k] / cutoff, 1.0))
    envelope[:, 1 : 1 + k] = np.where(near, fading, 0.0)
    return neighbours, distances, envelope


def _candidates(elements: Sequence[str]) -> FloatArray:
    """What is known of each species beside the others: log brightness relative to the brightest, the dimmest
    and the mean; rank; how many there are; log covalent radius relative to the mean.
    """
    numbers = np.array([atomic_numbers[symbol] for symbol in elements])
    bright = Z_EXPONENT * np.log(numbers)
    size = np.log(covalent_radii[numbers])
    rank = (scipy.stats.rankdata(numbers) - 1) / max(len(numbers) - 1, 1)
    relative = [bright - bright.max(), bright - bright.min(), bright - bright.mean()]
    return np.column_stack([*relative, rank, np.full(len(numbers), len(numbers) / 4), size - size.mean()])


def _pairs(intensities: FloatArray, elements: Sequence[str]) -> FloatArray:
    """What the mixture says of each atom and species: the log share, one being 0, and how much brighter than
    this species the atom is, in parts of its mean and of its width.
    """
    numbers = np.array([atomic_numbers[symbol] for symbol in elements])
    order = np.argsort(numbers)
    mixture = fit_mixture(intensities, numbers)
    shares = mixture.responsibilities[2:].T + 1e-30
    shares[intensities > mixture.means[-1]] = np.eye(len(order))[-1]
    shares /= shares.sum(axis=1, keepdims=True)
    away = intensities[:, None] - mixture.means
    features = np.stack(
        [
            np.log(np.maximum(shares, LEAST_SHARE)),
            np.clip(away / mixture.means, -2.0, 2.0),
            np.clip(away / mixture.widths / 3, -2.0, 2.0),
        ],
        axis=2,
    )
    pairs = np.empty_like(features)
    pairs[:, order] = features
    return pairs
