"""Angles, shifts, intensities and blur of every image against Gaussian atoms, everything at once.

A volume has more voxels than the images have pixels, and absorbs part of every error of alignment; a few
hundred atoms, each with four numbers to explain dozens of images by, absorb hardly any. The published
refinements (paper 003 and the work before it) compare with the volume only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.sparse.linalg import LinearOperator, lsmr

from datasets.errors import InputError
from recon.align.alignment import Alignment, euler_angles
from recon.align.angles import EXPECTED_ERROR
from recon.align.atom_model import N_ATOM, N_TILT, AtomImages, AtomModel
from recon.align.gauge import with_mean_one, without_rotation, without_translation
from recon.project.geometry import Geometry

FloatArray = npt.NDArray[np.float64]

MISFIT = 0.1
"""What Gaussian atoms leave unexplained of a multislice image, relative to its brightness (12.5 % root mean
square in `datasets.imaging.linear`); bright pixels are trusted no better than that."""

START_WIDTHS = (0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8)
"""Widths σ [Å] of an atom's image to start with, of which the one that fits best is taken."""

SETTLED = 2e-3
"""A step [deg] below which the angles have come to rest."""

LEAST_GAIN = 1e-5
"""The part of the misfit that a step must take away for another one to be made."""

OUTLIER = 2.0
"""Residuals beyond this many usual ones are trusted less."""

MAX_TRIALS = 5


@dataclass(frozen=True)
class AtomFit:
    """What the atoms showed: the `geometry` with its rotations, the `alignment`, and the `model` itself.

    `geometry` and `alignment` are free of what a tilt series cannot tell (`recon.align.gauge`); the model is
    as it was fitted.
    """

    geometry: Geometry
    alignment: Alignment
    model: AtomModel


def refine_against_atoms(
    images: FloatArray,
    geometry: Geometry,
    positions: FloatArray,
    heights: FloatArray,
    *,
    start: Alignment | None = None,
    background: float = 0.0,
    expected_error: float = EXPECTED_ERROR,
    misfit: float = MISFIT,
    n_iter: int = 12,
    n_inner: int = 40,
) -> AtomFit:
    """The alignment in which atoms traced at `positions` (n, 3) [Å] explain the measured `images` best.

    Least squares Σ (b − A)²/v over the images b (n_tilt, n_y, n_x), whose `background` [per pixel] is
    subtracted and which are neither denoised nor corrected; v = A + background + `misfit`² (A² + Ā²) with Ā
    the mean of A. Free are position and height of every atom, from `heights` (n,), of which only the ratios
    matter, and of every image its scale, shift, three angles and the width of an atom in it, for focus
    varies. The angles have a prior of `expected_error` [deg] about the rotations of `geometry`.
    Levenberg–Marquardt: each step solves for all numbers together by LSMR, so that none waits for another;
    `n_iter` steps of `n_inner` iterations at the most.

    Pixels that stick out are trusted less (`OUTLIER`), for an atom that was missed would otherwise bend the
    geometry to its liking: with 4 of 80 missing, at 10⁵ counts, the error of the angles was 1.0° without and
    is 0.1° with it; as many false ones did no harm. No atoms are looked for. Cost: 2 n_iter n_inner passes
    over n_tilt · n windows of (7 σ)² pixels. Raises `InputError` without atoms.
    """
    if not len(positions):
        raise InputError("angles: there are no atoms to refine against; refine against the volume instead")
    found = Alignment.identity(geometry.rotations) if start is None else start
    model = _start(images, geometry, positions, heights, found)
    fit = _Fit(images, geometry, model, background=background, expected_error=expected_error, misfit=misfit)
    history = [fit.misfit]
    for _ in range(n_iter):
        turned = fit.advance(n_inner)
        history.append(fit.misfit)
        if turned < np.deg2rad(SETTLED) or abs(history[-1] / history[-2] - 1) < LEAST_GAIN:
            break
    model = fit.images.model
    turns = without_rotation(model.rotations, geometry.rotations)
    alignment = Alignment(
        without_translation(model.shifts, turns),
        with_mean_one(model.scales),
        euler_angles(turns, near=euler_angles(geometry.rotations)),
        len(history) - 1,
        tuple(history),
        model.widths,
    )
    return AtomFit(replace(geometry, rotations=turns), alignment, model)


