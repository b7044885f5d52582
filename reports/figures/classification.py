"""How many atoms of each element were found and named rightly, against dose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.figures import dose_curves, style
from reports.payload import Payload

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(payload: Payload, dataset: str) -> tuple[Figure, str] | None:
    """Identification per element of `dataset`, and its caption; None when the results hold none."""
    import matplotlib.pyplot as plt

    specimen = payload.specimen(dataset)
    metrics = [m for m in payload.metrics if m.element in specimen.elements and m.family == "identified"]
    if not metrics:
        return None
    with style.paper():
        figure, axes = plt.subplots(
            1, len(metrics), figsize=(style.PAGE, 2.45), squeeze=False, sharey=True, layout="constrained"
        )
        for ax, metric in zip(axes[0], metrics, strict=True):
            dose_curves.panel(ax, payload, dataset, metric)
            ax.set_title(metric.element)
            ax.set_xlabel("Dose per image (e⁻/Å²)")
        for ax in axes[0][1:]:
            ax.set_ylabel("")
    n_cells = max((row.n for row in payload.rows if row.dataset == dataset), default=0)
    caption = (
        f"Atoms identified, by element: {dataset} ({specimen.n_atoms} atoms). Points are means and bands the "
        f"{payload.interval}, n = {n_cells} per point; controls in grey."
    )
    return figure, caption
