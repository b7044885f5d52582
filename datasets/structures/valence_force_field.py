"""A valence force field on a fixed network of bonds, for silicon, germanium, tin and their alloys.

    E = 1/2 Σ_bonds 3 α_ij (r_ij − d_ij)²  +  1/2 Σ_angles 3/4 β_jik d_ij d_ik (cos θ_jik + 1/3)²

with Keating's α and β (Phys. Rev. 145, 637, 1966), a bond or an angle between unlike atoms taking the mean
of the two, as of Martins and Zunger, Phys. Rev. B 30, 6217 (1984). The bending depends on the angle alone,
as of Tu, Tersoff, Grinstein and Vanderbilt, Phys. Rev. Lett. 81, 4899 (1998): Keating's own, in r_ij·r_ik,
yields to angular disorder by shorter bonds, on an amorphous network of this alloy by 2 %. The bonds never
change. What keeps atoms that are not bonded apart, as dangling neighbours at a surface, is a one-sided
spring,

      + 1/2 Σ_others 3 α_ij (r_ij − c_ij)²    where r_ij < c_ij = 1.3 d_ij.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.spatial import cKDTree

from datasets.errors import InputError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

CONTACT = 1.3
"""Atoms that are not bonded repel each other below this many bond lengths: 3.05 Å for silicon, where the
radial distribution of amorphous silicon has its gap."""
SKIN = 0.6
"""Pairs that are farther apart than their contact distance by this [Å] are left out until the next search."""
NEWTON_PER_METRE = 0.0624151
"""1 N/m in eV/Å²."""


@dataclass(frozen=True)
class Species:
    """Bond length [Å] and Keating's α and β [N/m] of an element in the diamond structure."""

    bond_length: float
    stretching: float
    bending: float


SPECIES = {
    "Si": Species(2.35, 48.50, 13.81),
    "Ge": Species(2.45, 38.67, 11.35),
    "Sn": Species(2.81, 25.45, 6.44),
}
"""Force constants as in Martins and Zunger (1984); they follow from the crystals' elastic constants,
α = a (c₁₁ + 3 c₁₂)/4 and β = a (c₁₁ − c₁₂)/4."""


@dataclass(frozen=True)
class Springs:
    """Pairs (n, 2) held at `length` (n,) [Å] by `stiffness` (n,) [eV/Å²]."""

    pairs: IntArray
    length: FloatArray
    stiffness: FloatArray


