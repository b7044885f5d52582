"""A figure of several lettered panels, laid out for a page and again for a telephone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reports.figures import style
from reports.figures.structures import TYPE, large_type

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 12
"""Columns of the grid on which panels lie."""


@dataclass(frozen=True)
class Panel:
    """One part of a plate: how it is drawn, its width in columns and its height [inch], on a page and on a
    telephone. Without a title it has no letter.
    """

    draw: Callable[[Axes], None]
    title: str = ""
    wide: int = COLUMNS
    narrow: int = COLUMNS
    height: tuple[float, float] = (2.0, 2.3)


@dataclass(frozen=True)
class Plate:
    """A figure with its words. `notes` say what is missing, a sentence each; `heading` is above the table
    `rows`, whose first row holds the names of its columns.
    """

    key: str
    title: str
    panels: tuple[Panel, ...]
    caption: str
    alt: str = ""
    notes: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = field(default=())


def compose(panels: Sequence[Panel], *, narrow: bool = False) -> Figure:
    """The panels as one figure, row after row, lettered in order; within `style.paper`."""
    import matplotlib.pyplot as plt
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    rows = _rows(panels, narrow)
    heights = [max(panel.height[narrow] for panel in row) for row in rows]
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    with ExitStack() as stack:
        if narrow:
            stack.enter_context(large_type())
        figure = plt.figure(
            figsize=(style.COLUMN if narrow else style.PAGE, sum(heights)),
            layout=ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.04, wspace=0.02, hspace=0.02),
        )
        grid = figure.add_gridspec(len(rows), 1, height_ratios=heights)
        for nth, row in enumerate(rows):
            widths = [panel.narrow if narrow else panel.wide for panel in row]
            rest = COLUMNS - sum(widths)
            places = grid[nth].subgridspec(
                1, len(row) + bool(rest), width_ratios=[*widths, *[rest] * bool(rest)]
            )
            for column, (panel, width) in enumerate(zip(row, widths, strict=True)):
                ax = figure.add_subplot(places[0, column])
                panel.draw(ax)
                _few_ticks(ax)
                if panel.title:
                    size = TYPE if narrow else 8
                    few = narrow and width <= COLUMNS // 3  # three small pictures in a row
                    letter = next(letters)
                    ax.set_title(letter if few else f"{letter}\u2002 {panel.title}", fontsize=size)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # laid out once, not again for every file
    return figure


def _few_ticks(ax: Axes) -> None:
    """Ticks whose number does not depend on the size of the panel, which depends on the room they need."""
    from matplotlib.ticker import AutoLocator, MaxNLocator

    for axis, most in ((ax.xaxis, 6), (ax.yaxis, 5)):
        if isinstance(axis.get_major_locator(), AutoLocator):
            axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]))


def _rows(panels: Sequence[Panel], narrow: bool) -> list[list[Panel]]:
    """The panels as rows of at most `COLUMNS` columns, in their order."""
    rows: list[list[Panel]] = []
    room = 0
    for panel in panels:
        width = panel.narrow if narrow else panel.wide
        if width > room:
            rows.append([])
            room = COLUMNS
        rows[-1].append(panel)
        room -= width
    return rows
