"""A glassy metal particle: a droplet, melted in vacuum and quenched faster than it can crystallise.

The amorphous Co–Pd–Pt particle of atomic electron tomography (Yang et al., Nature 592, 60, 2021, with the
lighter and the heavier elements of that glass taken together) and amorphous particles of a single metal (Yuan
et al., Nature Materials 21, 95, 2022), by molecular dynamics with the embedded-atom potential of Zhou,
Johnson and Wadley. A free droplet becomes round, and its surface is that of a liquid.

Every real quench is slower, by orders of magnitude: a metal with atoms of nearly one size crystallises in
nanoseconds, and a simulation that is to end in a glass must outrun that. What it freezes is a liquid at a
higher temperature, with a little less icosahedral order than a glass made slowly.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt
from ase import Atoms
from pydantic import Field, field_validator
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from datasets.structures.embedded_atom import Metal, chosen_metals
from datasets.structures.melt_quench import MeltQuench
from datasets.structures.molecular_dynamics import simulate_dynamics
from datasets.structures.potentials import zhou_johnson_wadley
from datasets.structures.workspace import Workspace

VERSION = 1
FloatArray = npt.NDArray[np.float64]
Count = Annotated[int, Field(ge=1)]

REACH = 1.5
"""Atoms within this many nearest-neighbour distances hang together."""
_FCC_BASIS = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])


class Parameters(MeltQuench):
    """The parameters of a glassy particle; the defaults are the composition of the Co–Pd–Pt particle."""

    counts: dict[str, Count | tuple[Count, Count]] = Field(
        default={"Co": 8322, "Pd": 6896, "Pt": 3138}, min_length=1
    )
    """Atoms of each element, or the least and the most: the seed draws evenly in the logarithm."""

    @field_validator("counts")
    @classmethod
    def _known_and_ordered(cls, counts: dict[str, int | tuple[int, int]]) -> dict[str, int | tuple[int, int]]:
        chosen_metals(list(counts))
        for symbol, count in counts.items():
            if isinstance(count, tuple) and count[0] > count[1]:
                raise ValueError(f"the least number of {symbol} must come before the most")
        return counts


def generate(parameters: Parameters, seed: int, work: Workspace) -> Atoms:
    """The particle of `seed`, centred on the mean of its positions [Å]; see `simulate_dynamics`."""
    drawing, moving = np.random.SeedSequence(seed).spawn(2)
    droplet = _droplet(parameters, np.random.default_rng(drawing))
    *cooling, relaxing = parameters.schedule()
    potential = zhou_johnson_wadley(*parameters.counts)
    state = int(moving.generate_state(1)[0])
    step = parameters.timestep / 1000
    atoms = simulate_dynamics(
        droplet, potential, cooling, seed=state, timestep=step, work=work, name="quench"
    )
    atoms.info["returned_atoms"] = return_strays(atoms, _mean_spacing(chosen_metals(list(atoms.symbols))))
    atoms = simulate_dynamics(atoms, potential, [relaxing], seed=state, work=work, name="relax")
    atoms.positions -= atoms.positions.mean(axis=0)
    return atoms


def _droplet(parameters: Parameters, rng: np.random.Generator) -> Atoms:
    """A ball of a random alloy on an fcc lattice of about the right density."""
    numbers = {
        symbol: round(float(np.exp(rng.uniform(*np.log(count))))) if isinstance(count, tuple) else count
        for symbol, count in parameters.counts.items()
    }
    symbols = np.repeat(list(numbers), list(numbers.values()))
    n_atoms = len(symbols)
    metals = dict(zip(numbers, chosen_metals(list(numbers)), strict=True))
    spacing = _mean_spacing([metals[symbol] for symbol in symbols])
    radius = (3 * n_atoms / (16 * np.pi)) ** (1 / 3)
    reach = np.arange(-int(radius) - 3, int(radius) + 4)
    cells = np.stack(np.meshgrid(reach, reach, reach, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    points = (cells + _FCC_BASIS).reshape(-1, 3) + rng.uniform(-0.5, 0.5, 3)
    inside = np.argsort(np.linalg.norm(points, axis=1), kind="stable")[:n_atoms]
    return Atoms(rng.permutation(symbols), points[inside] * spacing * np.sqrt(2))


def _mean_spacing(metals: list[Metal]) -> float:
    """The nearest-neighbour distance [Å] at which an alloy has the mean atomic volume of its metals."""
    return float(np.mean([metal.re**3 for metal in metals]) ** (1 / 3))


def return_strays(atoms: Atoms, spacing: float, reach: float = REACH) -> int:
    """Bring what evaporated back to the surface of the largest piece, in place; how many atoms these were.

    Atoms closer than `reach` spacings [Å] hang together. A stray falls towards the middle until it is one
    spacing from an atom.
    """
    tree = cKDTree(atoms.positions)
    bonds = tree.sparse_distance_matrix(tree, reach * spacing)
    _, labels = connected_components(bonds, directed=False)
    largest = np.bincount(labels).argmax()
    strays = np.flatnonzero(labels != largest)
    body = atoms.positions[labels == largest]
    middle = body.mean(axis=0)
    for stray in strays:
        direction = atoms.positions[stray] - middle
        direction /= np.linalg.norm(direction)
        along = (body - middle) @ direction
        room = spacing**2 - (np.sum((body - middle) ** 2, axis=1) - along**2)
        touching = room >= 0
        atoms.positions[stray] = middle + direction * (along[touching] + np.sqrt(room[touching])).max()
        body = np.vstack([body, atoms.positions[stray]])
    return len(strays)
