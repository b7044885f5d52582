"""A thin amorphous metal film: periodic in its plane, with two free surfaces, melted and quenched.

The geometry of the amorphous Ta film in which atomic electron tomography found pentagonal bipyramids (Yuan et
al., Nature Materials 21, 95, 2022). Ta is a metal that becomes a glass on its own even in the laboratory, at
1e14 K/s (Zhong et al., Nature 512, 177, 2014): here the quench of a simulation is as slow as the experiment.
The embedded-atom potential is that of Zhou, Johnson and Wadley. The lateral size of the film is kept, its
thickness is free.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from ase import Atoms
from pydantic import Field, field_validator

from datasets.structures.embedded_atom import chosen_metals
from datasets.structures.melt_quench import MeltQuench
from datasets.structures.molecular_dynamics import simulate_dynamics
from datasets.structures.potentials import zhou_johnson_wadley
from datasets.structures.workspace import Workspace

VERSION = 1
FloatArray = npt.NDArray[np.float64]


class Parameters(MeltQuench):
    """The parameters of a film; the defaults are a small one of Ta."""

    element: str = "Ta"
    cells: tuple[int, int, int] = (9, 9, 9)
    """Cubic bcc cells along x, y and z, of two atoms each; z is the normal of the film."""
    melt_temperature: float = Field(default=4500.0, gt=0)
    """Temperature of the melt [K]; Ta melts at 3290 K."""
    quench_rate: float = Field(default=1e14, gt=0)
    """Rate of cooling [K/s]."""

    @field_validator("element")
    @classmethod
    def _known(cls, element: str) -> str:
        chosen_metals([element])
        return element

    @field_validator("cells")
    @classmethod
    def _thick(cls, cells: tuple[int, int, int]) -> tuple[int, int, int]:
        if min(cells) < 5:
            raise ValueError("a film has at least 5 cells along each axis")
        return cells


def generate(parameters: Parameters, seed: int, work: Workspace) -> Atoms:
    """The film of `seed`, 0 ≤ x, y < cell and z = 0 in its middle [Å]; see `simulate_dynamics`."""
    start = _slab(parameters)
    atoms = simulate_dynamics(
        start,
        zhou_johnson_wadley(parameters.element),
        parameters.schedule(),
        seed=int(np.random.SeedSequence(seed).generate_state(1)[0]),
        timestep=parameters.timestep / 1000,
        work=work,
        name="film",
    )
    atoms.wrap()
    atoms.positions[:, 2] -= atoms.positions[:, 2].mean()
    return atoms


def _slab(parameters: Parameters) -> Atoms:
    """A slab of the bcc crystal with the lattice constant of the potential's nearest-neighbour distance."""
    (metal,) = chosen_metals([parameters.element])
    edge = 2 * metal.re / np.sqrt(3)
    cells = np.stack(np.meshgrid(*map(np.arange, parameters.cells), indexing="ij"), axis=-1).reshape(-1, 1, 3)
    points = (cells + np.array([[0.25, 0.25, 0.25], [0.75, 0.75, 0.75]])).reshape(-1, 3) * edge
    size = np.array(parameters.cells) * edge
    return Atoms([parameters.element] * len(points), points, cell=size, pbc=(True, True, False))
