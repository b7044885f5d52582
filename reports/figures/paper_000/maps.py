"""Maps of a sheet: a value at every atom, or at every bond, seen along the beam, with its scale below."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from reports.figures import style
from reports.figures.plate import Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]

DIVERGING = "RdBu_r"
SEQUENTIAL = "viridis"
MARGIN = 1.5
"""Å around the atoms that are shown."""
BAR, SHORT_BAR = 10.0, 5.0
"""Å of the scale bar, and of that of a sheet less than `SMALL` wide."""
SMALL = 30.0
"""Å."""
FILL = 1.15
"""How much wider a dot is than the distance between neighbours leaves for it."""
UNKNOWN = "#D9DCE1"
"""Where there is no value."""
FOOT = 0.13
"""The part of a map below the atoms that holds the scale of its colours."""


@dataclass(frozen=True, eq=False)
class Map:
    """`values` (n,) at `points` (n, 2) [Å], coloured between `limits`; `label` with its unit stands by the
    scale. A `diverging` one has white at zero.
    """

    points: FloatArray
    values: FloatArray
    limits: tuple[float, float]
    label: str
    diverging: bool = True


def bar_of(points: FloatArray) -> float:
    """The length of the scale bar [Å] in a map of `points` (n, 2 or 3) [Å]."""
    return BAR if float(np.ptp(points[:, 0])) >= SMALL else SHORT_BAR


def bar_text(points: FloatArray) -> str:
    """The same in words."""
    return f"scale bar {bar_of(points) / 10:g} nm"


def panel(title: str, one: Map, *, bar: bool = False, wide: int = 3) -> Panel:
    """One map; with a scale bar where `bar` says so."""
    return Panel(lambda ax: draw(ax, one, bar), title, wide=wide, narrow=6, height=(2.05, 2.15))


def centred_limits(*values: FloatArray, quantile: float = 0.995) -> tuple[float, float]:
    """Limits about zero that hold nearly all of several sets of values."""
    joined = np.abs(np.concatenate(values))
    reach = float(np.quantile(joined[np.isfinite(joined)], quantile)) or 1.0
    return -reach, reach


def draw(ax: Axes, one: Map, bar: bool) -> None:
    """The map on `ax`, whose own axes are taken off."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.collections import EllipseCollection
    from matplotlib.colors import Normalize
    from matplotlib.ticker import MaxNLocator

    low, high = one.points.min(axis=0) - MARGIN, one.points.max(axis=0) + MARGIN
    half = 0.5 * float((high - low).max())
    x, y = 0.5 * (low + high)
    colours = ScalarMappable(Normalize(*one.limits), DIVERGING if one.diverging else SEQUENTIAL)
    known = np.isfinite(one.values)
    ax.set(xlim=(x - half, x + half), ylim=(y - half * (1 + 2.6 * FOOT), y + half), aspect="equal")
    ax.set(xticks=[], yticks=[])
    ax.set_axis_off()
    area = float(np.prod(high - low)) / len(one.points)  # Å² of each dot
    width = FILL * float(np.sqrt(area))
    for chosen, face in ((~known, UNKNOWN), (known, colours.to_rgba(one.values[known]))):
        dots = EllipseCollection(
            np.full(chosen.sum(), width),
            np.full(chosen.sum(), width),
            np.zeros(chosen.sum()),
            units="xy",
            offsets=one.points[chosen],
            offset_transform=ax.transData,
            facecolors=face,
            linewidths=0,
            rasterized=True,
        )
        ax.add_collection(dots, autolim=False)
    if bar:
        left = x - 0.98 * half
        ends = [left, left + bar_of(one.points)]
        ax.plot(ends, [y - 1.06 * half] * 2, color=style.INK, linewidth=2, solid_capstyle="butt")
    scale = ax.inset_axes((0.3 if bar else 0.12, 0.115, 0.66 if bar else 0.76, 0.035))
    figure = ax.get_figure(root=True)
    assert figure is not None
    keyed = figure.colorbar(colours, cax=scale, orientation="horizontal")
    keyed.outline.set_visible(False)
    keyed.locator = MaxNLocator(3 if bar else 4, symmetric=one.diverging, steps=[1, 2, 2.5, 5, 10])
    keyed.update_ticks()
    scale.tick_params(length=1.5, pad=1)
    scale.set_xlabel(one.label, labelpad=1)
