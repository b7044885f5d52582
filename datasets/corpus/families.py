"""Families of structures to train on, and which of them a network never sees before it is judged.

A split by family, not by particle: what is asked is whether a network has learned that matter is atoms, or
the materials that it was shown. Families that train are crystals, packings and the network of silica, with
elements drawn anew; one validates (it decides when to stop, and all constants); those that test hold the
datasets reported on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.data import chemical_symbols
from scipy.spatial.transform import Rotation

from datasets.catalog import load_structure
from datasets.corpus.packing import random_packing
from datasets.structures import fcc_particle, make_structure, nanoparticle, ordered_alloy, rock_salt
from datasets.structures.shapes import SmoothShape
from datasets.structures.workspace import Workspace

Split = Literal["train", "validation", "test"]
FloatArray = npt.NDArray[np.float64]

N_ATOMS = (30, 330)
"""Atoms in a particle, drawn evenly in the logarithm."""
REACH = 11.6
"""Farthest atom from the centre [Å]; what is drawn larger is cut."""
METALS = tuple(z for z in range(12, 84) if z not in (17, 18, 35, 36, 43, 53, 54, 61))
"""Atomic numbers that particles are decorated with: no gases, halogens or elements without a stable isotope.
"""
ANIONS = (7, 8, 9, 16)
BOND = (2.3, 3.1)
"""Distance of nearest neighbours in what is close-packed [Å]."""
LIGHTEST = 0.04
"""Least ADF weight, Z**1.5 relative to the heaviest, that a species may have: O beside Ba has 0.054."""


def draw(family: str, seed: np.random.SeedSequence) -> Atoms:
    """A particle of `family`, centred on the mean of its positions [Å]; `info` holds the family."""
    drawing, making = seed.spawn(2)
    rng = np.random.default_rng(drawing)
    n_atoms = round(float(np.exp(rng.uniform(*np.log(N_ATOMS)))))
    atoms = GENERATORS[family](n_atoms, int(making.generate_state(1)[0]), rng)
    atoms.positions -= atoms.positions.mean(axis=0)
    atoms = atoms[np.linalg.norm(atoms.positions, axis=1) < REACH]
    atoms.positions -= atoms.positions.mean(axis=0)
    atoms.info = {"family": family}
    return atoms


def split_of(family: str) -> Split:
    """Whether `family` trains, validates or tests."""
    if family in TEST:
        return "test"
    return "validation" if family in VALIDATION else "train"


def _species(n_species: int, rng: np.random.Generator, pool: tuple[int, ...] = METALS) -> list[int]:
    """Atomic numbers, no two closer than 15 % in ADF weight, none below `LIGHTEST` of the heaviest."""
    while True:
        found = sorted(int(z) for z in rng.choice(pool, n_species, replace=False))
        weights = np.array(found) ** 1.5
        if weights[0] > LIGHTEST * weights[-1] and (np.diff(np.log(weights)) > 0.14).all():
            return found


def _decorate(positions: FloatArray, rng: np.random.Generator) -> Atoms:
    """One to three species: mixed at random, in a core and a shell, or on two sides of a plane."""
    species = rng.permutation(_species(int(rng.choice([1, 2, 3], p=[0.35, 0.4, 0.25])), rng))
    shares = rng.dirichlet(np.full(len(species), 2.0))
    how = rng.choice(["mixed", "shells", "sides"], p=[0.5, 0.3, 0.2])
    if how == "mixed":
        order = rng.random(len(positions))
    elif how == "shells":
        order = np.linalg.norm(positions, axis=1)
    else:
        order = positions @ Rotation.random(rng=rng).apply([1.0, 0.0, 0.0])
    rank = np.argsort(np.argsort(order)) / len(positions)
    kinds = np.searchsorted(np.cumsum(shares)[:-1], rank)
    return Atoms([chemical_symbols[species[k]] for k in kinds], positions)


def _fcc(n_atoms: int, seed: int, rng: np.random.Generator) -> Atoms:
    lattice = float(rng.uniform(*BOND)) * np.sqrt(2)
    parameters = fcc_particle.Parameters(lattice_constant=lattice, n_atoms=(n_atoms, n_atoms))
    return _decorate(fcc_particle.generate(parameters, seed, Workspace(None, False)).positions, rng)


def _ordered(n_atoms: int, seed: int, rng: np.random.Generator) -> Atoms:
    a = float(rng.uniform(*BOND)) * np.sqrt(2)
    light, heavy = (chemical_symbols[z] for z in _species(2, rng))
    parameters = ordered_alloy.Parameters(
        n_atoms=n_atoms,
        elements=(light, heavy),
        a=a,
        c=a * float(rng.uniform(0.92, 1.0)),
        order_parameter=float(rng.uniform(0.3, 1.0)),
        displacement=float(rng.uniform(0, 0.25)),
    )
    return ordered_alloy.generate(parameters, seed, Workspace(None, False))


def _rock_salt(n_atoms: int, seed: int, rng: np.random.Generator) -> Atoms:
    anion = int(rng.choice(ANIONS))
    cations = [z for z in METALS if z > anion and (anion / z) ** 1.5 > LIGHTEST]
    parameters = rock_salt.Parameters(
        n_atoms=n_atoms,
        cation=chemical_symbols[int(rng.choice(cations))],
        anion=chemical_symbols[anion],
        lattice_constant=float(rng.uniform(4.2, 5.8)),
        displacement=float(rng.uniform(0, 0.25)),
    )
    return rock_salt.generate(parameters, seed, Workspace(None, False))


def _packing(n_atoms: int, seed: int, rng: np.random.Generator) -> Atoms:
    """Two sizes of spheres that are no two species: order in space and in kind are independent."""
    small = float(rng.uniform(2.2, 2.9))
    diameters = np.where(rng.random(n_atoms) < 0.5, small, small * float(rng.uniform(1.0, 1.25)))
    return _decorate(random_packing(n_atoms, diameters, rng), rng)


def _silica(n_atoms: int, seed: int, rng: np.random.Generator) -> Atoms:
    """A piece of silica glass: as it is, with other elements, or its silicon alone, closer together."""
    glass = _bulk("sio2-7704")
    how = rng.choice(["silica", "other", "framework"])
    if how == "framework":
        glass = glass[glass.numbers == 14]
        glass.positions *= float(rng.uniform(2.2, 2.7)) / 3.1
    piece = _piece(glass, n_atoms, rng)
    if how == "other":
        light, heavy = _species(2, rng)
        piece.numbers = np.where(piece.numbers == 14, heavy, light)
        piece.positions *= float(rng.uniform(1.0, 1.4))
    return _decorate(piece.positions, rng) if how == "framework" else piece


def _amorphous_metal(n_atoms: int, seed: int, rng: np.random.Generator) -> Atoms:
    """A piece of amorphous platinum, of any size and species."""
    metal = _bulk("pt-amorphous")
    metal.positions *= float(rng.uniform(*BOND)) / 2.75
    return _decorate(_piece(metal, n_atoms, rng).positions, rng)


def _core_shell(n_atoms: int, seed: int, rng: np.random.Generator) -> Atoms:
    """Copper in gold, as the particles of paper 004."""
    parameters = nanoparticle.Parameters(n_atoms=n_atoms, core_fraction=float(rng.uniform(0.1, 0.6)))
    return nanoparticle.generate(parameters, seed, Workspace(None, False))


def _held_out(structure: str) -> Callable[[int, int, np.random.Generator], Atoms]:
    def generate(n_atoms: int, seed: int, rng: np.random.Generator) -> Atoms:
        return _piece(_bulk(structure), n_atoms, rng)

    return generate


def _piece(bulk: Atoms, n_atoms: int, rng: np.random.Generator) -> Atoms:
    """The `n_atoms` of `bulk` deepest inside a smooth shape laid anywhere inside it, turned at random."""
    centre = bulk.positions[rng.integers(len(bulk))] * float(rng.uniform(0, 0.8))
    points = Rotation.random(rng=rng).apply(bulk.positions - centre + 1e-6)
    inside = SmoothShape.draw(float(rng.uniform(0.02, 0.2)), rng).deepest(points, min(n_atoms, len(bulk)))
    return Atoms(bulk.numbers[inside], points[inside])


@cache
def _shipped(structure: str) -> Atoms:
    return make_structure(load_structure(structure).recipe)


def _bulk(structure: str) -> Atoms:
    return _shipped(structure).copy()


GENERATORS: dict[str, Callable[[int, int, np.random.Generator], Atoms]] = {
    "fcc": _fcc,
    "ordered-alloy": _ordered,
    "rock-salt": _rock_salt,
    "packing": _packing,
    "silica": _silica,
    "amorphous-metal": _amorphous_metal,
    "core-shell": _core_shell,
    "metallic-glass": _held_out("copdpt-18356"),
    "tetrahedral-alloy": _held_out("sigesn-13982"),
    "amorphous-silicon": _held_out("si-19993"),
}
VALIDATION = ("core-shell",)
TEST = ("metallic-glass", "tetrahedral-alloy", "amorphous-silicon")
TRAIN = tuple(family for family in GENERATORS if family not in VALIDATION + TEST)
