"""How far found atoms lie from the true ones, per method and axis: the distribution behind the RMSD."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reports.figures import style
from reports.payload import Payload

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(payload: Payload, dataset: str, dose: float) -> tuple[Figure, str] | None:
    """Residuals along x, y and z of every method but the controls at `dose`, and their caption; None without
    any.
    """
    import matplotlib.pyplot as plt
    import pandas as pd
    import seaborn as sns

    answers = [
        a
        for a in payload.answers
        if a.dataset == dataset
        and a.dose == dose
        and len(a.matched) > 1
        and not payload.method(a.method).control
    ]
    if not answers:
        return None
    table = pd.concat(
        [
            pd.DataFrame(answer.residuals, columns=["x", "y", "z"])
            .melt(var_name="axis", value_name="residual")
            .assign(method=answer.method)
            for answer in answers
        ],
        ignore_index=True,
    )
    reach = float(np.quantile(np.abs(table["residual"]), 0.995)) * 1.1 or 1.0
    with style.paper():
        figure, ax = plt.subplots(figsize=(style.COLUMN, 0.75 + 0.55 * len(answers)), layout="constrained")
        sns.violinplot(
            table,
            x="residual",
            y="method",
            hue="axis",
            hue_order=["x", "y", "z"],
            palette=["#C9CED6", "#8E96A3", "#4B5261"],
            inner=None,
            linewidth=0,
            cut=0,
            density_norm="width",
            width=0.85,
            ax=ax,
        )
        ax.axvline(0, color=style.INK, linewidth=0.5, zorder=0)
        ax.set(xlim=(-reach, reach), xlabel="Found − true position (pm)", ylabel="")
        for label, answer in zip(ax.get_yticklabels(), answers, strict=True):
            label.set_color(payload.method(answer.method).colour)
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
        ax.grid(axis="x")
        ax.legend(
            title=None, ncols=3, loc="lower right", bbox_to_anchor=(1, 1), handlelength=0.8, borderpad=0
        )
    counts = ", ".join(f"{a.method} n = {len(a.matched)}" for a in answers)
    sheet = payload.specimen(dataset).modality == "hrtem"
    caption = (
        f"Residuals of matched atoms along each axis: {dataset} at "
        f"{style.dose_words(dose, 'e⁻/Å² per image')}, "
        f"replicate {answers[0].replicate} (atoms matched: {counts}). Shapes are full distributions, "
        "no interval; "
        + (
            "pairs are made in the plane, one translation in the plane is removed. The beam travels along z."
            if sheet
            else "one rigid translation is removed. At zero tilt the beam travels along z; y is the tilt "
            "axis."
        )
    )
    return figure, caption
