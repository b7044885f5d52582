"""Every built-in reconstructor on every small problem with a known answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pytest
import scipy.optimize
import torch
import xarray as xr
from ase import Atoms

from recon import registry
from recon.base import Callback, Status
from recon.pipeline import TomographicReconstructor
from recon.project.projector import Projector

RECONSTRUCTORS = [
    "fbp",
    "sirt[n_iter=60,oversample=1]",
    "resire[n_iter=80,oversample=1]",
    "fista[n_iter=30,oversample=1]",
    "fista[n_iter=30,oversample=1,refine=projections]",
    "fista[n_iter=10,subsets=4,oversample=1]",
    "mlem[oversample=1]",
    "sart[oversample=1]",
    "wbp",
    "resire-fourier[n_iter=40,interpolation=linear,oversample=3]",
    "genfire[n_iter=40,oversample=2]",
    "poisson-ml",
    "resire+ml[n_iter=80,oversample=1]",
]


@dataclass(frozen=True)
class Problem:
    """A cluster of `n` atoms of `symbols`, tilted by `theta`, with the rest given to `measure`."""

    n: int
    symbols: tuple[str, ...]
    theta: tuple[float, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


EVEN = tuple(np.arange(-90.0, 90.0, 6.0))
WEDGE = tuple(np.arange(-72.0, 73.0, 6.0))
PROBLEMS = {
    "one species": Problem(43, ("Au",), WEDGE),
    "light species": Problem(43, ("Si",), WEDGE, {"peak": 1e5}),
    "two species": Problem(55, ("Cu", "Au"), EVEN),
    "noise and background": Problem(43, ("Au",), EVEN, {"peak": 40.0, "background": 3.0, "seed": 1}),
    "oblong image": Problem(19, ("Au",), EVEN, {"shape": (40, 36)}),
    "general rotation": Problem(13, ("Au",), EVEN[::2], {"phi": 6.0, "psi": -4.0, "shape": (34, 34)}),
    "three uneven tilts missing": Problem(19, ("Au",), EVEN[:4] + EVEN[7:], {"shape": (36, 36)}),
}


@pytest.fixture(scope="module", params=PROBLEMS)
def problem(request: pytest.FixtureRequest, measure, cluster) -> tuple[xr.Dataset, Atoms]:  # type: ignore[no-untyped-def]
    chosen = PROBLEMS[request.param]
    atoms = cluster(chosen.n, chosen.symbols)
    return measure(atoms, chosen.theta, **chosen.options), atoms


@pytest.mark.parametrize("name", RECONSTRUCTORS)
def test_known_answers(name: str, problem: tuple[xr.Dataset, Atoms]) -> None:
    data, truth = problem
    answer = registry.get(name).reconstruct(data, rng=np.random.default_rng(0))
    assert answer.status is Status.OK
    distance = np.linalg.norm(answer.atoms.positions[:, None] - truth.positions, axis=2)
    rows, columns = scipy.optimize.linear_sum_assignment(np.minimum(distance, 1.0))
    matched = distance[rows, columns] < 0.5
    assert matched.sum() == len(truth) == len(answer.atoms)
    assert np.sqrt((distance[rows, columns] ** 2).mean()) < 0.2
    assert (answer.atoms.numbers[rows] == truth.numbers[columns]).all()
    assert answer.volume is not None
    assert answer.volume.dims == ("z", "y", "x")
    for axis in ("x", "y"):
        np.testing.assert_array_equal(answer.volume[axis], data[axis])
    assert answer.volume["z"].attrs["units"] == "Å"
    assert answer.atoms.arrays["intensity"].shape == (len(truth),)
    assert {"iterations", "r_factor", "seconds", "peak_memory"} <= answer.stats.keys()


@pytest.fixture(scope="module")
def small(measure: Callable[..., xr.Dataset], cluster: Callable[..., Atoms]) -> xr.Dataset:
    return measure(cluster(13), EVEN[::3], shape=(32, 32), seed=0)


@pytest.mark.parametrize("name", RECONSTRUCTORS)
def test_the_same_answer_twice_and_from_any_number_type(name: str, small: xr.Dataset) -> None:
    answers = [
        registry.get(name).reconstruct(data, rng=np.random.default_rng(seed))
        for seed, data in enumerate([small, small, small.astype(np.float32), small.astype(np.int64)])
    ]
    for answer in answers[1:]:
        np.testing.assert_array_equal(answer.atoms.positions, answers[0].atoms.positions)
        np.testing.assert_array_equal(answer.atoms.numbers, answers[0].atoms.numbers)
        np.testing.assert_array_equal(answer.volume, answers[0].volume)


@pytest.mark.parametrize("name", RECONSTRUCTORS)
def test_the_measurement_is_not_changed(name: str, small: xr.Dataset) -> None:
    before = small.copy(deep=True)
    registry.get(name).reconstruct(small, rng=np.random.default_rng(0))
    xr.testing.assert_identical(small, before)


@pytest.mark.parametrize("name", RECONSTRUCTORS)
def test_no_electrons_no_atoms(name: str, small: xr.Dataset) -> None:
    answer = registry.get(name).reconstruct(_emptied(small), rng=np.random.default_rng(0))
    assert answer.status is Status.OK
    assert len(answer.atoms) == 0


def _emptied(data: xr.Dataset) -> xr.Dataset:
    return data.assign(counts=(data["counts"].dims, np.zeros_like(data["counts"].values)))


@pytest.mark.parametrize("name", RECONSTRUCTORS)
def test_what_is_not_supported_is_skipped_with_a_reason(name: str, small: xr.Dataset) -> None:
    method = registry.get(name)
    two = small.isel(tilt=slice(2))
    assert method.supports(small) == (True, "")
    supported, reason = method.supports(two)
    assert not supported
    assert "at least 3 tilts" in reason
    answer = method.reconstruct(two, rng=np.random.default_rng(0))
    assert answer.status is Status.SKIPPED
    assert answer.message == reason
    other = small.assign_attrs(modality="hrtem")
    assert not method.supports(other)[0]


@pytest.mark.parametrize("name", [f"{method}[n_iter=30]" for method in ("sirt", "resire", "mlem", "sart")])
def test_callback_sees_every_iteration_and_may_stop(name: str, small: xr.Dataset) -> None:
    seen: list[int] = []

    def callback(iteration: int, figures: Mapping[str, float]) -> None:
        seen.append(iteration)
        assert 0 < figures["r_factor"] < 2
        if iteration == 7:
            raise StopIteration

    answer = registry.get(name).reconstruct(small, rng=np.random.default_rng(0), callback=callback)
    assert seen == list(range(1, 8))
    assert answer.status is Status.OK
    assert answer.stats["iterations"] == 7


def test_divergence_is_a_status_not_an_answer(small: xr.Dataset) -> None:
    answer = registry.get("resire[step=50,n_iter=40]").reconstruct(small, rng=np.random.default_rng(0))
    assert answer.status is Status.DIVERGED
    assert len(answer.atoms) == 0


@dataclass(frozen=True)
class NotFinite(TomographicReconstructor):
    """A method whose arithmetic fails in one voxel."""

    name: ClassVar[str] = "not_finite"

    def volume(self, projector: Projector, projections: torch.Tensor, callback: Callback) -> torch.Tensor:
        volume = projector.adjoint(projections)
        volume[1, 2, 3] = torch.nan
        return volume


def test_a_value_that_is_not_finite_is_a_status(small: xr.Dataset) -> None:
    answer = NotFinite().reconstruct(small, rng=np.random.default_rng(0))
    assert answer.status is Status.NONFINITE
    assert len(answer.atoms) == 0


def test_several_axes_are_left_to_the_iterative_methods(small: xr.Dataset) -> None:
    psi = np.where(np.arange(small.sizes["tilt"]) < 4, 50.0, 0.0)
    crossed = small.assign_coords(psi=("tilt", psi, {"units": "deg"}))
    assert "about one axis" in registry.get("fbp").supports(crossed)[1]
    assert registry.get("sirt").supports(crossed)[0]
