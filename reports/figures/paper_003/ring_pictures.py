"""Pictures of rings: one true ring of every size, and what an answer has in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.data import chemical_symbols

from benchmarks.cells import CellResult
from benchmarks.metrics.rings import network_bonds, network_rings, ring_sizes
from reports.figures import elements as looks
from reports.figures import style
from reports.figures.paper_003.species import WRONG
from reports.figures.plate import Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

LARGEST = 9
"""Seven sizes, 3 to 9, as in the paper."""
GAP = 1.6
"""Å between rings that stand side by side."""
ROOM = 0.8
"""Å around all of them."""
DISC = {"Si": 0.5, "O": 0.36}
"""Radii [Å] of atoms in a picture."""
PICTURES = (
    "c, above, one true ring of each size N, the one that is roundest in projection on its plane; below, the "
    "same atoms in one answer: missing atoms are dotted circles, red lines homopolar bonds, and where there "
    "is no line there is no bond."
)


def ring_pictures(truth: Atoms, cell: CellResult, label: str) -> Panel:
    """Rings of the truth, and below them the same in the answer of `cell`, which is called `label`."""
    rings = example_rings(truth)
    answer = cell.answer() or Atoms()
    partner = np.full(len(truth), -1)
    pairs = cell.arrays()["pairs"].reshape(-1, 2)
    partner[pairs[:, 0]] = pairs[:, 1]
    bonds = network_bonds(answer) if len(answer) else None
    bonded = set() if bonds is None else set(zip(bonds.first.tolist(), bonds.second.tolist(), strict=True))
    places = side_by_side([flattened(truth.positions[ring]) for ring in rings])
    low, high = _extent(places)
    down = np.array([0.0, low[1] - high[1]])

    def draw(ax: Axes) -> None:
        for ring, place in zip(rings, places, strict=True):
            _draw(ax, place, [truth.symbols[i] for i in ring], [True] * len(ring))
            mine = partner[ring]
            names = [chemical_symbols[answer.numbers[j]] if j >= 0 else "" for j in mine]
            steps = zip(mine.tolist(), np.roll(mine, -1).tolist(), strict=True)
            _draw(ax, place + down, names, [step in bonded for step in steps])
            middle = 0.5 * (place[:, 0].min() + place[:, 0].max())
            ax.text(middle, (low + down)[1], f"{len(ring) // 2}", ha="center", va="top")
        ax.set(xlim=(low[0], high[0]), ylim=((low + down)[1], high[1]), aspect="equal", anchor="W")
        ax.set_axis_off()

    return Panel(draw, f"True rings, and in {label}", height=(2.75, 1.9))


def example_rings(truth: Atoms) -> list[IntArray]:
    """One ring of every size from 3 to `LARGEST` that there is: the atoms of the roundest one in order."""
    rings = network_rings(truth)
    sizes = ring_sizes(rings)
    chosen = []
    for size in range(3, LARGEST + 1):
        members = [row[row >= 0] for row in rings.members[sizes == size]]
        if members:
            chosen.append(max(members, key=lambda ring: roundness(flattened(truth.positions[ring]))))
    return chosen


def flattened(positions: FloatArray) -> FloatArray:
    """Positions (n, 3) [Å] on their plane of least squares, (n, 2), about their middle."""
    centred = positions - positions.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    return np.asarray(centred @ axes[:2].T)


def roundness(corners: FloatArray) -> float:
    """Area of a polygon over that of the circle of its circumference."""
    x, y = corners.T
    area = 0.5 * abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1)))
    around = float(np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1).sum())
    return 4 * np.pi * area / around**2


def side_by_side(rings: list[FloatArray]) -> list[FloatArray]:
    """The rings moved to the right, one after the other."""
    moved, right = [], 0.0
    for ring in rings:
        left = float(ring[:, 0].min())
        moved.append(ring + np.array([right - left, 0.0]))
        right += float(np.ptp(ring[:, 0])) + GAP
    return moved


def _extent(rings: list[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """The lowest and the highest corner of all rings with some room, (2,) each [Å]."""
    every = np.concatenate(rings) if rings else np.zeros((1, 2))
    return every.min(axis=0) - ROOM, every.max(axis=0) + ROOM


def _draw(ax: Axes, places: FloatArray, names: list[str], bonded: list[bool]) -> None:
    """One ring: the called species of each atom ("" where it is missing), and whether each is bonded on."""
    from matplotlib.patches import Circle

    for nth, joined in enumerate(bonded):
        ends = (nth, (nth + 1) % len(names))
        if joined:
            alike = names[ends[0]] == names[ends[1]]
            ax.plot(
                *places[list(ends)].T,
                color=WRONG if alike else style.QUIET,
                linewidth=2.0 if alike else 1.0,
                zorder=1,
                solid_capstyle="butt",
                gid="homopolar" if alike else "bond",
            )
    for (x, y), name in zip(places, names, strict=True):
        if name:
            face, dash, width = looks.colour(name), "-", 0.5
        else:
            face, dash, width = "white", ":", 0.9
        disc = Circle((x, y), DISC.get(name, DISC["O"]), facecolor=face, edgecolor=style.INK, zorder=2)
        disc.set(linestyle=dash, linewidth=width)
        ax.add_patch(disc)
