"""Defects of a sheet seen along its normal: which of those there are an answer has, and which it makes up.

Atoms bonded in the plane divide it into polygons. Where two heptagons share a bond whose ends are corners of
pentagons, that bond is turned (Stone and Wales). A polygon of eight corners or more is a hole; with s corners
and p pentagons beside it, it lacks (s + 3p − 10) / 2 atoms: one where it has 12 corners, or 9 and has closed
a pentagon, two where it has 14, or 8 between two pentagons.

Only defects well inside count: at the rim of a sheet a missing atom is its outline. Pairs are those of
`benchmarks.metrics.sheet`, made in the plane.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from ase import Atoms
from scipy.spatial import KDTree

from benchmarks.metrics.match import Match
from benchmarks.metrics.sheet import match_in_plane

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

BONDED = 1.9
"""Å in the plane up to which atoms are bonded, three at most: the longest bond at a defect is 1.6, the next
neighbours in a pentagon are 2.2, on a slope less."""
INSIDE = 4.0
"""Å between the middle of a defect and the outline of the sheet, at least."""
AROUND = 3.0
"""Å around the middle of a hole in which an answer must have all atoms."""
HOLLOW = 2.0
"""Å around the middle of a hole in which it must have no other."""
SMALLEST_HOLE = 8


@dataclass(frozen=True)
class Defects:
    """The defects of a sheet that count: holes' middles (n, 2) [Å] and how many atoms each lacks (n,), turned
    bonds (m, 2) as their atoms, and which atoms lie `inside` (n_atoms,), off the outline.
    """

    holes: FloatArray
    missing: IntArray
    turned: IntArray
    inside: npt.NDArray[np.bool_]

    @property
    def any(self) -> bool:
        """Whether there is any."""
        return bool(len(self.holes) or len(self.turned))


def find_defects(sheet: Atoms, *, inside: float = INSIDE) -> Defects:
    """The holes and turned bonds of `sheet` that lie `inside` [Å] its outline or more."""
    plane = sheet.positions[:, :2]
    polygons, of = _polygons(plane)
    sizes = np.array([len(polygon) for polygon in polygons], dtype=np.int64)
    outer = [k for k, polygon in enumerate(polygons) if _area(plane[polygon]) <= 0]
    rim = plane[np.unique(np.concatenate([polygons[k] for k in outer]))] if outer else plane
    outline = KDTree(rim)

    def counts(place: FloatArray) -> bool:
        return bool(outline.query(place)[0] >= inside)

    holes, missing = [], []
    for k in np.flatnonzero(sizes >= SMALLEST_HOLE):
        middle = plane[polygons[k]].mean(axis=0)
        if k in outer or not counts(middle):
            continue
        edges = zip(polygons[k], np.roll(polygons[k], -1), strict=True)
        beside = {of[j, i] for i, j in edges}
        holes.append(middle)
        missing.append((sizes[k] + 3 * sum(sizes[b] == 5 for b in beside) - 10) // 2)
    corners = Counter(
        (int(atom), k) for k, polygon in enumerate(polygons) if sizes[k] == 5 for atom in polygon
    )
    pentagons = Counter(atom for atom, _ in corners)
    turned = [
        (i, j)
        for (i, j), k in of.items()
        if i < j
        and sizes[k] == sizes[of[j, i]] == 7
        and pentagons[i] == pentagons[j] == 1
        and counts(plane[[i, j]].mean(axis=0))
    ]
    off = np.asarray(outline.query(plane)[0]) >= inside if len(plane) else np.zeros(0, dtype=bool)
    return Defects(
        np.reshape(holes, (-1, 2)),
        np.array(missing, dtype=np.int64),
        np.reshape(turned, (-1, 2)).astype(int),
        off,
    )


def defect_scores(answer: Atoms, truth: Atoms) -> dict[str, float]:
    """vacancy_recall, divacancy_recall and stone_wales_recall, NaN where there is none; false_vacancies and
    false_stone_wales, how many. Nothing for a truth without a defect that counts.

    A hole is found where the answer has all atoms around it and none in it. A turned bond is found where both
    its atoms are paired, and in the answer too they share two heptagons between two pentagons. A false
    vacancy is a true atom inside the sheet, 4 Å or more from any defect, that no atom of the answer was
    paired with.
    """
    true = find_defects(truth)
    if not true.any:
        return {}
    match = match_in_plane(answer, truth)
    found = find_defects(answer) if len(answer) else None
    partner = np.full(len(truth), -1)
    partner[match.pairs[:, 0]] = match.pairs[:, 1]
    of_holes = np.array(
        [_hole_found(answer, truth, match, partner, hole) for hole in true.holes], dtype=float
    )
    seen = {frozenset(bond) for bond in found.turned.tolist()} if found is not None else set()
    paired = [frozenset(partner[bond].tolist()) for bond in true.turned]
    # one that lies just inside the outline of the answer may lie just outside that of the truth
    known = {frozenset(partner[bond].tolist()) for bond in find_defects(truth, inside=0.0).turned}
    middles = np.concatenate([true.holes, truth.positions[true.turned, :2].mean(axis=1)])
    away = true.inside & (np.asarray(KDTree(middles).query(truth.positions[:, :2])[0]) >= INSIDE)
    return {
        "vacancy_recall": _mean(of_holes[true.missing == 1]),
        "divacancy_recall": _mean(of_holes[true.missing == 2]),
        "stone_wales_recall": _mean(np.array([bond in seen for bond in paired], dtype=float)),
        "false_vacancies": float(np.count_nonzero(away & (partner < 0))) if match.n else math.nan,
        "false_stone_wales": float(len(seen - known)) if match.n else math.nan,
    }


def _hole_found(answer: Atoms, truth: Atoms, match: Match, partner: IntArray, hole: FloatArray) -> bool:
    near = np.hypot(*(truth.positions[:, :2] - hole).T) < AROUND
    extra = np.ones(len(answer), dtype=bool)
    extra[match.pairs[:, 1]] = False
    off = answer.positions[extra, :2] - match.translation[:2] - hole
    return bool((partner[near] >= 0).all() and not (np.hypot(*off.T) < HOLLOW).any())


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if len(values) else math.nan


def _polygons(plane: FloatArray) -> tuple[list[IntArray], dict[tuple[int, int], int]]:
    """The polygons, anticlockwise but for what lies outside, and the one to the left of each bond (i, j)."""
    both = _bonds(plane)
    angle = np.arctan2(*(plane[both[:, 1]] - plane[both[:, 0]]).T[::-1])
    both = both[np.lexsort((angle, both[:, 0]))]
    around: dict[int, list[int]] = {}
    for i, j in both.tolist():
        around.setdefault(i, []).append(j)
    of: dict[tuple[int, int], int] = {}
    polygons: list[IntArray] = []
    for begin in map(tuple, both.tolist()):
        if begin in of:
            continue
        walk, bond = [], begin
        while bond not in of:
            of[bond] = len(polygons)
            walk.append(bond[0])
            star = around[bond[1]]  # on, with the next bond clockwise of the one that led here
            bond = (bond[1], star[star.index(bond[0]) - 1])
        polygons.append(np.array(walk))
    return polygons, of


def _bonds(plane: FloatArray) -> IntArray:
    """Pairs (n, 2) of atoms, both ways, that are both among each other's three nearest and near enough: on
    a slope a pentagon's diagonal looks as short as a bond.
    """
    if len(plane) < 2:
        return np.empty((0, 2), dtype=np.int64)
    distance, near = map(np.asarray, KDTree(plane).query(plane, k=min(4, len(plane))))
    i, column = np.nonzero(distance[:, 1:] <= BONDED)
    j = near[i, column + 1]
    mutual = np.isin(i * len(plane) + j, j * len(plane) + i)
    return np.column_stack([i, j])[mutual]


def _area(corners: FloatArray) -> float:
    x, y = corners.T
    return 0.5 * float(x @ np.roll(y, -1) - y @ np.roll(x, -1))
