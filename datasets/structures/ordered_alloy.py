"""A particle of an ordered L1₀ alloy: layers of two metals by turns along the c axis of a tetragonal lattice.

FePt, whose chemical order and disorder atomic electron tomography has mapped atom by atom (Yang et al.,
Nature 542, 75, 2017). The long-range order parameter is S = r₁ + r₂ − 1, with r₁ and r₂ the fractions of the
two sublattices that hold their own metal (Warren, X-ray Diffraction, 1969, ch. 12). It is set by exchanging
as many atoms of the two sublattices as it takes, so the composition stays that of the sites.
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
from datasets.structures.shapes import SmoothShape
from datasets.structures.workspace import Workspace

VERSION = 1
FloatArray = npt.NDArray[np.float64]

_FCC_BASIS = np.array([[0, 0, 0], [0.5, 0.5, 0], [0, 0.5, 0.5], [0.5, 0, 0.5]])
"""The first two sites are the layer of the first metal, the others that of the second."""


class Parameters(Card):
    """The parameters of an ordered particle; the defaults are FePt."""

    n_atoms: int = Field(default=2000, ge=13)
    elements: tuple[str, str] = ("Fe", "Pt")
    a: float = Field(default=3.86, gt=0)
    """Lattice constant in the layers, of the face-centred tetragonal cell [Å]; that of FePt."""
    c: float = Field(default=3.71, gt=0)
    """Lattice constant across the layers [Å]; that of FePt."""
    order_parameter: float = Field(default=0.9, ge=0, le=1)
    """Long-range order parameter S: 1 is perfect, 0 random. The nearest that whole atoms allow is made."""
    displacement: float = Field(default=0.1, ge=0)
    """Root mean square length of independent normal displacement vectors [Å]."""
    roughness: float = Field(default=0.1, ge=0, lt=0.5)
    """Standard deviation of the relative radius over directions."""
    orientation: Literal["lattice", "random"] = "random"
    """`lattice`: the axes a, b, c along x, y, z. `random`: drawn from the seed."""


def generate(parameters: Parameters, seed: int, work: Workspace) -> Atoms:
    """The particle of `seed`, centred on the mean of its positions [Å].

    Of n₁ and n₂ sites, exchanging k atoms of each leaves S = 1 − k/n₁ − k/n₂.
    """
    shaping, ordering, displacing, turning = map(np.random.default_rng, np.random.SeedSequence(seed).spawn(4))
    positions, second = _cut(parameters, shaping)
    sublattices = [np.flatnonzero(~second), np.flatnonzero(second)]
    exchanged = round((1 - parameters.order_parameter) / sum(1 / len(sites) for sites in sublattices))
    wrong = np.concatenate([ordering.choice(sites, exchanged, replace=False) for sites in sublattices])
    kinds = second.copy()
    kinds[wrong] = ~kinds[wrong]
    positions += displacing.normal(scale=parameters.displacement / np.sqrt(3), size=positions.shape)
    positions -= positions.mean(axis=0)
    if parameters.orientation == "random":
        positions = Rotation.random(rng=turning).apply(positions)
    try:
        atoms = Atoms([parameters.elements[int(kind)] for kind in kinds], positions)
    except KeyError as error:
        raise InputError(f"structure ordered_alloy: unknown element {error.args[0]!r}") from None
    atoms.info["antisites"] = 2 * exchanged
    atoms.info["order_parameter"] = 1 - sum(exchanged / len(sites) for sites in sublattices)
    return atoms


def _cut(parameters: Parameters, rng: np.random.Generator) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """The lattice points deepest inside a random smooth shape, (n_atoms, 3) [Å], and which are of the second
    sublattice.
    """
    edges = np.array([parameters.a, parameters.a, parameters.c])
    radius = (3 * parameters.n_atoms * edges.prod() / (16 * np.pi)) ** (1 / 3)
    cells = np.stack(
        np.meshgrid(*(np.arange(-n, n + 1) for n in (2.5 * radius / edges).astype(int) + 2), indexing="ij"),
        axis=-1,
    )
    points = ((cells.reshape(-1, 1, 3) + _FCC_BASIS) * edges).reshape(-1, 3)
    second = np.tile([False, False, True, True], len(points) // 4)
    points += rng.uniform(-0.5, 0.5, 3) * edges
    inside = SmoothShape.draw(parameters.roughness, rng).deepest(points, parameters.n_atoms)
    return points[inside], second[inside]
