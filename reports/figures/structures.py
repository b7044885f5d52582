"""A structure seen from two sides and cut through its centre; a sheet by the height of its atoms.

Views are orthographic, at one scale per structure. Along z, the direction of the beam, x is to the right and
y up; along y, x is to the right and z up. Atoms fade to white with their distance from the eye.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from reports.figures import elements, spheres, style

if TYPE_CHECKING:
    from ase import Atoms
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FloatArray = npt.NDArray[np.float64]

PIXELS = 720
"""Pixels across a drawing of atoms."""
SLAB = 4.0
"""Thickness of the central slice [Å]."""
SLAB_FADE = 0.25
"""How far the colour of the lowest atom of a slice has gone towards white."""
MANY = 500
"""Structures of more atoms than this get a central slice: their inside cannot be seen."""
HEIGHT_COLOURS = "RdBu_r"
TYPE = 9.0
"""Size of type [point]."""
FOOT = 0.26
"""Height of the strip below a view that holds the scale bar and the key [inch]."""
GAP = 0.1
"""Room between the two views of a sheet [inch]."""


def large_type() -> AbstractContextManager[None]:
    """Type of 9 points: on the page a figure is as wide as a telephone, and its type that of a caption."""
    import matplotlib

    return matplotlib.rc_context(
        {
            "font.size": TYPE,
            "axes.labelsize": TYPE,
            "xtick.labelsize": TYPE,
            "ytick.labelsize": TYPE,
            "legend.fontsize": TYPE,
        }
    )


@dataclass(frozen=True)
class View:
    """The axes (of x, y, z) that are to the right, up and towards the eye, the latter with its sign."""

    name: str
    right: int
    up: int
    eye: int
    sign: int

    def turn(self, positions: FloatArray) -> FloatArray:
        """Positions (n, 3) as right, up, towards the eye."""
        return np.stack(
            [positions[:, self.right], positions[:, self.up], self.sign * positions[:, self.eye]], axis=1
        )

    @property
    def axes(self) -> str:
        """Which axis is where, in words."""
        return f"{'xyz'[self.right]} to the right, {'xyz'[self.up]} up"


ALONG_Z = View("along z", 0, 1, 2, 1)
ALONG_Y = View("along y", 0, 2, 1, -1)


@dataclass(frozen=True)
class Drawing:
    """A figure with its words: `title` above it, `caption` below, `alt` for those who cannot see it."""

    key: str
    title: str
    figure: Figure
    caption: str
    alt: str
    atoms: bool = False
    """Whether it is a picture of atoms, which is kept in pixels."""


def views(atoms: Atoms) -> Iterator[Drawing]:
    """The structure along z and along y, and a central slice where it has more than `MANY` atoms."""
    positions = centred(atoms)
    for view in (ALONG_Z, ALONG_Y):
        caption = f"With {view.axes}; atoms farther away are paler."
        yield Drawing(
            f"view-{view.name[-1]}",
            f"Seen {view.name}",
            _draw(atoms, positions, view),
            caption,
            f"{composition(atoms)} drawn as spheres, seen {view.name}.",
            atoms=True,
        )
    inside = np.abs(positions[:, 2]) <= SLAB / 2
    if len(atoms) > MANY and inside.any():
        yield Drawing(
            "slice",
            f"Central slice, {SLAB:g} Å thick",
            _draw(atoms, positions, ALONG_Z, inside),
            f"The {inside.sum()} atoms within {SLAB / 2:g} Å of the plane z = 0, seen along z.",
            f"A slice of {inside.sum()} atoms through the centre, seen along z.",
            atoms=True,
        )


def sheet(atoms: Atoms) -> Drawing:
    """A sheet along z, coloured by height above its mean, and from the side, both at the same scale."""
    import matplotlib.pyplot as plt
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    positions = centred(atoms)
    height = positions[:, 2]
    limit = float(np.abs(height).max())
    scale = ScalarMappable(Normalize(-limit, limit), HEIGHT_COLOURS)
    tints = scale.to_rgba(height)[:, :3]
    radius = elements.radii(atoms.numbers)
    across = _reach(positions[:, 0], radius)
    up, thick = _reach(positions[:, 1], radius), _reach(height, radius)
    bar_room = 0.85
    width = style.COLUMN - bar_room
    tall, flat = width * up / across, width * thick / across
    height_above = flat + GAP
    with style.paper(), large_type():
        figure = plt.figure(figsize=(style.COLUMN, tall + height_above + FOOT))
        top = _place(figure, 0, FOOT + height_above, width, tall)
        side = _place(figure, 0, FOOT, width, flat)
        _spheres(top, ALONG_Z.turn(positions), radius, tints, (across, up), fade=0)
        _spheres(side, ALONG_Y.turn(positions), radius, tints, (across, thick), fade=0)
        bar = _place(figure, width + 0.05, FOOT + height_above + 0.1 * tall, 0.09, 0.8 * tall)
        figure.colorbar(scale, cax=bar, label="Height (Å)")
        _scale_bar(figure, across, width)
    caption = (
        "Above: seen along z, coloured by height above the mean plane. Below: the same atoms seen along y, "
        "at the same scale (z is not stretched)."
    )
    alt = (
        f"{composition(atoms)} as a sheet coloured by height, {height.min():.1f} to {height.max():.1f} Å "
        "about its mean plane, and the sheet from the side."
    )
    return Drawing("heights", "Heights of the atoms", figure, caption, alt, atoms=True)


def centred(atoms: Atoms) -> FloatArray:
    """Positions (n, 3) [Å] about the middle of the cell along periodic axes, their mean along others."""
    middle = np.where(atoms.pbc, atoms.cell.array.sum(axis=0) / 2, atoms.positions.mean(axis=0))
    positions = np.array(atoms.get_positions(wrap=bool(atoms.pbc.any())))
    return positions - middle


def composition(atoms: Atoms) -> str:
    """The number of atoms of each element in words: `96 Au and 54 Cu atoms`."""
    symbols, counts = np.unique(atoms.get_chemical_symbols(), return_counts=True)
    parts = [f"{count} {symbol}" for symbol, count in zip(symbols, counts, strict=True)]
    listed = " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))
    return f"{listed} atom{'s' if len(atoms) > 1 else ''}"


def _draw(
    atoms: Atoms, positions: FloatArray, view: View, chosen: npt.NDArray[np.bool_] | None = None
) -> Figure:
    import matplotlib.pyplot as plt

    radius = elements.radii(atoms.numbers)
    symbols = atoms.get_chemical_symbols()
    across = max(_reach(positions[:, axis], radius) for axis in (0, 1))
    shown = [view.up] if atoms.pbc.any() else [1, 2]  # both views of a particle are as tall, side by side
    up = max(_reach(positions[:, axis], radius) for axis in shown)
    keep = np.ones(len(atoms), dtype=bool) if chosen is None else chosen
    tall = style.COLUMN * up / across
    with style.paper(), large_type():
        figure = plt.figure(figsize=(style.COLUMN, tall + FOOT))
        ax = _place(figure, 0, FOOT, style.COLUMN, tall)
        tints = elements.colours(symbols)
        fade = spheres.FADE if chosen is None else SLAB_FADE
        _spheres(ax, view.turn(positions[keep]), radius[keep], tints[keep], (across, up), fade)
        _scale_bar(figure, across, style.COLUMN)
        _key(figure, sorted(set(symbols), key=symbols.count, reverse=True))
    return figure


def _place(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes at a place in inches."""
    across, up = figure.get_size_inches()
    return figure.add_axes((left / across, bottom / up, width / across, height / up))


