"""How atoms of each element look: one fixed colour each, wherever a structure is drawn.

Elements that occur together in a structure of the catalog differ in lightness as well as in hue: by at least
20 of CIEDE2000 for normal sight, protanopia, deuteranopia and tritanopia. Cu and Au are as on the page of a
report.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

COLOURS = {
    "C": "#5A6270",
    "O": "#C8402F",
    "Si": "#E8C468",
    "Fe": "#A65A2E",
    "Co": "#2F5C9E",
    "Cu": "#7F8FA6",
    "Ge": "#3C9A8C",
    "Pd": "#E69A4A",
    "Sn": "#6A4C93",
    "Ba": "#6FB7D9",
    "Ta": "#5B7F9B",
    "Pt": "#C9CED6",
    "Au": "#C58F00",
}
"""Colours of the catalog's elements, by atomic number; any other element has that of Jmol."""

RADIUS_FACTOR = 0.95
"""Radius of a sphere as a fraction of the covalent radius: bonded neighbours nearly touch."""


def colour(symbol: str) -> str:
    """The colour of an element, #RRGGBB."""
    from ase.data import atomic_numbers
    from ase.data.colors import jmol_colors
    from matplotlib.colors import to_hex

    return COLOURS.get(symbol) or to_hex(jmol_colors[atomic_numbers[symbol]])


def colours(symbols: Sequence[str]) -> npt.NDArray[np.float64]:
    """Red, green and blue of each atom from 0 to 1, (n, 3)."""
    from matplotlib.colors import to_rgb

    known = {symbol: to_rgb(colour(symbol)) for symbol in set(symbols)}
    return np.array([known[symbol] for symbol in symbols])


def radii(numbers: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    """Radius of each atom's sphere [Å], (n,): covalent radii (Cordero and others, Dalton Transactions 2008)
    times `RADIUS_FACTOR`.
    """
    from ase.data import covalent_radii

    return np.asarray(covalent_radii[numbers] * RADIUS_FACTOR)
