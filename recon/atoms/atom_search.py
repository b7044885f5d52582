"""The search of `recon.atoms.likelihood`: fit, judge every atom by its odds, add and remove, until nothing
changes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from ase import Atoms
from scipy.spatial import KDTree

from recon.atoms.classify import closest_approach, shortest_bond
from recon.atoms.covariance import local_covariance
from recon.atoms.detection import Detection, places, stands_apart
from recon.atoms.halo import Halo
from recon.atoms.mixture import Z_EXPONENT
from recon.atoms.poisson_fit import Prior, Series, State, fit, state_of, with_atoms, with_mismatch
from recon.atoms.repulsion import Repulsion
from recon.atoms.selection import Evidence, Species, candidates, evidence
from recon.project.projector import make_projector

FloatArray = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

START_WIDTH = 0.45
"""Å, the standard deviation of a core to begin with."""
START_SPREAD = 0.2
"""Relative spread of the intensities of a species to begin with."""
SPREADS = (0.05, 0.25)
"""Relative spreads that a species may have: atoms channel, but what varies more is noise."""
SOFTNESS = 0.15
"""Å: what bond lengths of a glass vary by, thermal motion and all."""
APART = 3.0
"""Å: atoms are added or removed together only when they are farther from each other than this, so that each
can be judged by itself."""
NEARBY = 5.0
"""Å: where atoms are added or removed, those nearer than this are fitted anew, and all others at the end."""
EM_STEPS = 20
CLEAR = 5.5
"""Median significance of a species above which taking out its dimmest atoms no longer changes its mean."""
MAX_PRUNINGS = 4
DOUBTFUL = 0.99
"""Confidence below which an atom is tried elsewhere,"""
PRESSED = 1.0
"""and the energy of repulsion above which it is."""
N_RELOCATIONS = 3
"""How many groups of doubtful atoms are tried in a round."""
LEAST_GAIN = 1.0
"""Energy that a round of adding must gain, or the same few would come and go."""
APART_SHARE = 0.01
"""Share of the atoms that is thought to stand apart from all others, and of the false ones that may."""
STILL = 0.5
"""Å that a doubtful atom may have moved while others were tried elsewhere."""
N_PASSES = 3
"""How often species and mismatch are learnt: from the start's atoms, and from those found with that; doubtful
atoms are tried elsewhere after the first."""


@dataclass
class AtomSearch:
    """The atoms so far, `state` and `labels` (n,), and what they are judged by.

    `among` and `apart` tell what an atom among others and one apart from them must bring in log odds, `cost`
    and `cost_apart`. `odds` (n,), the intensities `free` (n,) of the prior with their `variances` (n,), and
    the `covariance` (n, 4, 4) given the prior are those of the last fit.
    """

    series: Series
    elements: list[str]
    state: State
    species: Species
    labels: Labels
    false_rate: float
    cost: float = 0.0
    cost_apart: float = 0.0
    among: Detection = field(init=False)
    apart: Detection = field(init=False)
    odds: FloatArray = field(init=False)
    free: FloatArray = field(init=False)
    variances: FloatArray = field(init=False)
    covariance: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        self.projector = make_projector(self.series.geometry)
        self.bond = shortest_bond(self.elements)
        self.min_distance = closest_approach(self.elements)

    @classmethod
    def of(
        cls, series: Series, atoms: Atoms, elements: list[str], background: float, false_rate: float
    ) -> AtomSearch:
        """A search that begins with `atoms` of `elements` (lightest first), and `background` [electron per
        pixel]."""
        numbers = Atoms(elements).numbers.astype(np.float64)
        brightness = numbers**Z_EXPONENT
        labels = np.searchsorted(numbers, atoms.numbers)
        total = float(np.mean(series.counts.sum(axis=(1, 2), dtype=np.float64) / series.scales))
        total -= background * series.counts[0].size
        means = max(total, 1.0) / float(brightness[labels].sum()) * brightness
        state = state_of(series, atoms.positions.copy(), means[labels], START_WIDTH, background)
        species = Species(means, START_SPREAD * means, np.full(len(means), 1 / len(means)))
        return cls(series, elements, state, species, labels, false_rate)

    def run(self, n_rounds: int, n_steps: int) -> int:
        """Fit, add and remove until nothing changes; the number of rounds."""
        self.state = fit(self.series, self.state, n_iter=n_steps)
        self._choose_halo(n_steps)
        self._judge(free=True)
        rounds = 0
        for nth in range(N_PASSES):
            self.state = with_mismatch(self.series, self.state)
            self._learn(biased=nth > 0)
            self._fit(n_steps)
            self._set_cost()
            made = 0
            while rounds + made < n_rounds:
                pruned = self._prune(n_steps)
                grown = self._grow(n_steps)
                if not pruned and not grown and not (nth and self._relocate(n_steps)):
                    break
                made += 1
            rounds += made
            if not made:
                break
            self._fit(n_steps)
        return rounds

    def energy(self) -> float:
        """What a change of the atoms must lower: −ln of their evidence (Laplace), and the cost of every
        atom."""
        prior, k = self._prior(), self.labels
        known = np.minimum(self.covariance[:, 0, 0], prior.spreads**2)
        occam = np.log(prior.spreads) - 0.5 * np.log(known) - np.log(self.species.shares[k])
        return (
            self.state.energy
            + prior.energy(self.state.positions, self.state.heights)
            + float((occam + self._costs()).sum())
        )

    def answer(self) -> Atoms:
        """The atoms, with intensity, covariance [Å²] and confidence."""
        pixel, state = self.series.geometry.pixel_size, self.state
        atoms = Atoms([self.elements[label] for label in self.labels], positions=state.positions)
        atoms.set_array("intensity", state.heights)
        atoms.set_array("covariance", self.covariance[:, 1:, 1:].reshape(-1, 9) * pixel**2)
        atoms.set_array("confidence", self._confidence())
        return atoms

    def stats(self) -> dict[str, float]:
        """Figures of the fit: its R-factor, the width of a core [Å], background [electron], mismatch and
        cost."""
        state, counts = self.state, self.series.counts
        excess = np.abs(counts - np.float32(state.background)).sum(dtype=np.float64)
        among, apart = self.among.expected(self.cost), self.apart.expected(self.cost_apart)
        return {
            "r_factor": float(np.abs(counts - state.model).sum(dtype=np.float64) / excess),
            "log_likelihood": -state.energy,
            "width": state.width,
            "background": state.background,
            "mismatch": float(np.sqrt(state.mismatch)),
            "halo": self.series.halo.fraction,
            "cost": self.cost,
            "expected_false": among[0] + apart[0],
            "expected_missed": among[1] + apart[1],
        }

    def _choose_halo(self, n_steps: int) -> None:
        """Go without the halo that the optics promise where the counts are likelier so."""
        if self.series.halo.fraction == 0:
            return
        series = replace(self.series, halo=Halo())
        positions, heights = self.state.positions, self.state.heights
        without = state_of(series, positions, heights, self.state.width, self.state.background)
        without = fit(series, without, n_iter=n_steps, rival=self.state.energy)
        if without.energy < self.state.energy:
            self.state = fit(self.series, self.state, n_iter=n_steps)  # as many steps for both
        if without.energy < self.state.energy:
            self.series, self.state = series, without

    def _learn(self, *, biased: bool) -> None:
        """What the intensities say of the species; `biased` where dim atoms may have been taken out."""
        found = self.species
        for _ in range(EM_STEPS):
            found = found.learnt(self.free, self.variances, SPREADS)
        significance = self.free / np.sqrt(self.variances)
        for k in range(len(self.elements)):
            of_species = significance[self.labels == k]
            if biased and (not len(of_species) or np.median(of_species) < CLEAR):
                return
        self.species = found

    def _prior(self) -> Prior:
        return Prior(
            self.species.means[self.labels],
            self.species.spreads[self.labels],
            self._repulsion(),
        )

    def _rows(self) -> FloatArray:
        return np.asarray(self.series.geometry.rotations.as_matrix()[:, :2])

    def _set_cost(self) -> None:
        state, rows, n = self.state, self._rows(), len(self.labels)
        found = self._evidence()
        points, each = places(state.positions, self.bond, self.min_distance)
        anywhere, whole = found.anywhere()
        volume = each * len(points)
        of = partial(Detection.of, self.species, self.variances, width=state.width, rows=rows)
        self.among = of(n_atoms=n, elsewhere=found.variances(points), volume=volume)
        self.apart = of(n_atoms=APART_SHARE * n, elsewhere=anywhere, volume=max(whole - volume, 0.0))
        self.cost = self.among.cost(self.false_rate * n)
        self.cost_apart = self.apart.cost(APART_SHARE * self.false_rate * n)

    def _stands_apart(self) -> npt.NDArray[np.bool_]:
        return stands_apart(self.state.positions, self.state.positions, self.bond)

    def _confidence(self) -> FloatArray:
        apart, among = self.apart.confidence(self.odds), self.among.confidence(self.odds)
        return np.where(self._stands_apart(), apart, among)

    def _repulsion(self) -> Repulsion:
        return Repulsion(self.bond, SOFTNESS)

    def _costs(self) -> FloatArray:
        return np.where(self._stands_apart(), self.cost_apart, self.cost)

    def _evidence(self) -> Evidence:
        return evidence(self.series, self.state, self.projector, self._independent())

    def _fit(self, n_steps: int, changed: FloatArray | None = None) -> None:
        """Fit all atoms, or those around the places (m, 3) [Å] where some were `changed`."""
        near = None
        if changed is not None:
            distance = KDTree(changed).query(self.state.positions, distance_upper_bound=NEARBY)[0]
            near = np.flatnonzero(np.isfinite(distance))
        self.state = fit(self.series, self.state, prior=self._prior(), n_iter=n_steps, free=near)
        self._judge(free=False, of=near)

    def _judge(self, *, free: bool, of: Labels | None = None) -> None:
        """Covariance (that of the atoms `of` anew) and odds of every atom: each by its own intensity without
        prior, its neighbours with theirs."""
        state, prior = self.state, self._prior()
        atoms = self.series.atoms(state.positions, state.width)
        precision = np.zeros(len(state.heights)) if free else prior.precision
        found = local_covariance(
            state.positions, state.heights, atoms, state.weights, self.series.near, precision=precision, of=of
        )
        if of is None:
            self.covariance = found
        else:
            self.covariance = self.covariance.copy()
            self.covariance[of] = found
        own = self.covariance[:, 0, 0]
        with np.errstate(invalid="ignore"):
            self.variances = np.where(np.isfinite(own), own / np.maximum(1 - precision * own, 1e-6), np.inf)
        # an atom that the counts say nothing of has no intensity of its own
        known = np.minimum(self.variances, 1e6 * prior.spreads**2)
        self.variances = known
        self.free = state.heights + (state.heights - prior.means) * known * precision
        odds, self.labels = self.species.log_odds(self.free, self.variances)
        self.odds = odds - self._repulsion().near(state.positions).of_atoms()

    def _copy(self) -> dict[str, Any]:
        names = ("state", "labels", "odds", "free", "variances", "covariance")
        return {name: getattr(self, name) for name in names}

    def _restore(self, before: dict[str, Any]) -> None:
        for name, value in before.items():
            setattr(self, name, value)

    def _keep(self, kept: npt.NDArray[np.bool_], n_steps: int) -> None:
        """Only the atoms that are `kept` (n,), fitted."""
        gone = self.state.positions[~kept]
        self.labels, self.covariance = self.labels[kept], self.covariance[kept]
        positions, heights = self.state.positions[kept], self.state.heights[kept]
        self.state = with_atoms(self.series, self.state, positions, heights)
        self._fit(n_steps, gone)

    def _prune(self, n_steps: int) -> int:
        """Remove until every atom is worth its cost; how many went."""
        removed = 0
        for _ in range(MAX_PRUNINGS):
            gone = self._remove(n_steps)
            removed += gone
            if not gone:
                break
        return removed

    def _grow(self, n_steps: int) -> bool:
        """Add what the counts ask for and the fit confirms; taken back unless the energy falls."""
        before, energy = self._copy(), self.energy()
        if not self._add(n_steps):
            return False
        self._prune(n_steps)
        if self.energy() < energy - LEAST_GAIN:
            return True
        self._restore(before)
        return False

    def _relocate(self, n_steps: int) -> bool:
        """Take out doubtful atoms with the neighbours that press them, far from each other, and put back what
        the counts then ask for; taken back unless the energy falls. An atom between two true places holds
        both of them off, and no step from there leads down.
        """
        pressed = self._repulsion().near(self.state.positions).of_atoms()
        doubtful = np.flatnonzero((self._confidence() < DOUBTFUL) | (pressed > PRESSED))
        doubtful = doubtful[np.argsort(self.odds[doubtful], kind="stable")]
        lowered = False
        for _ in range(N_RELOCATIONS):
            if not len(doubtful):
                break
            taken = _apart(self.state.positions[doubtful], 2 * APART)
            places_of = self.state.positions[doubtful[taken]]
            rest = self.state.positions[np.delete(doubtful, taken)]
            before, energy = self._copy(), self.energy()
            far = np.asarray(KDTree(places_of).query(self.state.positions)[0]) >= self.bond
            if far.any():
                self._keep(far, n_steps)
                for _ in range(2):  # neighbours come back one after the other
                    self._add(n_steps)
                self._prune(n_steps)
                if self.energy() < energy - LEAST_GAIN:
                    lowered = True
                else:
                    self._restore(before)
            doubtful = _still(rest, self.state.positions)
        return lowered

    def _add(self, n_steps: int) -> int:
        """Atoms where the counts ask for them; how many."""
        found = candidates(
            self._evidence(),
            self.species,
            self.state.positions,
            least=min(self.cost, self.cost_apart),
            min_distance=self.min_distance,
        )
        found = found.less(self._repulsion().felt(found.positions, self.state.positions))
        lonely = stands_apart(found.positions, self.state.positions, self.bond)
        found = found.where(found.log_odds > np.where(lonely, self.cost_apart, self.cost))
        chosen = _apart(found.positions, APART)
        if not len(chosen):
            return 0
        labels = np.abs(found.heights[chosen, None] - self.species.means).argmin(axis=1)
        positions = np.concatenate([self.state.positions, found.positions[chosen]])
        heights = np.concatenate([self.state.heights, self.species.means[labels]])
        self.state = with_atoms(self.series, self.state, positions, heights)
        self.labels = np.concatenate([self.labels, labels])
        unknown = np.full((len(chosen), 4, 4), np.inf)
        self.covariance = np.concatenate([self.covariance, unknown])
        self._fit(n_steps, found.positions[chosen])
        return len(chosen)

    def _remove(self, n_steps: int) -> int:
        """Take out what the odds do not keep, and the weaker of two atoms too close; how many."""
        positions = self.state.positions
        doubtful = self.odds < self._costs()
        pairs = KDTree(positions).query_pairs(self.min_distance, output_type="ndarray")
        if len(pairs):
            weaker = np.where(self.odds[pairs[:, 0]] < self.odds[pairs[:, 1]], pairs[:, 0], pairs[:, 1])
            doubtful[weaker] = True
        weak = np.flatnonzero(doubtful)
        weak = weak[np.argsort(self.odds[weak], kind="stable")]
        gone = weak[_apart(positions[weak], APART)]
        if not len(gone) or len(gone) == len(positions):
            return 0
        kept = np.ones(len(positions), dtype=bool)
        kept[gone] = False
        self._keep(kept, n_steps)
        return len(gone)

    def _independent(self) -> float:
        """The part of the information on its intensity that an atom keeps when its neighbours are free."""
        atoms = self.series.atoms(self.state.positions, self.state.width)
        alone = atoms.overlaps(self.state.weights).sum(axis=0) / (2 * np.pi * atoms.sigma**2) ** 2
        with np.errstate(divide="ignore"):
            parts = 1 / (self.variances * alone)
        return float(np.clip(np.median(parts), 0.05, 1.0))


def _still(points: FloatArray, positions: FloatArray) -> npt.NDArray[np.intp]:
    """Which of `positions` are those that were at `points`, in their order."""
    if not len(points):
        return np.empty(0, dtype=np.intp)
    distance, index = KDTree(positions).query(points)
    same = np.asarray(index)[np.asarray(distance) < STILL]
    return np.asarray(list(dict.fromkeys(same.tolist())), dtype=np.intp)


def _apart(positions: FloatArray, distance: float) -> npt.NDArray[np.intp]:
    """Which of `positions`, taken in order, are at least `distance` [Å] from every one taken before."""
    kept = np.ones(len(positions), dtype=bool)
    if len(positions) > 1:
        pairs = KDTree(positions).query_pairs(distance, output_type="ndarray")
        for first, second in pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]:
            if kept[first]:
                kept[second] = False
    return np.flatnonzero(kept)