def _reach(values: FloatArray, radius: FloatArray) -> float:
    """Half the width that holds every sphere about 0, with a little room [Å]."""
    return float((np.abs(values) + radius).max()) * 1.02


def _spheres(
    ax: Axes,
    turned: FloatArray,
    radius: FloatArray,
    tints: FloatArray,
    half: tuple[float, float],
    fade: float,
) -> None:
    extent = (-half[0], half[0], -half[1], half[1])
    image = spheres.render(turned, radius, tints, extent, PIXELS, fade)
    ax.imshow(image, extent=extent, aspect="auto")
    ax.set_axis_off()


def bar_length(across: float) -> float:
    """Length [nm] of the scale bar in a view 2 × `across` [Å] wide: about a quarter of it."""
    return min((0.5, 1.0, 2.0, 5.0), key=lambda length: abs(length - across / 20))


def _scale_bar(figure: Figure, across: float, width: float) -> None:
    """A bar in the strip at the foot, for a view of 2 × `across` [Å] on `width` [inch], and its length."""
    length = bar_length(across)
    inches = 10 * length / (2 * across) * width
    ax = _place(figure, 0, 0, style.COLUMN, FOOT)
    ax.set(xlim=(0, style.COLUMN), ylim=(0, FOOT))
    ax.set_axis_off()
    ax.plot([0.06, 0.06 + inches], [FOOT / 2] * 2, color=style.INK, linewidth=2, solid_capstyle="butt")
    ax.text(0.13 + inches, FOOT / 2, f"{length:g} nm", va="center_baseline")


def _key(figure: Figure, symbols: list[str]) -> None:
    """Which colour is which element, in the strip at the foot."""
    ax = _place(figure, 0, 0, style.COLUMN, FOOT)
    ax.set(xlim=(0, style.COLUMN), ylim=(0, FOOT))
    ax.set_axis_off()
    for nth, symbol in enumerate(reversed(symbols)):
        at = style.COLUMN - 0.4 * (nth + 1)
        ax.plot(
            at,
            FOOT / 2,
            marker="o",
            markersize=7,
            color=elements.colour(symbol),
            markeredgecolor=style.QUIET,
            markeredgewidth=0.5,
        )
        ax.text(at + 0.1, FOOT / 2, symbol, va="center_baseline")
