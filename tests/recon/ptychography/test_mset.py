"""Multislice electron tomography of eight atoms, ours and as published."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import pytest
import torch
import xarray as xr
from ase import Atoms

from datasets.errors import InputError
from recon import registry
from recon.base import Reconstruction, Status
from recon.ptychography.mset import less_varied

Distances = Callable[[Atoms, Atoms], npt.NDArray[np.float64]]


def answer(name: str, measured: xr.Dataset, callback: object = None) -> Reconstruction:
    """What a reconstructor makes of a measurement."""
    return registry.get(name).reconstruct(measured, rng=np.random.default_rng(0), callback=callback)  # type: ignore[arg-type]


def named(atoms: Atoms, truth: Atoms) -> list[str]:
    """The species of the true atom next to each atom."""
    apart = np.linalg.norm(atoms.positions[:, None] - truth.positions, axis=-1)
    return [truth.symbols[i] for i in apart.argmin(axis=1)]


@pytest.mark.parametrize("name", ["mset[n_iter=6]", "sset[n_iter=6]"])
def test_finds_and_names_every_atom(
    name: str, measured: xr.Dataset, truth: Atoms, distances: Distances
) -> None:
    found = answer(name, measured)
    assert found.status is Status.OK
    assert len(found.atoms) == len(truth)
    assert distances(truth, found.atoms).max() < 0.12
    assert list(found.atoms.symbols) == named(found.atoms, truth)
    assert found.volume is not None
    assert found.volume.attrs["units"] == "V"
    assert float(found.volume.min()) >= 0
    assert 0 < found.stats["r_factor"] < 0.5


def test_the_loss_falls_in_every_pass_and_a_run_can_be_stopped(measured: xr.Dataset) -> None:
    losses: list[float] = []

    def stop(iteration: int, figures: Mapping[str, float]) -> None:
        losses.append(figures["loss"])
        if iteration == 4:
            raise StopIteration

    found = answer("mset[n_iter=50]", measured, stop)
    assert found.stats["iterations"] == 4
    assert np.all(np.diff(losses) < 0)


def test_it_ends_by_itself_where_passes_change_nothing_but_noise(measured: xr.Dataset) -> None:
    assert 6 < answer("mset[n_iter=80]", measured).stats["iterations"] < 80


def test_a_sparse_volume_holds_less_between_the_atoms(measured: xr.Dataset, truth: Atoms) -> None:
    far = []
    for sparsity in (0.0, 1.0):
        volume = answer(f"mset[n_iter=6,sparsity={sparsity}]", measured).volume
        assert volume is not None
        voxels = np.stack(np.meshgrid(*(volume[axis] for axis in "zyx"), indexing="ij"), axis=-1)[..., ::-1]
        apart = np.min([np.linalg.norm(voxels - place, axis=-1) for place in truth.positions], axis=0)
        far.append(float(volume.values[apart > 1.2].sum() / volume.values[apart < 0.8].sum()))
    assert far[1] < 0.5 * far[0]


def test_a_step_far_too_long_is_taken_back(measured: xr.Dataset, truth: Atoms, distances: Distances) -> None:
    found = answer("mset[n_iter=12,step=60.0]", measured)
    assert found.status is Status.OK
    assert distances(truth, found.atoms).max() < 0.2


def test_published_descent_goes_down_and_sees_the_atoms(
    measured: xr.Dataset, truth: Atoms, distances: Distances
) -> None:
    losses: list[float] = []
    found = answer(
        "mset[method=published,n_iter=3,step=1000.0,loss=amplitude,slice_thickness=1.6]",
        measured,
        lambda _, figures: losses.append(figures["loss"]),
    )
    assert len(losses) == 3
    assert np.all(np.diff(losses) < 0)
    assert found.volume is not None
    z, y, x = np.unravel_index(found.volume.values.argmax(), found.volume.shape)
    brightest = Atoms("Au", [[float(found.volume[a][i]) for a, i in zip("xyz", (x, y, z), strict=True)]])
    assert distances(brightest, truth).max() < 0.5


def test_total_variation_flattens(measured: xr.Dataset) -> None:
    volume = torch.rand(16, 16, 16)
    assert less_varied(volume, 0.0) is volume
    assert float(less_varied(volume, 0.5).std()) < 0.7 * float(volume.std())
    smooth = answer("mset[n_iter=2,tv=0.05]", measured)
    rough = answer("mset[n_iter=2]", measured)
    assert smooth.volume is not None
    assert rough.volume is not None
    assert float(smooth.volume.std()) < float(rough.volume.std())


def test_what_it_cannot_do_it_says(measured: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="slice_thickness must be positive"):
        registry.get("mset[slice_thickness=0]")
    with pytest.raises(InputError, match="blur must not be negative"):
        registry.get("mset[blur=-1]")
    found = answer("mset", measured.isel(tilt=[0, 1]))
    assert found.status is Status.SKIPPED
    assert "at least 3 tilts" in found.message
    lacking = measured.copy()
    del lacking.attrs["energy_eV"]
    assert "energy_eV" in answer("mset", lacking).message
    monkeypatch.setattr("recon.ptychography.reconstructor.memory_needed", lambda *_: 1e15)
    assert "GiB of memory" in answer("mset", measured).message
