"""Maximum likelihood of atoms given counts: Fisher scoring with every pair of atoms coupled.

Counts n are Poisson about λ = b + Σ_a h_a K(p − P_t x_a), with K the image of an atom (`recon.atoms.halo`).
Where the model itself is off by a part c of λ, as channelling makes it, they are negative binomial: variance
λ + (cλ)². With that as inverse weights the Gauss–Newton step of `recon.atoms.gauss_newton` is the
Fisher-scoring step of the likelihood, and one that does not raise it is damped and tried again. A Gaussian
prior on the intensities, learnt from the atoms themselves, holds those of one species together: atoms of one
element look alike in ADF images. A soft repulsion keeps atoms apart (`recon.atoms.repulsion`).

Cost at n atoms, n_t tilts and windows of w² pixels: 4 inner iterations at 200 atoms and 8 at 6,300, where
more atoms overlap, of 6 multiply-adds per pixel of a window, so 50 n n_t w² a step, and four FFTs of every
image in each for the halo. Linear in atoms and tilts. Where only some change, only they are fitted (`free`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import scipy.fft

from recon.atoms.gauss_newton import LinearisedFit, Step
from recon.atoms.halo import AtomsWithHalo, Halo
from recon.atoms.refine import cut
from recon.atoms.repulsion import Repulsion
from recon.project.gaussian_atoms import REACH, GaussianAtoms, Images
from recon.project.geometry import Geometry

FloatArray = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

N_INNER = 15
SETTLED = 0.005
"""Energy per atom that a step must promise to be followed by another; one standard error of each of an atom's
four numbers is worth 2, and the edges of windows make the likelihood uneven by about a thousandth."""
HOPE = 3.0
"""What the steps to come may bring at most, in units of what the last one promised."""
MAX_STEP = 0.3
"""Å, the longest single step: about a width, beyond which the images are not linear."""
LEAST_HEIGHT = 0.01
"""Least intensity of an atom, in units of the median: it stays positive."""
WIDTH_STEP = 0.1
"""Greatest relative change of the width in one step."""
WIDTHS = (0.2, 1.2)
"""Å, between which the width of a core stays."""
LEAST_LEVEL = 0.01
"""In units of the mean image: no background is taken for less, for tails reach farther than a Gaussian's."""
DAMPING = (1e-4, 1e3)
SURE = 3.0
"""Standard deviations by which the residual must exceed Poisson's for a mismatch to be seen in it."""


