"""Vacancies and turned bonds of a sheet, where the frame says so.

A site without an atom: the odds of its atom given all others, from `plane_likelihood`, times what its three
neighbours make likely. Sites are turned over one by one, the surest first, until none is left to turn.

A turned bond (Stone and Wales, Chem. Phys. Lett. 128, 501 (1986)): its two atoms stand at right angles to
where they were, and the atoms around give way as Tersoff's potential has them (`turned_bond`). For every bond
inside the sheet that is tried as it stands; where it is not hopeless atoms are let settle around both
answers, intact (or with the vacancies that a turned bond looks like) and turned, and the likelier one stays.

Cost: of the vacancies, 50 pairs per site; of the turned bonds, 40 atoms and their 50 neighbours each, a
millisecond; 640 atoms 1 s.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from recon.graphene.plane_likelihood import REACH, PlaneLikelihood
from recon.graphene.prior import BOND, Sheet

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

COUPLING = 3.0
"""Log odds that a neighbour that is there adds to a site's being occupied, and one that is not takes away: a
vacancy inside the sheet is one site in 8000 a priori, a pair of them one in 160,000."""
LARGEST_HOLE = 6
"""Sites without atoms that hang together, up to which they are a hole in the sheet and not its outside."""
TURNED = 9.0
"""Log odds of a bond against being turned, a priori."""
GIVES_WAY = 5.5
"""Å from the middle of a turned bond within which atoms move."""
SPREAD = 0.1
"""Å along each axis, of atoms about where the lattice or the turned bond in a flat sheet has them."""
N_INNER = 6
"""The two atoms of a bond and their other neighbours: they are there where it is turned."""
MOST_TRIED = 40
"""Bonds that are tried with all atoms around them, those that look best with two alone."""
HOPELESS = 12.0
"""A turned bond that is worse by more than this before atoms settle is not looked at again."""


@dataclass(frozen=True)
class Turned:
    """A bond turned by 90° in a flat sheet, the bond along x about the origin: `places` (n, 2) [Å] of the
    lattice, nearest first, and by how much (n, 2) [Å] their atoms are `moved`. The first two are the bond's.
    """

    places: FloatArray
    moved: FloatArray


def occupied(
    likelihood: PlaneLikelihood, sites: FloatArray, neighbours: IntArray, first: BoolArray
) -> BoolArray:
    """Which of the `sites` (n, 2) hold an atom, from a guess `first` (n,), each judged beside all others."""
    alone, overlaps = likelihood.alone(sites), likelihood.overlaps(sites)
    present = first.copy()
    for _ in range(2 * len(sites)):
        votes = np.where(neighbours >= 0, np.where(present[neighbours], 1.0, -1.0), -1.0).sum(axis=1)
        odds = alone - overlaps @ present + COUPLING * votes
        gain = np.where(present, -odds, odds)
        best = int(np.argmax(gain))
        if gain[best] <= 0:
            break
        present[best] = not present[best]
    return present


def turn_bonds(
    likelihood: PlaneLikelihood, sites: FloatArray, neighbours: IntArray, present: BoolArray
) -> tuple[FloatArray, BoolArray, list[tuple[int, int]]]:
    """The sites (n, 2), those of turned bonds and around them moved; which hold an atom (n,); and the bonds
    that were turned, the surest first.
    """
    here = _Sites(likelihood, sites, neighbours, present)
    bonds = inner_bonds(neighbours, present)
    order = np.argsort(-here.gain_of_two(bonds))[:MOST_TRIED]
    promising = [bonds[k] for k in order if here.gain(bonds[k], settle=False) > -HOPELESS]
    settled = [(here.gain(bond, settle=True), bond) for bond in promising]
    places, there, touched = sites.copy(), present.copy(), np.zeros(len(sites), dtype=bool)
    done: list[tuple[int, int]] = []
    for gain, bond in sorted(settled, reverse=True):
        index, to = turned_sites(sites, bond)
        # a turned bond is half seen at the bonds beside it too
        if gain <= 0 or touched[index].any():
            continue
        places[index], touched[index] = to, True
        there[index[:N_INNER]] = True
        done.append(bond)
    return places, there, done


def holes(neighbours: IntArray, present: BoolArray) -> BoolArray:
    """Which sites (n,) without an atom lie inside the sheet: few together, and none at the edge of the
    frame.
    """
    i, column = np.nonzero(neighbours >= 0)
    j = neighbours[i, column]
    kept = ~present[i] & ~present[j]
    graph = coo_array((np.ones(kept.sum()), (i[kept], j[kept])), shape=(len(present),) * 2)
    count, label = connected_components(graph, directed=False)
    open_ = np.bincount(label, (neighbours < 0).any(axis=1), minlength=count) > 0
    few = np.bincount(label, minlength=count) <= LARGEST_HOLE
    return np.asarray(~present & (few & ~open_)[label])


def inner_bonds(neighbours: IntArray, present: BoolArray) -> list[tuple[int, int]]:
    """Pairs of neighbouring sites inside the sheet: with four neighbours more, all six atoms or holes."""
    inside = present | holes(neighbours, present)
    found = []
    for i, near in enumerate(neighbours):
        for j in near:
            if j <= i or (near < 0).any() or (neighbours[j] < 0).any():
                continue
            six = list({*near.tolist(), *neighbours[j].tolist()})
            if len(six) == N_INNER and inside[six].all():
                found.append((i, int(j)))
    return found


@cache
def turned_bond() -> Turned:
    """The turned bond of a flat sheet whose far atoms stay."""
    cell = np.array([[1.5, np.sqrt(3) / 2], [1.5, -np.sqrt(3) / 2]]) * BOND
    n = np.arange(-9, 10)
    corners = np.stack(np.meshgrid(n, n, indexing="ij"), axis=-1).reshape(-1, 2) @ cell
    half = np.array([BOND / 2, 0])
    plane = np.concatenate([corners - half, corners + half])
    plane = plane[np.argsort(np.hypot(*plane.T), kind="stable")]
    plane = plane[np.hypot(*plane.T) < 2.5 * GIVES_WAY]
    near = cKDTree(plane).query_ball_point(plane, 1.1 * BOND)
    neighbours = np.full((len(plane), 3), -1)
    for i, row in enumerate(near):
        others = [j for j in row if j != i]
        neighbours[i, : len(others)] = others
    # of each of the two atoms one neighbour, on opposite sides, goes over to the other
    left, right = (0, 1) if plane[0, 0] < 0 else (1, 0)
    over = next(j for j in neighbours[left] if j != right and plane[j, 1] > 0)
    back = next(j for j in neighbours[right] if j != left and plane[j, 1] < 0)
    neighbours[left][neighbours[left] == over] = back
    neighbours[right][neighbours[right] == back] = over
    neighbours[over][neighbours[over] == left] = right
    neighbours[back][neighbours[back] == right] = left
    start = plane.copy()
    start[left], start[right] = [0, -BOND / 2], [0, BOND / 2]
    sheet, free = Sheet(neighbours), np.hypot(*plane.T) < 2 * GIVES_WAY

    def energy(flat: FloatArray) -> tuple[float, FloatArray]:
        positions = np.column_stack([start, np.zeros(len(start))])
        positions[free, :2] = flat.reshape(-1, 2)
        value, gradient = sheet.energy(positions)
        return value, gradient[free, :2].ravel()

    found = minimize(energy, start[free].ravel(), jac=True, method="L-BFGS-B")
    end = start.copy()
    end[free] = found.x.reshape(-1, 2)
    kept = np.hypot(*plane.T) < GIVES_WAY
    return Turned(plane[kept], (end - plane)[kept])


def turned_sites(sites: FloatArray, bond: tuple[int, int]) -> tuple[IntArray, FloatArray]:
    """The sites (m,) around a bond, its own and their neighbours first, and where a turned bond has their
    atoms (m, 2).
    """
    template, middle = turned_bond(), 0.5 * (sites[bond[0]] + sites[bond[1]])
    along = (sites[bond[1]] - sites[bond[0]]) * np.sign(template.places[1, 0])
    along = along / np.hypot(*along)
    axes = np.array([along, [-along[1], along[0]]])
    index = np.asarray(cKDTree(sites).query_ball_point(middle, GIVES_WAY), dtype=np.int64)
    index = index[np.argsort(np.hypot(*(sites[index] - middle).T), kind="stable")]
    distance, nearest = map(np.asarray, cKDTree(template.places).query((sites[index] - middle) @ axes.T))
    moved = np.where((distance < 0.6 * BOND)[:, None], template.moved[nearest] @ axes, 0.0)
    return index, sites[index] + moved


@dataclass(frozen=True, eq=False)
class _Sites:
    """A sheet as its lattice has it: `sites` (n, 2), their `neighbours` (n, 3), which are `present` (n,)."""

    likelihood: PlaneLikelihood
    sites: FloatArray
    neighbours: IntArray
    present: BoolArray

    def gain_of_two(self, bonds: list[tuple[int, int]]) -> FloatArray:
        """By how much the likelihood grows where the two atoms of each of `bonds` alone are moved, (n,)."""
        if not bonds:
            return np.zeros(0)
        first, second = np.array(bonds).T
        half = 0.5 * (self.sites[second] - self.sites[first])
        across = np.column_stack([-half[:, 1], half[:, 0]])
        middle = self.sites[first] + half
        alone, overlaps = self.likelihood.alone(self.sites), self.likelihood.overlaps(self.sites)
        total = np.zeros(len(bonds))
        for end in (first, second):  # what the atoms are worth now, and without each other
            total -= np.where(self.present[end], alone[end] - (overlaps @ self.present)[end], 0.0)
        both = self.present[first] & self.present[second]
        total -= np.where(both, np.asarray(overlaps[first, second]).ravel(), 0.0)
        for turned in (middle - across, middle + across):
            near = self.likelihood.overlaps(turned, self.sites)
            total += self.likelihood.alone(turned) - near @ self.present
            for end in (first, second):
                own = np.asarray(near[np.arange(len(bonds)), end]).ravel()
                total += np.where(self.present[end], own, 0.0)
        return total

    def gain(self, bond: tuple[int, int], *, settle: bool) -> float:
        """ln of the odds of the `bond` turned, against what is there now; with atoms where the lattice and
        the turned bond have them, or when they have settled about that.
        """
        index, to = turned_sites(self.sites, bond)
        kept = self.present[index]
        held = kept.copy()
        held[:N_INNER] = True
        stays = self.present.copy()
        stays[index] = False
        others = self.sites[stays]
        middle = self.sites[index[:2]].mean(axis=0)
        others = others[np.hypot(*(others - middle).T) < GIVES_WAY + REACH]
        filled = self.present.copy()
        filled[index[:N_INNER]] = True
        prior = log_prior(self.neighbours, filled) - log_prior(self.neighbours, self.present) - TURNED
        before, after = (
            self.likelihood.relaxed(atoms, others, spread=SPREAD)[0]
            if settle
            else self.likelihood.value(atoms, others)[0]
            for atoms in (self.sites[index[kept]], to[held])
        )
        return after - before + prior


def log_prior(neighbours: IntArray, present: BoolArray) -> float:
    """ln of how probable an occupation (n,) of sites is, up to a constant: sites agree with their neighbours,
    and where there is no site there is no atom.
    """
    spin = np.where(present, 1.0, -1.0)
    votes = np.where(neighbours >= 0, 0.5 * spin[neighbours], -1.0).sum(axis=1)
    return float(0.5 * COUPLING * (spin * votes).sum())
