"""The figures and checks of a structure: what it is and what its card promises decide which there are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from ase.data import atomic_numbers

from datasets.catalog import StructureCard
from datasets.errors import InputError
from reports.figures import structure_statistics, structures
from reports.figures.structures import Drawing
from reports.page.gallery import Check

if TYPE_CHECKING:
    from ase import Atoms

    from datasets.structures.analysis.analysis import Analysis

FloatArray = npt.NDArray[np.float64]
ALL = "all pairs"
NETWORK = frozenset(("C", "Si", "Ge", "Sn", "O"))
"""Structures of these elements alone are networks of bonds, which have rings."""
UNITS = {"deg": "°"}
"""How a unit is written after a value, where not as it is called."""
RARE = 0.05
"""An element that is less than this part of the core has no radial distribution of its own."""
SHOWN_DISTANCE = 10.0
"""Distances up to this [Å] are drawn."""


def figures(card: StructureCard, analysis: Analysis) -> list[Callable[[], Iterable[Drawing]]]:
    """What draws the figures of a structure, one after another; each may raise `InputError`."""
    atoms = analysis.atoms
    sheet = is_sheet(atoms)
    return [
        lambda: [structures.sheet(atoms)] if sheet else structures.views(atoms),
        lambda: [radial_distribution(card, analysis)],
        lambda: [bond_angles(card, analysis)],
        lambda: [height_spectrum(card, analysis)] if sheet and atoms.pbc.any() else [],
        lambda: [rings(card, analysis)] if set(analysis.elements) <= NETWORK else [],
    ]


def is_sheet(atoms: Atoms) -> bool:
    """Whether the atoms are a sheet, such as graphene; a few atoms that have no surface are none."""
    from datasets.structures.analysis.surface import find_surface

    try:
        return find_surface(atoms).is_sheet
    except InputError:
        return False


def checks(card: StructureCard, analysis: Analysis) -> tuple[Check, ...]:
    """The quantities of the card beside their ranges; one that cannot be measured is not within its range."""
    from datasets.structures.validate import validate

    found = []
    for row in validate(analysis, card):
        expected = _range_text(row.low, row.high)
        if not math.isfinite(row.value):
            reason = row.problem or "it has no value here"
            found.append(Check(row.label, "–", "", expected, f"Not measured: {reason}.", False))
            continue
        value = value_text(row.value, row.error) + UNITS.get(row.unit, f" {row.unit}".rstrip())
        found.append(Check(row.label, value, f"{row.n}", expected, row.source, row.within))
    return tuple(found)


def value_text(value: float, error: float | None) -> str:
    """A value to the first digit of its standard error, which follows it; four digits where it has none."""
    if error is None or not 0 < error < math.inf:
        text = f"{value:.0f}" if value == round(value) or abs(value) >= 1e4 else f"{value:.4g}"
        return text.replace("-", "−")
    digits = max(0, -math.floor(math.log10(error)))
    return f"{value:.{digits}f} ± {error:.{digits}f}".replace("-", "−")


def _range_text(low: float, high: float) -> str:
    text = f"{low:g}" if low == high else f"{low:g} to {high:g}"
    return text.replace("-", "−")


def radial_distribution(card: StructureCard, analysis: Analysis) -> Drawing:
    """g(r), of each pair of elements too where there are several."""
    from datasets.structures.analysis.radial_distribution import FINE

    whole = analysis.radial_distribution()
    near = whole.r <= SHOWN_DISTANCE
    curves = {ALL: whole.smooth(FINE)[near]}
    numbers = analysis.atoms.numbers[analysis.core]
    common = [e for e in analysis.elements if np.mean(numbers == atomic_numbers[e]) >= RARE]
    if len(analysis.elements) > 1:
        for one, other in combinations_with_replacement(sorted(common, key=lambda e: e == "O"), 2):
            partial = analysis.radial_distribution(one, other)
            curves[f"{one}–{other}"] = partial.smooth(FINE)[near]
    bands = {name: _peak_bands(card, name) for name in curves}
    shaded = " Shaded: the expected range of a peak." if any(bands.values()) else ""
    rare = ", ".join(e for e in analysis.elements if e not in common)
    left_out = f" Too little {rare} in the core for curves of its own." if rare else ""
    peak = float(whole.r[np.argmax(curves[ALL])])
    return Drawing(
        "radial-distribution",
        "Distances",
        structure_statistics.radial_distribution(whole.r[near], curves, bands),
        f"Radial distribution of the {_core(analysis)}. Grey line: 1, as of atoms spread evenly. Smoothed by "
        f"{FINE:g} Å.{shaded}{left_out}",
        f"Radial distribution function against distance, its highest peak at {peak:.2f} Å"
        f"{f', and that of {len(curves) - 1} pairs of elements' if len(curves) > 1 else ''}.",
    )


def bond_angles(card: StructureCard, analysis: Analysis) -> Drawing:
    """Angles between bonds: of the kinds on the card, or at the atoms of each element."""
    angles = {name: values for name, values in angle_samples(card, analysis).items() if len(values)}
    if not angles:
        raise InputError("no atom of the core has two bonds, so there are no bond angles")
    bands = [
        (limits.low, limits.high)
        for quantity, limits in card.expected.items()
        if quantity.partition("[")[0] == "bond_angle"
    ]
    n = ", ".join(f"{len(values)}{f' {name}' if name else ''}" for name, values in angles.items())
    shaded = " Shaded: the expected range of the mean." if bands else ""
    means = ", ".join(
        f"{values.mean():.1f}°{f' ({name})' if name else ''}" for name, values in angles.items()
    )
    return Drawing(
        "bond-angles",
        "Bond angles",
        structure_statistics.bond_angles(angles, bands),
        f"Angles between the bonds of an atom: n = {n}; over the {_core(analysis)}.{shaded}",
        f"Histogram of the angles between bonds, with a mean of {means}.",
    )


def rings(card: StructureCard, analysis: Analysis) -> Drawing:
    """Rings of each size in the network, counted in network formers."""
    from datasets.structures.analysis.rings import MAX_SIZE

    formers = analysis.formers
    per_former = analysis.rings.per_former(formers, analysis.core)
    sizes = list(range(3, MAX_SIZE + 1))
    numbers = [per_former.get(size, 0.0) for size in sizes]
    bands = {
        int(quantity.partition("[")[2].rstrip("]")): (limits.low, limits.high)
        for quantity, limits in card.expected.items()
        if quantity.startswith("rings[")
    }
    counted = f"size in atoms of {', '.join(sorted(set(analysis.atoms.symbols[formers])))}"
    shaded = " Shaded: expected range." if bands else ""
    commonest = sizes[int(np.argmax(numbers))]
    return Drawing(
        "rings",
        "Rings",
        structure_statistics.rings(sizes, numbers, bands),
        f"Primitive rings, {counted}, at the {_core(analysis)}; bonds reach to "
        f"the first minimum of g(r), {analysis.cutoff:.2f} Å.{shaded}",
        f"Bars of the number of rings of 3 to {MAX_SIZE} per network-forming atom; rings of {commonest} are "
        "the most frequent.",
    )


def height_spectrum(card: StructureCard, analysis: Analysis) -> Drawing:
    """How the height of a periodic sheet is spread over waves, with its slope."""
    from datasets.structures.analysis import ripples

    spectrum = ripples.height_spectrum(analysis.atoms)
    slope, error = spectrum.slope()
    limits = card.expected.get("ripple_slope")
    band = None if limits is None else (limits.low, limits.high)
    shaded = "" if band is None else " Shaded: the expected range of the slope."
    return Drawing(
        "height-spectrum",
        "Spectrum of the heights",
        structure_statistics.height_spectrum((spectrum.q, spectrum.power), spectrum.averaged(), slope, band),
        f"One pale dot per wave (n = {len(spectrum.q)}), means over bins as full dots; slope "
        f"{value_text(slope, error)}. A harmonic membrane has −4.{shaded}",
        f"Power of the heights against wave number on logarithmic axes, falling with a slope of {slope:.1f}.",
    )


def angle_samples(card: StructureCard, analysis: Analysis) -> Mapping[str, FloatArray]:
    """Angles [deg] by kind (`O–Si–O`), by the element of the atom where they are, or all (no name)."""
    from datasets.structures.analysis.bond_angles import bond_angles as between

    wanted = [
        quantity.partition("[")[2].rstrip("]")
        for quantity in card.expected
        if quantity.startswith("bond_angle[")
    ]
    atoms, bonds = analysis.atoms, analysis.bonds
    if wanted:
        kinds = [tuple(kind.split("-")) for kind in wanted]
        return {
            "–".join(kind): between(bonds, analysis.core, atoms, (kind[0], kind[1], kind[2]))
            for kind in kinds
        }
    if len(analysis.elements) == 1:
        return {"": between(bonds, analysis.core)}
    return {
        f"at {symbol}": between(bonds, analysis.core & (atoms.numbers == atomic_numbers[symbol]))
        for symbol in analysis.elements
    }


def _peak_bands(card: StructureCard, name: str) -> list[tuple[float, float]]:
    """The expected ranges [Å] of the first and the second peak of one curve."""
    found = []
    for quantity, limits in card.expected.items():
        base, _, kinds = quantity.partition("[")
        pair = sorted(kinds.rstrip("]").split("-")) if kinds else []
        if base in ("first_peak", "second_peak") and pair == ([] if name == ALL else sorted(name.split("–"))):
            found.append((limits.low, limits.high))
    return found


def _core(analysis: Analysis) -> str:
    """Over which atoms statistics are, in words."""
    n = int(analysis.core.sum())
    if n == len(analysis.atoms):
        return f"{n} atoms"
    return f"{n} core atoms, at least {analysis.core_depth:g} Å below the surface"