def _start(
    images: FloatArray, geometry: Geometry, positions: FloatArray, heights: FloatArray, found: Alignment
) -> AtomModel:
    """The atoms as bright, all together, as the images, and with the width that fits best."""
    shares = np.maximum(heights, 0) / np.maximum(heights, 0).sum()
    bright = shares * np.mean(images.sum(axis=(1, 2)) / found.scales)
    trials = [
        AtomModel(
            positions, bright, geometry.rotations, found.scales, found.shifts, np.full(len(images), width**2)
        )
        for width in START_WIDTHS
    ]
    misfits = [np.sum((images - AtomImages(trial, geometry).render()) ** 2) for trial in trials]
    return trials[int(np.argmin(misfits))]


class _Fit:
    """The least-squares problem, at its present model."""

    def __init__(
        self,
        measured: FloatArray,
        geometry: Geometry,
        model: AtomModel,
        *,
        background: float,
        expected_error: float,
        misfit: float,
    ) -> None:
        self.measured, self.geometry, self.damping = measured, geometry, 1e-2
        self.images = AtomImages(model, geometry)
        expected = self.images.render()
        # between atoms it is their halos, and what windows cut off, that a model lacks
        unmodelled = misfit**2 * (expected**2 + expected.mean() ** 2)
        self.plain_weights = 1 / np.sqrt(np.maximum(expected + background + unmodelled, np.finfo(float).tiny))
        self.weights, self.bright = self.plain_weights, expected > expected.mean()
        self.prior = 1 / np.deg2rad(expected_error)
        first = N_ATOM * len(model.heights) + N_TILT * np.arange(len(measured))
        self.turns = (first[:, None] + np.array([3, 4, 5])).ravel()
        self.residuals = self._residuals(self.images)

    @property
    def misfit(self) -> float:
        """The mean square residual of a pixel, in units of its variance, the prior included."""
        return float(self.residuals @ self.residuals) / self.measured.size

    def advance(self, n_inner: int) -> float:
        """Take one step that lowers the misfit, if there is one; its greatest turn of an image [rad]."""
        self._weigh()
        squares = self.images.squares(self.weights)
        squares[self.turns] += self.prior**2
        scale = 1 / np.sqrt(np.maximum(squares, 1e-12 * squares.max()))
        derivative = self._derivative(scale)
        for _ in range(MAX_TRIALS):
            # noise hides how far the solution is, so a number of iterations is what ends them
            step = scale * lsmr(derivative, self.residuals, self.damping, 0, 0, maxiter=n_inner)[0]
            trial = AtomImages(self.images.model.moved(step), self.geometry)
            residuals = self._residuals(trial)
            if residuals @ residuals < self.residuals @ self.residuals:
                self.images, self.residuals = trial, residuals
                self.damping = max(self.damping / 10, 1e-3)
                return float(np.abs(step[self.turns]).max())
            self.damping *= 10
        return 0.0

    def _weigh(self) -> None:
        """Trust pixels less where they stick out, as those of a missing atom do (Cauchy's weights)."""
        left = self.plain_weights * (self.measured - self.images.render())
        usual = max(1.0, 1.4826 * float(np.median(np.abs(left[self.bright]))))
        self.weights = self.plain_weights / np.sqrt(1 + (left / (OUTLIER * usual)) ** 2) / usual
        self.residuals = self._residuals(self.images)

    def _residuals(self, images: AtomImages) -> FloatArray:
        departure = (images.model.rotations * self.geometry.rotations.inv()).as_rotvec()
        left = self.weights * (self.measured - images.render())
        return np.concatenate([left.ravel(), -self.prior * departure.ravel()])

    def _derivative(self, scale: FloatArray) -> LinearOperator:
        """The derivative of what the residuals are made of, by the numbers in units of `scale`."""
        images, size = self.images, self.measured.size

        def forward(numbers: FloatArray) -> FloatArray:
            step = scale * numbers.ravel()
            changed = self.weights * images.derivative(step)
            return np.concatenate([changed.ravel(), self.prior * step[self.turns]])

        def adjoint(left: FloatArray) -> FloatArray:
            found = images.adjoint(self.weights * left[:size].reshape(self.measured.shape))
            found[self.turns] += self.prior * left[size:]
            return np.asarray(scale * found)

        shape = (self.residuals.size, scale.size)
        return LinearOperator(shape, matvec=forward, rmatvec=adjoint, dtype=np.float64)
