"""Which species is taken for which, by method and dose: confusion matrices over true atoms."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from ase.data import atomic_numbers

from benchmarks.cells import CellResult
from datasets.errors import InputError
from reports.figures import style
from reports.figures.paper_002 import words
from reports.figures.paper_002.dose import short
from reports.figures.plate import Panel, Plate
from reports.series import Collection

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN = ("mlem", "unet", "pann", "poisson-ml")
N_DOSES = 3
MISSED = "none"


def plate(collection: Collection, cache: Path) -> Plate:
    """Matrices of the alloys of three species, or of two where there are none of three.

    Raises `InputError` when no series has two species.
    """
    found = words.with_networks(collection, wedge=False)
    most = max(len(series.elements) for series in found)
    if most < 2:
        raise InputError("no series with networks has two species")
    found = [series for series in found if len(series.elements) == most]
    panels: list[Panel] = []
    told: list[tuple[str, ...]] = [("Series", "Dose", "Method", "n", "True", *("Called", "Atoms (%)"))]
    for series in found:
        methods = [m for m in words.methods_of(series) if words.family(m) in SHOWN]
        doses = sorted(set.intersection(*(set(series.doses(m)) for m in methods)))[:N_DOSES]
        for method in methods:
            for dose in doses:
                cells = series.replicates(method, dose)
                table = confusion(cells, series.elements)
                name = words.NAMES.get(words.family(method), method)
                title = f"{short(series)}, {name}, {style.dose_text(dose)}"
                panels.append(_matrix(table, series.elements, title, 12 // len(doses)))
                for row, true in zip(table, series.elements, strict=True):
                    for value, called in zip(row, (*series.elements, MISSED), strict=True):
                        told.append(
                            (
                                series.name,
                                style.dose_text(dose),
                                name,
                                str(len(cells)),
                                true,
                                called,
                                f"{value:.1f}",
                            )
                        )
    return Plate(
        key="confusion",
        title="Species taken for one another, by method and dose",
        panels=tuple(panels),
        caption=(
            f"{'; '.join(series.scale for series in found)}. Of the true atoms of a species (rows) the "
            "percentage that was "
            f"given each name (columns), or was not found ({MISSED}); rows add up to 100 %. The "
            f"{N_DOSES} lowest doses, in e⁻/Å² per image; all replicates together."
        ),
        alt="Confusion matrices of species for MLEM, U-Net, PANN and the likelihood at three doses.",
        rows=tuple(told),
    )


def confusion(cells: list[CellResult], elements: tuple[str, ...]) -> npt.NDArray[np.float64]:
    """Percentages (n_elements, n_elements + 1) of true atoms by the name they were given, the last: none.

    A failed cell has found nothing.
    """
    numbers = np.array([atomic_numbers[e] for e in elements])
    counts = np.zeros((len(elements), len(elements) + 1))
    for cell in cells:
        truth = cell.truth().numbers
        called = np.zeros(len(truth), dtype=int)
        if not cell.failed:
            arrays = cell.arrays()
            i, j = arrays["pairs"].reshape(-1, 2).T
            called[i] = arrays["answer_numbers"][j]
        for row, number in enumerate(numbers):
            own = called[truth == number]
            counts[row, :-1] += [(own == other).sum() for other in numbers]
            counts[row, -1] += (own == 0).sum()
    return np.asarray(100 * counts / counts.sum(axis=1, keepdims=True))


def _matrix(table: npt.NDArray[np.float64], elements: tuple[str, ...], title: str, wide: int) -> Panel:
    def draw(ax: Axes) -> None:
        ax.imshow(table, cmap="Blues", vmin=0, vmax=100, aspect="auto")
        for (row, column), value in np.ndenumerate(table):
            ax.text(
                column,
                row,
                f"{value:.0f}",
                ha="center",
                va="center",
                color="white" if value > 55 else style.INK,
            )
        ax.set_xticks(range(len(elements) + 1), [*elements, MISSED])
        ax.set_yticks(range(len(elements)), elements)
        ax.tick_params(length=0)
        for spine in ax.spines.values():
            spine.set_visible(False)

    return Panel(draw, title, wide=wide, height=(1.15, 1.3))
