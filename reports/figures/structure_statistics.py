"""What shows order and disorder: distances, bond angles, rings, and the height spectrum of a sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from reports.figures import style
from reports.figures.structures import TYPE, large_type

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FloatArray = npt.NDArray[np.float64]
Range = tuple[float, float]

CURVE = style.OKABE_ITO[0][0]
BAND = "#F5D98A"
"""The expected range of a quantity."""
REFERENCE_ANGLES = {60.0: "60°", 109.47: "109.5°", 120.0: "120°"}
"""Angles [deg] of close packing, of the tetrahedron and of the hexagon."""
BIN, WIDE_BIN, FEW = 2.5, 5.0, 1000
"""Width of a bin of bond angles [deg], and where any kind has fewer than FEW of them."""
SIZE = (style.COLUMN, 2.6)
"""Width and height of a figure [inch]."""


def radial_distribution(
    distance: FloatArray, curves: Mapping[str, FloatArray], bands: Mapping[str, Sequence[Range]]
) -> Figure:
    """g(r) of all pairs and below it of each pair of elements, with the expected ranges of its peaks.

    `distance` (n,) [Å]; `curves` and `bands` [Å] by what they are of: `all`, `Si–O`.
    """
    import matplotlib.pyplot as plt
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    heights = [1.0 if len(curves) == 1 else 1.6, *[1.0] * (len(curves) - 1)]
    inches = max(SIZE[1], 0.75 + 0.42 * sum(heights)) if len(curves) > 1 else SIZE[1]
    with style.paper(), large_type():
        figure, grid = plt.subplots(
            len(curves),
            1,
            figsize=(style.COLUMN, inches),
            sharex=True,
            squeeze=False,
            layout=ConstrainedLayoutEngine(h_pad=0.02, hspace=0.0),
            gridspec_kw={"height_ratios": heights},
        )
        for ax, (name, curve) in zip(grid[:, 0], curves.items(), strict=True):
            for low, high in bands.get(name, ()):
                ax.axvspan(low, high, color=BAND, linewidth=0.6, zorder=0)
            ax.axhline(1, color="#C9CED6", linewidth=0.6, zorder=1)
            ax.plot(distance, curve, color=CURVE, linewidth=1.1)
            top = float(np.nanmax(curve)) * 1.08 or 1.0
            ax.set(xlim=(0, distance[-1]), ylim=(0, top))
            ax.yaxis.set_major_locator(_few_ticks(len(curves)))
            if len(curves) > 1:
                ax.text(0.985, 0.93, name, transform=ax.transAxes, ha="right", va="top", fontweight="bold")
        grid[-1, 0].set_xlabel("Distance r (Å)")
        figure.supylabel("Radial distribution g(r)", fontsize=TYPE)
    return figure


def bond_angles(angles: Mapping[str, FloatArray], bands: Sequence[Range] = ()) -> Figure:
    """Histograms of the angles between bonds [1/deg], one per kind of angle.

    `angles` [deg] by what they are at: `Si`, `O–Si–O`; `bands` [deg] are the expected ranges of the mean.
    """
    import matplotlib.pyplot as plt

    width = BIN if min(map(len, angles.values())) >= FEW else WIDE_BIN
    edges = np.arange(0, 180 + width, width)
    with style.paper(), large_type():
        figure, ax = plt.subplots(figsize=SIZE, layout="constrained")
        for low, high in bands:
            ax.axvspan(low, high, color=BAND, linewidth=0.6, zorder=0)
        _reference_angles(ax)
        top = 0.0
        for nth, (name, values) in enumerate(angles.items()):
            density = np.histogram(values, edges, density=True)[0]
            top = max(top, float(density.max()))
            colour, dash = style.OKABE_ITO[nth][0], list(style.DASHES.values())[nth % len(style.DASHES)]
            if len(angles) == 1:
                ax.stairs(density, edges, fill=True, color=colour, alpha=0.18)
            ax.stairs(density, edges, color=colour, linestyle=dash, linewidth=1.2, label=name)
        if len(angles) > 1:
            ax.legend(
                loc="upper center",
                ncols=len(angles),
                handlelength=1.4,
                columnspacing=1.2,
                borderaxespad=0.1,
                frameon=True,
                framealpha=1,
                edgecolor="none",
            )
        room = 1.1 if len(angles) == 1 else 1.25
        ax.set(xlim=(0, 180), ylim=(0, room * top), xlabel="Bond angle (°)", ylabel="Density (1/°)")
        ax.set_xticks(range(0, 181, 30))
    return figure


def _reference_angles(ax: Axes) -> None:
    for at, text in REFERENCE_ANGLES.items():
        ax.axvline(at, color=style.QUIET, linewidth=0.6, linestyle=style.DASHES["dot"], zorder=1)
        side = "left" if at == 120.0 else "right"
        ax.annotate(
            text,
            (at, 1),
            (2 if side == "left" else -2, 1),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha=side,
            va="bottom",
            fontsize=8,
            color=style.QUIET,
        )


def rings(
    sizes: Sequence[int], per_atom: Sequence[float], bands: Mapping[int, Range] | None = None
) -> Figure:
    """Rings of each size per network-forming atom, as bars; `bands` are expected ranges by size."""
    import matplotlib.pyplot as plt

    with style.paper(), large_type():
        figure, ax = plt.subplots(figsize=SIZE, layout="constrained")
        ax.bar(sizes, per_atom, width=0.72, color=CURVE)
        for size, (low, high) in (bands or {}).items():
            ax.fill_between([size - 0.42, size + 0.42], low, high, color=BAND, alpha=0.75, zorder=3)
        for size, value in zip(sizes, per_atom, strict=True):
            ax.annotate(
                f"{value:.2f}" if value else "0",
                (size, max(value, (bands or {}).get(size, (0, 0))[1])),
                (0, 2),
                textcoords="offset points",
                ha="center",
                fontsize=8,
                color=style.QUIET,
            )
        ax.set(xlabel="Atoms in the ring", ylabel="Rings per network-forming atom")
        ax.set_xticks(list(sizes))
        ax.margins(y=0.12)
    return figure


def height_spectrum(
    modes: tuple[FloatArray, FloatArray],
    averages: tuple[FloatArray, FloatArray],
    slope: float,
    band: Range | None = None,
) -> Figure:
    """The height spectrum on logarithmic axes, with a power law of the fitted `slope`.

    `modes` and `averages` are wave numbers [1/Å] and powers [Å²], (n,) each; `band` the expected range of the
    slope, drawn as a wedge through the middle of the fit.
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

    wave_number, power = modes
    middle = float(np.exp(np.log(wave_number).mean()))
    amplitude = float(np.mean(power * (wave_number / middle) ** -slope))
    ends = np.array([wave_number.min(), wave_number.max()])
    with style.paper(), large_type():
        figure, ax = plt.subplots(figsize=SIZE, layout="constrained")
        if band is not None:
            low, high = (amplitude * (ends / middle) ** limit for limit in band)
            ax.fill_between(np.array([ends[0], middle, ends[1]]), *_wedge(low, high, amplitude), **_BAND_LOOK)
        ax.loglog(wave_number, power, ".", color=CURVE, markersize=4, alpha=0.55, markeredgewidth=0)
        ax.loglog(*averages, "o", color=CURVE, markersize=4.5)
        ax.loglog(ends, amplitude * (ends / middle) ** slope, color=style.INK, linewidth=1)
        text = f"slope {slope:.1f}".replace("-", "−")
        ax.text(0.97, 0.95, text, transform=ax.transAxes, ha="right", va="top")
        ax.set(xlabel="Wave number q (1/Å)", ylabel="Height spectrum |h(q)|² (Å²)")
        ax.set_ylim(averages[1].min() / 30, power.max() * 3)
        ax.xaxis.set_major_locator(FixedLocator([0.05, 0.1, 0.2, 0.5, 1.0]))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: style.dose_text(value)))
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_minor_formatter(NullFormatter())
        ax.set_xlim(ends[0] / 1.15, ends[1] * 1.15)
    return figure


_BAND_LOOK: dict[str, Any] = {"color": BAND, "linewidth": 0, "alpha": 0.8, "zorder": 0}


def _wedge(low: FloatArray, high: FloatArray, middle: float) -> tuple[FloatArray, FloatArray]:
    """Lower and upper edge of a wedge through `middle` from two lines' values at its ends."""
    lower, upper = np.minimum(low, high), np.maximum(low, high)
    return np.insert(lower, 1, middle), np.insert(upper, 1, middle)


def _few_ticks(n_panels: int) -> object:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=5 if n_panels == 1 else 2, min_n_ticks=2)
