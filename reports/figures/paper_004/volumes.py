"""One answer as paper 004 shows it: intensities of traced atoms above, a central slab of the volume below."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from ase.data import chemical_symbols

from benchmarks.cells import HALF_SLAB, CellResult
from reports.figures import elements as looks
from reports.figures import style
from reports.figures.plate import Panel
from reports.figures.structures import bar_length

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]

MARGIN = 2.5
"""Å around the true atoms that a slab shows."""
WHITE = 99.9
"""Percentile of a slab that is drawn white; black is zero, grey the square root."""
MISSING = "#FF7AD9"
"""The cross of a true atom that was not found."""
WRONG = "#C8102E"
"""The outline of atoms given another species than their own."""
ATOM = 0.75
"""Å: diameter of an atom's mark."""
BINS = 36
LEAST_INTENSITY = 0.99
"""Quantile of the intensities that the axis is scaled by."""
HISTOGRAM, GAP, TEXT = 0.62, 0.06, 0.145
"""Heights [inch] of the bars, of the gap below them, and of a line of text above them, on a page."""
LARGER = 1.25
"""How much larger text is on a telephone."""


@dataclass(frozen=True, eq=False)
class View:
    """An answer beside the truth, in the frame of the volume [Å].

    `positions` (a, 3), `called` and `true` species (a,), the latter empty where there is no atom;
    `intensities` (a,) or None; `missing` (m, 3); the slab (n_y, n_x) with the edges of its pixels
    (left, right, bottom, top) or None; `reach`, as far as the true atoms lie from the origin.
    """

    positions: FloatArray
    called: npt.NDArray[np.str_]
    true: npt.NDArray[np.str_]
    intensities: FloatArray | None
    missing: FloatArray
    slab: FloatArray | None
    extent: tuple[float, float, float, float]
    reach: float

    @classmethod
    def of(cls, cell: CellResult) -> View:
        """The view of a stored answer."""
        arrays = cell.arrays()
        truth = arrays["truth_positions"] + arrays["translation"]
        i, j = arrays["pairs"].reshape(-1, 2).T
        symbols = np.array(chemical_symbols)
        true = np.full(len(arrays["answer_numbers"]), "", dtype="<U2")
        true[j] = symbols[arrays["truth_numbers"][i]]
        slab, extent = None, (0.0, 1.0, 0.0, 1.0)
        if "slice_z" in arrays:
            slab = arrays.get("slab_z", arrays["slice_z"]).astype(np.float64)
            extent = (*_edges(arrays["axis_x"]), *_edges(arrays["axis_y"]))
        intensities = arrays.get("answer_intensity")
        return cls(
            positions=arrays["answer_positions"],
            called=symbols[arrays["answer_numbers"]].astype("<U2"),
            true=true,
            intensities=None if intensities is None else intensities.astype(np.float64),
            missing=np.delete(truth, i, axis=0),
            slab=slab,
            extent=extent,
            reach=float(np.abs(truth[:, :2]).max()) + MARGIN,
        )

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """Which atoms are there and rightly named, (a,)."""
        return np.asarray(self.true == self.called)


def _edges(axis: FloatArray) -> tuple[float, float]:
    step = float(axis[1] - axis[0])
    return float(axis[0]) - step / 2, float(axis[-1]) + step / 2


def panel(
    view: View,
    title: str,
    lines: tuple[str, ...],
    *,
    wide: int,
    pattern: FloatArray | None = None,
    bar: bool = False,
) -> Panel:
    """The histogram with `lines` of text above it, the slab, and below it the diffraction `pattern`."""

    def draw(ax: Axes) -> None:
        narrow = _is_narrow(ax)
        ax.set_axis_off()
        parts = _heights(_width(6 if narrow else wide, narrow), len(lines), narrow, pattern is not None)
        whole = sum(parts)
        text, bars, _, square = parts[:4]
        _histogram(ax.inset_axes((0, 1 - (text + bars) / whole, 1, (text + bars) / whole)), view, lines, text)
        below = parts[4:] or [0.0]
        _slab(ax.inset_axes((0, sum(below) / whole, 1, square / whole)), view, wide, narrow, bar)
        if pattern is not None:
            draw_pattern(ax.inset_axes((0, 0, 1, square / whole)), pattern)

    heights = (
        sum(_heights(_width(wide, False), len(lines), False, pattern is not None)) + 0.32,
        sum(_heights(_width(6, True), len(lines), True, pattern is not None)) + 0.36,
    )
    return Panel(draw, title, wide=wide, narrow=6, height=heights)


def _width(columns: int, narrow: bool) -> float:
    """Inches that a panel of so many columns has."""
    return (style.COLUMN if narrow else style.PAGE) * columns / 12 - 0.12


def _heights(width: float, n_lines: int, narrow: bool, pattern: bool) -> list[float]:
    """Text, bars, gap, slab, and where there is one gap and pattern [inch]."""
    text = n_lines * TEXT * (LARGER if narrow else 1)
    square = min(width, 2.1)
    return [text, HISTOGRAM, GAP, square, *([GAP, square] if pattern else [])]


def _is_narrow(ax: Axes) -> bool:
    figure = ax.get_figure(root=True)
    return figure is not None and bool(figure.get_size_inches()[0] < style.PAGE)


