"""Is a structure what it should be? The quantities of `expected` in a structure card, on atoms.

`name[args]` names a quantity: `first_peak`, `bond_length[Si-Ge]`, `bond_angle[O-Si-O]`, `rings[6]`. Statistics of isolated
particles and films are over core atoms, at least 4 Å below the surface (`analysis.surface`); of those, n are
named with every value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.data import atomic_numbers

from datasets.catalog import StructureCard
from datasets.errors import InputError, unknown_name
from datasets.structures.analysis.analysis import Analysis
from datasets.structures.analysis.bond_angles import bond_angles
from datasets.structures.analysis.coordination import coordination_numbers, of_kinds
from datasets.structures.analysis.density import mass_density
from datasets.structures.analysis.neighbours import Pairs

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_NAME = re.compile(r"^(?P<name>[a-z_]+)(?:\[(?P<arguments>[^\[\]]+)\])?$")


@dataclass(frozen=True)
class Measured:
    """A value, over how many (`n`), and its standard error where one makes sense."""

    value: float
    n: int
    error: float | None = None


@dataclass(frozen=True)
class Quantity:
    """What a name means: `label` in words, `unit` (empty for a pure number), how many elements it may take."""

    label: str
    unit: str
    elements: tuple[int, ...]
    """Allowed numbers of elements in brackets."""
    measure: Callable[[Analysis, tuple[str, ...]], Measured]
    takes_size: bool = False
    """The argument is a whole number, the size of a ring."""


@dataclass(frozen=True)
class Row:
    """One line of a validation table."""

    quantity: str
    label: str
    value: float
    error: float | None
    low: float
    high: float
    unit: str
    source: str
    n: int

    @property
    def within(self) -> bool:
        """Whether the value lies in its range, ends included."""
        return bool(self.low <= self.value <= self.high)


def parse_quantity(quantity: str) -> tuple[str, tuple[str, ...]]:
    """`bond_angle[O-Si-O]` as ("bond_angle", ("O", "Si", "O")). Raises `InputError`."""
    match = _NAME.match(quantity.strip())
    if match is None:
        raise InputError(f"cannot read the quantity {quantity!r}; write NAME or NAME[Si-O]")
    name, arguments = match["name"], tuple((match["arguments"] or "").split("-"))
    arguments = () if arguments == ("",) else arguments
    if name not in QUANTITIES:
        raise unknown_name("quantity", name, QUANTITIES)
    known = QUANTITIES[name]
    if known.takes_size:
        if len(arguments) != 1 or not arguments[0].isdigit():
            raise InputError(f"quantity {quantity!r}: write {name}[N] with the size of the ring")
        return name, arguments
    if len(arguments) not in known.elements:
        wanted = " or ".join(map(str, known.elements))
        raise InputError(f"quantity {quantity!r}: {name} takes {wanted} elements, got {len(arguments)}")
    for symbol in arguments:
        if symbol not in atomic_numbers:
            raise InputError(f"quantity {quantity!r}: unknown element {symbol!r}")
    return name, arguments


def measure(structure: Atoms | Analysis, quantity: str) -> Measured:
    """One quantity of `structure`; hand over an `Analysis` to measure several. Raises `InputError`."""
    name, arguments = parse_quantity(quantity)
    analysis = structure if isinstance(structure, Analysis) else Analysis(structure)
    try:
        return QUANTITIES[name].measure(analysis, arguments)
    except InputError as error:
        raise InputError(f"quantity {quantity!r}: {error}") from None


def validate(structure: Atoms | Analysis, card: StructureCard) -> list[Row]:
    """A row for every expected quantity of `card`, in its order. Raises `InputError`."""
    analysis = structure if isinstance(structure, Analysis) else Analysis(structure)
    rows = []
    for quantity, expected in card.expected.items():
        name, arguments = parse_quantity(quantity)
        measured = measure(analysis, quantity)
        of = f" {'-'.join(arguments)}" if arguments else ""
        rows.append(
            Row(
                quantity,
                QUANTITIES[name].label + of,
                measured.value,
                measured.error,
                expected.low,
                expected.high,
                QUANTITIES[name].unit,
                expected.source,
                measured.n,
            )
        )
    return rows


def _mean(values: npt.NDArray[np.generic], what: str) -> Measured:
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
    "surface_fraction": Quantity("share of atoms on the surface", "", (0,), _surface_fraction),
}
