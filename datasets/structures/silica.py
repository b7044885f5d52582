"""Silica glass: a crystal melted and quenched in a periodic box, and a ball cut out of it that heals.

The particle of 2603 Si and 5101 O, 6 nm across, that "Accurate determination of the 3D atomic structure of
amorphous materials" images by ptychography; its coordinates are not published.

Which potential, as measured in periodic boxes of 648 to 1536 atoms, quenched to 300 K at 2.20 g/cm³, relaxed
without pressure and minimised (experiments: 2.20 g/cm³, Si–O 1.61–1.62 Å, Si–O–Si 142–152°):

| potential | quench | g/cm³ | Si–O [Å] | O–Si–O [deg] | Si–O–Si [deg] | Si fourfold | Si–Si bonds |
|---|---|---|---|---|---|---|---|
| Vashishta, cut at 5.5 Å (1994) | 5000 K, 30 ps | 2.197 | 1.612 | 109.8 ± 4.4 | 148.6 ± 9.7 | 94 % | 0 |
| Vashishta, weaker (Broughton 1997) | 1500 K, 30 ps | 2.195 | 1.606 | 110.0 ± 3.9 | 147.5 ± 5.6 | 88 % | 0 |
| Tersoff (Munetoh 2007) | 6000 K, 60 ps | 2.313 | 1.654 | 108.6 ± 15.3 | 142.9 ± 9.5 | 70 % | 5 |

The Tersoff potential takes 0.85 million atom-steps a second and core, Vashishta's 0.46 and, with its original
cutoff of 10 Å, 0.11; but what Tersoff's leaves after such a quench is no network: 18 % of the Si have five
neighbours, where Vashishta's have none, the rest being threefold. So it is Vashishta's of 1994.

What a quench at 1.3e14 K/s leaves in the core of the 6 nm particle, as measured: 2.197 g/cm³, Si–O 1.610 Å,
O–O 2.62 Å, Si–Si 3.08 Å, O–Si–O 109.8 ± 4.3°, Si–O–Si 147.9 ± 10.5°, no homopolar bond; but 7 % of the Si
lack an O and 4 % of the O a Si, as they do not in real glass. Primitive rings of 3 to 10 Si, for each Si:
0.03, 0.11, 0.31, 0.39, 0.38, 0.27, 0.20, 0.09, most of them of six, if not by much.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from ase import Atoms
from pydantic import Field, model_validator
from scipy.sparse import csr_array
from scipy.spatial import KDTree

from datasets.cards import Card
from datasets.errors import InputError
from datasets.structures.molecular_dynamics import Stage, simulate_dynamics
from datasets.structures.potentials import SILICA_VASHISHTA
from datasets.structures.workspace import Workspace

VERSION = 1
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

DENSITY = 2.20
"""Density of vitreous silica [g/cm³] (Mozzi and Warren, J. Appl. Cryst. 2, 164, 1969), kept in the quench;
without pressure the glass of this potential has 2.197 (as measured, 648 atoms)."""
UNITS_PER_VOLUME = DENSITY * 0.602214 / 60.083
"""SiO₂ units per Å³."""
BOND = 2.1
"""Si and O closer than this are bonded [Å]: between the first two peaks of the radial distribution."""
MELT_TEMPERATURE = 5000.0
"""[K]; half of the Si are not fourfold there."""
FREEZING = (3500.0, 1500.0)
"""Between these temperatures [K] the network forms; the quench is slow here and quick before and after."""
SURFACE_TEMPERATURES = (600.0, 300.0)
"""[K], from and to; the cut surface rearranges on the way."""
OVERLAP = 0.93
"""Least ratio of the box to the particle's diameter. Below 1 the outermost caps on opposite sides start as
copies of each other: at 0.93 those of 2 Å at most, 3 % of the atoms."""


class Parameters(Card):
    """The parameters of a silica particle; the defaults are those of the 6 nm one."""

    n_silicon: int = Field(default=2603, ge=30)
    n_oxygen: int = Field(default=5101, ge=60)
    melt_time: float = Field(default=3.0, ge=1)
    """Time at 5000 K, in which the crystal is forgotten [ps]."""
    quench_time: float = Field(default=15.0, gt=0)
    """Time from 3500 to 1500 K [ps]."""
    anneal_time: float = Field(default=4.0, ge=0)
    """Time of the cut particle from 600 to 300 K [ps]."""
    timestep: float = Field(default=2.0, gt=0, le=2)
    """Time step [fs]; the fastest vibration of silica takes 27 fs."""

    @model_validator(mode="after")
    def _neutral(self) -> Parameters:
        spare = int(self.n_silicon ** (2 / 3))
        if abs(self.n_oxygen - 2 * self.n_silicon) > spare:
            raise ValueError(
                f"n_oxygen must be within {spare} of {2 * self.n_silicon}: the surface of a particle with "
                f"{self.n_silicon} Si cannot lack or spare more"
            )
        return self

    def schedule(self) -> list[Stage]:
        """Melt, quench."""
        per_picosecond = 1000 / self.timestep
        hot, cold = FREEZING
        return [
            Stage("melt", round(self.melt_time * per_picosecond), MELT_TEMPERATURE),
            Stage("cool", round(3 * per_picosecond), MELT_TEMPERATURE, hot),
            Stage("freeze", round(self.quench_time * per_picosecond), hot, cold),
            Stage("cool", round(4 * per_picosecond), cold, SURFACE_TEMPERATURES[1]),
        ]


def generate(parameters: Parameters, seed: int, work: Workspace) -> Atoms:
    """The particle of `seed`, centred on the mean of its positions [Å]; see `simulate_dynamics`."""
    melting, cutting, moving = np.random.SeedSequence(seed).spawn(3)
    timestep = parameters.timestep / 1000
    glass = simulate_dynamics(
        crystal(parameters.n_silicon),
        SILICA_VASHISHTA,
        parameters.schedule(),
        seed=int(melting.generate_state(1)[0]),
        timestep=timestep,
        work=work,
        name="quench",
    )
    particle = cut(glass, parameters.n_silicon, parameters.n_oxygen, np.random.default_rng(cutting))
    healing = [
        Stage("heal", round(parameters.anneal_time / timestep), *SURFACE_TEMPERATURES),
        Stage("relax", 1000, ensemble="minimise"),
    ]
    state = int(moving.generate_state(1)[0])
    atoms = simulate_dynamics(
        particle, SILICA_VASHISHTA, healing, seed=state, timestep=timestep, work=work, name="surface"
    )
    atoms.positions -= atoms.positions.mean(axis=0)
    return atoms


def crystal(n_silicon: int) -> Atoms:
    """β-cristobalite, Si on a diamond lattice and O halfway between, with the density of the glass, in a cube
    from which `n_silicon` Si can be cut.
    """
    diameter = 2 * _radius(n_silicon)
    lattice_constant = (8 / UNITS_PER_VOLUME) ** (1 / 3)
    n_cells = int(np.ceil(OVERLAP * diameter / lattice_constant))
    fcc = np.array([[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0]]) / 4
    bonds = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / 8
    oxygen = (fcc[:, None] + bonds).reshape(-1, 3)
    cell = Atoms(
        "Si8O16",
        scaled_positions=np.concatenate([fcc, fcc + 0.25, oxygen]) % 1,
        cell=[lattice_constant] * 3,
        pbc=True,
    )
    return cell.repeat(n_cells)


def cut(glass: Atoms, n_silicon: int, n_oxygen: int, rng: np.random.Generator) -> Atoms:
    """A ball around a random point of a periodic `glass`, of exactly `n_silicon` Si and `n_oxygen` O.

    The Si are the innermost that are bound to two others of them. All O that bridge two of them stay;
    of the dangling ones those that are too many go, first the outermost of each Si: hardly one loses two.
    """
    numbers, positions = _ball(glass, rng.uniform(size=3), _radius(n_silicon) + 6)
    silicon, oxygen = positions[numbers == 14], positions[numbers == 8]
    near = KDTree(silicon).sparse_distance_matrix(KDTree(oxygen), BOND, output_type="ndarray")
    bonds = csr_array(
        (np.ones(len(near), dtype=int), (near["i"], near["j"])), shape=(len(silicon), len(oxygen))
    )
    chosen = _bound_silicon(silicon, bonds, n_silicon)
    kept = _kept_oxygen(oxygen, bonds[chosen], n_oxygen)
    symbols = ["Si"] * n_silicon + ["O"] * n_oxygen
    return Atoms(symbols, np.concatenate([silicon[chosen], oxygen[kept]]))


def _radius(n_silicon: int) -> float:
    """The radius [Å] of a ball of glass with `n_silicon` Si."""
    return float((3 * n_silicon / (4 * np.pi * UNITS_PER_VOLUME)) ** (1 / 3))


def _ball(glass: Atoms, centre: FloatArray, radius: float) -> tuple[IntArray, FloatArray]:
    """Atomic numbers and positions relative to `centre` (in units of the cell) of all atoms and images within
    `radius` [Å].
    """
    edges = glass.cell.lengths()
    home = (glass.positions / edges - centre + 0.5) % 1 - 0.5
    images = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    positions = ((home + images) * edges).reshape(-1, 3)
    inside = np.linalg.norm(positions, axis=1) < radius
    return np.tile(glass.numbers, len(images))[inside], positions[inside]


def _bound_silicon(silicon: FloatArray, bonds: csr_array, n_silicon: int) -> IntArray:
    """The `n_silicon` innermost Si, but for those that fewer than two others are bound to.

    One after the other, the outermost first, these give way to the innermost that is bound to two: every
    exchange adds a bond to the whole, so that there is an end.
    """
    order = np.argsort(np.linalg.norm(silicon, axis=1), kind="stable")
    sharing = bonds[order] @ bonds[order].T
    sharing.setdiag(0)
    bound = (sharing > 0).astype(int)
    chosen = np.arange(len(order)) < n_silicon
    while True:
        loose = np.flatnonzero(chosen & (bound @ chosen < 2))
        if not len(loose):
            break
        chosen[loose[-1]] = False
        candidates = np.flatnonzero(~chosen & (bound @ chosen >= 2))
        if not len(candidates):
            chosen[loose[-1]] = True
            break
        chosen[candidates[0]] = True
    return order[chosen]


def _kept_oxygen(oxygen: FloatArray, bonds: csr_array, n_oxygen: int) -> IntArray:
    """The indices of `n_oxygen` O, all that bridge and the innermost that dangle."""
    n_bonds = bonds.sum(axis=0)
    bridging, dangling = np.flatnonzero(n_bonds >= 2), np.flatnonzero(n_bonds == 1)
    n_dangling = n_oxygen - len(bridging)
    if not 0 <= n_dangling <= len(dangling):
        raise InputError(
            f"structure silica: n_oxygen must be from {len(bridging)} to {np.count_nonzero(n_bonds)} for "
            f"this particle, got {n_oxygen}"
        )
    owner = bonds[:, dangling].tocsc().indices
    distance = np.linalg.norm(oxygen[dangling], axis=1)
    outermost = np.argsort(-distance, kind="stable")
    turn = np.empty(len(dangling), dtype=np.intp)
    seen: dict[int, int] = {}
    for index in outermost:
        turn[index] = seen[owner[index]] = seen.get(owner[index], -1) + 1
    leaving = np.lexsort((-distance, turn))
    return np.concatenate([bridging, dangling[leaving[len(dangling) - n_dangling :]]])
