"""Where the atoms of a sheet are, from its frame alone."""

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr
from ase import Atoms
from scipy.spatial import KDTree

from datasets.errors import InputError
from recon.graphene.lattice import find_honeycomb
from recon.graphene.multislice import Lens


def _compare(data: xr.Dataset, atoms: Atoms, lens_sign: int) -> tuple[float, float, float]:
    """Recall at 0.5 Å, rms distance [Å] of those, and the share of sites well inside that are atoms."""
    found = find_honeycomb(data["counts"].values[0].astype(float), data["x"].values, data["y"].values)
    assert found.sign == lens_sign
    distance, _ = KDTree(found.sites).query(atoms.positions[:, :2])
    inner = found.sites[found.amplitude > 0.8]
    back, _ = KDTree(atoms.positions[:, :2]).query(inner)
    near = distance < 0.5
    return float(near.mean()), float(np.sqrt(np.mean(distance[near] ** 2))), float((back < 0.5).mean())


@pytest.mark.parametrize("turn", [0.0, 7.0, 23.0, 41.0, 59.0])
@pytest.mark.parametrize(("lens", "sign"), [(Lens(80e3, -20, -2e4, 30), 1), (Lens(80e3, 60, -5e4, 30), -1)])
def test_a_flat_sheet_at_any_angle(
    turn: float, lens: Lens, sign: int, sheet: Callable[..., Atoms], frame_of: Callable[..., xr.Dataset]
) -> None:
    atoms = sheet(18.0, turn=turn)
    recall, rms, share = _compare(frame_of(atoms, lens=lens), atoms, sign)
    assert recall > 0.95
    assert rms < (0.04 if sign > 0 else 0.16)  # fringes carry the lattice beyond the rim, and its phase bends
    assert share == 1


def test_a_rippled_sheet_in_noise(sheet: Callable[..., Atoms], frame_of: Callable[..., xr.Dataset]) -> None:
    """Atoms that nobody can see singly: 2e3 electrons per Å², contrast 5 %, thermal scatter of 0.07 Å."""
    atoms = sheet(20.0, height=0.7, turn=12.0, scatter=0.07)
    lens = Lens(80e3, 60, -5e4, 30)
    recall, rms, share = _compare(frame_of(atoms, dose=2e3, lens=lens, seed=1), atoms, -1)
    assert recall > 0.93
    assert rms < 0.2  # √2 · 0.07 of scatter cannot be known from neighbours
    assert share == 1


def test_no_lattice_is_one_sentence(frame_of: Callable[..., xr.Dataset], sheet: Callable[..., Atoms]) -> None:
    data = frame_of(sheet(), seed=0)
    noise = np.random.default_rng(0).poisson(200.0, (128, 128)).astype(float)
    with pytest.raises(InputError, match="no honeycomb"):
        find_honeycomb(noise, data["x"].values, data["y"].values)
