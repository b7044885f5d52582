"""Is a structure what it should be? The quantities of `expected` in a structure card, on atoms.

`name[args]` names a quantity: `first_peak`, `bond_length[Si-Ge]`, `bond_angle[O-Si-O]`, `rings[6]`.
Statistics of isolated particles and films are over core atoms, at least 4 Å below the surface
(in small particles the 30 deepest; `analysis.surface`), and every value comes with its n.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ase import Atoms
from ase.data import atomic_numbers

from datasets.catalog import StructureCard
from datasets.errors import InputError, unknown_name
from datasets.structures.analysis.analysis import Analysis
from datasets.structures.analysis.quantities import QUANTITIES, Measured

_NAME = re.compile(r"^(?P<name>[a-z_]+)(?:\[(?P<arguments>[^\[\]]+)\])?$")


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
    problem: str = ""
    """Why there is no value: then it is nan, and not within."""

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


def check_card(card: StructureCard) -> None:
    """Raise `InputError` for an expected quantity of `card` that does not exist or has an empty range."""
    for quantity, expected in card.expected.items():
        parse_quantity(quantity)
        if not expected.low <= expected.high:
            raise InputError(
                f"structure {card.name}: {quantity!r} has an empty range, {expected.low} to {expected.high}"
            )


def validate(structure: Atoms | Analysis, card: StructureCard) -> list[Row]:
    """A row for every expected quantity of `card`, in its order.

    What cannot be measured on this structure is a row without a value, which is not within. Raises
    `InputError` for a name that is no quantity, before anything is measured.
    """
    names = [parse_quantity(quantity) for quantity in card.expected]
    analysis = structure if isinstance(structure, Analysis) else Analysis(structure)
    rows = []
    for (name, arguments), (quantity, expected) in zip(names, card.expected.items(), strict=True):
        known, problem = QUANTITIES[name], ""
        try:
            measured = known.measure(analysis, arguments)
        except InputError as error:
            measured, problem = Measured(float("nan"), 0), str(error)
        label = f"{known.label} {'-'.join(arguments)}".rstrip()
        limits = (expected.low, expected.high, known.unit, " ".join(expected.source.split()))
        rows.append(Row(quantity, label, measured.value, measured.error, *limits, measured.n, problem))
    return rows
