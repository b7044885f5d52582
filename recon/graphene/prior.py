"""How probable a sheet is: the energy of its bonds by Tersoff's potential, over kT.

    E = ½ Σ_ij [A exp(−λ₁ r_ij) − b_ij B exp(−λ₂ r_ij)],   b = (1 + (βζ)ⁿ)^(−1/2n),   ζ_ij = Σ_k g(θ_ijk)

over atoms i and their bonded neighbours j, k ≠ j (Tersoff, Phys. Rev. B 39, 5566 (1989)). Bonds are a list
that does not change, so there is no cutoff. Where the frame ends the sheet goes on: an atom with two
neighbours is given a third at the length of a bond, opposite to the two, at an angle whose cosine is
−√((1 + cos θ)/2), and one with a single neighbour two at 120°. So atoms at an edge are not drawn together, as
they would be at a real one, and the flat sheet has no energy and no forces whatever its outline.

Cost per energy and gradient: 6 N directed bonds and angles, about 400 operations each, two exponentials and
one power: 640 atoms 0.2 ms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

BOND = 1.4210
"""Length [Å] of graphene's bond (Baskin and Meyer, Phys. Rev. 100, 544 (1955)), to which the potential's own,
1.4389 Å, is scaled."""
STRETCH = BOND / 1.4389
LINDSAY_BROIDO = np.array(
    [
        1393.6,
        3.4879 / STRETCH,
        430.0,
        2.2119 / STRETCH,
        1.5724e-7,
        0.72751,
        3.8049e4,
        4.3484,
        -0.930,
    ]
)
"""A [eV], λ₁ [1/Å], B [eV], λ₂ [1/Å], β, n, c, d, h of carbon, fitted to the phonons of graphene: Lindsay and
Broido, Phys. Rev. B 81, 205441 (2010), lengths scaled by `STRETCH`."""
BOLTZMANN = 8.617333e-5
"""[eV/K]"""


@dataclass(frozen=True)
class Sheet:
    """The energy of atoms whose neighbours are `neighbours` (n_atoms, 3), −1 where one is missing."""

    neighbours: IntArray

    def energy(self, positions: FloatArray) -> tuple[float, FloatArray]:
        """Energy above that of flat graphene's bonds [eV] and its gradient (n_atoms, 3) [eV/Å]."""
        value, gradient = tersoff(positions, self.neighbours, LINDSAY_BROIDO)
        counts = np.count_nonzero(self.neighbours >= 0, axis=1)
        return value - 0.5 * (counts.sum() * _FLAT - np.count_nonzero(counts == 2) * _THIRD), gradient

    def hessian(self, positions: FloatArray, step: float = 1e-4) -> FloatArray:
        """Second derivatives (3 n_atoms, 3 n_atoms) [eV/Å²] by central differences of the gradient.

        Atoms further apart than four bonds do not share a term: those of one colour are moved together.
        """
        n = len(positions)
        reach = _within(self.neighbours, 2)
        colours = _colours(_within(self.neighbours, 4))
        result = np.zeros((n, 3, n, 3))
        for colour in range(colours.max() + 1):
            chosen = np.flatnonzero(colours == colour)
            owner = np.full(n, -1)
            for atom in chosen:
                owner[reach[atom]] = atom
            felt = np.flatnonzero(owner >= 0)
            for axis in range(3):
                moved = [positions.copy(), positions.copy()]
                moved[0][chosen, axis] += step
                moved[1][chosen, axis] -= step
                ahead, behind = (tersoff(m, self.neighbours, LINDSAY_BROIDO)[1] for m in moved)
                result[felt, :, owner[felt], axis] = (ahead - behind)[felt] / (2 * step)
        flat = result.reshape(3 * n, 3 * n)
        return 0.5 * (flat + flat.T)


