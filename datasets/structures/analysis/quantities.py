"""The quantities that a structure card may name: label, unit, and how each is measured on an `Analysis`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from ase.data import atomic_numbers

from datasets.errors import InputError
from datasets.structures.analysis.analysis import Analysis
from datasets.structures.analysis.bond_angles import bond_angles
from datasets.structures.analysis.coordination import coordination_numbers, homopolar, of_kinds
from datasets.structures.analysis.crystallinity import NONE
from datasets.structures.analysis.density import mass_density
from datasets.structures.analysis.lattice import long_range_order
from datasets.structures.analysis.neighbours import Pairs
from datasets.structures.analysis.ripples import height_spectrum, heights
from datasets.structures.analysis.short_range_order import warren_cowley

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Measured:
    """A value, over how many (`n`), and its standard error where one makes sense."""

    value: float
    n: int
    error: float | None = None


@dataclass(frozen=True)
class Quantity:
    """What a name means: `label` in words, `unit` (empty for a pure number), how many elements it takes."""

    label: str
    unit: str
    elements: tuple[int, ...]
    """Allowed numbers of elements in brackets."""
    measure: Callable[[Analysis, tuple[str, ...]], Measured]
    takes_size: bool = False
    """The argument is a whole number, the size of a ring."""


def _mean(values: npt.NDArray[np.float64] | npt.NDArray[np.intp], what: str) -> Measured:
    """The mean and its standard error, of independent values."""
    if not len(values):
        raise InputError(f"there are no {what} in the core")
    error = float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
    return Measured(float(np.mean(values)), len(values), error)


def _spread(values: FloatArray, what: str) -> Measured:
    """The standard deviation and its standard error."""
    if len(values) < 2:
        raise InputError(f"there are fewer than two {what} in the core")
    value = float(np.std(values))
    return Measured(value, len(values), value / float(np.sqrt(2 * len(values))))


def _centres(analysis: Analysis, symbol: str) -> BoolArray:
    """The core atoms of one element."""
    analysis.check_elements((symbol,))
    chosen = analysis.core & (analysis.atoms.numbers == atomic_numbers[symbol])
    if not chosen.any():
        raise InputError(f"no {symbol} atom lies in the core")
    return np.asarray(chosen)


def _n_atoms(analysis: Analysis, _: tuple[str, ...]) -> Measured:
    return Measured(len(analysis.atoms), len(analysis.atoms))


def _count(analysis: Analysis, kinds: tuple[str, ...]) -> Measured:
    analysis.check_elements(kinds)
    count = int(np.count_nonzero(analysis.atoms.numbers == atomic_numbers[kinds[0]]))
    return Measured(count, len(analysis.atoms))


def _density(analysis: Analysis, _: tuple[str, ...]) -> Measured:
    if analysis.surface.is_sheet:
        raise InputError("a sheet of atoms has no volume, and so no density")
    return Measured(mass_density(analysis.atoms, analysis.core), int(analysis.core.sum()))


def _number_density(analysis: Analysis, _: tuple[str, ...]) -> Measured:
    return Measured(analysis.number_density, int(analysis.core.sum()))


def _minimum_distance(analysis: Analysis, kinds: tuple[str, ...]) -> Measured:
    pairs = analysis.pairs
    if kinds:
        analysis.check_elements(kinds)
        pairs = of_kinds(pairs, analysis.atoms, kinds[0], kinds[1])
    if not len(pairs.first):
        raise InputError("there are no such pairs of atoms")
    return Measured(float(pairs.distance.min()), len(pairs.first))


def _first_peak(analysis: Analysis, kinds: tuple[str, ...]) -> Measured:
    return Measured(analysis.radial_distribution(*kinds).first_peak, int(analysis.core.sum()))


def _second_peak(analysis: Analysis, kinds: tuple[str, ...]) -> Measured:
    return Measured(analysis.radial_distribution(*kinds).second_peak, int(analysis.core.sum()))


def _bonds(analysis: Analysis, kinds: tuple[str, ...]) -> Pairs:
    return analysis.kind_bonds(kinds[0], kinds[1]) if kinds else analysis.core_bonds


def _bond_length(analysis: Analysis, kinds: tuple[str, ...]) -> Measured:
    return _mean(_bonds(analysis, kinds).distance, "bonds")


def _bond_length_std(analysis: Analysis, kinds: tuple[str, ...]) -> Measured:
    return _spread(_bonds(analysis, kinds).distance, "bonds")


def _coordination(analysis: Analysis, kinds: tuple[str, ...]) -> Measured:
    if not kinds:
        return _mean(coordination_numbers(analysis.core_bonds)[analysis.core], "atoms")
    bonds = analysis.core_bonds if len(kinds) == 1 else analysis.kind_bonds(kinds[0], kinds[1])
    return _mean(coordination_numbers(bonds)[_centres(analysis, kinds[0])], "atoms")


def _fourfold(analysis: Analysis, kinds: tuple[str, ...]) -> Measured:
    chosen = _centres(analysis, kinds[0]) if kinds else analysis.core
    return _share(coordination_numbers(analysis.core_bonds)[chosen] == 4)


def _share(true: BoolArray) -> Measured:
    """The share of `true` and its binomial standard error."""
    share = float(true.mean())
    return Measured(share, len(true), float(np.sqrt(share * (1 - share) / len(true))))


def _angles(analysis: Analysis, kinds: tuple[str, ...]) -> FloatArray:
    analysis.check_elements(kinds)
    if not kinds:
        return bond_angles(analysis.bonds, analysis.core)
    return bond_angles(analysis.bonds, analysis.core, analysis.atoms, (kinds[0], kinds[1], kinds[2]))


def _bond_angle(analysis: Analysis, kinds: tuple[str, ...]) -> Measured:
    return _mean(_angles(analysis, kinds), "bond angles")


def _bond_angle_std(analysis: Analysis, kinds: tuple[str, ...]) -> Measured:
    return _spread(_angles(analysis, kinds), "bond angles")


def _surface_fraction(analysis: Analysis, _: tuple[str, ...]) -> Measured:
    return Measured(float(analysis.surface.outermost.mean()), len(analysis.atoms))


def _rings(analysis: Analysis, size: tuple[str, ...]) -> Measured:
    formers = analysis.formers
    chosen = formers & analysis.core
    value = analysis.rings.per_former(formers, analysis.core).get(int(size[0]), 0.0)
    # rings are independent of each other as far as counting goes
    return Measured(value, int(chosen.sum()), float(np.sqrt(value / chosen.sum())))


def _homopolar_bonds(analysis: Analysis, _: tuple[str, ...]) -> Measured:
    if analysis.formers.all():
        raise InputError("homopolar bonds are those of a network with bridging O, S or Se atoms")
    return _share(homopolar(analysis.covalent_bonds, analysis.atoms))


def _warren_cowley(analysis: Analysis, kinds: tuple[str, ...]) -> Measured:
    analysis.check_elements(kinds)
    value, n = warren_cowley(analysis.core_bonds, analysis.atoms, kinds[0], kinds[1])
    return Measured(value, n)


def _crystalline_fraction(analysis: Analysis, _: tuple[str, ...]) -> Measured:
    return _share(analysis.crystal[analysis.core] != NONE)


def _lattice_constant(analysis: Analysis, _: tuple[str, ...]) -> Measured:
    lattice = analysis.lattice
    return Measured(lattice.constant, int(lattice.belonging.sum()), lattice.constant_error)


def _displacement_rms(analysis: Analysis, _: tuple[str, ...]) -> Measured:
    n = int(analysis.lattice.belonging.sum())
    value = analysis.lattice.displacement_rms
    return Measured(value, n, value / float(np.sqrt(6 * n)))


def _order_parameter(analysis: Analysis, _: tuple[str, ...]) -> Measured:
    value, _axis = _order(analysis)
    return Measured(value, int(analysis.lattice.belonging.sum()))


def _order(analysis: Analysis) -> tuple[float, int]:
    if len(analysis.elements) != 2:
        raise InputError(f"L1₀ order is that of two elements, this structure has {len(analysis.elements)}")
    return long_range_order(analysis.atoms, analysis.lattice, analysis.elements[0])


def _tetragonality(analysis: Analysis, _: tuple[str, ...]) -> Measured:
    edges = np.linalg.norm(analysis.lattice.matrix, axis=0)
    axis = _order(analysis)[1]
    value = float(edges[axis] / np.delete(edges, axis).mean())
    return Measured(value, int(analysis.lattice.belonging.sum()))


def _ripple_rms(analysis: Analysis, _: tuple[str, ...]) -> Measured:
    _needs_sheet(analysis)
    height = heights(analysis.atoms)
    return Measured(float(np.sqrt(np.mean(height**2))), len(height))


def _ripple_slope(analysis: Analysis, _: tuple[str, ...]) -> Measured:
    _needs_sheet(analysis)
    spectrum = height_spectrum(analysis.atoms)
    slope, error = spectrum.slope()
    return Measured(slope, len(spectrum.q), error)


def _needs_sheet(analysis: Analysis) -> None:
    if not analysis.surface.is_sheet:
        raise InputError("ripples are those of a sheet of atoms")


QUANTITIES: Mapping[str, Quantity] = {
    "n_atoms": Quantity("atoms", "", (0,), _n_atoms),
    "count": Quantity("atoms of", "", (1,), _count),
    "density": Quantity("density of the core", "g/cm³", (0,), _density),
    "number_density": Quantity("number density of the core", "1/Å³", (0,), _number_density),
    "minimum_distance": Quantity("smallest distance", "Å", (0, 2), _minimum_distance),
    "first_peak": Quantity("first peak of g(r)", "Å", (0, 2), _first_peak),
    "second_peak": Quantity("second peak of g(r)", "Å", (0, 2), _second_peak),
    "bond_length": Quantity("mean bond length", "Å", (0, 2), _bond_length),
    "bond_length_std": Quantity("standard deviation of bond lengths", "Å", (0, 2), _bond_length_std),
    "coordination": Quantity("coordination", "", (0, 1, 2), _coordination),
    "fourfold": Quantity("share with exactly four neighbours", "", (0, 1), _fourfold),
    "bond_angle": Quantity("mean bond angle", "deg", (0, 3), _bond_angle),
    "bond_angle_std": Quantity("standard deviation of bond angles", "deg", (0, 3), _bond_angle_std),
    "rings": Quantity("rings per network former, of size", "", (), _rings, takes_size=True),
    "homopolar_bonds": Quantity("share of homopolar bonds", "", (0,), _homopolar_bonds),
    "warren_cowley": Quantity("Warren–Cowley parameter of the first shell", "", (2,), _warren_cowley),
    "crystalline_fraction": Quantity("share in crystalline surroundings", "", (0,), _crystalline_fraction),
    "lattice_constant": Quantity("lattice constant", "Å", (0,), _lattice_constant),
    "displacement_rms": Quantity("rms displacement from the lattice", "Å", (0,), _displacement_rms),
    "order_parameter": Quantity("L1₀ order parameter", "", (0,), _order_parameter),
    "tetragonality": Quantity("c/a of the L1₀ cell", "", (0,), _tetragonality),
    "ripple_rms": Quantity("rms height of the ripples", "Å", (0,), _ripple_rms),
    "ripple_slope": Quantity("slope of the height spectrum", "", (0,), _ripple_slope),
    "surface_fraction": Quantity("share of atoms on the surface", "", (0,), _surface_fraction),
}
