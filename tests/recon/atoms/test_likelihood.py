"""`poisson-ml`: names, what it repairs in a start, and what its covariance and confidence say."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import xarray as xr
from ase import Atoms
from scipy.spatial import KDTree

from datasets.errors import InputError
from datasets.formats import read_atoms, write_atoms
from recon import registry
from recon.align.alignment import Alignment
from recon.atoms.likelihood import PoissonML
from recon.base import Callback, Reconstruction, Reconstructor
from recon.project.geometry import Geometry

EVEN = np.arange(-90.0, 90.0, 6.0)


@dataclass(frozen=True)
class Given(Reconstructor):
    """A start that is handed in."""

    name: ClassVar[str] = "given"
    answer: ClassVar[Reconstruction]

    def reconstruct(
        self, measurement: xr.Dataset, *, rng: np.random.Generator, callback: Callback | None = None
    ) -> Reconstruction:
        return self.answer


def refined(data: xr.Dataset, start: Atoms, geometry: xr.Dataset | None = None, **fields: object) -> Atoms:
    Given.answer = Reconstruction(start, geometry=geometry)
    method = PoissonML(start=f"{__name__}:Given", **fields)  # type: ignore[arg-type]
    return method.reconstruct(data, rng=np.random.default_rng(0)).atoms


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "get_class", _get_class(registry.get_class))


def _get_class(known: Callable[[str], type[Reconstructor]]) -> Callable[[str], type[Reconstructor]]:
    return lambda base: Given if base.endswith(":Given") else known(base)


def errors(found: Atoms, truth: Atoms) -> np.ndarray:
    distance, near = KDTree(found.positions).query(truth.positions)
    assert len(set(near)) == len(truth)
    assert distance.max() < 0.9
    return np.asarray(found.positions[near] - truth.positions)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("poisson-ml", "poisson-ml"),
        ("fista+ml", "poisson-ml"),
        ("resire+ml", "resire+ml"),
        ("resire+ml[n_iter=50]", "resire+ml[n_iter=50]"),
        ("resire+ml[n_rounds=3,n_iter=50]", "resire+ml[n_iter=50,n_rounds=3]"),
        ("resire+ml[published]", "resire+ml[variant=published]"),
        ("poisson-ml[false_rate=0.1]", "poisson-ml[false_rate=0.1]"),
    ],
)
def test_names_read_back(name: str, label: str) -> None:
    method = registry.get(name)
    assert isinstance(method, PoissonML)
    assert method.label == label
    assert registry.get(label) == method


def test_options_of_the_start_are_the_starts() -> None:
    method = registry.get("resire+ml[n_iter=50,false_rate=0.1]")
    assert method.parameters["start"] == "resire[n_iter=50]"
    assert method.parameters["false_rate"] == 0.1


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("resir+ml", "did you mean 'resire'"),
        ("resire+ml[n_itr=3]", "did you mean 'n_iter'"),
        ("poisson-ml[false_rate=0]", "false_rate must be above 0"),
        ("resire+ml[n_rounds=0]", "n_rounds must be at least 1"),
    ],
)
def test_a_wrong_name_is_one_clear_sentence(name: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        registry.get(name)


def test_atoms_left_out_are_found_and_made_up_ones_removed(measure, cluster) -> None:  # type: ignore[no-untyped-def]
    truth = cluster(43)
    data = measure(truth, EVEN, peak=10.0, background=1.0, seed=0)
    start = truth[5:] + Atoms("Au2", positions=[[8.0, 3.0, 1.0], [-7.5, -4.0, 2.0]])
    start.positions += np.random.default_rng(1).normal(scale=0.1, size=start.positions.shape)
    found = refined(data, start)
    assert len(found) == len(truth)
    assert np.sqrt((errors(found, truth) ** 2).sum(axis=1).mean()) < 0.08
    assert found.get_array("confidence").min() > 0.9


def test_errors_are_what_the_covariance_says(measure, cluster) -> None:  # type: ignore[no-untyped-def]
    truth = cluster(43)
    pulls = []
    for seed in range(3):
        data = measure(truth, EVEN, peak=6.0, background=1.0, seed=seed)
        found = refined(data, truth)
        error = errors(found, truth)
        near = KDTree(found.positions).query(truth.positions)[1]
        covariance = found.get_array("covariance")[near].reshape(-1, 3, 3)
        pulls.append(np.einsum("ni,nij,nj->n", error, np.linalg.inv(covariance), error) / 3)
    assert 0.9 < np.sqrt(np.mean(pulls)) < 1.2  # of 387 errors: 1 ± 0.04


def test_two_species_are_told_apart(measure, cluster) -> None:  # type: ignore[no-untyped-def]
    truth = cluster(55, ("Cu", "Au"))
    data = measure(truth, EVEN, peak=10.0, background=0.5, seed=0)
    start = truth.copy()
    start.symbols[:] = np.random.default_rng(0).permutation(truth.symbols)
    found = refined(data, start)
    near = KDTree(found.positions).query(truth.positions)[1]
    assert len(found) == len(truth)
    assert (found.numbers[near] == truth.numbers).mean() > 0.95


def test_the_alignment_of_the_start_is_kept(measure, cluster) -> None:  # type: ignore[no-untyped-def]
    truth = cluster(19)
    rng = np.random.default_rng(0)
    shape = (48, 48)
    shifts, scales = rng.normal(scale=0.8, size=(len(EVEN), 2)), rng.normal(1, 0.1, len(EVEN))
    images = []
    for theta, shift, scale in zip(EVEN, shifts, scales, strict=True):
        # about one tilt, a displacement of the image is one of the specimen
        turned = Geometry.of(measure(truth, [theta], shape=shape)).rotations[0]
        moved = truth.copy()
        moved.positions += turned.inv().apply([*shift, 0.0])
        images.append(scale * measure(moved, [theta], shape=shape)["counts"].values[0])
    data = measure(truth, EVEN, shape=shape)
    data = data.assign(counts=(data["counts"].dims, np.array(images)))
    known = Alignment(shifts, scales, Alignment.identity(Geometry.of(data).rotations).angles)
    start = truth.copy()
    start.positions += rng.normal(scale=0.1, size=start.positions.shape)
    found = refined(data, start, known.as_dataset())
    assert np.abs(errors(found, truth)).max() < 0.02


def test_without_atoms_to_start_from_there_are_none(measure, cluster) -> None:  # type: ignore[no-untyped-def]
    assert len(refined(measure(cluster(13), EVEN[::3]), Atoms())) == 0


def test_noise_alone_gives_hardly_an_atom(measure, cluster) -> None:  # type: ignore[no-untyped-def]
    """Atoms made up in noise do not stay, whatever the start says."""
    data = measure(cluster(1), EVEN, peak=0.0, background=2.0, seed=0)
    rng = np.random.default_rng(0)
    found = refined(data, Atoms("Au20", positions=rng.uniform(-6, 6, (20, 3))))
    assert len(found) <= 4


def test_confidence_and_covariance_survive_in_a_file(measure, cluster, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    truth = cluster(13)
    found = refined(measure(truth, EVEN[::2], peak=20.0, seed=0), truth)
    write_atoms(str(tmp_path / "answer.extxyz"), found)
    read = read_atoms(str(tmp_path / "answer.extxyz"))
    assert read.get_array("covariance").shape == (len(found), 9)
    np.testing.assert_allclose(read.get_array("covariance"), found.get_array("covariance"), atol=1e-7)
    np.testing.assert_allclose(read.get_array("confidence"), found.get_array("confidence"), atol=1e-7)
    assert np.all((found.get_array("confidence") > 0) & (found.get_array("confidence") <= 1))


def test_one_atom_between_two_places_gives_way_to_both(measure, cluster) -> None:  # type: ignore[no-untyped-def]
    truth = cluster(43)
    data = measure(truth, EVEN, peak=10.0, background=1.0, seed=0)
    distance = np.linalg.norm(truth.positions[:, None] - truth.positions, axis=-1)
    far = int(distance[0].argmax())
    pairs = [(a, int(np.argsort(distance[a])[1])) for a in (0, far)]
    start = truth.copy()
    for a, b in pairs:
        start.positions[a] = truth.positions[[a, b]].mean(axis=0)
    del start[[b for _, b in pairs]]
    found = refined(data, start)
    assert len(found) == len(truth)
    assert np.sqrt((errors(found, truth) ** 2).sum(axis=1).mean()) < 0.08


def test_images_are_fitted_to_the_atoms(measure, cluster) -> None:  # type: ignore[no-untyped-def]
    """Wrong angles, shifts and intensities, with them fitted to the atoms and without."""
    truth, rng = cluster(43), np.random.default_rng(0)
    images = []
    for theta in EVEN:
        phi, psi = rng.normal(scale=0.5, size=2)
        turn = Geometry.of(measure(truth, [theta], phi=phi, psi=psi)).rotations[0]
        moved = truth.copy()
        moved.positions += turn.inv().apply([*rng.normal(scale=0.15, size=2), 0.0])
        image = measure(moved, [theta], phi=phi, psi=psi, peak=100.0)["counts"].values[0]
        images.append(rng.normal(1, 0.05) * image)
    data = measure(truth, EVEN, peak=100.0)
    data = data.assign(counts=(data["counts"].dims, rng.poisson(np.array(images)).astype(np.uint16)))
    found = {}
    for how in ("as_given", "fit"):
        answer = refined(data, truth, images=how)
        error = errors(answer, truth)
        found[how] = float(np.sqrt(((error - error.mean(axis=0)) ** 2).sum(axis=1).mean()))
    assert found["fit"] < 0.4 * found["as_given"]
    assert found["fit"] < 0.03
