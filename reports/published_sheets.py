"""What paper 000 states, once: the marks that figures of sheets are drawn with.

"Physics-informed 3D atomic reconstruction and dynamics of free-standing graphene from single low-dose TEM
images" (Zhang et al., 2026). It says nothing of how atoms were paired, nor whether a mean height was removed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

DOSES = (2e3, 4e3, 6e3, 8e3, 3e4, math.inf)
"""e⁻/Å² of its simulated frames; the last without noise (Fig. 7)."""
CALIBRATED = 8e3
"""e⁻/Å², where its divergence is least (Table 1), and of its validation."""
N_ATOMS = 640
"""Of its simulated sheet."""


@dataclass(frozen=True)
class Stated:
    """One root mean square error of the paper [Å] at `dose` [e⁻/Å²]; `of` is x, y, z or total."""

    of: str
    dose: float
    value: float
    source: str


RESULTS = (
    Stated("x", 8e3, 0.082, "text, Fig. 2d"),
    Stated("y", 8e3, 0.096, "text, Fig. 2d"),
    Stated("z", 8e3, 0.45, "Table 2"),
    Stated("z", 3e4, 0.32, "text, Fig. 7"),
    Stated("total", 2e3, 1.5, "text, Fig. 7"),
    Stated("total", 4e3, 0.87, "text, Fig. 7"),
    Stated("total", 3e4, 0.33, "text, Fig. 7"),
    Stated("total", math.inf, 0.31, "text, Fig. 7"),
)
"""Every error that its text states; of 6 × 10³ it shows a point in Fig. 7 and states none."""

DIVERGENCE: Mapping[float, float] = MappingProxyType(
    {4.5e3: 0.096, 6e3: 0.072, 7e3: 0.027, 8e3: 0.021, 9e3: 0.034, 1e4: 0.051, 1.2e4: 0.085}
)
"""D_KL by trial dose [e⁻/Å²] (Table 1), of its experimental frame."""

CHI2 = (134.7, 133.6, 129.6, 129.5, 129.0)
"""After each outer iteration, beginning with the initial model (Table 2)."""
Z_RMSD = (1.11, 0.78, 0.72, 0.61, 0.45)
"""[Å], of the same (Table 2)."""

STRAIN_RANGE = 0.04
"""The greatest shear that it finds in levelled sheets (Fig. 4c)."""
HEIGHT_RANGE = 4.0
"""Å about the central surface, of its experimental sheets (Fig. 5a)."""
ELF_THRESHOLD = 0.1
"""The bond-length change from which its localisation rises steeply (Fig. 6c)."""
CRITICAL_DOSE = 4e3
"""e⁻/Å² below which it calls structural information lost."""


def stated(of: str) -> list[Stated]:
    """What the paper states of one error, by dose."""
    return sorted((s for s in RESULTS if s.of == of), key=lambda s: s.dose)
