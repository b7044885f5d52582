"""Maximum likelihood of atoms given counts: Fisher scoring with every pair of atoms coupled.

Counts n are Poisson about λ = b + Σ_a h_a K(p − P_t x_a), with K the image of an atom (`recon.atoms.halo`).
Where the model itself is off by a part c of λ, as channelling makes it, they are negative binomial: variance
λ + (cλ)². With that as inverse weights the Gauss–Newton step of `recon.atoms.gauss_newton` is the
Fisher-scoring step of the likelihood, and one that does not raise it is damped and tried again. A Gaussian
prior on the intensities, learnt from the atoms themselves, holds those of one species together: atoms of one
element look alike in ADF images. A soft repulsion keeps atoms apart (`recon.atoms.repulsion`).

Cost at n atoms, n_t tilts and windows of w² pixels: about 15 inner iterations of 6 multiply-adds per pixel of
a window, so 100 n n_t w² a step, and two FFTs of every image each for the halo. Linear in atoms and in tilts.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from recon.atoms.gauss_newton import LinearisedFit, Step
from recon.atoms.halo import AtomsWithHalo, Halo
from recon.atoms.refine import cut
from recon.atoms.repulsion import Repulsion
from recon.project.gaussian_atoms import GaussianAtoms, Images
from recon.project.geometry import Geometry

FloatArray = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

N_INNER = 15
SETTLED = 0.003
"""Å, root mean square of a step below which the atoms have come to rest."""
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

    `shifts` (n_tilt, 2) along (x, y) [Å] displace the images and `scales` (n_tilt,) multiply them.
    """

    counts: Images
    geometry: Geometry
    shifts: FloatArray
    scales: FloatArray
    halo: Halo
    transfer: npt.NDArray[np.float32] | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        shape = self.counts.shape[1], self.counts.shape[2]
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
        cores = GaussianAtoms.at(positions / pixel, widths, rows, origin, shape)
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
) -> State:
    """The most likely atoms near `state` after at most `n_iter` steps; their number stays as it is."""
    if not len(state.positions):
        return fit_background(series, state) if with_background else state
    damping, pixel = DAMPING[0] * 10, series.geometry.pixel_size
    narrowest = max(WIDTHS[0], float(np.sqrt(series.halo.core)))
    for _ in range(n_iter):
        atoms = series.atoms(state.positions, state.width)
        linear = _WithPrior(atoms, state, prior, pixel)
        gradient = linear.gradient(series.counts - state.model)
        before = state.energy + (prior.energy(state.positions, state.heights) if prior else 0.0)
        while True:
            moves, rises, widens = linear.solve(gradient, damping, N_INNER)
            moves = cut(moves * pixel, MAX_STEP)
            heights = np.maximum(state.heights + rises, LEAST_HEIGHT * np.median(state.heights))
            change = np.clip(widens[0] * pixel / state.width, -WIDTH_STEP, WIDTH_STEP) if with_width else 0.0
            width = float(np.clip(state.width * (1 + change), narrowest, WIDTHS[1]))
            tried = state_of(
                series, state.positions + moves, heights, width, state.background, state.mismatch
            )
            after = tried.energy + (prior.energy(tried.positions, heights) if prior else 0.0)
            if after <= before or damping > DAMPING[1]:
                break
            damping = max(10 * damping, 1e-2)
        if after > before:
            break
        damping = max(damping / 5, DAMPING[0])
        state = fit_background(series, tried) if with_background else tried
        if np.sqrt(np.mean(np.sum(moves**2, axis=1))) < SETTLED:
            break
    return state


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
    """The linearised fit of own intensities and one width, with what is known before."""

    def __init__(self, atoms: GaussianAtoms, state: State, prior: Prior | None, pixel: float) -> None:
        n = len(state.heights)
        super().__init__(atoms, state.heights, state.weights, np.arange(n), np.zeros(n, dtype=np.int64))
        self.prior, self.pixel = prior, pixel
        self.precision = np.zeros(n) if prior is None else prior.precision
        self.pull = self.precision * (0.0 if prior is None else prior.means - state.heights)
        self.of_heights = self.of_heights + self.precision
        self.pairs = None
        if prior is not None and prior.repulsion is not None:
            self.pairs = prior.repulsion.near(state.positions)
            self.blocks = self.blocks + self.pairs.blocks().reshape(-1, 9) * pixel**2

    def gradient(self, residual: Images) -> Step:
        """As `LinearisedFit.gradient`, with the prior."""
        positions, heights, widths = super().gradient(residual)
        if self.pairs is not None:
            positions = positions + self.pairs.force() * self.pixel
        return positions, heights + self.pull, widths

    def apply(self, s: Step, damping: float, added: FloatArray) -> Step:
        """As `LinearisedFit.apply`, with the prior."""
        positions, heights, widths = super().apply(s, damping, added)
        if self.pairs is not None:
            positions = positions + self.pairs.stiffness(s[0]) * self.pixel**2
        return positions, heights + self.precision * s[1], widths
