"""What a missing wedge costs each method: the same particle and dose per image, with all tilts and with
fewer.
"""

from __future__ import annotations

from pathlib import Path

from datasets.errors import InputError
from reports.figures.paper_002 import dose, words
from reports.figures.plate import Plate
from reports.series import WEDGE, Collection, Series

METRICS = ("recall", "tracing_error", "rmsd")


def plate(collection: Collection, cache: Path) -> Plate:
    """Pairs of series that differ by the wedge alone. Raises `InputError` when there is no pair."""
    found = words.with_networks(collection)
    pairs = [(whole, cut) for cut in found if WEDGE in cut.kinds for whole in found if _same(whole, cut)]
    if not pairs:
        raise InputError("no series with networks is there both with and without a missing wedge")
    series = list({one.name: one for pair in pairs for one in pair}.values())
    looks = words.looks(series)
    panels = [words.key(looks)]
    for one in series:
        panels += [dose.curve(one, metric, looks) for metric in METRICS]
    return Plate(
        key="wedge",
        title="What a missing wedge costs",
        panels=tuple(panels),
        caption=(
            f"{'; '.join(one.scale for one in series)}. Each particle with all its tilts, and with those "
            "within the range "
            "stated alone: fewer images at the same dose per image, so fewer electrons too. Lines as in "
            "the figure before. "
            f"{words.n_text(series)}"
        ),
        alt="Atoms found, tracing error and RMSD against dose with and without a missing wedge.",
        rows=dose.rows(series),
    )


def _same(whole: Series, cut: Series) -> bool:
    """Whether two series differ by the wedge alone."""
    without = cut.card.imperfections.model_copy(update={"missing_wedge": 0.0})
    same = whole.name.partition("[")[0] == cut.name.partition("[")[0]
    return same and whole.card.imperfections == without and whole.elements == cut.elements