@numba.njit(cache=True)
def tersoff(positions: FloatArray, neighbours: IntArray, constants: FloatArray) -> tuple[float, FloatArray]:
    """Energy [eV] and its gradient (n_atoms, 3) [eV/Å] at `positions` (n_atoms, 3) [Å]."""
    a, lambda1, b, lambda2, beta, n, c, d, h = constants
    c2, d2 = c * c, d * d
    ideal = 1 + c2 / d2 - c2 / (d2 + (h + 0.5) ** 2)
    total = 0.0
    gradient = np.zeros_like(positions)
    unit = np.empty((3, 3))
    length = np.empty(3)
    for i in range(len(positions)):
        present = 0
        for p in range(3):
            j = neighbours[i, p]
            if j >= 0:
                present += 1
                unit[p] = positions[j] - positions[i]
                length[p] = math.sqrt(unit[p, 0] ** 2 + unit[p, 1] ** 2 + unit[p, 2] ** 2)
                unit[p] /= length[p]
        for p in range(3):
            j = neighbours[i, p]
            if j < 0:
                continue
            zeta = 0.0
            for q in range(3):
                if q == p:
                    continue
                if neighbours[i, q] < 0:
                    zeta += ideal if present < 2 else 0.0
                    continue
                cosine = unit[p, 0] * unit[q, 0] + unit[p, 1] * unit[q, 1] + unit[p, 2] * unit[q, 2]
                zeta += 1 + c2 / d2 - c2 / (d2 + (h - cosine) ** 2)
                if present == 2:
                    zeta += 1 + c2 / d2 - c2 / (d2 + (h + math.sqrt(max(0.5 * (1 + cosine), 1e-9))) ** 2)
            repulsion = a * math.exp(-lambda1 * length[p])
            attraction = b * math.exp(-lambda2 * length[p])
            x = (beta * zeta) ** n
            order = (1 + x) ** (-0.5 / n)
            total += 0.5 * (repulsion - order * attraction)
            along = 0.5 * (-lambda1 * repulsion + lambda2 * order * attraction)
            by_zeta = 0.25 * attraction * order / (1 + x) * x / zeta
            for m in range(3):
                gradient[j, m] += along * unit[p, m]
                gradient[i, m] -= along * unit[p, m]
            for q in range(3):
                k = neighbours[i, q]
                if q == p or k < 0:
                    continue
                cosine = unit[p, 0] * unit[q, 0] + unit[p, 1] * unit[q, 1] + unit[p, 2] * unit[q, 2]
                by_cosine = by_zeta * -2 * c2 * (h - cosine) / (d2 + (h - cosine) ** 2) ** 2
                if present == 2:
                    third = math.sqrt(max(0.5 * (1 + cosine), 1e-9))
                    slope = 2 * c2 * (h + third) / (d2 + (h + third) ** 2) ** 2 / (4 * third)
                    by_cosine += by_zeta * slope
                    if p < q:  # the bond to the third neighbour, at its own length, once
                        zeta = 2 * (1 + c2 / d2 - c2 / (d2 + (h + third) ** 2))
                        x_third = (beta * zeta) ** n
                        order = (1 + x_third) ** (-0.5 / n)
                        pull = 0.5 * b * math.exp(-lambda2 * BOND)
                        total -= order * pull
                        by_cosine += 0.5 * pull * order / (1 + x_third) * x_third / zeta * 2 * slope
                for m in range(3):
                    on_j = by_cosine * (unit[q, m] - cosine * unit[p, m]) / length[p]
                    on_k = by_cosine * (unit[p, m] - cosine * unit[q, m]) / length[q]
                    gradient[j, m] += on_j
                    gradient[k, m] += on_k
                    gradient[i, m] -= on_j + on_k
    return total, gradient


def _flat_bond() -> tuple[float, float]:
    """Energy [eV] of a directed bond of flat graphene, and its attractive part alone."""
    a, lambda1, b, lambda2, beta, n, c, d, h = LINDSAY_BROIDO
    zeta = 2 * (1 + c**2 / d**2 - c**2 / (d**2 + (h + 0.5) ** 2))
    attraction = (1 + (beta * zeta) ** n) ** (-0.5 / n) * b * np.exp(-lambda2 * BOND)
    return float(a * np.exp(-lambda1 * BOND) - attraction), float(attraction)


_FLAT, _THIRD = _flat_bond()


def _within(neighbours: IntArray, n_bonds: int) -> list[IntArray]:
    """For every atom those at most `n_bonds` bonds away, itself included."""
    near = [{i} for i in range(len(neighbours))]
    for _ in range(n_bonds):
        near = [set().union(one, *(near[j] for j in neighbours[i] if j >= 0)) for i, one in enumerate(near)]
    return [np.fromiter(sorted(one), dtype=np.int64) for one in near]


def _colours(conflicts: list[IntArray]) -> IntArray:
    """Colours, few of them, such that no atom has that of another in its list of `conflicts`."""
    colours = np.full(len(conflicts), -1)
    for atom, others in enumerate(conflicts):
        taken = set(colours[others].tolist())
        colours[atom] = next(c for c in range(len(conflicts)) if c not in taken)
    return colours