class ValenceForceField:
    """The energy of `symbols` (n_atoms) joined by `bonds` (n_bonds, 2), in open space."""

    def __init__(self, symbols: list[str], bonds: IntArray) -> None:
        strange = sorted(set(symbols) - set(SPECIES))
        if strange:
            raise InputError(f"the valence force field knows {', '.join(SPECIES)}, not {', '.join(strange)}")
        table = np.array(
            [[SPECIES[s].bond_length, SPECIES[s].stretching, SPECIES[s].bending] for s in symbols]
        )
        self.length, self.stretching = table[:, 0], table[:, 1] * NEWTON_PER_METRE
        self.bending = table[:, 2] * NEWTON_PER_METRE
        self.n_atoms, self.pairs = len(symbols), np.sort(bonds, axis=1)
        self.bonds = self._springs(self.pairs, 1.0)
        self.angles = _angles(bonds, self.n_atoms)
        end, centre, other = self.angles.T
        first, second = self._mean(self.length, end, centre), self._mean(self.length, centre, other)
        bending = (self._mean(self.bending, end, centre) + self._mean(self.bending, centre, other)) / 2
        self.angle_stiffness = 0.75 * bending * first * second

    def energy(self, positions: FloatArray, contacts: Springs | None = None) -> tuple[float, FloatArray]:
        """The energy [eV] and its gradient (n_atoms, 3) [eV/Å] at `positions` (n_atoms, 3) [Å]."""
        gradient = np.zeros((self.n_atoms, 3))
        energy = self._stretch(positions, self.bonds, gradient, one_sided=False)
        if contacts is not None:
            energy += self._stretch(positions, contacts, gradient, one_sided=True)
        end, centre, other = self.angles.T
        first, first_length = _unit(positions[end] - positions[centre])
        second, second_length = _unit(positions[other] - positions[centre])
        cosine = np.einsum("ij,ij->i", first, second)
        energy += float(self.angle_stiffness @ (cosine + 1 / 3) ** 2) / 2
        torque = self.angle_stiffness * (cosine + 1 / 3)
        on_end = (torque / first_length)[:, None] * (second - cosine[:, None] * first)
        on_other = (torque / second_length)[:, None] * (first - cosine[:, None] * second)
        _scatter(gradient, end, on_end)
        _scatter(gradient, other, on_other)
        _scatter(gradient, centre, -(on_end + on_other))
        return energy, gradient

    def contacts(self, positions: FloatArray) -> Springs:
        """The springs between atoms that are not bonded and are, or may soon be, in contact."""
        reach = CONTACT * float(self.length.max()) + SKIN
        pairs = cKDTree(positions).query_pairs(reach, output_type="ndarray")
        bonded = np.isin(self._code(pairs), self._code(self.pairs))
        springs = self._springs(pairs[~bonded], CONTACT)
        distance = np.linalg.norm(np.subtract(*positions[springs.pairs.T]), axis=1)
        near = distance < springs.length + SKIN
        return Springs(springs.pairs[near], springs.length[near], springs.stiffness[near])

    def relax(self, positions: FloatArray, *, force: float = 1e-3, rounds: int = 10) -> FloatArray:
        """The positions (n_atoms, 3) [Å] of the nearest minimum, by L-BFGS, where no force component exceeds
        `force` [eV/Å]; contacts are searched anew until no atom moves by half the skin.
        """
        for _ in range(rounds):
            contacts = self.contacts(positions)

            def objective(flat: FloatArray, contacts: Springs = contacts) -> tuple[float, FloatArray]:
                energy, gradient = self.energy(flat.reshape(-1, 3), contacts)
                return energy, gradient.ravel()

            result = minimize(
                objective,
                positions.ravel(),
                jac=True,
                method="L-BFGS-B",
                options={"maxiter": 2000, "maxfun": 4000, "gtol": force, "ftol": 0.0, "maxcor": 20},
            )
            moved = np.linalg.norm(result.x.reshape(-1, 3) - positions, axis=1).max()
            positions = result.x.reshape(-1, 3)
            if moved < SKIN / 2:
                break
        return positions

    def _stretch(
        self, positions: FloatArray, springs: Springs, gradient: FloatArray, *, one_sided: bool
    ) -> float:
        """Add the springs' forces to `gradient` and return their energy."""
        first, second = springs.pairs.T
        direction, length = _unit(positions[first] - positions[second])
        excess = length - springs.length
        if one_sided:
            excess = np.minimum(excess, 0)
        pull = (springs.stiffness * excess)[:, None] * direction
        _scatter(gradient, first, pull)
        _scatter(gradient, second, -pull)
        return float(springs.stiffness @ excess**2) / 2

    def _springs(self, pairs: IntArray, scale: float) -> Springs:
        first, second = pairs.T
        length = scale * self._mean(self.length, first, second)
        return Springs(pairs, length, 3 * self._mean(self.stretching, first, second))

    def _mean(self, values: FloatArray, first: IntArray, second: IntArray) -> FloatArray:
        return (values[first] + values[second]) / 2

    def _code(self, pairs: IntArray) -> IntArray:
        """One number for each pair, whatever its order."""
        low, high = np.sort(pairs, axis=1).T
        return low * self.n_atoms + high


def _angles(bonds: IntArray, n_atoms: int) -> IntArray:
    """All angles (n_angles, 3) as end, centre, end."""
    both = np.concatenate([bonds, bonds[:, ::-1]])
    both = both[np.lexsort(both.T[::-1])]
    start = np.searchsorted(both[:, 0], np.arange(n_atoms + 1))
    found = [np.empty((0, 3), dtype=np.intp)]
    # atoms of as many bonds are taken together: a few vectors instead of a loop over atoms
    count = np.diff(start)
    for n_bonds in np.unique(count[count > 1]):
        centre = np.flatnonzero(count == n_bonds)
        neighbours = both[start[centre][:, None] + np.arange(n_bonds), 1]
        for first, second in zip(*np.triu_indices(n_bonds, 1), strict=True):
            found.append(np.stack([neighbours[:, first], centre, neighbours[:, second]], axis=1))
    return np.concatenate(found)


def _unit(vectors: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The directions (n, 3) and lengths (n,) of `vectors` (n, 3)."""
    length = np.linalg.norm(vectors, axis=1)
    return vectors / length[:, None], length


def _scatter(target: FloatArray, index: IntArray, values: FloatArray) -> None:
    """Add `values` (n, 3) to the rows `index` (n,) of `target`, repeated rows summed."""
    for axis in range(3):
        target[:, axis] += np.bincount(index, values[:, axis], minlength=len(target))
