"""Ptychographic atomic electron tomography of eight atoms, and what it declines."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr
from ase import Atoms

from datasets.errors import InputError
from recon import registry
from recon.base import Reconstruction, Status
from recon.ptychography.paet import levelled

Distances = Callable[[Atoms, Atoms], npt.NDArray[np.float64]]
NAMES = ["paet-multi[n_iter=6,slice_thickness=4]", "paet-single[n_iter=6]"]


def answer(name: str, measured: xr.Dataset, callback: object = None) -> Reconstruction:
    """What a reconstructor makes of a measurement."""
    return registry.get(name).reconstruct(measured, rng=np.random.default_rng(0), callback=callback)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_finds_every_atom(name: str, measured: xr.Dataset, truth: Atoms, distances: Distances) -> None:
    found = answer(name, measured)
    assert found.status is Status.OK
    assert len(found.atoms) == len(truth)
    assert distances(truth, found.atoms).max() < 0.15
    apart = np.linalg.norm(found.atoms.positions[:, None] - truth.positions, axis=-1)
    assert list(found.atoms.symbols) == [truth.symbols[i] for i in apart.argmin(axis=1)]
    assert found.volume is not None
    assert found.volume.attrs["units"] == "V"
    assert 0 < found.stats["r_factor"] < 1
    assert found.geometry is not None
    assert found.geometry.sizes["tilt"] == measured.sizes["tilt"]


def test_images_that_need_no_alignment_may_be_aligned(
    measured: xr.Dataset, truth: Atoms, distances: Distances
) -> None:
    found = answer("paet-single[n_iter=12,align=center_of_mass]", measured)
    assert found.geometry is not None
    assert 0 < float(np.abs(found.geometry["shift_x"]).max()) < 0.6
    assert len(found.atoms) == len(truth)


def test_a_callback_ends_all_tilts_alike(measured: xr.Dataset) -> None:
    seen: list[int] = []

    def stop(iteration: int, figures: Mapping[str, float]) -> None:
        seen.append(iteration)
        assert figures["loss"] > 0
        if iteration == 2:
            raise StopIteration

    few = measured.isel(tilt=slice(0, 12, 4))
    found = answer("paet-single", few, stop)
    assert found.stats["iterations"] == 2
    assert seen == list(range(1, 7))


def test_no_electrons_no_atoms(measured: xr.Dataset) -> None:
    empty = measured.assign(counts=measured["counts"] * 0)
    assert len(answer("paet-single[n_iter=2]", empty).atoms) == 0


def test_probes_that_do_not_overlap_are_declined_in_one_sentence(measured: xr.Dataset) -> None:
    sparse = measured.isel(scan=[0, 3, 6, 24, 27, 30, 48, 51, 54])
    supported, reason = registry.get("paet-multi").supports(sparse)
    assert not supported
    assert "overlap" in reason
    assert registry.get("paet-multi").supports(measured) == (True, "")
    assert "4dstem" in registry.get("paet-single").supports(measured.assign_attrs(modality="adf"))[1]
    assert "at least 3" in registry.get("paet-multi").supports(measured.isel(tilt=slice(2)))[1]
    assert answer("paet-multi", sparse).status is Status.SKIPPED


def test_vacuum_is_at_zero_whatever_offset_and_ramp_a_phase_has() -> None:
    axis = np.linspace(-1, 1, 40)
    y, x = np.meshgrid(axis, axis, indexing="ij")
    clean = np.exp(-(y**2 + x**2) / 0.02)
    images = np.stack([clean + 0.7, clean - 0.3 + 0.5 * y - 0.2 * x])
    seen = (np.abs(y) < 0.9) & (np.abs(x) < 0.9)
    for image in levelled(images, seen, ramps=True):
        np.testing.assert_allclose(image[seen], clean[seen], atol=0.01)
        assert (image[~seen] == 0).all()
    np.testing.assert_allclose(levelled(images[:1], seen, ramps=False)[0][seen], clean[seen], atol=0.01)


@pytest.mark.parametrize(
    "wrong", ["n_iter=0", "damping=0", "blur=-1", "n_modes=0", "n_modes=2", "layer_regularisation=-1"]
)
def test_impossible_parameters_are_refused(wrong: str) -> None:
    with pytest.raises(InputError, match=wrong.split("=")[0]):
        registry.get(f"paet-multi[{wrong}]")


def test_published_variants_have_the_papers_slices() -> None:
    multi, single = registry.get("paet-multi[published]"), registry.get("paet-single[published]")
    assert multi.parameters["slice_thickness"] == 20.0
    assert multi.parameters["layer_regularisation"] == 0.5
    assert single.parameters["layer_regularisation"] == 0.0
    assert multi.label == "paet-multi[published]"