def _histogram(ax: Axes, view: View, lines: tuple[str, ...], text: float) -> None:
    from ase.data import atomic_numbers

    ax.text(
        0.0, 1.0, "\n".join(lines), transform=ax.transAxes, ha="left", va="top", linespacing=1.25
    ).set_in_layout(False)
    ax.spines["left"].set_visible(False)
    ax.set(xticks=[], yticks=[])
    if view.intensities is None or not len(view.intensities):
        ax.set(xlim=(0, 1), ylim=(0, 1))
        return
    scale = float(np.quantile(view.intensities, LEAST_INTENSITY)) or 1.0
    shown = np.clip(view.intensities / scale, 0, None)
    edges = np.linspace(0, max(1.02 * float(shown.max()), 1.0), BINS + 1)
    bottom = np.zeros(BINS)
    for one in sorted(set(view.true) | set(view.called), key=lambda s: atomic_numbers.get(s, 0)):
        counts = np.histogram(shown[view.true == one], edges)[0]
        ax.stairs(
            bottom + counts,
            edges,
            baseline=bottom,
            fill=True,
            facecolor=looks.colour(one) if one else "white",
            edgecolor=style.QUIET,
            hatch=None if one else "//////",
            linewidth=0.3,
            gid=f"true {one}",
        )
        bottom = bottom + counts
    wrong = np.histogram(shown[~view.right & (view.true != "")], edges)[0]
    if wrong.any():
        ax.stairs(np.where(wrong > 0, wrong, np.nan), edges, color=WRONG, linewidth=1.0, zorder=3)
    top = max(float(bottom.max()), 1.0)
    ax.set(xlim=(0, edges[-1]), ylim=(0, 1.04 * top * (1 + text / HISTOGRAM)))


def _slab(ax: Axes, view: View, wide: int, narrow: bool, bar: bool) -> None:
    half = view.reach
    if view.slab is not None:
        white = float(np.percentile(view.slab, WHITE))
        ax.imshow(
            np.sqrt(np.clip(view.slab / (white or 1.0), 0, 1)),
            origin="lower",
            cmap="gray",
            extent=view.extent,
            vmin=0,
            vmax=1,
            interpolation="nearest",
        )
        half = min(half, -view.extent[0], view.extent[1], -view.extent[2], view.extent[3])
    size = max(72 * _width(6 if narrow else wide, narrow) * ATOM / (2 * half), 1.6)
    near = np.abs(view.positions[:, 2]) <= HALF_SLAB
    for chosen, marker, factor in ((near & view.right, "o", 1.0), (near & ~view.right, "^", 1.35)):
        for symbol in sorted(set(view.called[chosen])):
            at = view.positions[chosen & (view.called == symbol)]
            ax.plot(
                at[:, 0],
                at[:, 1],
                gid=f"{'true' if marker == 'o' else 'false'} {symbol}",
                **mark(marker, factor * size, looks.colour(symbol)),
            )
    lost = view.missing[np.abs(view.missing[:, 2]) <= HALF_SLAB]
    ax.plot(lost[:, 0], lost[:, 1], gid="missing", **mark("x", 1.2 * size, MISSING))
    ax.set(xticks=[], yticks=[], xlim=(-half, half), ylim=(-half, half), aspect="equal", facecolor="black")
    for spine in ax.spines.values():
        spine.set_visible(False)
    if bar:
        length = 10 * bar_length(half)
        right, low = 0.93 * half, -0.92 * half
        ax.plot([right - length, right], [low, low], color="white", linewidth=2, solid_capstyle="butt")


def mark(marker: str, size: float, tint: str) -> dict[str, Any]:
    """The look of an atom: disc, triangle or cross."""
    cross = marker == "x"
    return {
        "linestyle": "",
        "marker": marker,
        "markersize": size,
        "markerfacecolor": tint,
        "markeredgecolor": tint if cross else "white",
        "markeredgewidth": 1.1 if cross else 0.4,
    }


def draw_pattern(ax: Axes, pattern: FloatArray) -> None:
    """Electrons per pixel on a logarithmic scale over four decades; what is less is black."""
    top = float(pattern.max()) or 1.0
    ax.imshow(
        np.log10(np.clip(pattern / top, 1e-4, 1)),
        origin="lower",
        cmap="inferno",
        vmin=-4,
        vmax=0,
        interpolation="nearest",
    )
    ax.set(xticks=[], yticks=[], aspect="equal")
    for spine in ax.spines.values():
        spine.set_visible(False)


def key(symbols: tuple[str, ...]) -> Panel:
    """Which mark is which."""

    def draw(ax: Axes) -> None:
        from matplotlib.lines import Line2D
        from matplotlib.patches import Patch

        ax.set_axis_off()
        handles: list[Any] = [
            Line2D(
                [], [], label=symbol, **{**mark("o", 6, looks.colour(symbol)), "markeredgecolor": style.INK}
            )
            for symbol in symbols
        ]
        false = {**mark("^", 6, "white"), "markeredgecolor": style.INK, "markeredgewidth": 0.8}
        handles += [
            Line2D([], [], label="false", **false),
            Line2D([], [], label="missing", **mark("x", 6, "#C21E93")),
            Patch(facecolor="white", edgecolor=style.QUIET, hatch="//////", linewidth=0.3, label="no atom"),
            Patch(facecolor="white", edgecolor=WRONG, linewidth=1.0, label="misnamed"),
        ]
        ax.legend(
            handles=handles,
            loc="center left",
            ncols=-(-len(handles) // 2) if _is_narrow(ax) else len(handles),
            borderaxespad=0,
            borderpad=0,
            handlelength=1.1,
            handletextpad=0.5,
            columnspacing=1.3,
        )

    return Panel(draw, height=(0.26, 0.5))
