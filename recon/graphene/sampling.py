"""Sheets drawn from the posterior: Hamiltonian Monte Carlo with the exact prior about a quadratic likelihood.

The most probable sheet is not the mean one. Heights enter the lengths of bonds squared, ripples shorter than
the frame resolves shorten every bond a little, and of two wells the deeper need not be the wider. So sheets
are drawn with probability exp(−U), U = E(r)/kT + g·(r − r₀) + ½ (r − r₀)ᵀF(r − r₀), the likelihood of the
frame expanded about r₀ (gradient g, Fisher information F): to first order the frame is linear in z, and x and
y are known to a small part of what the lens resolves. Duane, Kennedy, Pendleton and Roweth, Phys. Lett. B
195, 216 (1987); Neal, Handbook of Markov Chain Monte Carlo (2011), chapter 5.

The temperature is drawn too (Gibbs): given a sheet, E/kT is Gamma-distributed with half the number of degrees
of freedom as its shape.

Masses are those of the curvature A = F + ∂²E/kT: D^½ (1 + W (Λ − 1) Wᵀ) D^½, D its diagonal and W the softest
directions, so that long ripples, a hundred times softer than a bond, move as fast as bonds do.

Cost per step: the energy of the prior, F with some 150 entries in a row, and 4 n k operations for k soft
directions. 640 atoms: 0.9 ms of one core, 0.35 of them the energy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import LinearOperator, eigsh

from recon.graphene.prior import BOLTZMANN, Sheet

FloatArray = npt.NDArray[np.float64]

N_SOFT = 120
"""Directions that have a mass of their own."""
STEP = 0.22
"""Of the leapfrog, in units of the inverse of the highest frequency but for the soft directions."""
N_STEPS = 24
"""Leapfrog steps of a trajectory."""
LOST = 20.0
"""A trajectory that moves an atom this far [Å] has diverged, and is refused."""
NEGLIGIBLE = 1e-3
"""Entries of F below this part of the diagonal are left out."""


@dataclass(frozen=True)
class Quadratic:
    """The log-likelihood about `at` (n_atoms, 3): its `gradient` (3 n_atoms,) and curvature, both of −log."""

    at: FloatArray
    gradient: FloatArray
    information: FloatArray

    def sparse(self) -> csr_matrix:
        """The information without its negligible entries, in single precision."""
        scale = np.sqrt(np.diag(self.information))
        kept = np.abs(self.information) > NEGLIGIBLE * np.outer(scale, scale)
        result = np.where(kept, self.information, 0)
        # what is left out of a row goes to its diagonal: a shift of all atoms together costs what it did
        for axis in range(3):
            lost = (self.information - result)[axis::3, axis::3].sum(axis=1)
            result[np.arange(axis, len(result), 3), np.arange(axis, len(result), 3)] += lost
        return csr_matrix(result.astype(np.float32))


@dataclass(frozen=True, eq=False)
class Masses:
    """The mass matrix D^½ (1 + W (Λ − 1) Wᵀ) D^½: `scale` = D^½ (n,), `soft` = W (n, k), `frequencies` =
    Λ^½ (k,).
    """

    scale: FloatArray
    soft: FloatArray
    frequencies: FloatArray

    @classmethod
    def of(cls, curvature: FloatArray, floor: float = 2e-3) -> Masses:
        """Masses for `curvature` (n, n), which need not be positive definite: values below `floor` are it."""
        scale = np.sqrt(np.maximum(np.diag(curvature), 1e-9))
        k = min(N_SOFT, len(scale) - 1)
        values, vectors = _softest(curvature / np.outer(scale, scale), k)
        return cls(scale, vectors, np.sqrt(np.maximum(values, floor)))

    def velocity(self, momentum: FloatArray) -> FloatArray:
        """M⁻¹ p."""
        return self._times(momentum / self.scale, self.frequencies**-2.0) / self.scale

    def draw(self, rng: np.random.Generator) -> FloatArray:
        """A momentum with covariance M."""
        return self._times(rng.normal(size=len(self.scale)), self.frequencies) * self.scale

    def _times(self, vector: FloatArray, values: FloatArray) -> FloatArray:
        return vector + self.soft @ ((values - 1) * (self.soft.T @ vector))


@dataclass(eq=False)
class Chain:
    """A walk over sheets. `positions` (n_atoms, 3) [Å] and `temperature` [K] are where it stands."""

    sheet: Sheet
    likelihood: Quadratic
    masses: Masses
    positions: FloatArray
    temperature: float
    rng: np.random.Generator
    free_temperature: bool = False
    step: float = STEP
    accepted: float = 0.0

    def __post_init__(self) -> None:
        self._information = self.likelihood.sparse()

    def run(
        self,
        n: int,
        *,
        heat: Callable[[int], float] = lambda k: 1.0,
        adapt: bool = False,
        after: Callable[[float], bool] = lambda temperature: True,
    ) -> tuple[FloatArray, FloatArray]:
        """`n` trajectories: sheets (n, n_atoms, 3) [Å] and temperatures (n,) [K].

        At trajectory k the posterior is that to the power 1 / heat(k). `adapt` the step to accept four of
        five. `after` a trajectory it is asked whether to go on; where not, there are fewer.
        """
        sheets = np.empty((n, *self.positions.shape), dtype=np.float32)
        temperatures = np.empty(n)
        moved = 0
        for k in range(n):
            chance, end = self._trajectory(1 / heat(k))
            if self.rng.uniform() < chance:
                self.positions = end
                moved += 1
            if adapt:
                self.step *= 1.05 if chance > 0.8 else 0.9
            if self.free_temperature:
                self._draw_temperature()
            sheets[k], temperatures[k] = self.positions, self.temperature
            if not after(self.temperature):
                n = k + 1
                break
        self.accepted = moved / max(n, 1)
        return sheets[:n], temperatures[:n]

    def _trajectory(self, power: float) -> tuple[float, FloatArray]:
        """Probability of acceptance, and where the trajectory ends."""
        positions = self.positions
        momentum = self.masses.draw(self.rng)
        value, gradient = self._potential(positions)
        start = power * value + 0.5 * float(momentum @ self.masses.velocity(momentum))
        step = self.step * self.rng.uniform(0.8, 1.0)
        for _ in range(N_STEPS):
            momentum = momentum - 0.5 * step * power * gradient
            positions = positions + step * self.masses.velocity(momentum).reshape(positions.shape)
            if not np.abs(positions - self.positions).max() < LOST:
                return 0.0, self.positions
            value, gradient = self._potential(positions)
            momentum = momentum - 0.5 * step * power * gradient
        end = power * value + 0.5 * float(momentum @ self.masses.velocity(momentum))
        return math.exp(min(0.0, start - end)) if math.isfinite(end) else 0.0, positions

    def _potential(self, positions: FloatArray) -> tuple[float, FloatArray]:
        off = (positions - self.likelihood.at).ravel()
        pull = self._information @ off.astype(np.float32)
        energy, force = self.sheet.energy(positions)
        kt = BOLTZMANN * self.temperature
        value = energy / kt + float(self.likelihood.gradient @ off + 0.5 * off @ pull)
        return value, force.ravel() / kt + self.likelihood.gradient + pull

    def _draw_temperature(self) -> None:
        """kT given E: inverse Gamma, shape half the degrees of freedom that are not rigid motion."""
        energy, _ = self.sheet.energy(self.positions)
        shape = 0.5 * (self.positions.size - 6)
        self.temperature = float(max(energy, 1e-6) / self.rng.gamma(shape) / BOLTZMANN)


def _softest(matrix: FloatArray, k: int) -> tuple[FloatArray, FloatArray]:
    """The `k` lowest eigenvalues of a `matrix` (n, n) with diagonal 1, and their vectors (n, k), by Lanczos
    on its inverse; what is negative is only known not to be large.
    """
    n, shift = len(matrix), 1e-4
    while True:
        try:
            factor = cho_factor(matrix + shift * np.eye(n), lower=True, check_finite=False)
            break
        except LinAlgError:
            shift *= 4
    inverse = LinearOperator(
        (n, n), matvec=lambda v: cho_solve(factor, v, check_finite=False), dtype=np.float64
    )
    start = np.random.default_rng(0).normal(size=n)
    values, vectors = eigsh(inverse, k=k, tol=1e-3, v0=start)
    return 1 / values - shift, vectors
