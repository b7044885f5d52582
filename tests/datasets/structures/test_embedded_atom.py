"""The embedded-atom potential: crystals as measured, LAMMPS' own table, alloys by the mixing rule."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list
from scipy.optimize import minimize_scalar

from datasets.errors import InputError
from datasets.structures.embedded_atom import Metal, cutoff, metals, mixed_pair, setfl
from datasets.structures.molecular_dynamics import Potential, load_lammps, potential_folder
from datasets.structures.potentials import zhou_johnson_wadley

FloatArray = npt.NDArray[np.float64]

ZHOU_2001_COPPER = Metal(
    re=2.556162,
    fe=1.554485,
    rhoe=22.150141,
    rhos=22.150141,
    alpha=7.669911,
    beta=4.090619,
    A=0.327584,
    B=0.468735,
    kappa=0.431307,
    lambda_=0.86214,
    lower=(-2.17649, -0.140035, 0.285621, -1.750834),
    middle=(-2.19, 0.0, 0.702991, 0.683705),
    eta=0.921150,
    Fe=-2.191675,
    low=0.85,
)
"""Cu of Zhou et al., Acta Materialia 49, 4005 (2001): the same functions with other parameters, which LAMMPS
ships as a table (parameters as in its `tools/eam_generate/Cu_Zhou.c`)."""


def energy(atoms: Atoms) -> float:
    """The energy [eV] by direct sums over pairs, without a table."""
    known = metals()
    symbols = np.array(atoms.symbols)
    reach = cutoff([known[s] for s in set(symbols)])
    first, second, distance = neighbor_list("ijd", atoms, reach)
    density, total = np.zeros(len(atoms)), 0.0
    for a in set(symbols):
        for b in set(symbols):
            chosen = (symbols[first] == a) & (symbols[second] == b)
            r = distance[chosen]
            np.add.at(density, first[chosen], known[b].density(r))
            pair = known[a].pair(r) if a == b else mixed_pair(known[a], known[b], r)
            total += pair.sum() / 2
    for a in set(symbols):
        total += known[a].embedding(density[symbols == a]).sum()
    return float(total)


def by_lammps(atoms: Atoms, potential: Potential, folder: Path) -> tuple[float, FloatArray]:
    """Energy [eV] and forces (n, 3) [eV/Å] of LAMMPS."""
    table = folder / "table"
    table.write_text(potential.table)
    edges = " ".join(f"0 {length}" for length in atoms.cell.lengths())
    engine = load_lammps()(cmdargs=["-screen", "none", "-log", "none", "-nocite"])
    engine.commands_list(["units metal", "atom_modify map array", f"region box block {edges}"])
    engine.command(f"create_box {len(potential.elements)} box")
    kinds = [potential.elements.index(s) + 1 for s in atoms.symbols]
    engine.create_atoms(len(atoms), list(range(1, len(atoms) + 1)), kinds, atoms.positions.ravel())
    engine.commands_list(["mass * 1", f"pair_style {potential.pair_style}"])
    places = {"elements": " ".join(potential.elements), "potentials": potential_folder(), "table": table}
    engine.command(f"pair_coeff {potential.pair_coeff[0].format(**places)}")
    engine.command("run 0")
    forces = np.array(engine.gather_atoms("f", 1, 3)).reshape(-1, 3)
    total = float(engine.get_thermo("pe"))
    engine.close()
    return total, forces


def rattled(atoms: Atoms, seed: int) -> Atoms:
    atoms.positions += np.random.default_rng(seed).normal(scale=0.15, size=atoms.positions.shape)
    atoms.wrap()
    return atoms


@pytest.mark.parametrize(
    ("symbol", "lattice", "constant", "cohesion"),
    [
        ("Co", "hcp", 2.507, 4.39),
        ("Pd", "fcc", 3.890, 3.89),
        ("Pt", "fcc", 3.924, 5.84),
        ("Cu", "fcc", 3.615, 3.49),
        ("Au", "fcc", 4.078, 3.81),
        ("Fe", "bcc", 2.867, 4.28),
        ("Ta", "bcc", 3.303, 8.10),
    ],
)
def test_crystals_have_their_lattice_constant_and_cohesive_energy(
    symbol: str, lattice: str, constant: float, cohesion: float
) -> None:
    """Against experiment: Kittel, Introduction to Solid State Physics (8th ed.), tables 1.3 and 3.1."""

    def per_atom(length: float) -> float:
        crystal = bulk(symbol, lattice, a=length, **({"c": 1.623 * length} if lattice == "hcp" else {}))
        return energy(crystal) / len(crystal)

    best = minimize_scalar(per_atom, bounds=(0.95 * constant, 1.05 * constant), method="bounded")
    assert best.x == pytest.approx(constant, rel=3e-3)
    assert -best.fun == pytest.approx(cohesion, rel=0.035)


@pytest.mark.parametrize("symbol", sorted(metals()))
def test_the_embedding_energy_is_smooth_and_starts_at_zero(symbol: str) -> None:
    metal = metals()[symbol]
    assert metal.embedding(np.zeros(1))[0] == pytest.approx(0, abs=0.02)
    for part in (metal.low, metal.high):
        below, above = part * metal.rhoe * (1 - 1e-6), part * metal.rhoe * (1 + 1e-6)
        step = metal.embedding(np.array([below, above]))
        assert step[1] - step[0] == pytest.approx(0, abs=2e-4)


def test_lammps_own_table_of_copper_gives_the_same_forces(tmp_path: Path) -> None:
    crystal = rattled(bulk("Cu", a=3.6, cubic=True) * (4, 4, 4), 1)
    theirs = Potential(("Cu",), "eam/alloy", ("* * {potentials}/Cu_zhou.eam.alloy {elements}",), "")
    ours = Potential(("Cu",), "eam/alloy", ("* * {table} {elements}",), "", setfl(["Cu"], [ZHOU_2001_COPPER]))
    (their_energy, their_forces), (our_energy, our_forces) = (
        by_lammps(crystal, potential, tmp_path) for potential in (theirs, ours)
    )
    assert np.abs(their_forces).max() > 1
    np.testing.assert_allclose(our_forces, their_forces, atol=2e-4)
    assert our_energy / len(crystal) == pytest.approx(their_energy / len(crystal), abs=1e-4)


def test_the_table_of_an_alloy_holds_the_functions(tmp_path: Path) -> None:
    alloy = rattled(bulk("Pt", a=3.8, cubic=True) * (4, 4, 4), 2)
    alloy.symbols = np.random.default_rng(3).choice(["Co", "Pd", "Pt"], len(alloy))
    total, _ = by_lammps(alloy, zhou_johnson_wadley("Co", "Pd", "Pt"), tmp_path)
    assert total / len(alloy) == pytest.approx(energy(alloy) / len(alloy), abs=1e-5)


def test_mixing_a_metal_with_itself_changes_nothing() -> None:
    r = np.linspace(2, 5, 50)
    platinum, cobalt = metals()["Pt"], metals()["Co"]
    np.testing.assert_allclose(mixed_pair(platinum, platinum, r), platinum.pair(r))
    np.testing.assert_allclose(mixed_pair(platinum, cobalt, r), mixed_pair(cobalt, platinum, r))


def test_an_unknown_metal_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"unknown metal 'Pr'; did you mean"):
        zhou_johnson_wadley("Co", "Pr")
