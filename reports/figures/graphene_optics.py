"""What setting shows the heights of graphene best: `dosebench limit NAME --optics --figure FILE`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from benchmarks.limits.optics import Setting, best_setting
from reports.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CURVES = (
    ("frame_z", "the frame alone"),
    ("flat_z", "a flat sheet at this temperature"),
    ("informed_z", "this rippled sheet"),
)
MICROMETRE = 1e4


def draw_optics(
    grid: xr.Dataset, dose: float, card: Setting, path: Path, sampled: Iterable[Mapping[str, Any]] = ()
) -> None:
    """Write the `grid` of `optics_grid` at `dose` as a picture to `path`, by its suffix PNG, SVG or PDF.

    a: z against defocus at the Cs of the `card`, with what was `sampled`; b: that of the rippled sheet for
    all Cs; c: x and y; d: z against dose at the card's setting and the best.
    """
    import matplotlib.pyplot as plt

    best = best_setting(grid, dose)
    with style.paper():
        figure, axes = plt.subplots(2, 2, figsize=(style.PAGE, 5.0), layout="constrained")
        at = grid.sel(dose=dose)
        _against_defocus(axes[0, 0], at.sel(Cs=card.Cs, method="nearest"), card, list(sampled))
        axes[0, 0].set_title(f"a\u2002 z, Cs {card.Cs / MICROMETRE:g} µm, {style.dose_text(dose)} e⁻/Å²")
        _map(axes[0, 1], at.informed_z, card, best, "b\u2002 z, this rippled sheet (Å)")
        _map(axes[1, 0], at.informed_plane, card, best, "c\u2002 x and y, this rippled sheet (Å)")
        _against_dose(axes[1, 1], grid, card, best)
        axes[1, 1].set_title("d\u2002 z by dose")
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
        plt.close(figure)


def _against_defocus(ax: Axes, at: xr.Dataset, card: Setting, sampled: list[Mapping[str, Any]]) -> None:
    for nth, (name, label) in enumerate(CURVES):
        ax.plot(at.defocus, at[name], color=style.OKABE_ITO[nth][0], label=label)
    here = [row for row in sampled if row["Cs"] == card.Cs]
    if here:
        bars = [row["standard_error"] or 0.0 for row in here]
        heights = [row["error"] for row in here]
        ax.errorbar(
            [row["defocus"] for row in here], heights, bars, fmt="o", color=style.INK, label="sampled"
        )
    ax.axvline(card.defocus, color=style.QUIET, linewidth=0.8, linestyle=style.DASHES["dot"])
    ax.annotate(
        "card", (card.defocus, 1), xycoords=("data", "axes fraction"), xytext=(3, -9),
        textcoords="offset points", color=style.QUIET, fontsize=7,
    )  # fmt: skip
    ax.set(xlabel="Defocus (Å, underfocus positive)", ylabel="Least rms error of z (Å)")
    _heights(ax)
    ax.legend(loc="upper left", title="knowing", title_fontsize=7, alignment="left")


def _map(ax: Axes, values: xr.DataArray, card: Setting, best: Setting, title: str) -> None:
    # focus is several times worse than all else, and would leave one shade for the rest
    top = float(np.quantile(values, 0.9))
    rows = np.arange(values.sizes["Cs"])
    image = ax.pcolormesh(values.defocus, rows, values, cmap="viridis_r", vmax=top, shading="nearest")
    ax.set_yticks(rows, [f"{c / MICROMETRE:g}".replace("-", "−") for c in values.Cs.values])
    for setting, marker, label in ((card, "o", "card"), (best, "*", "best")):
        row = int(np.abs(values.Cs.values - setting.Cs).argmin())
        ax.plot(setting.defocus, row, marker, color="white", markeredgecolor=style.INK, markersize=7)
        ax.annotate(
            label, (setting.defocus, row), xytext=(5, -2), textcoords="offset points", fontsize=7,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1},
        )  # fmt: skip
    ax.set(xlabel="Defocus (Å)", ylabel="Cs (µm)", title=title)
    ax.figure.colorbar(image, ax=ax, extend="max", pad=0.02, format="%.4g")


def _against_dose(ax: Axes, grid: xr.Dataset, card: Setting, best: Setting) -> None:
    for setting, dash, word in ((card, "solid", "card"), (best, "dash", "best")):
        at = grid.sel(defocus=setting.defocus, Cs=setting.Cs, method="nearest")
        for nth, (name, _) in enumerate(CURVES):
            colour = style.OKABE_ITO[nth][0]
            label = f"{word}, {setting.defocus:g} Å, {setting.Cs / MICROMETRE:g} µm" if nth == 2 else None
            ax.plot(grid.dose, at[name], color=colour, linestyle=style.DASHES[dash], marker=".", label=label)
    ax.set(xscale="log", xlabel="Dose (e⁻/Å²)", ylabel="Least rms error of z (Å)")
    _heights(ax)
    ticks = [float(d) for d in grid.dose.values]
    ax.set_xticks(ticks, [style.dose_text(d) for d in ticks])
    ax.minorticks_off()
    ax.legend(loc="upper right")


def _heights(ax: Axes) -> None:
    """A logarithmic axis of heights, in numbers."""
    ax.set(yscale="log", ylim=(0.08, 60))
    ticks = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
    ax.set_yticks(ticks, [f"{t:g}" for t in ticks])
    ax.set_yticks([], minor=True)
