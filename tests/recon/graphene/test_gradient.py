"""`multislice-map` from frame to atoms: on a sheet that is at rest but for its ripples."""

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr
from ase import Atoms
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from datasets.errors import InputError
from recon import registry
from recon.base import Status
from recon.graphene.multislice import Lens

LENS = Lens(80e3, defocus=80.0, Cs=1e4, focal_spread=10.0)
QUICK = "multislice-map[n_samples=40,n_iter=30,temperature=300]"


@pytest.fixture(scope="module")
def rippled(relaxed: Callable[[float, float], Atoms]) -> Atoms:
    return relaxed(12.0, 0.7)


@pytest.fixture(scope="module")
def frame(rippled: Atoms, frame_of: Callable[..., xr.Dataset]) -> xr.Dataset:
    return frame_of(rippled, dose=1e6, n=96, lens=LENS, seed=0)


def test_a_bright_frame_gives_the_sheet_in_three_dimensions(rippled: Atoms, frame: xr.Dataset) -> None:
    answer = registry.get(QUICK).reconstruct(frame, rng=np.random.default_rng(0))
    assert answer.status is Status.OK
    found = answer.atoms.positions
    assert len(found) == len(rippled)
    order = linear_sum_assignment(cdist(found[:, :2], rippled.positions[:, :2]))[1]
    error = found - rippled.positions[order]
    rms = np.sqrt((error**2).mean(axis=0))
    assert (rms[:2] < 0.02).all()
    assert rms[2] < 0.3  # of 0.7: the ripples stand the right way up
    covariance = answer.atoms.get_array("covariance").reshape(-1, 3, 3)
    assert covariance.shape[0] == len(found)
    assert (np.linalg.eigvalsh(covariance) > 0).all()
    assert answer.stats["temperature"] == 300
    assert answer.stats["deviance"] == pytest.approx(1, abs=0.1)


def test_the_same_counts_and_seed_give_the_same_atoms(frame: xr.Dataset) -> None:
    method = registry.get("multislice-map[n_samples=4,n_iter=3]")
    before = frame.copy(deep=True)
    one, two = (method.reconstruct(frame, rng=np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one.atoms.positions, two.atoms.positions)
    xr.testing.assert_identical(frame, before)


def test_a_callback_sees_the_descent_and_may_stop_it(frame: xr.Dataset) -> None:
    seen: list[float] = []

    def callback(iteration: int, figures: object) -> None:
        seen.append(figures["objective"])  # type: ignore[index]
        if iteration == 3:
            raise StopIteration

    answer = registry.get(QUICK).reconstruct(frame, rng=np.random.default_rng(0), callback=callback)
    assert len(seen) == 3
    assert seen == sorted(seen, reverse=True)
    assert answer.status is Status.OK


def test_what_is_no_frame_of_carbon_is_skipped_with_a_sentence(frame: xr.Dataset) -> None:
    method = registry.get("multislice-map")
    assert method.supports(frame) == (True, "")
    for other, word in (
        (frame.assign_attrs(modality="adf"), "hrtem frames"),
        (frame.assign_attrs(elements=["Au"]), "reconstructs graphene, this specimen holds Au"),
    ):
        supported, reason = method.supports(other)
        assert not supported
        assert word in reason
    lacking = frame.copy()
    del lacking.attrs["defocus"]
    answer = method.reconstruct(lacking, rng=np.random.default_rng(0))
    assert answer.status is Status.SKIPPED
    assert "does not state defocus" in answer.message


def test_a_frame_of_vacuum_holds_no_sheet(frame: xr.Dataset) -> None:
    noise = np.random.default_rng(0).poisson(100.0, size=frame["counts"].shape)
    empty = frame.assign(counts=(frame["counts"].dims, noise, frame["counts"].attrs))
    answer = registry.get(QUICK).reconstruct(empty, rng=np.random.default_rng(0))
    assert answer.status is Status.ERROR
    assert "no honeycomb" in answer.message


@pytest.mark.parametrize("wrong", ["n_iter=0", "n_samples=0", "temperature=-3.0"])
def test_parameters_without_sense_are_refused(wrong: str) -> None:
    with pytest.raises(InputError):
        registry.get(f"multislice-map[{wrong}]")
