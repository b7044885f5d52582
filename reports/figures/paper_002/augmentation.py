"""Fig. 3a–f of paper 002 as we have it: the same counts as a volume, as a network redraws it, and what is
true in each.
"""

from __future__ import annotations

from pathlib import Path

from datasets.errors import InputError
from reports.figures import style
from reports.figures.paper_002 import dose, words
from reports.figures.paper_004 import volumes
from reports.figures.plate import Panel, Plate
from reports.figures.structures import bar_length
from reports.series import Collection, Series

SHOWN = ("resire", "mlem", "unet", "pann")
N_DOSES = 2
"""The lowest doses are drawn."""


def plate(collection: Collection, cache: Path) -> Plate:
    """Central slabs at the two lowest doses, of the series that most methods have answers on.

    Raises `InputError` when no answer holds a slab.
    """
    found = words.with_networks(collection, wedge=False)
    series = max(found, key=lambda s: (len({words.family(m) for m in s.methods()} & set(SHOWN)), s.n_atoms))
    methods = [m for m in words.methods_of(series) if words.family(m) in SHOWN]
    doses = sorted(set.intersection(*(set(series.doses(m)) for m in methods)))[:N_DOSES]
    panels: list[Panel] = []
    for at in doses:
        for method in methods:
            panels.append(_panel(series, method, at, 12 // len(methods), first=not panels))
    if not panels:
        raise InputError(f"{series.name}: the methods have no dose in common")
    first = next(c for c in series.replicates(methods[0], doses[0]) if not c.failed)
    names = ", ".join(words.NAMES.get(words.family(m), m) for m in methods)
    return Plate(
        key="augmentation",
        title="Fig. 3a–f: a volume and what networks make of it",
        panels=(volumes.key(tuple(series.elements)), *panels),
        caption=(
            f"{series.scale}, one noise replicate: {names} from the same counts, at "
            f"{' and '.join(style.dose_text(d) for d in doses)} e⁻/Å² per image. Above, intensities of "
            "traced atoms, filled "
            "by their true species; below, the central slab of the volume that was traced (grey: square "
            "root of the "
            "density), the atoms in it and those missing. The paper shows an experiment, whose truth "
            "nobody knows. "
            f"Bar: {bar_length(volumes.View.of(first).reach):g} nm."
        ),
        alt="Intensity histograms and central slices of volumes by RESIRE, MLEM, U-Net and PANN, with true, "
        "false and missing atoms.",
        rows=dose.rows([series]),
    )


def _panel(series: Series, method: str, at: float, wide: int, *, first: bool) -> Panel:
    cell = next(c for c in series.replicates(method, at) if not c.failed)
    scores = [words.estimate(series, method, at, metric).mean for metric in ("tracing_error", "rmsd")]
    lines = (f"tracing {style.number_text(scores[0])} %", f"RMSD {style.number_text(scores[1])} pm")
    title = f"{words.NAMES.get(words.family(method), method)}, {style.dose_text(at)}"
    return volumes.panel(volumes.View.of(cell), title, lines, wide=wide, bar=first)
