"""Accuracy by species beside the paper's, and the intensities of traced atoms by what they truly are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from ase import Atoms

from benchmarks.metrics.match import match_positions
from reports.accuracy import ONE_TO_ONE, PAPERS_RULE, Accuracy
from reports.again import Again
from reports.figures import elements as looks
from reports.figures import style
from reports.figures.plate import Panel
from reports.published import ALL, Published

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

FALSE = "#FFFFFF"
"""The ground of atoms that are none; they are hatched."""
WRONG = "#C8102E"
"""The outline of atoms given another species than their own."""
ALL_COLOUR = style.INK
TITLES: Mapping[str, str] = {
    "identified": "Identified (%)",
    "called": "Identification precision (%)",
    "rmsd": "RMSD (pm)",
}
BINS = 60
BOUND_DASH = (0, (1, 1))
SLOT = 0.2
"""Room of one species in a group, whose groups are 1 apart."""


@dataclass(frozen=True)
class Group:
    """The accuracies of one dose, series or method, and what the paper states of the same."""

    label: str
    accuracies: Sequence[Accuracy]
    published: Published | None = None

    def of(self, species: str, rule: str) -> Accuracy | None:
        """One species by one rule."""
        return next((a for a in self.accuracies if (a.species, a.rule) == (species, rule)), None)


def colour(species: str) -> str:
    """The colour of a species, or of all together."""
    return ALL_COLOUR if species == ALL else looks.colour(species)


def comparison(groups: Sequence[Group], quantity: str, below: str, *, wide: int = 4) -> Panel:
    """One quantity for every species of every group, by both rules, with the paper's values as bars; `below`
    says what the groups are.
    """

    def draw(ax: Axes) -> None:
        _compare(ax, groups, quantity)
        ax.set_xlabel(below)

    return Panel(draw, TITLES[quantity], wide=wide, height=(2.25, 2.5))


def _compare(ax: Axes, groups: Sequence[Group], quantity: str) -> None:
    from matplotlib.ticker import MaxNLocator

    species = list(dict.fromkeys(a.species for g in groups for a in g.accuracies))
    slot = min(SLOT, 0.84 / max(len(species), 1))
    values: list[float] = []
    for at, group in enumerate(groups):
        for nth, one in enumerate(species):
            x = at + (nth - (len(species) - 1) / 2) * slot
            for rule, shift, filled in ((ONE_TO_ONE, -0.2, True), (PAPERS_RULE, 0.2, False)):
                found = group.of(one, rule)
                estimate = None if found is None else getattr(found, quantity)
                if estimate is not None and np.isfinite(estimate.mean):
                    _point(ax, x + shift * slot, estimate, colour(one), filled)
                    values.append(estimate.mean)
            ours = group.of(one, ONE_TO_ONE)
            if quantity == "rmsd" and ours is not None and np.isfinite(ours.bound):
                ax.plot(
                    [x - 0.48 * slot, x + 0.48 * slot],
                    [ours.bound] * 2,
                    color=colour(one) if colour(one) != looks.COLOURS["Pt"] else style.QUIET,
                    linewidth=1.3,
                    linestyle=BOUND_DASH,
                    zorder=2,
                    gid=f"bound {group.label} {one}",
                )
                values.append(ours.bound)
            stated = {} if group.published is None else getattr(group.published, quantity, {})
            if one in stated:
                half = 0.44 * slot
                ax.plot(
                    [x - half, x + half],
                    [stated[one]] * 2,
                    color=style.INK,
                    linewidth=1.6,
                    solid_capstyle="butt",
                    zorder=2,
                    gid=f"paper {group.label} {one}",
                )
                values.append(stated[one])
    for at in range(1, len(groups)):
        ax.axvline(at - 0.5, color="#E3E6EA", linewidth=0.6, zorder=0)
    ax.set_xlim(-0.5, len(groups) - 0.5)
    ax.set_xticks(range(len(groups)), [g.label for g in groups])
    ax.tick_params(axis="x", length=0)
    ax.grid(axis="y")
    ax.set_axisbelow(True)
    if quantity == "rmsd":
        ax.set_ylim(0, 1.12 * max(values, default=1.0))
        ax.yaxis.set_major_locator(MaxNLocator(5))
        return
    low = max(0.0, min(90.0, min(values, default=90.0) - 5))
    ax.set_ylim(low, 100 + 0.02 * (100 - low))
    ax.set_yticks([tick for tick in MaxNLocator(5).tick_values(low, 100) if low <= tick <= 100])


def _point(ax: Axes, x: float, estimate: object, tint: str, filled: bool) -> None:
    mean, low, high = (float(getattr(estimate, part)) for part in ("mean", "low", "high"))
    if np.isfinite(low) and np.isfinite(high) and filled:
        ax.plot([x, x], [low, high], color=style.QUIET, linewidth=0.8, zorder=3, solid_capstyle="butt")
    ax.plot(
        x,
        mean,
        marker="o" if filled else "D",
        markersize=4.6 if filled else 3.6,
        markerfacecolor=tint if filled else "white",
        markeredgecolor=style.INK if filled else tint if tint != looks.COLOURS["Pt"] else style.QUIET,
        markeredgewidth=0.5 if filled else 1.0,
        linestyle="",
        zorder=4,
        clip_on=False,
    )


def bounded(groups: Sequence[Group]) -> bool:
    """Whether a bound is known for any species of any group."""
    return any(np.isfinite(a.bound) for g in groups for a in g.accuracies)


def key(species: Sequence[str], *, paper: bool = True, bound: bool = False) -> Panel:
    """Which colour is which species, and which mark is which rule."""

    def draw(ax: Axes) -> None:
        from matplotlib.lines import Line2D

        ax.set_axis_off()
        grey = "#C3C8D0"
        tints = [_mark("o", 5, colour(one), style.INK, one) for one in species]
        marks = [
            _mark("o", 5, grey, style.INK, "ours, one to one"),
            _mark("D", 4, "white", style.QUIET, "ours, paper's rule"),
        ]
        if paper:
            marks.append(_mark("_", 8, style.INK, style.INK, "the paper"))
        if bound:
            dotted = Line2D([], [], color=style.QUIET, linewidth=1.3, label="Cramér–Rao bound")
            dotted.set_linestyle(BOUND_DASH)
            marks.append(dotted)
        narrow = _is_narrow(ax)
        first = ax.legend(handles=tints, loc="upper left", ncols=len(tints), **_TIGHT)
        ax.add_artist(first)
        columns = 2 if narrow else len(marks)
        ax.legend(handles=marks, loc="lower left" if narrow else "upper right", ncols=columns, **_TIGHT)

    return Panel(draw, height=(0.27, 0.72))


_TIGHT: dict[str, Any] = {
    "borderaxespad": 0,
    "borderpad": 0,
    "handlelength": 0.9,
    "handletextpad": 0.5,
    "columnspacing": 1.3,
}


def _mark(marker: str, size: float, face: str, edge: str, label: str) -> Line2D:
    from matplotlib.lines import Line2D

    return Line2D(
        [],
        [],
        linestyle="",
        marker=marker,
        markersize=size,
        markerfacecolor=face,
        markeredgecolor=edge,
        markeredgewidth=1.6 if marker == "_" else 0.5 if marker == "o" else 1.0,
        label=label,
    )


def histogram(again: Again, truth: Atoms, cutoff: float, title: str, *, wide: int = 6) -> Panel:
    """Intensities of traced atoms, filled by their true species; lines: by the species they were called."""
    true, called = true_species(again, truth, cutoff)

    def draw(ax: Axes) -> None:
        _histogram(ax, again.intensities, true, called, 2 if _is_narrow(ax) or wide < 6 else 3)

    return Panel(draw, title, wide=wide, height=(2.1, 2.5))


def _is_narrow(ax: Axes) -> bool:
    """Whether the figure is the one for a telephone."""
    figure = ax.get_figure(root=True)
    return figure is not None and bool(figure.get_size_inches()[0] < style.PAGE)


def true_species(
    again: Again, truth: Atoms, cutoff: float
) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.str_]]:
    """Of each traced atom the true species (nothing where it is none) and that it was called, both (a,)."""
    match = match_positions(again.positions, truth.positions, cutoff=cutoff)
    true = np.full(len(again.positions), "", dtype="<U2")
    i, j = match.pairs.T
    true[j] = np.array(truth.get_chemical_symbols(), dtype="<U2")[i]
    return true, np.array(Atoms(numbers=again.numbers).get_chemical_symbols(), dtype="<U2")


def _histogram(
    ax: Axes,
    intensities: npt.NDArray[np.float64],
    true: npt.NDArray[np.str_],
    called: npt.NDArray[np.str_],
    columns: int,
) -> None:
    from ase.data import atomic_numbers
    from matplotlib.ticker import MaxNLocator

    scale = float(np.quantile(intensities, 0.99)) or 1.0
    shown = intensities / scale
    edges = np.linspace(0, 1.15 * max(float(shown.max(initial=1.0)) / 1.15, 1.0), BINS + 1)
    species = sorted(set(true) | set(called), key=lambda s: atomic_numbers.get(s, 0))
    top = 0.0
    bottom = np.zeros(BINS)
    for one in species:
        counts = np.histogram(shown[true == one], edges)[0]
        ax.stairs(
            bottom + counts,
            edges,
            baseline=bottom,
            fill=True,
            facecolor=looks.colour(one) if one else FALSE,
            edgecolor=style.QUIET,
            hatch=None if one else "//////",
            linewidth=0.3,
            label=f"{one or 'no atom'} ({np.count_nonzero(true == one)})",
            zorder=2,
        )
        bottom = bottom + counts
        top = max(top, float(bottom.max()))
    wrong = np.histogram(shown[(true != called) & (true != "")], edges)[0]
    if wrong.any():
        gaps = np.where(wrong > 0, wrong, np.nan)
        ax.stairs(gaps, edges, color=WRONG, linewidth=1.0, label=f"misnamed ({wrong.sum()})", zorder=3)
    handles, labels = ax.get_legend_handles_labels()
    rows = -(-len(labels) // columns)
    above = 1.06 + 0.13 * rows  # room for the key
    ax.set(xlim=(0, edges[-1]), ylim=(0, above * top), xlabel="Intensity of the peak (a.u.)", ylabel="Atoms")
    ax.set_yticks([tick for tick in MaxNLocator(4, integer=True).tick_values(0, top) if tick <= 1.05 * top])
    ax.legend(
        handles=handles,
        labels=labels,
        loc="upper right",
        ncols=columns,
        handlelength=1.0,
        handleheight=0.8,
        borderaxespad=0,
        borderpad=0,
        labelspacing=0.3,
        columnspacing=1.0,
    )
