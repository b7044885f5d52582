"""What the quantities of one structure share: its surface and core, its pairs, g(r) and bonds, each made
once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.data import atomic_numbers
from scipy.spatial import ConvexHull

from datasets.errors import InputError, unknown_name
from datasets.structures.analysis.coordination import covalent_bonds, network_formers, of_kinds
from datasets.structures.analysis.crystallinity import (
    BCC,
    CUBIC_DIAMOND,
    FCC,
    NAMES,
    crystalline,
    nearest_vectors,
)
from datasets.structures.analysis.density import number_density
from datasets.structures.analysis.lattice import Lattice, fit_lattice
from datasets.structures.analysis.neighbours import Pairs, pairs_within
from datasets.structures.analysis.radial_distribution import (
    R_MAX,
    RadialDistribution,
    bin_centres,
    radial_distribution,
)
from datasets.structures.analysis.rings import MAX_SIZE, Rings, find_rings
from datasets.structures.analysis.surface import CORE_DEPTH, Surface, find_surface

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]
BoolArray = npt.NDArray[np.bool_]

_COARSE_STEP = 0.5
"""The part of a sphere inside the body varies slowly: it is computed at these radii [Å] and interpolated."""

_LONGEST_BOND = 4.0
"""No covalent bond is longer than this [Å]."""
_HAVE_BONDS = 0.05
"""Two elements are bonded to each other where there are more bonds per atom than this."""


@dataclass(frozen=True, eq=False)
class Analysis:
    """A structure and what was found out about it. Statistics are over `core` atoms, their neighbours over
    all.
    """

    atoms: Atoms
    core_depth: float = CORE_DEPTH
    """Depth below the surface at which the core begins [Å]."""
    _radial: dict[tuple[str, ...], RadialDistribution] = field(default_factory=dict, init=False, repr=False)

    @property
    def elements(self) -> list[str]:
        """The elements there are, by atomic number."""
        return [str(self.atoms.symbols[k]) for k in np.unique(self.atoms.numbers, return_index=True)[1]]

    @cached_property
    def surface(self) -> Surface:
        """Surface and depths."""
        return find_surface(self.atoms)

    @cached_property
    def core(self) -> BoolArray:
        """The atoms of the core, (n_atoms,); all where nothing ends."""
        return self.surface.core(self.core_depth)

    @cached_property
    def number_density(self) -> float:
        """Atoms per Å³ of the core."""
        if self.surface.is_sheet:
            raise InputError("a sheet of atoms has no volume, and so no density")
        return number_density(self.atoms, self.core)

    @cached_property
    def areal_density(self) -> float:
        """Atoms of a sheet per Å²."""
        atoms = self.atoms
        if atoms.pbc.sum() == 2:
            first, second = atoms.cell.array[atoms.pbc]
            return len(atoms) / float(np.linalg.norm(np.cross(first, second)))
        centred = atoms.positions - atoms.positions.mean(axis=0)
        plane = centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T
        return len(atoms) / float(ConvexHull(plane).volume)

    @cached_property
    def pairs(self) -> Pairs:
        """All pairs up to 5 Å or 1.5 times the first minimum of g(r), whichever is more."""
        return pairs_within(self.atoms, max(5.0, 1.5 * self.cutoff))

    @cached_property
    def _far_pairs(self) -> Pairs:
        """The pairs up to 10 Å that begin in the core."""
        pairs = pairs_within(self.atoms, R_MAX)
        return pairs.among(self.core)

    @cached_property
    def _inside(self) -> FloatArray:
        coarse = np.arange(0.0, R_MAX + _COARSE_STEP, _COARSE_STEP)
        if self.surface.body is None:
            return np.ones(len(bin_centres()))
        skin = 0.5 * self.number_density ** (-1 / 3)
        fraction = self.surface.inside_fraction(self.atoms, self.core, coarse, skin)
        return np.asarray(np.interp(bin_centres(), coarse, fraction))

    def radial_distribution(self, *kinds: str) -> RadialDistribution:
        """g(r) of all pairs, or of two elements: `radial_distribution("Si", "O")`."""
        kinds = tuple(sorted(kinds))
        self.check_elements(kinds)
        if kinds not in self._radial:
            core, numbers = self.core, self.atoms.numbers
            pairs, centres, share = self._far_pairs, core, 1.0
            if kinds:
                pairs = of_kinds(pairs, self.atoms, kinds[0], kinds[1])
                centres = core & (numbers == atomic_numbers[kinds[0]])
                share = float(np.mean(numbers[core] == atomic_numbers[kinds[1]]))
            if not len(pairs.first):
                raise InputError(f"there are no pairs {'-'.join(kinds)} within {R_MAX:g} Å of the core")
            sheet = self.surface.is_sheet
            self._radial[kinds] = radial_distribution(
                pairs.distance,
                n_centres=int(centres.sum()),
                density=share * (self.areal_density if sheet else self.number_density),
                inside=self._inside,
                dimensions=2 if sheet else 3,
            )
        return self._radial[kinds]

    @cached_property
    def cutoff(self) -> float:
        """Where the first shell of all pairs ends [Å]: the first minimum of g(r)."""
        return self.radial_distribution().first_minimum

    @cached_property
    def bonds(self) -> Pairs:
        """The pairs of the first shell."""
        return self.pairs.within(self.cutoff)

    @cached_property
    def core_bonds(self) -> Pairs:
        """The bonds that begin at core atoms."""
        return self.bonds.among(self.core)

    @cached_property
    def covalent_bonds(self) -> Pairs:
        """The pairs from core atoms that are close enough for a covalent bond of their elements."""
        return covalent_bonds(pairs_within(self.atoms, _LONGEST_BOND), self.atoms).among(self.core)

    @cached_property
    def formers(self) -> BoolArray:
        """The network formers, (n_atoms,)."""
        return network_formers(self.atoms)

    @cached_property
    def rings(self) -> Rings:
        """The primitive rings of up to ten network formers."""
        per_former = 1 if self.formers.all() else 2
        return find_rings(self.bonds, max_length=per_former * MAX_SIZE)

    @cached_property
    def heteropolar(self) -> bool:
        """Whether bonds join unlike elements nearly always."""
        if len(self.elements) == 1:
            return False
        bonds, numbers = self.core_bonds, self.atoms.numbers
        return bool(np.mean(numbers[bonds.first] == numbers[bonds.second]) < 0.1)

    @cached_property
    def crystal(self) -> IntArray:
        """The kind of crystal around every atom, (n_atoms,), as in `crystallinity`."""
        return crystalline(self.atoms, self.heteropolar, self.formers)

    @cached_property
    def lattice(self) -> Lattice:
        """The cubic lattice of the kind that most of the structure has; `InputError` where there is none."""
        counts = np.bincount(self.crystal, minlength=len(NAMES))
        kind = {FCC: "fcc", BCC: "bcc", CUBIC_DIAMOND: "diamond"}.get(int(np.argmax(counts[1:])) + 1)
        if kind is None or not counts[1:].any():
            raise InputError("this structure is no fcc, bcc, rock-salt or diamond crystal")
        if kind == "fcc" and self.heteropolar:
            kind = "rock salt"
        # the first shell of bcc may include the second: 8 and 6 neighbours, 15 % apart
        bonds = self.pairs.within(1.08 * self._eighth_neighbour) if kind == "bcc" else self.bonds
        return fit_lattice(self.atoms, bonds, kind)

    @cached_property
    def _eighth_neighbour(self) -> float:
        """The mean distance of the eight nearest [Å], over the core."""
        _, vectors = nearest_vectors(self.pairs.among(self.core), 8)
        return float(np.linalg.norm(vectors, axis=2).mean())

    def kind_bonds(self, first: str, second: str) -> Pairs:
        """The nearest pairs of two elements, from core atoms of the first.

        Their bonds, where they are bonded; else (Si-Si in silica) the pairs up to the first minimum of
        their own g(r).
        """
        self.check_elements((first, second))
        bonded = of_kinds(self.core_bonds, self.atoms, first, second)
        centres = np.count_nonzero(self.core & (self.atoms.numbers == atomic_numbers[first]))
        if len(bonded.first) > _HAVE_BONDS * centres:
            return bonded
        nearest = self.pairs.within(self.radial_distribution(first, second).first_minimum)
        return of_kinds(nearest, self.atoms, first, second).among(self.core)

    def check_elements(self, kinds: tuple[str, ...]) -> None:
        """Raise `InputError` for an element that the structure does not have."""
        for symbol in kinds:
            if symbol not in self.elements:
                raise unknown_name("element", symbol, self.elements)
