"""The linearised problem of fitting Gaussian atoms to images, and its solution by conjugate gradients."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from recon.project.gaussian_atoms import GaussianAtoms, Images

FloatArray = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
Step = tuple[FloatArray, FloatArray, FloatArray]
"""Of positions (n, 3) [pixel], of intensities (n_heights,) and of widths (n_widths,) [pixel]."""

RESIDUAL = 1e-3
"""Squared preconditioned residual, relative to the first, at which the inner iterations stop."""
RIDGE = 1e-3
"""Curvature added to every position, relative to the median atom's: one without intensity stays put."""


class LinearisedFit:
    """(JᵀWJ + λD) s = JᵀW r, with J the derivative of the images of `atoms` by every unknown.

    `heights` (n,) are integrated intensities, `weights` (n_tilt, n_y, n_x) inverse variances W. The unknowns
    are positions, intensities and widths; `height_groups` and `width_groups` (n,) number the one that each
    atom follows. J is never held and never cut off at an atom: neighbours that overlap on some images are
    moved together. D is the block diagonal of JᵀWJ for atoms that stand alone, 3 × 3 for positions; it also
    preconditions. One inner iteration costs a rendering and its adjoint (`recon.project.gaussian_atoms`).
    """

    def __init__(
        self,
        atoms: GaussianAtoms,
        heights: FloatArray,
        weights: Images,
        height_groups: Labels,
        width_groups: Labels,
    ) -> None:
        self.atoms, self.weights, self.heights = atoms, weights, heights
        self.height_groups, self.width_groups = height_groups, width_groups
        self.widening = 2 * heights * atoms.sigma
        overlaps = atoms.overlaps(weights) / (2 * np.pi * atoms.variances) ** 2
        # ∫ d² G² = v/2 ∫ G² along each image axis, and ∫ (∂G/∂v)² = ∫ G² / 2v²
        outer = np.einsum("tki,tkj->tij", atoms.rows, atoms.rows).reshape(len(overlaps), -1)
        self.blocks = heights[:, None] ** 2 * ((overlaps / (2 * atoms.variances)).T @ outer)
        self.of_positions = self.blocks[:, ::4].sum(axis=1) / 3
        self.ridge = RIDGE * float(np.median(self.of_positions))
        self.of_heights = _grouped(overlaps.sum(axis=0), height_groups)
        of_variances = (overlaps / (2 * atoms.variances**2)).sum(axis=0)
        self.of_widths = _grouped(self.widening**2 * of_variances, width_groups)

    def gradient(self, residual: Images) -> Step:
        """JᵀW r of images `residual` (n_tilt, n_y, n_x): the direction in which Σ W r² falls."""
        moments = self.atoms.moments(self.weights * residual)
        return self._adjoint(moments)

    def solve(self, gradient: Step, damping: float, n_iter: int) -> Step:
        """The step s for `damping` λ after at most `n_iter` iterations of conjugate gradients."""
        # an atom that no image sees, or without intensity, has no curvature: it gets no step
        tiny = np.finfo(float).tiny ** 0.5
        added = damping * self.of_positions + self.ridge + tiny
        inverse = np.linalg.inv(self.blocks.reshape(-1, 3, 3) + added[:, None, None] * np.eye(3))
        diagonals = [(1 + damping) * curvature + tiny for curvature in (self.of_heights, self.of_widths)]

        def precondition(r: Step) -> Step:
            return np.einsum("nij,nj->ni", inverse, r[0]), r[1] / diagonals[0], r[2] / diagonals[1]

        step: Step = (np.zeros_like(gradient[0]), np.zeros_like(gradient[1]), np.zeros_like(gradient[2]))
        rest = gradient
        direction = precondition(rest)
        size = first = _dot(rest, direction)
        for _ in range(n_iter):
            if size <= RESIDUAL * first or size <= 0:
                break
            applied = self.apply(direction, damping, added)
            length = size / _dot(direction, applied)
            step, rest = _plus(step, direction, length), _plus(rest, applied, -length)
            conditioned = precondition(rest)
            previous, size = size, _dot(rest, conditioned)
            direction = _plus(conditioned, direction, size / previous)
        return step

    def steepest(self, n_iter: int = 8) -> float:
        """The largest eigenvalue of JᵀWJ among moves of positions, by `n_iter` power iterations."""
        move = np.random.default_rng(0).normal(size=self.blocks[:, :3].shape)
        still = np.zeros_like(self.of_heights), np.zeros_like(self.of_widths)
        largest = 0.0
        for _ in range(n_iter):
            move /= max(float(np.linalg.norm(move)), np.finfo(float).tiny)
            applied = self.apply((move, *still), 0.0, np.zeros(len(move)))[0]
            largest, move = float(np.vdot(move, applied)), applied
        return largest

    def apply(self, s: Step, damping: float, added: FloatArray) -> Step:
        """(JᵀWJ + λD) s, with `added` the diagonal of the positions."""
        rises, widths = s[1][self.height_groups], self.widening * s[2][self.width_groups]
        images = self.atoms.render(np.column_stack([rises, self.heights[:, None] * s[0], widths]))
        images *= self.weights
        positions, of_heights, of_widths = self._adjoint(self.atoms.moments(images))
        return (
            positions + added[:, None] * s[0],
            of_heights + damping * self.of_heights * s[1],
            of_widths + damping * self.of_widths * s[2],
        )

    def _adjoint(self, moments: FloatArray) -> Step:
        return (
            self.heights[:, None] * moments[:, 1:4],
            _grouped(moments[:, 0], self.height_groups),
            _grouped(self.widening * moments[:, 4], self.width_groups),
        )


def _grouped(values: FloatArray, groups: Labels) -> FloatArray:
    return np.asarray(np.bincount(groups, values), dtype=np.float64)


def _dot(a: Step, b: Step) -> float:
    return float(sum(np.vdot(x, y) for x, y in zip(a, b, strict=True)))


def _plus(a: Step, b: Step, factor: float) -> Step:
    return a[0] + factor * b[0], a[1] + factor * b[1], a[2] + factor * b[2]
