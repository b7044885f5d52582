"""Classification of intensities whose origin is known, with and without noise."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.errors import InputError
from datasets.schema import pixel_axis
from recon.atoms.classify import (
    NON_ATOM,
    SUPPORT_LEVEL,
    _classify_mixture,
    by_atomic_number,
    classify,
    classify_intensities,
    classify_published,
    k_means,
    local_density,
    shortest_bond,
)
from recon.atoms.mixture import fit_mixture
from recon.atoms.trace import Peaks, trace

GOLD, COPPER = 79, 29


def intensities(
    n_noise: int, *species: tuple[int, float, float], seed: int = 0, noise: float = 0.05
) -> tuple[np.ndarray, np.ndarray]:
    """Half-Gaussian noise and (number, mean, relative width) of each species; labels −1, 0, 1, …"""
    rng = np.random.default_rng(seed)
    parts = [np.abs(rng.normal(0, noise, n_noise)) + 1e-6]
    parts += [rng.normal(mean, width * mean, n) for n, mean, width in species]
    labels = np.repeat(np.arange(-1, len(species)), [len(part) for part in parts])
    return np.concatenate(parts), labels


def assigned(x: np.ndarray, numbers: list[int]) -> np.ndarray:
    share = fit_mixture(x, numbers).responsibilities
    return np.where(share[:2].sum(axis=0) > 0.5, NON_ATOM, share[2:].argmax(axis=0))


@pytest.mark.parametrize("n_noise", [0, 3, 100, 3000])
def test_one_species_neither_collapses_nor_keeps_noise(n_noise: int) -> None:
    x, truth = intensities(n_noise, (150, 1.0, 0.1))
    found = assigned(x, [GOLD])
    assert np.count_nonzero(found != truth) <= 2


@pytest.mark.parametrize("n_noise", [0, 3, 100, 3000])
@pytest.mark.parametrize("n_copper", [10, 75, 140])
def test_two_species(n_noise: int, n_copper: int) -> None:
    x, truth = intensities(n_noise, (n_copper, 0.2, 0.12), (150 - n_copper, 1.0, 0.1), noise=0.03)
    assert np.count_nonzero(assigned(x, [GOLD, COPPER]) != truth) <= 5


def test_noise_outside_the_specimen_guards_against_noise_inside() -> None:
    """Noise inside is about twice that outside and drowns the copper; the gold must not suffer."""
    x, truth = intensities(150, (20, 0.2, 0.1), (100, 1.0, 0.1), noise=0.16)
    outside, _ = intensities(800, noise=0.08, seed=1)
    everything = np.concatenate([x, outside])
    inside = np.arange(len(everything)) < len(x)
    labels = _classify_mixture(everything, inside, ["Cu", "Au"])
    assert np.all(labels[~inside] == NON_ATOM)
    assert np.all(labels[: len(x)][truth == 1] == 1)
    guarded = np.count_nonzero(labels[: len(x)][truth == -1] != NON_ATOM)
    assert guarded < 25
    floor = 2.2 * np.quantile(outside, 0.9)
    louder = np.where(inside, everything, 3.0 * everything)  # atoms below the new floor are given up
    kept = _classify_mixture(louder, inside, ["Cu", "Au"]) != NON_ATOM
    assert everything[kept].min() > 3.0 * floor > 0.2


@settings(max_examples=25, deadline=None)
@given(scale=st.floats(1e-6, 1e6), seed=st.integers(0, 50))
def test_units_of_intensity_do_not_matter(scale: float, seed: int) -> None:
    x, _ = intensities(200, (40, 0.2, 0.1), (60, 1.0, 0.1), seed=seed)
    np.testing.assert_array_equal(assigned(x * scale, [GOLD, COPPER]), assigned(x, [GOLD, COPPER]))


def test_k_means_of_separate_groups() -> None:
    x, truth = intensities(0, (30, 1.0, 0.02), (10, 2.0, 0.02), (20, 4.0, 0.02))
    np.testing.assert_array_equal(k_means(x, 3), truth)
    np.testing.assert_array_equal(k_means(np.array([2.0, 1.0]), 3), [1, 0])


def test_published_rule_splits_the_lowest_cluster() -> None:
    x, truth = intensities(50, (50, 0.5, 0.04), (50, 1.0, 0.04), noise=0.01)
    np.testing.assert_array_equal(classify_published(x, x, 2), truth)
    single, truth = intensities(50, (50, 1.0, 0.04), noise=0.01)
    np.testing.assert_array_equal(classify_published(single, single, 1), truth)


def gaussians(positions: np.ndarray, heights: np.ndarray) -> xr.DataArray:
    axes = {a: pixel_axis(48, 0.4) for a in ("z", "y", "x")}
    parts = [np.exp(-0.5 * ((axes[a] - positions[:, i : i + 1]) / 0.5) ** 2) for i, a in enumerate("xyz")]
    return xr.DataArray(
        np.einsum("a,ax,ay,az->zyx", heights, *parts).astype(np.float32), coords=axes, dims=("z", "y", "x")
    )


@pytest.mark.parametrize("inner", ["Cu", "Au"])
def test_density_keeps_surfaces_of_either_species_and_drops_the_outside(cluster, inner: str) -> None:  # type: ignore[no-untyped-def]
    outer = {"Cu": "Au", "Au": "Cu"}[inner]
    atoms = cluster(55, (inner, outer))
    heights = (atoms.numbers / GOLD) ** 1.7
    stray = np.array([[8.5, 8.5, 8.0], [-8.5, 8.0, 8.5]])
    volume = gaussians(np.concatenate([atoms.positions, stray]), np.concatenate([heights, [0.2, 0.2]]))
    peaks = trace(volume, min_distance=1.9, threshold=0.05)
    density = local_density(volume, peaks, ["Cu", "Au"])
    outside = np.linalg.norm(peaks.positions, axis=1) > 10
    assert outside.sum() == 2
    assert density[outside].max() < SUPPORT_LEVEL
    assert density[~outside].min() > SUPPORT_LEVEL
    labels, _ = classify(volume, peaks, ["Au", "Cu"])
    assert np.all(labels[outside] == NON_ATOM)
    nearest = np.linalg.norm(peaks.positions[:, None] - atoms.positions, axis=2).argmin(axis=1)
    expected = (np.array(atoms.get_chemical_symbols()) == "Au").astype(int)
    np.testing.assert_array_equal(labels[~outside], expected[nearest[~outside]])


def test_no_peaks_and_unknown_method() -> None:
    volume = gaussians(np.zeros((1, 3)), np.ones(1))
    none = Peaks(np.empty((0, 3)), np.empty(0))
    labels, values = classify(volume, none, ["Au"])
    assert labels.shape == values.shape == (0,)
    with pytest.raises(InputError, match="classify must be one of mixture, bumps, published"):
        classify(volume, none, ["Au"], method="magic")  # type: ignore[arg-type]


def test_species_facts() -> None:
    assert by_atomic_number(["Pt", "Co", "Pd"]) == ["Co", "Pd", "Pt"]
    assert shortest_bond(["Cu", "Au"]) == pytest.approx(2.64)


def test_radii_of_the_published_rules_are_used() -> None:
    """Gold and copper in a row, and one dim stray: what each sphere sees decides what it is asked for."""
    positions = np.array([[-6.0, 0, 0], [-3.0, 0, 0], [0.0, 0, 0], [3.0, 0, 0], [6.0, 0, 0], [0.0, 6.0, 0]])
    volume = gaussians(positions, np.array([1.0, 0.98, 0.5, 0.48, 0.46, 0.1]))
    peaks = trace(volume, min_distance=1.9, threshold=0.05)
    order = np.argsort(np.linalg.norm(peaks.positions[:, None] - positions, axis=2).argmin(axis=1))
    for radii in ((3, 3, 9), (3, 1, 7)):
        labels, _ = classify(volume, peaks, ["Cu", "Au"], method="published", radii=radii)
        np.testing.assert_array_equal(labels[order], [1, 1, 0, 0, 0, NON_ATOM])
    labels, values = classify(volume, peaks, ["Cu", "Au"], method="k_means", radii=(4, 1, 1))
    np.testing.assert_array_equal(labels[order], [1, 1, 0, 0, 0, NON_ATOM])
    assert values[order][0] > 5 * values[order][5]


def test_a_split_by_another_sphere() -> None:
    small, split = np.array([1.0, 1.1, 1.2, 5.0, 5.1]), np.array([3.0, 1.0, 3.1, 9.0, 9.0])
    np.testing.assert_array_equal(classify_published(small, small, 2, split=split), [0, NON_ATOM, 0, 1, 1])


def test_intensities_alone() -> None:
    x, truth = intensities(60, (50, 0.25, 0.08), (60, 1.0, 0.08), noise=0.02)
    assert np.count_nonzero(classify_intensities(x, ["Au", "Cu"]) != truth) <= 3
