"""What paper 003 states, once: the marks that its figures are drawn with.

"Accurate determination of the 3D atomic structure of amorphous materials", Nature (2026),
doi:10.1038/s41586-025-09857-4. Its rule of scoring is not ours (`benchmarks.metrics.published`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

ALL = "all"
"""The key of all atoms together, beside those of the species."""

SAME_DOSE = 0.05
"""Doses whose decimal logarithms differ by less are the same to a reader: 1.6e4 and 1.7e4."""


@dataclass(frozen=True)
class Specimen:
    """A particle of the paper: its elements, lightest first, how many atoms, and images per series."""

    name: str
    elements: tuple[str, ...]
    n_atoms: int
    n_images: int
    cutoff: float
    """Å, within which the paper's code takes an atom for identified."""


@dataclass(frozen=True)
class Published:
    """One result: `identified` [%] and `rmsd` [pm] by species and for `ALL`, at `dose` [e⁻/Å² per image]."""

    specimen: str
    case: str
    dose: float
    identified: Mapping[str, float]
    rmsd: Mapping[str, float]
    source: str


SPECIMENS = (
    Specimen("si-208", ("Si",), 208, 60, 0.9),
    Specimen("si-19993", ("Si",), 19_993, 60, 1.0),
    Specimen("sigesn-13982", ("Si", "Ge", "Sn"), 13_982, 60, 1.5),
    Specimen("copdpt-18356", ("Co", "Pd", "Pt"), 18_356, 55, 1.5),
    Specimen("sio2-7704", ("O", "Si"), 7_704, 49, 1.0),
)
"""Extended Data Table 1; the cutoffs are those of its public code."""

FOCUSED = "focused"
DEFOCUS = "random defocus"
REFINED = "tilt errors, RESIRE with angular refinement"
UNREFINED = "tilt errors, RESIRE"
UPDATED_SIRT = "tilt errors, updated SIRT"
EARLIER = "images of the earlier study"
SINGLE_SLICE = "single-slice ptychography"
MULTISLICE = "multislice ptychography"


def _silicon(name: str, dose: float, identified: float, rmsd: float, source: str) -> Published:
    return Published(
        name, DEFOCUS, dose, {ALL: identified, "Si": identified}, {ALL: rmsd, "Si": rmsd}, source
    )


def _alloy(
    name: str, case: str, dose: float, identified: Sequence[float], rmsd: Sequence[float], source: str
) -> Published:
    """Values by species, lightest first, then for all where they are stated."""
    keys = (*next(s for s in SPECIMENS if s.name == name).elements, ALL)
    return Published(
        name,
        case,
        dose,
        dict(zip(keys, identified, strict=False)),
        dict(zip(keys, rmsd, strict=False)),
        source,
    )


RESULTS = (
    _silicon("si-208", 8.0e3, 95.7, 29, "Fig. 1d"),
    _silicon("si-208", 1.6e4, 100, 17, "Fig. 1d"),
    _silicon("si-208", 1.6e5, 100, 4, "Fig. 1d"),
    _silicon("si-19993", 8.0e3, 92.3, 39, "Fig. 1h"),
    _silicon("si-19993", 1.6e4, 98.2, 25, "Fig. 1h"),
    _silicon("si-19993", 1.6e5, 100, 12, "Fig. 1h"),
    _alloy("sigesn-13982", DEFOCUS, 1.6e4, (61.3, 99.0, 100, 86.9), (68, 18, 9, 35), "Fig. 2d, f"),
    _alloy("sigesn-13982", DEFOCUS, 1.6e5, (75.1, 99.9, 100, 91.8), (50, 10, 5, 27), "Fig. 2e, f"),
    _alloy("copdpt-18356", FOCUSED, 1.7e4, (95.1, 99.0, 100, 97.4), (29, 12, 6, 21), "Fig. 3d, e"),
    _alloy(
        "copdpt-18356", DEFOCUS, 1.7e4, (90.3, 98.3, 99.9, 95), (40, 15, 7, 28), "Extended Data Fig. 6d, e"
    ),
    _alloy("copdpt-18356", REFINED, 1.7e4, (94.8, 98.9, 100), (30, 12, 7), "Extended Data Fig. 7b"),
    _alloy("copdpt-18356", UNREFINED, 1.7e4, (87.1, 95.5, 99.7), (42, 17, 9), "Extended Data Fig. 7c"),
    _alloy("copdpt-18356", UPDATED_SIRT, 1.7e4, (85.8, 95.7, 99.7), (44, 19, 12), "Extended Data Fig. 7d"),
    _alloy("copdpt-18356", EARLIER, 1.7e4, (89.5, 73.7, 97.6), (39, 11, 8), "Extended Data Fig. 5g"),
    _alloy("sio2-7704", SINGLE_SLICE, 1.6e3, (77.5, 90.8, 82), (28, 17, 24), "Fig. 4c"),
    _alloy("sio2-7704", MULTISLICE, 1.6e3, (96.7, 98.2, 97.2), (14, 10, 13), "Fig. 4c"),
    _alloy("sio2-7704", SINGLE_SLICE, 1.6e4, (85, 96.3, 88.8), (22, 13, 19), "Extended Data Fig. 8a"),
    _alloy("sio2-7704", MULTISLICE, 1.6e4, (100, 100, 100), (8, 5, 7), "Extended Data Fig. 8a"),
)
"""The text of the paper, and the captions of the figures named."""

HETEROATOMIC_RINGS: Mapping[tuple[str, float], float] = MappingProxyType(
    {(SINGLE_SLICE, 1.6e3): 33.8, (MULTISLICE, 1.6e3): 80.6, (MULTISLICE, 1.6e4): 100.0}
)
"""Rings of the traced silica in which Si and O alternate [%], by case and dose (the text on Fig. 4d–f and
Extended Data Fig. 8b); nothing is stated of single slices at the higher dose."""

SHIFT_RANGE = (-0.92, 1.25)
"""Å: misalignment that the paper found in the CoPdPt images of the earlier study (Extended Data Fig. 5a)."""


def specimen_like(elements: Sequence[str], n_atoms: int) -> Specimen | None:
    """The paper's particle of the same elements, of several the one nearest in size; None without any."""
    same = [s for s in SPECIMENS if set(s.elements) == set(elements)]
    return min(same, key=lambda s: abs(math.log(s.n_atoms / max(n_atoms, 1))), default=None)


def results_of(specimen: Specimen | None, case: str) -> list[Published]:
    """What the paper states of one particle in one case, by dose."""
    if specimen is None:
        return []
    return [r for r in RESULTS if (r.specimen, r.case) == (specimen.name, case)]


def same_dose(one: float, other: float) -> bool:
    """Whether two doses are the same to a reader."""
    return abs(math.log10(one / other)) < SAME_DOSE
