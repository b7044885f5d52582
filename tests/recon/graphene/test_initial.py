"""The two first answers, by the contract of a reconstructor."""

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr
from ase import Atoms
from scipy.spatial import KDTree

from datasets.errors import InputError
from recon import registry
from recon.base import Status
from recon.graphene.multislice import Lens

NAMES = ["graphene-flat", "graphene-pcd"]
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("name", NAMES)
def test_known_answer(name: str, sheet: Callable[..., Atoms], frame_of: Callable[..., xr.Dataset]) -> None:
    truth = sheet(20.0, turn=9.0, scatter=0.03)
    data = frame_of(truth, dose=3e4, seed=0)
    before = data.copy(deep=True)
    answer = registry.get(name).reconstruct(data, rng=RNG)
    xr.testing.assert_identical(data, before)
    assert answer.status is Status.OK
    distance, _ = KDTree(answer.atoms.positions[:, :2]).query(truth.positions[:, :2])
    assert abs(len(answer.atoms) - len(truth)) <= 0.08 * len(truth)  # noise decides at the rim
    assert (distance < 0.3).mean() > 0.96
    assert np.sqrt(np.mean(distance[distance < 0.3] ** 2)) < 0.08
    assert set(answer.atoms.symbols) == {"C"}
    assert answer.atoms.arrays["intensity"].shape == (len(answer.atoms),)
    again = registry.get(name).reconstruct(data.astype(np.float32), rng=RNG)
    np.testing.assert_allclose(again.atoms.positions, answer.atoms.positions, atol=1e-4)


def test_flat_is_flat_and_pcd_tells_a_high_ripple(
    sheet: Callable[..., Atoms], frame_of: Callable[..., xr.Dataset]
) -> None:
    """Without noise, on a lens of nearly proportional contrast: the ripple's sign and most of its height."""
    truth = sheet(26.0, height=1.0)
    data = frame_of(truth, n=180, dose=1e6, lens=Lens(80e3, defocus=-20.0, Cs=-2e4, focal_spread=30.0))
    flat = registry.get("graphene-flat").reconstruct(data, rng=RNG).atoms
    assert (flat.positions[:, 2] == 0).all()
    answer = registry.get("graphene-pcd[fraction=0.1]").reconstruct(data, rng=RNG).atoms
    inner = np.hypot(*(truth.positions[:, :2] - [0.31, -0.17]).T) < 9.5
    distance, found = KDTree(answer.positions[:, :2]).query(truth.positions[inner, :2])
    z, true = answer.positions[found[distance < 0.5], 2], truth.positions[inner, 2][distance < 0.5]
    assert np.corrcoef(z, true)[0, 1] > 0.85
    assert 0.4 < np.polyfit(true, z, 1)[0] < 1.6


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_supported_is_one_sentence(
    name: str, sheet: Callable[..., Atoms], frame_of: Callable[..., xr.Dataset]
) -> None:
    data = frame_of(sheet())
    method = registry.get(name)
    assert method.supports(data) == (True, "")
    for changed, reason in [
        (data.assign_attrs(modality="adf"), "hrtem frames, this measurement is adf"),
        (data.assign_attrs(elements=["C", "Si"]), "reconstructs graphene, this specimen holds C, Si"),
        (data.isel(x=slice(12)), "at least 24 pixels"),
    ]:
        supported, sentence = method.supports(changed)
        assert not supported
        assert reason in sentence
    without = data.copy()
    del without.attrs["defocus"]
    assert "does not state defocus" in method.supports(without)[1]
    answer = method.reconstruct(without, rng=RNG)
    assert (answer.status, len(answer.atoms)) == (Status.SKIPPED, 0)
    late = registry.get(f"{name}[frame=3]").supports(data)
    assert late == (False, "frame 3 is not among the 1 measured")


@pytest.mark.parametrize("name", NAMES)
def test_no_electrons_no_atoms(
    name: str, sheet: Callable[..., Atoms], frame_of: Callable[..., xr.Dataset]
) -> None:
    data = frame_of(sheet())
    empty = data.assign(counts=(data["counts"].dims, np.zeros_like(data["counts"].values)))
    answer = registry.get(name).reconstruct(empty, rng=RNG)
    assert (answer.status, len(answer.atoms)) == (Status.OK, 0)
    noise = data.assign(
        counts=(data["counts"].dims, np.random.default_rng(1).poisson(260.0, (1, 128, 128)).astype(float))
    )
    answer = registry.get(name).reconstruct(noise, rng=RNG)
    assert (answer.status, len(answer.atoms)) == (Status.OK, 0)
    assert "no honeycomb" in answer.message


def test_frames_are_averaged_and_artefacts_removed(
    sheet: Callable[..., Atoms], frame_of: Callable[..., xr.Dataset]
) -> None:
    truth = sheet(20.0, turn=9.0)
    data = frame_of(truth, dose=2e3, seed=3, n_frames=5, lens=Lens(80e3, 60.0, -5e4, 30.0))
    counts = data["counts"].values * (1 + 0.2 * np.linspace(-1, 1, 128))
    counts[:, 40, 50] = 0
    counts[:, 90:92, 70] = 4000
    spoilt = data.assign(counts=(data["counts"].dims, counts))
    errors = []
    for name in ("graphene-flat", "graphene-flat[n_average=5,flat_field=divide,dead_threshold=5]"):
        atoms = registry.get(name).reconstruct(spoilt, rng=RNG).atoms
        distance, _ = (
            KDTree(truth.positions[:, :2]).query(atoms.positions[:, :2]) if len(atoms) else (np.ones(1), 0)
        )
        errors.append(np.sqrt(np.mean(np.minimum(distance, 0.7) ** 2)))
    assert errors[1] < 0.8 * errors[0]


def test_wrong_parameters_are_one_sentence() -> None:
    for name, sentence in [
        ("graphene-flat[n_average=0]", "n_average must be at least 1"),
        ("graphene-flat[prior=0]", "must be positive"),
        ("graphene-pcd[fraction=2]", "fraction must lie between 0 and 1"),
        ("graphene-flat[denoise=gaussian]", "not smoothed by a Gaussian"),
    ]:
        with pytest.raises(InputError, match=sentence):
            registry.get(name)
    assert registry.get("graphene-pcd[published]").parameters["n_average"] == 5
