"""A particle of an amorphous tetrahedral alloy: silicon's network, random species, fitting bonds.

The amorphous SiGeSn particle of 13,982 atoms of Busch, Rez, Treacy and Zuo, Nature (2026),
doi:10.1038/s41586-025-09924-w, made anew with the same numbers. The network is that of a quenched particle of
amorphous silicon, surface included. Its bonds are kept, atoms are named at random in exact numbers, and the
particle relaxes in a valence force field, where a bond of unlike atoms has the mean length of the two.
Tin would separate from a real melt; what is wanted is the random alloy, which this gives by construction.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt
from ase import Atoms
from pydantic import Field, field_validator
from scipy.spatial import cKDTree

from datasets.cards import Card
from datasets.structures import amorphous_silicon
from datasets.structures.valence_force_field import SPECIES, ValenceForceField
from datasets.structures.workspace import Workspace

VERSION = 1
FloatArray = npt.NDArray[np.float64]


class Parameters(Card):
    """The parameters of an amorphous tetrahedral alloy; the defaults are the published composition."""

    counts: dict[str, Annotated[int, Field(ge=0)]] = Field(default={"Si": 4610, "Ge": 4709, "Sn": 4663})
    """Atoms of each element."""
    roughness: float = Field(default=0.05, ge=0, lt=0.3)
    """As of `amorphous_silicon`."""
    quench_time: float = Field(default=60.0, gt=0)
    """As of `amorphous_silicon` [ps]."""

    @field_validator("counts")
    @classmethod
    def _known(cls, counts: dict[str, int]) -> dict[str, int]:
        if strange := sorted(set(counts) - set(SPECIES)):
            raise ValueError(f"the elements are {', '.join(SPECIES)}, not {', '.join(strange)}")
        if sum(counts.values()) < 20:
            raise ValueError("a particle has 20 atoms or more")
        return counts


def generate(parameters: Parameters, seed: int, work: Workspace) -> Atoms:
    """The particle of `seed`, centred on the mean of its positions [Å]."""
    quenching, naming = np.random.SeedSequence(seed).spawn(2)
    symbols = np.repeat(list(parameters.counts), list(parameters.counts.values()))
    network = amorphous_silicon.generate(
        amorphous_silicon.Parameters(
            n_atoms=len(symbols), roughness=parameters.roughness, quench_time=parameters.quench_time
        ),
        int(quenching.generate_state(1)[0]),
        work,
    )
    bonds = cKDTree(network.positions).query_pairs(amorphous_silicon.BOND, output_type="ndarray")
    names = [str(symbol) for symbol in np.random.default_rng(naming).permutation(symbols)]
    positions = relaxed_alloy(network.positions, bonds, names)
    return Atoms(names, positions - positions.mean(axis=0))


def relaxed_alloy(positions: FloatArray, bonds: npt.NDArray[np.intp], symbols: list[str]) -> FloatArray:
    """The relaxed positions (n_atoms, 3) [Å] of `symbols` on silicon's network, scaled to their mean bond."""
    field = ValenceForceField(symbols, bonds)
    now = np.linalg.norm(np.subtract(*positions[bonds.T]), axis=1).mean()
    return field.relax(positions * (field.bonds.length.mean() / now))
