"""Amorphous silicon: a droplet, melted in vacuum and quenched.

The 208- and 19,993-atom particles of Busch, Rez, Treacy and Zuo, Nature (2026),
doi:10.1038/s41586-025-09924-w, made anew with the same numbers of atoms. The potential decides what a quench
ends in: 1,000 atoms in a periodic box, a random packing cooled to 300 K in 40 ps at zero pressure (where
Tersoff's melt boils: at 2.28 g/cm³), relaxed; seconds of one core:

    potential                         neighbours  fourfold  angles         g/cm³  seconds
    Stillinger and Weber (1985)          4.70       37 %    106.0 ± 22.6°   2.52     46
    Tersoff (1988)                       4.01       97 %    107.0 ± 18.7°     –      50
    Kumagai et al. (2007)                4.37       65 %    107.0 ± 19.2°   2.41    116
    Vink et al. (2001)                   4.02       95 %    109.0 ± 11.8°   2.17     30
    experiment (sources in the cards)    3.88                              2.285

Only the last, Stillinger and Weber's form with a stronger three-body term fitted to amorphous silicon,
makes a network of tetrahedra in so short a time, and it is the cheapest. It does not crystallise: after a
quench of 160 ps, 1 atom of 512 finds itself in a crystal, and the angles are 109.0 ± 10.9°. A droplet
needs no box to be cut from, which takes twice as many atoms, and its surface has grown, with no bond cut.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from ase import Atoms
from pydantic import Field
from scipy.spatial import cKDTree

from datasets.cards import Card
from datasets.errors import InputError
from datasets.structures.molecular_dynamics import Stage, simulate_dynamics
from datasets.structures.potentials import SILICON_GLASS
from datasets.structures.shapes import SmoothShape
from datasets.structures.workspace import Workspace

VERSION = 1
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

SILICON = 14
TIMESTEP = 0.002
"""[ps]; the fastest vibration of silicon takes 65 fs."""
FREEZING = (2200.0, 1000.0)
"""Between these temperatures [K] the network forms; above, silicon boils off the droplet."""
DENSITY = 0.0467
"""Atoms per Å³ of the glass, as measured (2.18 g/cm³)."""
CLOSEST = 2.0
"""Least distance of the atoms in the random packing that is melted [Å]."""
BOND = 2.85
"""Atoms closer than this are bonded [Å]: between the first two peaks of the radial distribution."""


class Parameters(Card):
    """The parameters of a particle of amorphous silicon; the defaults are those of the small one."""

    n_atoms: int = Field(default=208, ge=20)
    roughness: float = Field(default=0.05, ge=0, lt=0.3)
    """Standard deviation of the relative radius over directions, before surface tension rounds the melt."""
    quench_time: float = Field(default=60.0, gt=0)
    """Time from 2200 to 1000 K [ps]."""


def generate(parameters: Parameters, seed: int, work: Workspace) -> Atoms:
    """The particle of `seed`, centred on the mean of its positions [Å]; see `simulate_dynamics`."""
    drawing, moving = np.random.SeedSequence(seed).spawn(2)
    n_melt = parameters.n_atoms + max(8, parameters.n_atoms // 100)
    points = _melt(n_melt, parameters.roughness, np.random.default_rng(drawing))
    hot, cold = FREEZING
    schedule = [
        Stage("melt", round(1.0 / TIMESTEP), hot, ensemble="langevin"),
        Stage("quench", round(parameters.quench_time / TIMESTEP), hot, cold),
        Stage("chill", round(2.0 / TIMESTEP), cold, 300.0),
        Stage("relax", 1000, ensemble="minimise"),
    ]
    state = int(moving.generate_state(1)[0])
    atoms = simulate_dynamics(
        Atoms(np.full(n_melt, SILICON), points),
        SILICON_GLASS,
        schedule,
        seed=state,
        timestep=TIMESTEP,
        work=work,
        name="quench",
    )
    while len(atoms) >= parameters.n_atoms:
        kept = _most_bonded(atoms.positions, parameters.n_atoms)
        particle = simulate_dynamics(
            atoms[kept], SILICON_GLASS, schedule[-1:], seed=state, work=work, name="relax"
        )
        hanging = kept[_coordination(particle.positions) < 2]
        if len(hanging) == 0:
            particle.positions -= particle.positions.mean(axis=0)
            return particle
        del atoms[hanging]
    raise InputError(
        f"structure amorphous_silicon: too many atoms of seed {seed} hang on a single bond; "
        "take another seed or a longer quench_time"
    )


def _melt(n_atoms: int, roughness: float, rng: np.random.Generator) -> FloatArray:
    """Random positions (n_atoms, 3) [Å] at the density of the glass inside a smooth random shape."""
    shape = SmoothShape.draw(roughness, rng)
    low, high = shape.reach(n_atoms / DENSITY)
    lengths = high - low + 2 * CLOSEST
    points = random_packing(round(DENSITY * float(np.prod(lengths))), lengths, CLOSEST, rng) + low - CLOSEST
    return points[shape.deepest(points, n_atoms)]


def random_packing(
    n_points: int, lengths: FloatArray, distance: float, rng: np.random.Generator
) -> FloatArray:
    """Random points (n_points, 3) in a periodic box of `lengths` [Å], pushed apart to about `distance` [Å].

    For a liquid to start from: it holds no memory of a lattice, as a molten crystal may.
    """
    points = rng.uniform(0, lengths, (n_points, 3))
    for _ in range(200):
        first, second = cKDTree(points, boxsize=lengths).query_pairs(distance, output_type="ndarray").T
        if len(first) == 0:
            break
        apart = points[second] - points[first]
        apart -= lengths * np.rint(apart / lengths)
        length = np.linalg.norm(apart, axis=1, keepdims=True)
        push = 0.25 * (1.05 * distance / length - 1) * apart
        np.add.at(points, first, -push)
        np.add.at(points, second, push)
        # twice: a tiny negative number becomes the length itself, which the tree does not take
        points = points % lengths % lengths
    return points


def _most_bonded(positions: FloatArray, n_atoms: int) -> IntArray:
    """The indices of the `n_atoms` that remain when the atom of fewest bonds (the outermost one of these) is
    taken off again and again.
    """
    kept = np.arange(len(positions))
    distance = np.linalg.norm(positions - positions.mean(axis=0), axis=1)
    while len(kept) > n_atoms:
        order = np.lexsort([-distance[kept], _coordination(positions[kept])])
        kept = np.delete(kept, order[0])
    return kept


def _coordination(positions: FloatArray) -> IntArray:
    """The number of neighbours within a bond's length of each of `positions` (n, 3)."""
    pairs = cKDTree(positions).query_pairs(BOND, output_type="ndarray")
    return np.bincount(pairs.ravel(), minlength=len(positions))
