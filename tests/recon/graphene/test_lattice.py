"""The lattice of a frame alone: its angle, its hexagons, how it is bent."""

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr
from ase import Atoms
from scipy.spatial import KDTree

from recon.graphene.lattice import bent_sites, find_lattice, local_waves, significance
from recon.graphene.multislice import Lens, frame_model
from recon.graphene.prior import BOND


def _sites(data: xr.Dataset) -> tuple[np.ndarray, float]:  # type: ignore[type-arg]
    """All sites of the frame, and the significance of its lattice."""
    frame, x, y = data["counts"].values[0].astype(float), data["x"].values, data["y"].values
    model, contrast = frame_model(frame, x, y, data.attrs), frame / frame.mean() - 1
    lattice = find_lattice(contrast, x, y, model)
    np.testing.assert_allclose(lattice.g.sum(axis=0), 0, atol=1e-9)
    lengths = np.linalg.norm(lattice.edges, axis=1)
    np.testing.assert_allclose(lengths, np.sqrt(3) * BOND, rtol=0.07)
    waves = local_waves(contrast, x, y, lattice, model)
    return bent_sites(waves, x, y, lattice), significance(waves, contrast, float(x[1] - x[0]))


def _compare(data: xr.Dataset, atoms: Atoms, within: float) -> tuple[float, float, float]:
    """Recall at 0.5 Å, rms distance [Å] of those, and the share of the sites well inside that are atoms."""
    sites, _ = _sites(data)
    distance, _ = KDTree(sites).query(atoms.positions[:, :2])
    inner = sites[np.hypot(*(sites - [0.31, -0.17]).T) < within]
    back, _ = KDTree(atoms.positions[:, :2]).query(inner)
    near = distance < 0.5
    return float(near.mean()), float(np.sqrt(np.mean(distance[near] ** 2))), float((back < 0.5).mean())


@pytest.mark.parametrize("turn", [0.0, 7.0, 23.0, 41.0, 59.0])
@pytest.mark.parametrize(
    ("lens", "bright"), [(Lens(80e3, -20, -2e4, 30), True), (Lens(80e3, 60, -5e4, 30), False)]
)
def test_a_flat_sheet_at_any_angle(
    turn: float, lens: Lens, bright: bool, sheet: Callable[..., Atoms], frame_of: Callable[..., xr.Dataset]
) -> None:
    """Whether its atoms are bright or dark: a lattice of the holes instead would have a recall of a half."""
    recall, rms, share = _compare(frame_of(sheet(18.0, turn=turn), lens=lens), sheet(18.0, turn=turn), 7.0)
    assert recall > 0.95
    assert rms < (0.04 if bright else 0.16)  # fringes carry the lattice beyond the rim, and its phase bends
    assert share == 1


def test_a_rippled_sheet_in_noise(sheet: Callable[..., Atoms], frame_of: Callable[..., xr.Dataset]) -> None:
    """Atoms that nobody can see singly: 2e3 electrons per Å², contrast 5 %, thermal scatter of 0.07 Å."""
    atoms = sheet(20.0, height=0.7, turn=12.0, scatter=0.07)
    recall, rms, share = _compare(
        frame_of(atoms, dose=2e3, lens=Lens(80e3, 60, -5e4, 30), seed=1), atoms, 8.0
    )
    assert recall > 0.93
    assert rms < 0.2  # √2 · 0.07 of scatter cannot be known from neighbours
    assert share == 1


def test_significance_grows_as_the_root_of_the_dose_and_is_one_in_noise(
    sheet: Callable[..., Atoms], frame_of: Callable[..., xr.Dataset]
) -> None:
    atoms = sheet(18.0)
    low, high = (_sites(frame_of(atoms, dose=dose, seed=2))[1] for dose in (2e3, 8e3))
    assert high / low == pytest.approx(2, rel=0.15)
    noise = frame_of(atoms, seed=0)
    counts = np.random.default_rng(0).poisson(200.0, (1, 128, 128)).astype(float)
    assert _sites(noise.assign(counts=(noise["counts"].dims, counts)))[1] < 2
