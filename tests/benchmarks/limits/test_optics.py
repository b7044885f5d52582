"""Heights by setting: the frame's derivative against abTEM, and which setting is called the best."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr
from ase import Atoms

from benchmarks.limits.optics import best_setting, lens_of, setting_of, worst_setting
from datasets.catalog import HrtemCard, load_dataset
from datasets.errors import InputError
from datasets.imaging.hrtem import hrtem_image
from datasets.schema import pixel_axis
from recon.graphene.multislice import FrameModel, Lens


@pytest.mark.parametrize(("defocus", "Cs"), [(80.0, 1e4), (10.0, 1e4), (-60.0, 0.0)])
def test_raising_one_atom_changes_the_frame_as_it_changes_that_of_multislice(
    defocus: float, Cs: float
) -> None:
    lens = Lens(80e3, defocus, Cs, focal_spread=10.0, point_spread=0.4 * 0.18)
    card = HrtemCard(
        modality="hrtem", energy_eV=80e3, defocus=defocus, Cs=Cs, focal_spread=10.0, psf_sigma=0.4,
        potential_sampling=0.06, slice_thickness=0.5, pixel_size=0.18, n_pixels=64,
    )  # fmt: skip
    # two that stay, so that the slices lie where they lay
    still = [[-3.0, -2.0, -2.0], [3.0, 2.5, 2.0], [1.42, 0.1, 0.0]]
    up, down = (Atoms("C4", [*still, [0.1, 0.2, z]]) for z in (0.5, -0.5))
    exact = hrtem_image(up, card) - hrtem_image(down, card)
    axis = pixel_axis(64, 0.18)
    model = FrameModel(axis, axis, lens, dose=1.0, dtype=torch.float64)
    ours = [model.intensity(torch.as_tensor(atoms.positions)).numpy() for atoms in (up, down)]
    assert (ours[0] - ours[1] - exact).std() < 0.03 * exact.std()


def _grid() -> xr.Dataset:
    rng = np.random.default_rng(0)
    shape = (2, 3, 2)
    names = ("frame_z", "frame_plane", "flat_z", "informed_z", "informed_plane")
    coords = {"Cs": [0.0, 1e4], "defocus": [-10.0, 0.0, 80.0], "dose": [2e3, 8e3]}
    return xr.Dataset({name: (("Cs", "defocus", "dose"), rng.uniform(1, 2, shape)) for name in names}, coords)


def test_the_best_and_the_worst_setting_of_a_grid() -> None:
    grid = _grid()
    grid.informed_z[1, 0, 1], grid.informed_z[0, 2, 1] = 0.1, 9.0
    best, worst = best_setting(grid, 8e3), worst_setting(grid, 8e3)
    assert (best.Cs, best.defocus, best.informed) == (1e4, -10.0, 0.1)
    assert (worst.Cs, worst.defocus, worst.informed) == (0.0, 80.0, 9.0)
    near = setting_of(grid, 8e3, 78.0, 9e3)
    assert (near.Cs, near.defocus, near.frame) == (1e4, 80.0, float(grid.frame_z[1, 2, 1]))


def test_only_frames_of_graphene_have_such_a_limit() -> None:
    assert lens_of(load_dataset("graphene-240")).defocus == 80.0
    with pytest.raises(InputError, match="no frame of graphene"):
        lens_of(load_dataset("si-208"))
