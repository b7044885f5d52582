"""Electron localisation from geometry, by the polynomials published in paper 000 (eqs. 1–3).

They are that paper's fits to its DFT (VASP, PBE) of one experimental frame, copied as printed; nothing here
has measured them, and each takes one variable as if the others did not matter. Outside of the range that was
fitted polynomials of the fifth degree say nothing, so values there are NaN.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
import numpy.typing as npt

from datasets.errors import unknown_name

FloatArray = npt.NDArray[np.float64]

Variable = Literal["gradient", "shear", "bond_length_change"]
"""g; ε_xy; δ."""

SOURCE = "published polynomial (paper 000), not computed here"
"""What a figure that shows these values says beside them."""


@dataclass(frozen=True)
class Polynomial:
    """`coefficients`, the highest power first, and the `domain` of the variable in the paper's figures."""

    coefficients: tuple[float, ...]
    domain: tuple[float, float]


PUBLISHED: Mapping[str, Polynomial] = MappingProxyType(
    {
        "gradient": Polynomial((-0.58, 0.05, 0.09, 0.04), (0.0, 0.5)),
        "shear": Polynomial((14.64, 17.91, -0.25, 0.04), (-0.04, 0.04)),
        "bond_length_change": Polynomial((144.75, 71.48, 3.14, 0.45, 0.006, 0.041), (-0.2, 0.2)),
    }
)
"""Equations 1, 2 and 3. The domains are what the text says of the reconstructed structures: shear to ±
0.04, bonds to ± 0.2; of the gradient it says nothing, and eq. 1 falls below zero beyond 0.57."""


def published_localisation(variable: Variable, values: npt.ArrayLike) -> FloatArray:
    """The electron localisation function, as published, at `values` of `variable`; NaN outside of its domain.

    Raises `InputError` for another variable.
    """
    if variable not in PUBLISHED:
        raise unknown_name("variable", variable, PUBLISHED)
    polynomial = PUBLISHED[variable]
    x = np.asarray(values, dtype=np.float64)
    low, high = polynomial.domain
    return np.where((x >= low) & (x <= high), np.polyval(polynomial.coefficients, x), np.nan)
