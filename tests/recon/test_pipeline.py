"""The stages of the workflow, each switched on where it is needed."""

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr
from ase import Atoms
from scipy.spatial import cKDTree

from datasets.errors import InputError
from recon import registry
from recon.align.shift import shift_images
from recon.base import Reconstruction, Status

PIXEL = 0.4
THETA = np.arange(-72.0, 73.0, 6.0)
BASE = "n_iter=40,oversample=1,denoise=none"


@pytest.fixture(scope="module")
def truth(cluster: Callable[..., Atoms]) -> Atoms:
    return cluster(43, ("Au",), seed=2)


@pytest.fixture(scope="module")
def series(truth: Atoms, measure: Callable[..., xr.Dataset]) -> xr.Dataset:
    return measure(truth, THETA)


def reconstruct(measurement: xr.Dataset, **options: object) -> Reconstruction:
    text = ",".join([BASE, *(f"{key}={value}" for key, value in options.items())])
    return registry.get(f"fista[{text}]").reconstruct(measurement, rng=np.random.default_rng(0))


def errors(answer: Reconstruction, truth: Atoms) -> np.ndarray:
    """Distance [Å] from every true atom to the nearest found one, less a common translation."""
    found = answer.atoms.positions
    if not len(found):
        return np.full(len(truth), np.inf)
    shift = np.zeros(3)
    for _ in range(3):
        nearest = cKDTree(found).query(truth.positions + shift)[1]
        shift = np.median(found[nearest] - truth.positions, axis=0)
    return np.asarray(cKDTree(found).query(truth.positions + shift)[0])


def test_misaligned_and_uneven_images(series: xr.Dataset, truth: Atoms) -> None:
    """Shifts of up to 1.25 Å and 5 % of intensity, as in paper 003: found, reported and undone."""
    rng = np.random.default_rng(3)
    shifts = rng.uniform(-1.25, 1.25, (len(THETA), 2))
    scales = 1 + 0.05 * rng.standard_normal(len(THETA))
    moved = shift_images(series["counts"].values, shifts / PIXEL) * scales[:, None, None]
    spoilt = series.assign(counts=(series["counts"].dims, np.maximum(moved, 0)))
    assert np.mean(errors(reconstruct(spoilt), truth) < 0.2) < 0.5
    for method in ("common_line", "reprojection"):
        answer = reconstruct(spoilt, align=method)
        assert errors(answer, truth).max() < 0.2
        assert answer.stats["shift_correction"] == pytest.approx(np.sqrt(2 / 3) * 1.25, rel=0.3)
        assert answer.stats["scale_correction"] == pytest.approx(np.std(scales), rel=0.1)
        assert answer.stats["angle_correction"] == 0


def test_wrong_angles(series: xr.Dataset, truth: Atoms, measure: Callable[..., xr.Dataset]) -> None:
    rng = np.random.default_rng(4)
    angles = np.stack([np.zeros_like(THETA), THETA, np.zeros_like(THETA)], axis=-1)
    angles += 1.0 * rng.standard_normal(angles.shape)
    images = [
        measure(truth, [theta], phi=phi, psi=psi)["counts"].values[0] for phi, theta, psi in angles.tolist()
    ]
    spoilt = series.assign(counts=(series["counts"].dims, np.stack(images)))
    rough, refined = (reconstruct(spoilt, angles=how) for how in ("nominal", "refine"))
    assert refined.stats["r_factor"] < 0.7 * rough.stats["r_factor"]
    assert 0.5 < refined.stats["angle_correction"] < 3.0
    # a common rotation of the specimen is free; it moves atoms 8 Å out by a few hundredths of an Å
    assert np.sqrt(np.mean(errors(refined, truth) ** 2)) < np.sqrt(np.mean(errors(rough, truth) ** 2))


def test_a_clean_series_stays_what_it_is(series: xr.Dataset, truth: Atoms) -> None:
    answer = reconstruct(series, align="common_line", angles="refine")
    assert errors(answer, truth).max() < 0.2
    assert answer.stats["shift_correction"] < 0.1
    assert answer.stats["angle_correction"] < 0.2


def test_no_electrons(series: xr.Dataset) -> None:
    empty = series.assign(counts=series["counts"] * 0)
    answer = reconstruct(empty, angles="refine", noise="estimated")
    assert (answer.status, len(answer.atoms)) == (Status.OK, 0)
    answer = reconstruct(empty, align="common_line")
    assert (answer.status, len(answer.atoms)) == (Status.ERROR, 0)
    assert "holds no specimen" in answer.message


def test_the_common_line_needs_one_axis(truth: Atoms, measure: Callable[..., xr.Dataset]) -> None:
    answer = reconstruct(measure(truth, THETA, phi=5.0), align="common_line")
    assert answer.status is Status.SKIPPED
    assert "tilts about y only" in answer.message


def test_counts_with_a_gain(series: xr.Dataset, truth: Atoms) -> None:
    """A camera that gives five counts for an electron: the filter must not take its noise for signal."""
    rng = np.random.default_rng(5)
    counted = rng.poisson(series["counts"].values / 40)
    gained = series.assign(counts=(series["counts"].dims, 5.0 * counted))
    plain, estimated = (
        registry.get(f"fista[n_iter=40,oversample=1,noise={noise}]").reconstruct(gained, rng=rng)
        for noise in ("counted", "estimated")
    )
    assert np.mean(errors(estimated, truth) ** 2) < np.mean(errors(plain, truth) ** 2)


def test_blur_is_fitted_against_atoms_only() -> None:
    with pytest.raises(InputError, match="blur=fit needs angles=atoms"):
        registry.get("fista[blur=fit]")
