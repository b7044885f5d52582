"""A crystalline fcc particle with defects: random shape, size, strain, twin, vacancies and displacements.

Made without dynamics, in milliseconds, and each one different: what neural tomogram augmentation is trained
and tested on (Lee, Jeong and Yang, Nature Communications 12, 1962, 2021: Pt particles, their atoms displaced
at random). Lee and Yang (Applied Microscopy 55, 7, 2025) name strain, twin boundaries and point defects among
what tomography has found in such particles, so these have them too. `info` says what the seed has drawn.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.data import chemical_symbols
from pydantic import Field, field_validator
from scipy.spatial.transform import Rotation

from datasets.cards import Card
from datasets.structures.shapes import SmoothShape
from datasets.structures.workspace import Workspace

VERSION = 1
FloatArray = npt.NDArray[np.float64]
Range = tuple[float, float]

_FCC_BASIS = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
_N_WAVES = 6


class Parameters(Card):
    """What the seed draws from: evenly between the two numbers of each range; (x, x) is x itself."""

    element: str = "Pt"
    lattice_constant: float = Field(default=3.924, gt=0)
    """Cubic lattice constant [Å]; that of Pt at room temperature is 3.924 (CRC Handbook)."""
    n_atoms: tuple[int, int] = (200, 5000)
    """Number of atoms; drawn evenly in the logarithm, so that small particles are as common as large ones."""
    roughness: Range = (0.02, 0.2)
    """Standard deviation of the relative radius over directions."""
    strain: Range = (0.0, 0.01)
    """Root mean square of the six components of a homogeneous strain."""
    strain_variation: Range = (0.0, 0.01)
    """Root mean square derivative of a smooth displacement field without mean strain, no wave of which is
    shorter than the particle's diameter."""
    twin_probability: float = Field(default=0.3, ge=0, le=1)
    """Probability of one twin boundary, a {111} plane through the inner 60 % of the particle."""
    vacancies: Range = (0.0, 0.02)
    """Fraction of the lattice sites inside that are empty."""
    displacement: Range = (0.0, 0.25)
    """Root mean square length of independent normal displacement vectors [Å], thermal and static."""

    @field_validator("element")
    @classmethod
    def _element(cls, element: str) -> str:
        if element not in chemical_symbols[1:]:
            raise ValueError("this is the symbol of an element")
        return element

    @field_validator("n_atoms", "roughness", "strain", "strain_variation", "vacancies", "displacement")
    @classmethod
    def _ordered(cls, limits: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= limits[0] <= limits[1]:
            raise ValueError("a range goes from a number that is not negative to one that is not smaller")
        return limits

    @field_validator("n_atoms")
    @classmethod
    def _some(cls, limits: tuple[int, int]) -> tuple[int, int]:
        if limits[0] < 13:
            raise ValueError("a particle has at least 13 atoms")
        return limits

    @field_validator("roughness", "strain", "strain_variation", "vacancies")
    @classmethod
    def _moderate(cls, limits: Range) -> Range:
        if limits[1] > 0.3:
            raise ValueError("fractions end at 0.3")
        return limits


def generate(parameters: Parameters, seed: int, work: Workspace) -> Atoms:
    """The particle of `seed`, centred on the mean of its positions [Å] and turned at random.

    Particles of exactly the number of atoms that was drawn: for every vacancy one more site is cut.
    """
    sizing, shaping, straining, emptying, displacing, turning = map(
        np.random.default_rng, np.random.SeedSequence(seed).spawn(6)
    )
    drawn = {
        name: float(sizing.uniform(*getattr(parameters, name)))
        for name in ("roughness", "strain", "strain_variation", "vacancies", "displacement")
    }
    n_atoms = round(float(np.exp(sizing.uniform(*np.log(parameters.n_atoms)))))
    n_vacancies = round(drawn["vacancies"] * n_atoms)
    n_sites = n_atoms + n_vacancies
    radius = (3 * n_sites / (16 * np.pi)) ** (1 / 3)
    twin_plane = float(sizing.uniform(-0.6, 0.6)) * radius
    twinned = bool(sizing.random() < parameters.twin_probability)
    points = _lattice(radius, twin_plane if twinned else None, shaping.uniform(-0.5, 0.5, 3))
    order = SmoothShape.draw(drawn["roughness"], shaping).deepest(points, n_sites)
    # a vacancy is empty inside: what is missing at the surface is shape
    inner = order[: max(n_sites - round(4 * n_sites ** (2 / 3)), n_vacancies)]
    empty = emptying.choice(inner, n_vacancies, replace=False)
    positions = points[np.setdiff1d(order, empty, assume_unique=True)] * parameters.lattice_constant
    positions -= positions.mean(axis=0)
    positions = positions @ (np.eye(3) + _symmetric(drawn["strain"], straining))
    positions += smooth_field(positions, drawn["strain_variation"], straining)
    positions += displacing.normal(scale=drawn["displacement"] / np.sqrt(3), size=positions.shape)
    positions = Rotation.random(rng=turning).apply(positions - positions.mean(axis=0))
    return Atoms(
        [parameters.element] * n_atoms,
        positions,
        info={**drawn, "vacancies": n_vacancies, "twin": "{111}" if twinned else "none"},
    )


def _lattice(radius: float, twin_plane: float | None, offset: FloatArray) -> FloatArray:
    """Points of an fcc lattice (cells of edge 1) well beyond `radius`, (n, 3).

    With a twin, what lies beyond the {111} layer nearest to `twin_plane` is the mirror image of what lies
    before it; that layer itself is shared.
    """
    reach = np.arange(-int(2.5 * radius) - 4, int(2.5 * radius) + 5)
    cells = np.stack(np.meshgrid(reach, reach, reach, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    points = (cells + _FCC_BASIS).reshape(-1, 3)
    if twin_plane is not None:
        layer = np.rint(twin_plane * np.sqrt(3))
        height = np.rint(points.sum(axis=1)) - layer
        before = points[height < 0]
        mirrored = before - 2 / 3 * height[height < 0, None]
        points = np.concatenate([points[height <= 0], mirrored])
    points = points + offset
    return points[np.linalg.norm(points, axis=1) < 1.8 * radius + 1]


def _symmetric(rms: float, rng: np.random.Generator) -> FloatArray:
    """A random symmetric (3, 3) tensor whose six components have the root mean square `rms`."""
    upper = np.triu(rng.normal(size=(3, 3)))
    components = upper[np.triu_indices(3)]
    tensor = upper + np.triu(upper, 1).T
    return tensor * (rms / np.sqrt(np.mean(components**2)))


def smooth_field(positions: FloatArray, strain: float, rng: np.random.Generator) -> FloatArray:
    """Displacements (n, 3) [Å] at `positions` by six random waves, one to three diameters long.

    The nine derivatives of the field have the root mean square `strain` over the particle, and no mean.
    """
    diameter = 2 * np.sqrt(5 / 3 * np.mean(np.sum(positions**2, axis=1)))
    directions = rng.normal(size=(_N_WAVES, 3))
    lengths = diameter * rng.uniform(1, 3, _N_WAVES)
    vectors = 2 * np.pi * directions / np.linalg.norm(directions, axis=1, keepdims=True) / lengths[:, None]
    amplitudes = rng.normal(size=(_N_WAVES, 3)) * lengths[:, None]
    phases = positions @ vectors.T + rng.uniform(0, 2 * np.pi, _N_WAVES)
    gradient = np.einsum("nw,wi,wj->nij", np.cos(phases), amplitudes, vectors)
    mean = gradient.mean(axis=0)
    field: FloatArray = np.sin(phases) @ amplitudes - positions @ mean.T
    return field * (strain / np.sqrt(np.mean((gradient - mean) ** 2)))
