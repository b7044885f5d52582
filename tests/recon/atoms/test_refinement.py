"""Refinement and re-classification as fields of the workflow."""

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr
from ase import Atoms
from scipy.spatial import cKDTree

from datasets.errors import InputError
from recon import registry
from recon.align.shift import shift_images
from recon.base import Reconstruction

PIXEL = 0.4
THETA = np.arange(-72.0, 73.0, 8.0)


@pytest.fixture(scope="module")
def truth(cluster: Callable[..., Atoms]) -> Atoms:
    return cluster(43, ("Au",), seed=2)


@pytest.fixture(scope="module")
def series(truth: Atoms, measure: Callable[..., xr.Dataset]) -> xr.Dataset:
    return measure(truth, THETA, peak=200.0, background=1.0, seed=1)


def reconstruct(measurement: xr.Dataset, options: str = "") -> Reconstruction:
    name = f"fista[n_iter=30,oversample=1,{options}]"
    return registry.get(name).reconstruct(measurement, rng=np.random.default_rng(0))


def error(answer: Reconstruction, truth: Atoms) -> float:
    """Root mean square distance [Å] of all true atoms to the answer, less a common translation."""
    assert len(answer.atoms) == len(truth)
    nearest = cKDTree(answer.atoms.positions).query(truth.positions)[1]
    difference = answer.atoms.positions[nearest] - truth.positions
    difference -= difference.mean(axis=0)
    return float(np.sqrt(np.mean(np.sum(difference**2, axis=1))))


def test_refined_atoms_are_nearer_to_the_truth(series: xr.Dataset, truth: Atoms) -> None:
    plain, refined = (reconstruct(series, f"refine={how}") for how in ("none", "projections"))
    assert error(refined, truth) < 0.6 * error(plain, truth)
    assert not any(name.startswith("refine_") for name in plain.stats)
    assert 0 < refined.stats["refine_displacement"] < 0.3
    assert refined.stats["refine_chi_squared"] < 1
    brightness = refined.atoms.get_array("intensity")
    np.testing.assert_allclose(brightness, 200 * 2 * np.pi * (0.5 / PIXEL) ** 2, rtol=0.2)
    assert error(reconstruct(series, "refine=published"), truth) < error(plain, truth)


def test_refinement_uses_the_corrected_images(series: xr.Dataset, truth: Atoms) -> None:
    rng = np.random.default_rng(3)
    moved = shift_images(series["counts"].values.astype(float), rng.uniform(-2, 2, (len(THETA), 2)))
    spoilt = series.assign(counts=(series["counts"].dims, np.maximum(moved, 0)))
    plain, refined = (
        reconstruct(spoilt, f"align=common_line,refine={how}") for how in ("none", "projections")
    )
    assert error(refined, truth) < error(plain, truth)


@pytest.mark.parametrize(
    "options", ["noise=estimated", "reclassify=local", "reclassify=none", "denoise=none"]
)
def test_refinement_goes_with_other_stages(series: xr.Dataset, truth: Atoms, options: str) -> None:
    assert error(reconstruct(series, f"refine=projections,{options}"), truth) < 0.05


def test_no_electrons_no_atoms(series: xr.Dataset) -> None:
    empty = series.assign(counts=series["counts"] * 0)
    for method in ("projections", "published"):
        assert len(reconstruct(empty, f"refine={method}").atoms) == 0


def test_local_comparison_without_refinement(measure: Callable[..., xr.Dataset], cluster) -> None:  # type: ignore[no-untyped-def]
    alloy = cluster(55, ("Cu", "Au"))
    answer = reconstruct(measure(alloy, THETA), "reclassify=local")
    nearest = cKDTree(answer.atoms.positions).query(alloy.positions)[1]
    assert (answer.atoms.numbers[nearest] == alloy.numbers).all()


@pytest.mark.parametrize("variant", ["si-208", "sigesn", "sio2"])
def test_variants_hold_the_published_constants(variant: str) -> None:
    method = registry.get(f"resire[{variant}]")
    expected = {
        "si-208": {"trace_sigma": 1.0, "cluster_radius": 3, "split_radius": 3, "classify": "published"},
        "sigesn": {"cluster_radius": 3, "split_radius": 1, "species_radius": 7, "classify": "published"},
        "sio2": {"classify": "k_means", "cluster_radius": 4, "min_distance": 1.0},
    }[variant]
    assert expected.items() <= method.parameters.items()
    assert method.label == f"resire[{variant}]"


@pytest.mark.parametrize("wrong", ["trace_sigma=-1", "cluster_radius=0", "refine=all", "reclassify=global"])
def test_bad_values_are_refused(wrong: str) -> None:
    with pytest.raises(InputError, match=wrong.split("=")[0]):
        registry.get(f"fista[{wrong}]")
