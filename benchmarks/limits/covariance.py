"""From information to the least covariance of positions: the Cramér–Rao bound, exact or by random probes.

No unbiased estimate of θ from the counts has a smaller covariance than C = F⁻¹; nuisance parameters widen the
block of the positions. A score removes one translation of the whole answer before it measures distances, and
so does the bound: the variance of atom a is the trace of its block of P C P, with P = 1 − (mean over atoms).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve, null_space

from benchmarks.limits.information import Operator
from datasets.errors import InputError

FloatArray = npt.NDArray[np.float64]

TOLERANCE = 1e-4
"""Residual at which conjugate gradients stop, relative to the right side."""

MAX_STEPS = 400


def inverse(information: FloatArray, n_own: int, known: FloatArray) -> FloatArray:
    """C of all parameters, without the directions of `known` (n_known, n_shared); raises `InputError` where
    the counts leave a parameter undetermined.
    """
    if len(known):
        free = null_space(known)
        basis = np.zeros((len(information), n_own + free.shape[1]))
        basis[:n_own, :n_own] = np.eye(n_own)
        basis[n_own:, n_own:] = free
        return basis @ inverse(basis.T @ information @ basis, n_own, known[:0]) @ basis.T
    scale = np.sqrt(np.diag(information))
    if not (scale > 0).all():
        raise InputError("limit: a parameter leaves no trace in the images, so it has no bound")
    try:
        factor = cho_factor(information / np.outer(scale, scale), overwrite_a=True, check_finite=False)
    except np.linalg.LinAlgError:
        raise InputError(
            "limit: the images do not determine every parameter that is unknown, so there is no bound"
        ) from None
    found: FloatArray = cho_solve(factor, np.eye(len(scale)), overwrite_b=True, check_finite=False)
    return found / np.outer(scale, scale)


def variances(covariance: FloatArray, n_atoms: int) -> FloatArray:
    """The variance [Å²] of the distance of every atom (n,) after one translation is removed."""
    blocks = covariance[: 3 * n_atoms, : 3 * n_atoms].reshape(n_atoms, 3, n_atoms, 3)
    own = np.einsum("axax->a", blocks)
    with_mean = np.einsum("axbx->a", blocks) / n_atoms
    return own - 2 * with_mean + with_mean.mean()


@dataclass(frozen=True)
class Solver:
    """F⁻¹ as a product, by conjugate gradients preconditioned with the block of every atom."""

    operator: Operator
    tolerance: float = TOLERANCE
    blocks: FloatArray = field(init=False, repr=False)
    """Inverses (n, 3, 3) or (n, 4, 4) of the information of every atom alone."""
    diagonal: FloatArray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        blocks, diagonal = self.operator.preconditioner()
        object.__setattr__(self, "blocks", blocks)
        object.__setattr__(self, "diagonal", diagonal)

    def __call__(self, right: FloatArray) -> FloatArray:
        """F⁻¹ `right`; raises `InputError` when it does not settle."""
        operator = self.operator
        x, r = np.zeros_like(right), operator.project(right.copy())
        z = self._precondition(r)
        direction, rz = z, float(r @ z)
        stop = self.tolerance**2 * rz
        for _ in range(MAX_STEPS):
            if rz <= stop:
                return x
            image = operator(direction)
            along = rz / float(direction @ image)
            x += along * direction
            r -= along * image
            z = self._precondition(r)
            rz, before = float(r @ z), rz
            direction = z + rz / before * direction
        raise InputError(
            f"limit: conjugate gradients did not settle in {MAX_STEPS} steps: the images hardly determine "
            "what is unknown"
        )

    def _precondition(self, residual: FloatArray) -> FloatArray:
        n, size = self.blocks.shape[:2]
        own = n * size
        out = np.empty_like(residual)
        out[:own] = _by_kind(np.einsum("nij,nj->ni", self.blocks, _by_atom(residual[:own], n)))
        out[own:] = self.diagonal * residual[own:]
        return self.operator.project(out)


def _by_atom(values: FloatArray, n: int) -> FloatArray:
    """(3n,) or (4n,) as stored, positions then amplitudes, to (n, 3) or (n, 4)."""
    moves = values[: 3 * n].reshape(n, 3)
    return moves if len(values) == 3 * n else np.concatenate([moves, values[3 * n :, None]], axis=1)


def _by_kind(rows: FloatArray) -> FloatArray:
    return np.concatenate([rows[:, :3].ravel(), rows[:, 3:].ravel()])


def probe_variances(solver: Solver, n_probes: int, rng: np.random.Generator) -> tuple[FloatArray, float]:
    """Unbiased estimates of `variances` (n,), and the standard error of their mean from their spread.

    Hutchinson's estimator of a diagonal (Bekas, Kokiopoulou and Saad, Appl. Numer. Math. 57, 1214, 2007): for
    random signs z the mean of z ∘ P C P z is the diagonal of P C P. What the blocks of single atoms alone
    would give is taken out of it and added exactly. Every pair of atoms is coupled; a probe costs one
    solution of F x = z. A single atom's estimate is noise, the mean over a hundred is not.
    """
    unknowns = solver.operator.unknowns
    n = unknowns.n_atoms
    blocks = solver.blocks[:, :3, :3]
    found = np.zeros((n_probes, n))
    for probe in range(n_probes):
        signs = rng.choice([-1.0, 1.0], size=(n, 3))
        right = np.zeros(unknowns.n_own + unknowns.n_shared)
        right[: 3 * n] = (signs - signs.mean(axis=0)).ravel()
        solved = solver(right)[: 3 * n].reshape(n, 3)
        solved -= solved.mean(axis=0)
        found[probe] = (signs * (solved - np.einsum("nij,nj->ni", blocks, signs))).sum(axis=1)
    # an off-diagonal element enters both of its atoms, so that their errors are alike: hence the 2
    error = float(np.sqrt(2 * found.var(axis=1).mean() / (n * n_probes)))
    return np.einsum("nxx->n", blocks) + found.mean(axis=0), error
