"""Species named anew once all atoms are known: by refined intensities, or by the company an atom keeps."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.sparse
import scipy.spatial

FloatArray = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

RADIUS = 10.0
"""Å, within which atoms are compared (older work of the group of paper 003)."""
MAX_ROUNDS = 100


def reclassify_locally(
    positions: FloatArray, labels: Labels, intensities: FloatArray, *, radius: float = RADIUS
) -> Labels:
    """The species (n,) of atoms at `positions` (n, 3) [Å], each compared with its neighbours.

    An atom becomes the species whose atoms within `radius` have the mean intensity nearest to its own; itself
    it does not count. All change together, until none does. `intensities` are (n,), or (n, m) for m features
    each, such as the voxels around an atom. A species without an atom within the radius is represented by its
    mean over all atoms, times what the other species there are brighter than theirs. Negative labels are no
    atoms: they stay and are not looked at.

    Right where the brightness of all species changes slowly across the specimen, with its thickness or
    the missing wedge, so that one threshold for all of it fails; it cannot repair a region in which the start
    names nearly everything wrong. Yang et al., Nature 592, 60 (2021), methods, "local reclassification".
    """
    found = labels.copy()
    atom = np.flatnonzero(labels >= 0)
    if len(atom) < 2:
        return found
    features = intensities[atom].reshape(len(atom), -1).astype(np.float64)
    pairs = scipy.spatial.cKDTree(positions[atom]).query_pairs(radius, output_type="ndarray")
    both = np.concatenate([pairs, pairs[:, ::-1]])
    near = scipy.sparse.csr_array((np.ones(len(both)), (both[:, 0], both[:, 1])), shape=(len(atom),) * 2)
    species = labels[atom]
    n_species = int(species.max()) + 1
    seen = [species]
    for _ in range(MAX_ROUNDS):
        means = _local_means(near, species, features, n_species)
        distance = np.sum((means - features) ** 2, axis=2)
        distance[np.isnan(distance)] = np.inf
        species = np.argmin(distance, axis=0)
        if any(np.array_equal(species, before) for before in seen[-2:]):
            break  # at rest, or two atoms that change places for ever
        seen.append(species)
    found[atom] = species
    return found


def _local_means(
    near: scipy.sparse.csr_array, species: Labels, features: FloatArray, n_species: int
) -> FloatArray:
    """The mean features of each species about each atom, (n_species, n, m); NaN for one that has no atom."""
    means = np.full((n_species, *features.shape), np.nan)
    overall = np.full((n_species, features.shape[1]), np.nan)
    for k in range(n_species):
        member = (species == k).astype(np.float64)
        if not member.any():
            continue
        overall[k] = features[species == k].mean(axis=0)
        count = near @ member
        sums = near @ (member[:, None] * features)
        means[k] = np.where(count[:, None] > 0, sums / np.maximum(count, 1)[:, None], np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        brighter = means / overall[:, None]
    known = np.isfinite(brighter)
    factor = np.where(known, brighter, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    factor = np.where(known.any(axis=0), factor, 1.0)
    return np.where(np.isnan(means), overall[:, None] * factor, means)
