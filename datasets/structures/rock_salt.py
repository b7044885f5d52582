"""A rock-salt nanoparticle: two interleaved fcc lattices cut to a smooth random shape and displaced.

The BaO particle of multislice electron tomography (arXiv:2210.12636, Sec. III A): about 4 nm across, lattice
constant 5.54 Å (Zollweg, Phys. Rev. 100, 671, 1955), 987 atoms, made as its CuAu particle was but for core
and shell, so displaced by 20 pm (root mean square). The paper counts 468 Ba and 501 O among these 987, which
is 18 too few; here the lattice decides, and a cut leaves nearly as many of the one as of the other.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from ase import Atoms
from pydantic import Field
from scipy.spatial.transform import Rotation

from datasets.cards import Card
from datasets.errors import InputError
from datasets.structures.nanoparticle import displacements
from datasets.structures.shapes import SmoothShape
from datasets.structures.workspace import Workspace

VERSION = 1
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]


class Parameters(Card):
    """The parameters of a rock-salt particle; the defaults are the paper's."""

    n_atoms: int = Field(default=987, ge=8)
    cation: str = "Ba"
    anion: str = "O"
    lattice_constant: float = Field(default=5.54, gt=0)
    """Cubic lattice constant [Å], twice the distance of cation and anion."""
    displacement: float = Field(default=0.2, ge=0)
    """Root mean square length of the displacement vectors [Å]."""
    roughness: float = Field(default=0.12, ge=0, lt=0.5)
    """Standard deviation of the relative radius over directions."""
    orientation: Literal["lattice", "random"] = "random"
    """`lattice`: cube axes along x, y, z, as in the paper. `random`: drawn from the seed."""


def generate(parameters: Parameters, seed: int, work: Workspace) -> Atoms:
    """The particle of `seed`, centred on the mean of its positions [Å]; different seeds, different shapes."""
    shaping, displacing, turning = map(np.random.default_rng, np.random.SeedSequence(seed).spawn(3))
    positions, is_anion = _cut(parameters, shaping)
    positions += displacements(parameters.n_atoms, parameters.displacement, displacing)
    positions -= positions.mean(axis=0)
    if parameters.orientation == "random":
        positions = Rotation.random(rng=turning).apply(positions)
    try:
        return Atoms([(parameters.cation, parameters.anion)[kind] for kind in is_anion], positions)
    except KeyError as error:
        raise InputError(f"structure rock_salt: unknown element {error.args[0]!r}") from None


def _cut(parameters: Parameters, rng: np.random.Generator) -> tuple[FloatArray, IntArray]:
    """The `n_atoms` sites deepest inside a random smooth shape, (n_atoms, 3) [Å], and 1 for those of anions.

    Rock salt is a simple cubic lattice of half the lattice constant with cations and anions in turn.
    """
    radius = (3 * parameters.n_atoms / (4 * np.pi)) ** (1 / 3)
    reach = np.arange(-int(2.5 * radius) - 3, int(2.5 * radius) + 4)
    sites = np.stack(np.meshgrid(reach, reach, reach, indexing="ij"), axis=-1).reshape(-1, 3)
    points = sites + rng.uniform(-1, 1, 3)
    chosen = SmoothShape.draw(parameters.roughness, rng).deepest(points, parameters.n_atoms)
    return points[chosen] * (parameters.lattice_constant / 2), sites[chosen].sum(axis=1) % 2