@dataclass(frozen=True)
class Series:
    """What is fitted to: `counts` (n_tilt, n_y, n_x) [electron], where they were taken, and how.

    `shifts` (n_tilt, 2) along (x, y) [Å] displace the images, `scales` (n_tilt,) multiply them, and by the
    variances `blurs` (n_tilt,) [Å²] atoms are wider in them than in the sharpest one.
    """

    counts: Images
    geometry: Geometry
    shifts: FloatArray
    scales: FloatArray
    halo: Halo
    blurs: FloatArray | None = None
    transfer: npt.NDArray[np.float32] | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # zeros around the images, so that nothing comes in from the other side, up to a size that FFTs like
        reach = REACH * float(np.sqrt(self.halo.spread)) / self.geometry.pixel_size
        least = [(n + round(reach) + 1) // 2 for n in self.counts.shape[1:]]
        shape = 2 * scipy.fft.next_fast_len(least[0]), 2 * scipy.fft.next_fast_len(least[1])
        filters = None
        if self.halo.fraction > 0 or np.any(self.scales != 1):
            filters = self.halo.transfer(shape, self.geometry.pixel_size) * self.scales[:, None, None]
            filters = filters.astype(np.float32)
        object.__setattr__(self, "transfer", filters)

    @property
    def least_background(self) -> float:
        """The background [electron per pixel] is never taken for less."""
        return max(LEAST_LEVEL * float(self.counts.mean(dtype=np.float64)), 1e-6)

    @property
    def near(self) -> FloatArray:
        """The part (n_tilt, 1) of an intensity that an image has in the core of an atom."""
        return np.asarray(self.scales[:, None] * (1 - self.halo.fraction))

    def atoms(self, positions: FloatArray, width: float) -> AtomsWithHalo:
        """The images of atoms at `positions` (n, 3) [Å], whose cores have the standard deviation `width`
        [Å]."""
        pixel, shape = self.geometry.pixel_size, (self.counts.shape[1], self.counts.shape[2])
        rows = np.ascontiguousarray(self.geometry.rotations.as_matrix()[:, :2, :])
        origin = np.array([self.geometry.x[0], self.geometry.y[0]]) / pixel
        widths = np.full(len(positions), width / pixel)
        blurs = None if self.blurs is None else self.blurs / pixel**2
        cores = GaussianAtoms.at(positions / pixel, widths, rows, origin, shape, blur=blurs)
        moved = replace(cores, u=cores.u + self.shifts[:, :1] / pixel, v=cores.v + self.shifts[:, 1:] / pixel)
        return AtomsWithHalo.around(moved, self.transfer, self.near)


@dataclass(frozen=True)
class Prior:
    """What is known before: intensities are normal about `means` (n,) with standard deviations `spreads`
    (n,) [electron], and atoms keep their distance by `repulsion`.
    """

    means: FloatArray
    spreads: FloatArray
    repulsion: Repulsion | None = None

    @property
    def precision(self) -> FloatArray:
        """Inverse variances (n,) of the intensities."""
        return np.asarray(self.spreads**-2.0)

    def energy(self, positions: FloatArray, heights: FloatArray) -> float:
        """Minus the logarithm of the prior, but for a constant."""
        of_heights = float(0.5 * np.sum(((heights - self.means) / self.spreads) ** 2))
        return of_heights + (self.repulsion.near(positions).energy if self.repulsion else 0.0)


@dataclass(frozen=True)
class State:
    """Atoms as fitted: `positions` (n, 3) [Å], `heights` (n,) [electron per image], the `width` of their
    cores [Å], the `background` [electron per pixel], c² of the model's `mismatch`, the expected counts
    `model`, and minus the logarithm of their likelihood.
    """

    positions: FloatArray
    heights: FloatArray
    width: float
    background: float
    mismatch: float
    model: Images
    energy: float

    @property
    def weights(self) -> Images:
        """Inverse variances (n_tilt, n_y, n_x) of the counts."""
        return np.asarray(1 / (self.model * (1 + np.float32(self.mismatch) * self.model)), dtype=np.float32)


def state_of(
    series: Series,
    positions: FloatArray,
    heights: FloatArray,
    width: float,
    background: float,
    mismatch: float = 0.0,
) -> State:
    """The state of atoms that are where they are."""
    background = max(background, series.least_background)
    model = np.full_like(series.counts, background)
    if len(positions):
        model += series.atoms(positions, width).project(heights)
    np.maximum(model, np.float32(series.least_background / 2), out=model)  # a filter may undershoot
    energy = _energy(series.counts, model, mismatch)
    return State(positions, heights, width, background, mismatch, model, energy)


def with_atoms(series: Series, state: State, positions: FloatArray, heights: FloatArray) -> State:
    """The `state` with other atoms."""
    return state_of(series, positions, heights, state.width, state.background, state.mismatch)


def _energy(counts: Images, model: Images, mismatch: float) -> float:
    log = np.log(model)
    if mismatch:
        total = (counts + np.float32(1 / mismatch)) * np.log1p(np.float32(mismatch) * model)
    else:
        total = model
    return float(np.sum(total - counts * log, dtype=np.float64))


def with_mismatch(series: Series, state: State) -> State:
    """The `state` with the mismatch c² that its residual shows: what Σ (n − λ)² exceeds Σ λ by, over Σ λ²."""
    model = state.model.astype(np.float64)
    square = np.sum(model**2)
    excess = np.sum((series.counts - model) ** 2 - series.counts)
    scatter = np.sqrt(2 * square)
    found = float(excess / square) if excess > SURE * scatter else 0.0
    return replace(state, mismatch=found, energy=_energy(series.counts, state.model, found))


def fit(
    series: Series,
    state: State,
    *,
    prior: Prior | None = None,
    n_iter: int = 8,
    with_width: bool = True,
    with_background: bool = True,
    free: Labels | None = None,
    rival: float = np.inf,
) -> State:
    """The most likely atoms near `state` after at most `n_iter` steps; their number stays as it is.

    With the indices `free` (m,) only those atoms change, at the cost of m atoms; all others, the width and
    the background stay as they are. It is given up where it will not come below the energy of a `rival`.
    """
    if free is not None and not len(free):
        return state
    if not len(state.positions):
        return fit_background(series, state) if with_background else state
    damping, pixel = DAMPING[0] * 10, series.geometry.pixel_size
    narrowest = max(WIDTHS[0], float(np.sqrt(series.halo.core)))
    some = np.arange(len(state.heights)) if free is None else free
    with_width, with_background = with_width and free is None, with_background and free is None
    for _ in range(n_iter):
        atoms = series.atoms(state.positions[some], state.width)
        linear = _WithPrior(atoms, state, some, prior, pixel, with_width=with_width)
        gradient = linear.gradient(series.counts - state.model)
        before = state.energy + (prior.energy(state.positions, state.heights) if prior else 0.0)
        least = LEAST_HEIGHT * float(np.median(state.heights))
        while True:
            step = linear.solve(gradient, damping, N_INNER)
            promised = 0.5 * float(sum(np.vdot(s, g) for s, g in zip(step, gradient, strict=True)))
            positions, heights = state.positions.copy(), state.heights.copy()
            positions[some] += cut(step[0] * pixel, MAX_STEP)
            heights[some] = np.maximum(heights[some] + step[1], least)
            change = np.clip(step[2][0] * pixel / state.width, -WIDTH_STEP, WIDTH_STEP)
            width = float(np.clip(state.width * (1 + change), narrowest, WIDTHS[1]))
            tried = _moved(series, state, positions, heights, width, free)
            after = tried.energy + (prior.energy(positions, heights) if prior else 0.0)
            settled = promised < SETTLED * len(some)
            if after <= before or settled or damping > DAMPING[1]:
                break
            damping = max(10 * damping, 1e-2)
        if after > before:
            break
        damping = max(damping / 5, DAMPING[0])
        state = fit_background(series, tried) if with_background else tried
        if settled or state.energy - HOPE * promised > rival:
            break
    return state


def _moved(
    series: Series,
    state: State,
    positions: FloatArray,
    heights: FloatArray,
    width: float,
    free: Labels | None,
) -> State:
    """The `state` with atoms elsewhere; where only those of the indices `free` are, only these are drawn."""
    if free is None:
        return state_of(series, positions, heights, width, state.background, state.mismatch)
    both = series.atoms(np.concatenate([positions[free], state.positions[free]]), width)
    model = state.model + both.project(np.concatenate([heights[free], -state.heights[free]]))
    np.maximum(model, np.float32(series.least_background / 2), out=model)
    energy = _energy(series.counts, model, state.mismatch)
    return replace(state, positions=positions, heights=heights, model=model, energy=energy)


def fit_background(series: Series, state: State) -> State:
    """One Fisher-scoring step of the background alone, kept where the likelihood rises."""
    weights = state.weights
    gradient = np.sum(weights * (series.counts - state.model), dtype=np.float64)
    background = max(
        state.background + float(gradient / np.sum(weights, dtype=np.float64)), series.least_background
    )
    model = state.model + np.float32(background - state.background)
    np.maximum(model, np.float32(series.least_background / 2), out=model)
    energy = _energy(series.counts, model, state.mismatch)
    if energy >= state.energy:
        return state
    return replace(state, background=background, model=model, energy=energy)


class _WithPrior(LinearisedFit):
    """The linearised fit of own intensities of `some` of a state's atoms and one width, with what is known
    before."""

    def __init__(
        self,
        atoms: GaussianAtoms,
        state: State,
        some: Labels,
        prior: Prior | None,
        pixel: float,
        *,
        with_width: bool,
    ) -> None:
        n, heights = len(some), state.heights[some]
        super().__init__(atoms, heights, state.weights, np.arange(n), np.zeros(n, dtype=np.int64))
        self.some, self.pixel, self.with_width = some, pixel, with_width
        self.precision = np.zeros(n) if prior is None else prior.precision[some]
        self.pull = self.precision * (0.0 if prior is None else prior.means[some] - heights)
        self.of_heights = self.of_heights + self.precision
        self.pairs = None
        if prior is not None and prior.repulsion is not None:
            self.pairs = prior.repulsion.near(state.positions)
            self.blocks = self.blocks + self.pairs.blocks()[some].reshape(-1, 9) * pixel**2

    def gradient(self, residual: Images) -> Step:
        """As `LinearisedFit.gradient`, with the prior."""
        positions, heights, widths = super().gradient(residual)
        if self.pairs is not None:
            positions = positions + self.pairs.force()[self.some] * self.pixel
        return positions, heights + self.pull, widths * self.with_width

    def apply(self, s: Step, damping: float, added: FloatArray) -> Step:
        """As `LinearisedFit.apply`, with the prior."""
        positions, heights, widths = super().apply(s, damping, added)
        if self.pairs is not None:
            moves = np.zeros((self.pairs.n, 3))
            moves[self.some] = s[0]
            positions = positions + self.pairs.stiffness(moves)[self.some] * self.pixel**2
        return positions, heights + self.precision * s[1], widths * self.with_width
