"""The most probable sheet: L-BFGS on Poisson likelihood times prior, scaled by their curvature.

    U(r) = Σ_pixels (λ − c log λ) + E(r)/kT,   λ(r) the expected counts of `multislice.FrameModel`

Ripples are a hundred times softer than bonds; in coordinates ξ = Lᵀ(r − r₀), LLᵀ the Fisher information plus
∂²E/kT, all directions are alike, and a flat sheet is fitted in tens of steps. The well that it ends in need
not be the deepest: `sampling` goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.linalg import LinAlgError, cholesky, solve_triangular
from scipy.optimize import OptimizeResult, minimize

from recon.graphene.information import fisher_information
from recon.graphene.multislice import FrameModel
from recon.graphene.prior import BOLTZMANN, Sheet

FloatArray = npt.NDArray[np.float64]


@dataclass(eq=False)
class Posterior:
    """Minus the logarithm of the probability of a sheet given a frame of `counts` (n_y, n_x), up to a
    constant.
    """

    model: FrameModel
    counts: FloatArray
    sheet: Sheet
    temperature: float

    def __post_init__(self) -> None:
        self._counts = torch.as_tensor(self.counts, dtype=self.model.dtype, device=self.model.device)

    def likelihood(self, positions: FloatArray) -> tuple[float, FloatArray]:
        """Half the Poisson deviance of the frame, and its gradient (n_atoms, 3) [1/Å]."""
        atoms = torch.tensor(positions, dtype=self.model.dtype, device=self.model.device, requires_grad=True)
        expected = self.model.expected(atoms).clamp_min(1e-6)
        # λ − c + c log(c/λ), pixel by pixel, so that single precision is enough
        deviance = expected - self._counts + torch.special.xlogy(self._counts, self._counts / expected)
        value = deviance.sum(dtype=torch.float64)
        value.backward()
        assert atoms.grad is not None
        return float(value.detach()), atoms.grad.double().cpu().numpy()

    def __call__(self, positions: FloatArray) -> tuple[float, FloatArray]:
        """U and its gradient (n_atoms, 3) [1/Å]."""
        value, gradient = self.likelihood(positions)
        energy, force = self.sheet.energy(positions)
        kt = BOLTZMANN * self.temperature
        return value + energy / kt, gradient + force / kt

    def curvature(self, positions: FloatArray) -> FloatArray:
        """Fisher information plus the prior's second derivatives (3 n_atoms, 3 n_atoms) [1/Å²]."""
        prior = self.sheet.hessian(positions) / (BOLTZMANN * self.temperature)
        return fisher_information(self.model, positions) + prior


def descend(
    posterior: Posterior,
    positions: FloatArray,
    *,
    n_iter: int,
    tolerance: float = 0.01,
    on_step: Callable[[float], None] = lambda value: None,
) -> tuple[FloatArray, int, bool]:
    """Positions (n_atoms, 3) [Å] of a minimum of U near `positions`, how many steps were made, and whether
    they came to rest: a step changes U by less than `tolerance`.
    """
    factor = cholesky_of(posterior.curvature(positions))
    seen = 0

    def place(scaled: FloatArray) -> FloatArray:
        moved = solve_triangular(factor, scaled, lower=True, trans=1, check_finite=False)
        return positions + moved.reshape(positions.shape)

    def objective(scaled: FloatArray) -> tuple[float, FloatArray]:
        value, gradient = posterior(place(scaled))
        return value, solve_triangular(factor, gradient.ravel(), lower=True, check_finite=False)

    def after(intermediate_result: OptimizeResult) -> None:
        nonlocal seen
        seen += 1
        on_step(float(intermediate_result.fun))

    start = np.zeros(positions.size)
    value, _ = objective(start)
    options = {"maxiter": n_iter, "maxcor": 20, "ftol": tolerance / max(abs(value), 1.0), "gtol": 1e-3}
    found = minimize(  # type: ignore[call-overload]
        objective, start, jac=True, method="L-BFGS-B", callback=after, options=options
    )
    return place(found.x), seen, bool(found.success)


def cholesky_of(matrix: FloatArray) -> FloatArray:
    """The lower Cholesky factor of a `matrix` (n, n), its diagonal raised as far as it takes to have one."""
    n, shift = len(matrix), 0.0
    while True:
        try:
            raised = matrix + shift * np.eye(n)
            return np.asarray(cholesky(raised, lower=True, overwrite_a=True, check_finite=False))
        except LinAlgError:
            shift = max(4 * shift, 0.01)
