"""Seconds to make one structure of each kind anew, and to measure what its card asks for."""

from __future__ import annotations

import os

from datasets.catalog import load_structure
from datasets.structures import make_structure
from datasets.structures.validate import validate

SMALL = (
    "bao-150",
    "copdpt-300",
    "cuau-150",
    "fept",
    "graphene-240",
    "pt-amorphous",
    "pt-fcc",
    "si-208",
    "sigesn-300",
    "sio2-300",
    "ta-film",
)


class Structures:
    """The small structures of the catalog; molecular dynamics on one thread."""

    params = SMALL
    param_names = ("structure",)
    timeout = 300
    number = 1
    repeat = (1, 3, 60.0)

    def setup(self, structure: str) -> None:
        """Make and measure it once, so that everything is imported and compiled."""
        os.environ["OMP_NUM_THREADS"] = "1"
        self.card = load_structure(structure)
        self.atoms = make_structure(self.card.recipe)
        validate(self.atoms, self.card)

    def time_generate(self, structure: str) -> None:
        """From the recipe to atoms, whatever is shipped."""
        make_structure(self.card.recipe, use_shipped=False)

    def time_validate(self, structure: str) -> None:
        """All quantities of the card."""
        validate(self.atoms, self.card)
