"""What paper 004 states, once: the marks that its figures are drawn with.

“Multislice Electron Tomography using 4D-STEM”, Lee et al., Phys. Rev. Applied 19, 054062 (2023): its section
III. Doses are totals over a tilt series. It pairs atoms by a rule that it does not state.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

N_ATOMS: Mapping[frozenset[str], int] = MappingProxyType(
    {frozenset({"Cu", "Au"}): 1602, frozenset({"Ba", "O"}): 987}
)
"""Atoms of its particles, by their elements."""

RMSD, TRACING, CLASSIFICATION = "rmsd", "tracing_error", "classification"
QUANTITIES: Mapping[str, str] = MappingProxyType(
    {RMSD: "RMSD (pm)", TRACING: "Tracing error (%)", CLASSIFICATION: "Classification (%)"}
)
"""The three numbers of the paper, by the name of ours: RMSD [pm], the others in %."""

FULL = 90.0
"""Tilt range [deg], from minus that to that, of a series without a missing wedge."""
FOCUS, DEFOCUSED = 0.0, -200.0
"""Defocus [Å], underfocus positive."""


@dataclass(frozen=True)
class Stated:
    """One result on Cu–Au. None: not told of one value, but of all."""

    method: str
    source: str
    values: Mapping[str, float]
    total_dose: float = math.inf
    tilt_range: float = FULL
    defocus: float | None = field(default=DEFOCUSED)
    steps: tuple[float, ...] = (0.4,)
    """Å: scan steps for which it is stated."""


def _values(rmsd: float, tracing: float, classification: float = math.nan) -> dict[str, float]:
    found = {RMSD: rmsd, TRACING: tracing, CLASSIFICATION: classification}
    return {name: value for name, value in found.items() if math.isfinite(value)}


STATED = (
    Stated("mset", "Fig. 3a", _values(6, 0, 99.9), defocus=FOCUS),
    Stated("sset", "Fig. 3b", _values(10, 2, 99), defocus=FOCUS),
    Stated("resire", "Fig. 3c", _values(12, 2, 99), defocus=FOCUS),
    Stated("genfire", "Fig. 3d", _values(12, 2, 99), defocus=FOCUS),
    Stated("mset", "Fig. 4g–i", _values(5.6, 0, 99.9), steps=(0.4, 0.8, 1.6)),
    Stated("mset", "Fig. 6b", _values(6, 0, 99.9), tilt_range=75),
    Stated("mset", "Fig. 6c", _values(6, 0, 99.9), tilt_range=50),
    Stated("mset", "Fig. 7b", _values(8.9, 1.3), 2e5, 75),
    Stated("sset", "Fig. 7d", _values(10.9, 3.2), 2e5, 75),
    Stated("resire", "Fig. 7f", _values(17.0, 9.6), 2e5, 75, FOCUS),
    Stated("mset", "Fig. 8b", _values(10.1, 0.7, 97.3), 1.25e4, 75, steps=(1.6,)),
)
"""The text of section III; the values of Fig. 3 are about so. It gives no further numbers for its figures."""

DOSES = (math.inf, 2e7, 2e6, 2e5, 2e4, 2e3)
"""Of Fig. 5, over the series."""
TYPICAL_DOSES = (2e6, 2e5)
"""Of Fig. 7."""
SPARSE_DOSES = (1.25e5, 1.25e4)
"""Of Fig. 8."""
DECENT_DOSE = 2e5
"""From which on it finds Cu and Au without a tracing error and with about 95 % classified (Fig. 5)."""
OXYGEN_DOSE = 1.25e5
"""At which it says that O is well detected in the scan of 32 × 32 probes (Fig. 8c)."""
