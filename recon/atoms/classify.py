"""Which traced maxima are atoms, and of which species."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import scipy.ndimage
import xarray as xr
from ase.data import atomic_numbers, covalent_radii

from datasets.errors import InputError
from recon.atoms.mixture import Z_EXPONENT, fit_mixture
from recon.atoms.spline import OVERSAMPLE
from recon.atoms.trace import Peaks, sphere_sums

Classify = Literal["mixture", "bumps", "published", "k_means"]

NON_ATOM = -1
"""The label of a maximum that is no atom."""
INTENSITY_RADIUS = 0.4
"""Radius [Å] of the sphere whose sum is a peak's intensity: that of 3 fine voxels at 0.4 Å."""
SUPPORT_LEVEL = 0.2
"""Fraction of the greatest local density above which a place is inside the specimen (tuned: README)."""
NOISE_QUANTILE = 0.9
NOISE_FACTORS = (2.2, 2.8)
"""Atoms and noise part between these multiples of the `NOISE_QUANTILE` of the maxima outside the specimen.
There is two to three times more noise inside than outside, at any dose (tuned: README)."""
CLEAR = 0.4
"""A threshold below this part of the lightest mean is clear of the atoms, and may be any multiple."""
ENOUGH_NOISE = 20
"""Fewer maxima than this outside the specimen say nothing about noise."""
PUBLISHED_RADII = (3, 3, 9)
"""Spheres [fine voxel] for the first clusters, for rejection and for species in the public code of paper 003
(CoPdPt); SiGeSn has 3, 1 and 7."""

FloatArray = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

CLOSEST_APPROACH = 0.75
"""Two atoms are not nearer than this part of the shortest bond. In a close-packed metal the octahedral voids
are 0.71 of a bond from their atoms; the minimum distances of paper 003's code are 0.70 to 0.87."""


def classify(
    volume: xr.DataArray,
    peaks: Peaks,
    elements: Sequence[str],
    *,
    method: Classify = "mixture",
    radii: tuple[int, int, int] = PUBLISHED_RADII,
    exponent: float = Z_EXPONENT,
) -> tuple[Labels, FloatArray]:
    """The species of every peak and its intensity, both (n,).

    Species count from 0, the lightest of `elements` (the dimmest), and are `NON_ATOM` for what is no atom.
    `mixture` looks at the peaks inside the specimen (`local_density`) and fits `fit_mixture` to them: below
    the dimmest intensity at which an atom is likelier than noise, or below what the volume's own noise
    outside the specimen allows (`NOISE_FACTORS`), nothing is an atom. `bumps` fits the same to all peaks,
    noise being a bump of its own: for volumes whose noise is as smooth as their atoms. `published` is
    `classify_published` with spheres of `radii` [fine voxel]; `k_means` has one cluster more than species, of
    spheres of the first radius, and takes the lowest for no atoms (paper 003's code for SiO2, with a radius
    of 4). None is told how many atoms there are; both mixtures start from heights that go as the power
    `exponent` of the atomic number, that of ADF images unless said. Raises `InputError` for another method.
    """
    if method not in get_args(Classify):
        raise InputError(f"classify must be one of {', '.join(get_args(Classify))}, not {method!r}")
    if not len(peaks.heights):
        return np.empty(0, dtype=np.int64), np.empty(0)
    if method == "published":
        small, split, large = (sphere_sums(volume, peaks.positions, radius) for radius in radii)
        return classify_published(small, large, len(elements), split=split), small
    if method == "k_means":
        small = sphere_sums(volume, peaks.positions, radii[0])
        return k_means(small, len(elements) + 1) - 1, small
    fine_voxel = float(volume["x"].values[1] - volume["x"].values[0]) / OVERSAMPLE
    intensities = sphere_sums(volume, peaks.positions, max(1, round(INTENSITY_RADIUS / fine_voxel)))
    if method == "bumps":
        return classify_bumps(intensities, elements, exponent), intensities
    inside = local_density(volume, peaks, elements, exponent) >= SUPPORT_LEVEL
    return _classify_mixture(intensities, inside, elements, exponent), intensities


def classify_bumps(intensities: FloatArray, elements: Sequence[str], exponent: float) -> Labels:
    """The species (n,) of peaks with `intensities` (n,) that are noise or atoms, each a bump of its own, and
    `NON_ATOM` below the dimmest at which an atom is likelier.
    """
    labels = np.full(len(intensities), NON_ATOM, dtype=np.int64)
    positive = np.flatnonzero(intensities > 0)
    if not len(positive):
        return labels
    x = intensities[positive]
    mixture = fit_mixture(x, [atomic_numbers[symbol] for symbol in elements], exponent, bump=True)
    species = mixture.responsibilities[2:].argmax(axis=0)
    species[x > mixture.means[-1]] = len(mixture.means) - 1
    noise = mixture.responsibilities[:2].sum(axis=0) > 0.5
    noise &= x < mixture.means[0]
    threshold = x[noise].max() if noise.any() else 0.0
    labels[positive] = np.where(x > threshold, species, NON_ATOM)
    return labels


