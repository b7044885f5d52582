"""Fig. 6 of paper 000: electron localisation against slope, shear and bond length.

The curves are the paper's polynomials. Below each, how often our sheets have such a value: what a relation
says of a sheet rests on where its atoms are. Our own values, by density functional theory, are drawn where
`localisation.csv` lies in the results (`write_localisation` of
`datasets.structures.analysis.localisation_by_dft`).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from datasets.structures.analysis.electron_localisation import (
    PUBLISHED,
    SOURCE,
    Variable,
    published_localisation,
)
from datasets.structures.analysis.localisation_by_dft import fit_polynomial
from reports.figures import style
from reports.figures.paper_000 import words
from reports.figures.paper_000.sheet_pictures import Sheet, inside, pictured
from reports.figures.plate import Panel, Plate
from reports.published_sheets import ELF_THRESHOLD
from reports.series import Collection

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]

VARIABLES: tuple[tuple[Variable, str, str], ...] = (
    ("gradient", "Slope g", "Eq. 1"),
    ("shear", "Shear εxy", "Eq. 2"),
    ("bond_length_change", "Bond-length change δ", "Eq. 3"),
)
BINS = 40
MEASURED = "localisation.csv"
ABOVE = "2"
"""Å over the middle of a bond, where flat graphene comes nearest to the paper's 0.04; it does not say where
its values are read."""
FOOT = 0.3
"""The part of a panel that shows how often a value occurs."""


def plate(collection: Collection, cache: Path) -> Plate:
    """The three relations. Raises `InputError` where there is no answer."""
    one = pictured(collection)
    name = words.name(collection, one.method)
    found = measured(Path(collection.folder) / MEASURED)
    panels = []
    rows: list[tuple[str, ...]] = [words.HEAD]
    for variable, label, equation in VARIABLES:
        values = [values_of(sheet, variable) for sheet in (one.truth, one.answer)]
        panels.append(_relation(variable, label, values, found))
        if found:
            fit = fit_polynomial(
                found[variable], found["localisation"], len(PUBLISHED[variable].coefficients) - 1
            )
            n = str(len(found[variable]))
            rows.append(
                (label, f"scatter about a polynomial as {equation}", n, "DFT", f"{fit.residual:.4f}", "", "")
            )
        low, high = PUBLISHED[variable].domain
        for by, value in zip(("truth", name), values, strict=True):
            inner = 100 * float(np.mean((value >= low) & (value <= high)))
            elf = published_localisation(variable, value)
            n = str(len(value))
            rows.append((label, f"within {low:g} to {high:g} (%)", n, by, words.number(inner, 1), "", ""))
            rows.append(
                (label, f"mean ELF by {equation}", n, by, words.number(float(np.nanmean(elf)), 4), "", "")
            )
    own, notes = "", []
    if found:
        own = (
            f" Dots: our own density functional theory at n = {len(found['localisation'])} bonds (PBE, "
            f"molecules cut from a sheet), {ABOVE} Å over the middle of the bond; coloured line, a "
            "polynomial of as many coefficients as the paper's."
        )
    else:
        notes.append(
            f"No {MEASURED} of our own density functional theory lies in {collection.folder}; "
            "`python -m reports.localisation` makes it (extra dft)."
        )
    return Plate(
        key="fig-6",
        title="Fig. 6: electron localisation by geometry",
        panels=tuple(panels),
        caption=(
            f"Black: {SOURCE}, over the range of its figures; it states no interval in numbers. Below: share "
            f"of atoms, or of bonds, of {words.scale(one.series)}, filled the truth, line the answer of "
            f"{name} at {style.dose_text(one.dose)} e⁻/Å² (n = {len(one.truth.positions)} atoms, first noise "
            f"replicate, no interval). Dotted: δ = {ELF_THRESHOLD:g}, from which the paper sees electrons "
            "localise."
            f"{own}"
        ),
        alt="Published polynomials of the electron localisation function against slope, shear and "
        "bond-length change, and how often sheets have each value.",
        notes=tuple(notes),
        rows=tuple(rows),
    )


def measured(path: Path) -> dict[str, FloatArray]:
    """By variable, and as `localisation` `ABOVE` the bonds, the columns of a table that was computed; nothing
    where there is none.
    """
    if not path.exists():
        return {}
    with path.open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    columns: dict[str, str] = {variable: variable for variable, _, _ in VARIABLES}
    columns["localisation"] = f"localisation_{ABOVE}"
    return {name: np.array([float(row[head]) for row in table]) for name, head in columns.items()}


def values_of(sheet: Sheet, variable: Variable) -> FloatArray:
    """The values (n,) of a variable on a sheet, its rim left out where a slope is needed."""
    if variable == "gradient":
        return np.asarray(sheet.gradient()[inside(sheet.points)])
    if variable == "shear":
        components, places = sheet.strained()
        return np.asarray(components.xy[inside(places.sites)])
    return np.asarray(sheet.bonds().change)


def _relation(
    variable: Variable, label: str, values: list[FloatArray], found: Mapping[str, FloatArray]
) -> Panel:
    low, high = PUBLISHED[variable].domain

    def draw(ax: Axes) -> None:
        x = np.linspace(low, high, 200)
        curve = published_localisation(variable, x)
        ax.plot(x, curve, color=style.INK, linewidth=1.5, label="paper's polynomial")
        bottom, top = float(curve.min()), float(curve.max())
        if found:
            colour = style.method("ours", 2).colour
            x, elf = found[variable], found["localisation"]
            ax.plot(
                x, elf, linestyle="", marker="o", markersize=2.2, alpha=0.5, color=colour, label="our DFT"
            )
            fit = fit_polynomial(x, elf, len(PUBLISHED[variable].coefficients) - 1)
            along = np.linspace(x.min(), x.max(), 100)
            ax.plot(along, np.polyval(fit.coefficients, along), color=colour, linewidth=1.1)
            bottom, top = min(bottom, float(elf.min())), max(top, float(elf.max()))
        room = (top - bottom) or 0.01
        floor = bottom - (FOOT + 0.06) / (1 - FOOT) * room
        ends = [min(low, *(float(np.quantile(v, 0.002)) for v in values))]
        ends.append(max(high, *(float(np.quantile(v, 0.998)) for v in values)))
        edges = np.linspace(ends[0], ends[1], BINS + 1)
        shares = [np.histogram(v, edges)[0] / len(v) for v in values]
        scale = FOOT / (1 - FOOT) * room / max(float(s.max()) for s in shares)
        ax.stairs(floor + scale * shares[0], edges, baseline=floor, fill=True, color="#C3C8D0", label="truth")
        ax.stairs(
            floor + scale * shares[1],
            edges,
            baseline=floor,
            color=style.method("ours", 0).colour,
            linewidth=1.1,
            label="answer",
        )
        if variable == "bond_length_change":
            ax.axvline(ELF_THRESHOLD, color=style.QUIET, linewidth=0.9, linestyle=(0, (1, 1.5)))
        ax.set(xlim=(ends[0], ends[1]), ylim=(floor, top + 0.08 * room), xlabel=label)
        if variable == "gradient":
            ax.set_ylabel("ELF")
            ax.legend(loc="upper left", handlelength=1.1, borderaxespad=0, borderpad=0, labelspacing=0.25)
            ax.set_ylim(floor, top + 0.55 * room)

    return Panel(draw, label, wide=4, height=(2.4, 2.5))
