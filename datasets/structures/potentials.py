"""The interatomic potentials that structures are made with, each with its reference."""

from __future__ import annotations

from datasets.structures import embedded_atom
from datasets.structures.molecular_dynamics import Potential


def zhou_johnson_wadley(*elements: str) -> Potential:
    """The embedded-atom potential of Zhou, Johnson and Wadley (2004) for `elements` and their alloys.

    Sixteen metals (`embedded_atom.metals`); raises `InputError` for another. 0.2 s per table.
    """
    return Potential(
        elements=elements,
        pair_style="eam/alloy",
        pair_coeff=("* * {table} {elements}",),
        reference=embedded_atom.REFERENCE,
        table=embedded_atom.setfl(elements, embedded_atom.chosen_metals(elements)),
    )