def classify_intensities(intensities: FloatArray, elements: Sequence[str]) -> Labels:
    """The species (n,) by the mixture alone, of what has an intensity and is inside the specimen.

    `NON_ATOM` below the dimmest intensity at which an atom is likelier than noise.
    """
    return _classify_mixture(intensities, np.ones(len(intensities), dtype=bool), elements)


def by_atomic_number(elements: Sequence[str]) -> list[str]:
    """The species, lightest first: the order of their intensities."""
    return sorted(elements, key=lambda symbol: atomic_numbers[symbol])


def shortest_bond(elements: Sequence[str]) -> float:
    """The bond length [Å] of the smallest species: twice its covalent radius."""
    return 2.0 * float(min(covalent_radii[atomic_numbers[symbol]] for symbol in elements))


def closest_approach(elements: Sequence[str]) -> float:
    """The distance [Å] that two atoms do not come nearer to than."""
    return CLOSEST_APPROACH * shortest_bond(elements)


def local_density(
    volume: xr.DataArray, peaks: Peaks, elements: Sequence[str], exponent: float = Z_EXPONENT
) -> FloatArray:
    """How much there is around each peak, (n,), relative to the densest place of the volume.

    The volume is cut off at the height of the lightest species, so that species count alike, and averaged by
    a Gaussian of three quarters of a bond. An atom on a flat surface has about a half, one on a corner a
    quarter to a third; noise and streaks outside the specimen have less.
    """
    step = float(volume["x"].values[1] - volume["x"].values[0])
    numbers = [atomic_numbers[symbol] for symbol in elements]
    brightest = float(np.sort(peaks.heights)[-5:].mean())
    ceiling = brightest * (min(numbers) / max(numbers)) ** exponent
    clipped = np.clip(volume.values, 0.0, ceiling)
    smooth = scipy.ndimage.gaussian_filter(clipped, 0.75 * shortest_bond(elements) / step, mode="constant")
    start = np.array([volume[name].values[0] for name in ("x", "y", "z")])
    index = ((peaks.positions - start) / step)[:, ::-1].T
    return np.asarray(scipy.ndimage.map_coordinates(smooth, index, order=1) / max(smooth.max(), 1e-300))


def _classify_mixture(
    intensities: FloatArray,
    inside: npt.NDArray[np.bool_],
    elements: Sequence[str],
    exponent: float = Z_EXPONENT,
) -> Labels:
    labels = np.full(len(intensities), NON_ATOM, dtype=np.int64)
    candidates = np.flatnonzero(inside & (intensities > 0))
    if not len(candidates):
        return labels
    x = intensities[candidates]
    mixture = fit_mixture(x, [atomic_numbers[symbol] for symbol in elements], exponent)
    species = mixture.responsibilities[2:].argmax(axis=0)
    species[x > mixture.means[-1]] = len(mixture.means) - 1
    noise = mixture.responsibilities[:2].sum(axis=0) > 0.5
    noise &= x < mixture.means[-1]  # a tail that outlives every bump is no reason to drop the brightest
    threshold = x[noise].max() if noise.any() else 0.0
    outside = intensities[~inside & (intensities > 0)]
    if len(outside) > ENOUGH_NOISE:
        lowest, highest = (factor * np.quantile(outside, NOISE_QUANTILE) for factor in NOISE_FACTORS)
        lowered = min(threshold, max(highest, CLEAR * mixture.means[0]))
        if np.count_nonzero(x > lowered) <= 2 * np.count_nonzero(x > threshold):
            threshold = lowered  # streaks, unlike noise, can be as strong inside: then the mixture decides
        threshold = max(threshold, lowest)
    labels[candidates] = np.where(x > threshold, species, NON_ATOM)
    return labels


def classify_published(
    small: FloatArray, large: FloatArray, n_species: int, *, split: FloatArray | None = None
) -> Labels:
    """Species or `NON_ATOM` from intensities in a `small` and a `large` sphere, as in the code of paper 003.

    k-means of `small` with one cluster per species; the lowest is split in two again by `split` (as a rule
    `small`) and its lower half is no atom; the others are clustered anew by `large`. It rejects half of a
    cluster even when every maximum is an atom, and with many noise peaks the lowest cluster holds nothing
    else.
    """
    labels = np.full(len(small), NON_ATOM, dtype=np.int64)
    lowest = np.flatnonzero(k_means(small, n_species) == 0)
    atom = np.ones(len(small), dtype=bool)
    by = small if split is None else split
    atom[lowest[k_means(by[lowest], 2) == 0]] = False
    labels[atom] = k_means(large[atom], n_species)
    return labels


def k_means(values: FloatArray, k: int) -> Labels:
    """The cluster of each of `values` (n,): 0 for the lowest mean up to k − 1 for the highest.

    With no more than k different values, each one is its own cluster.
    """
    different = np.unique(values)
    if len(different) <= k:
        return np.asarray(np.searchsorted(different, values), dtype=np.int64)
    from sklearn.cluster import KMeans

    found = KMeans(k, n_init=10, random_state=0).fit(values[:, None])
    rank = np.argsort(np.argsort(found.cluster_centers_[:, 0]))
    return np.asarray(rank[found.labels_], dtype=np.int64)
