"""Refinement of atoms against the projections: the positions, intensities and width that explain them best.

Atoms are Gaussians (`recon.project.gaussian_atoms`), fitted to all images at once by Gauss–Newton steps
whose inner problem keeps the coupling of neighbours (`recon.atoms.gauss_newton`). The refinement of the older
work of paper 003's group is `recon.atoms.refine_published`.

Cost at n atoms, n_t tilts and windows of w² pixels: an outer step makes 2 + 3 + 2 multiply-adds per pixel of
a window and each of its inner ones 6, so about 80 n n_t w², and reads n_t images each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from datasets.errors import InputError
from recon.atoms.gauss_newton import LinearisedFit, Step
from recon.project.gaussian_atoms import GaussianAtoms, Images
from recon.project.geometry import Geometry

FloatArray = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
Sharing = Literal["atom", "species", "all"]

START_WIDTH = 0.4
"""Å, the width that atoms start with; what a probe, a source and thermal motion usually add up to."""
SETTLED = 0.003
"""Å, root mean square of a step below which the atoms have come to rest."""
MAX_MOVE = 1.0
"""Å, how far an atom may go from where it was traced (older work of the group of paper 003)."""
MAX_STEP = 0.3
"""Å, the longest single step: about a width, beyond which the images are not linear."""
FLOOR = 1.0
"""Variance added to that of the counts, in units of the mean image. An atom has a halo that a Gaussian lacks;
with less, the dark pixels around it, counted precisely, widen it (tuned on cuau-150, seeds 101 and 102)."""
DAMPING = 1e-4
MAX_DAMPING = 10.0
WIDTH_STEP = 0.25
"""Greatest relative change of a width in one step."""
LEAST_HEIGHT = 1e-3
"""Least intensity of an atom, in units of the median."""


@dataclass(frozen=True)
class Refined:
    """Refined atoms: `positions` (n, 3) [Å], `heights` and `widths` (n,).

    A height is the number of electrons of an atom in one image, a width the standard deviation of its image
    [Å], of the mean variance where images are not equally sharp.

    `stats`: iterations; chi_squared per pixel and r_factor of the fitted images; displacement, the rms
    distance from the start [Å].
    """

    positions: FloatArray
    heights: FloatArray
    widths: FloatArray
    stats: Mapping[str, float] = field(default_factory=dict)


def refine(
    positions: FloatArray,
    labels: Labels,
    images: npt.NDArray[np.floating],
    geometry: Geometry,
    *,
    shifts: FloatArray | None = None,
    scales: FloatArray | None = None,
    blur: FloatArray | None = None,
    background: float = 0.0,
    gain: float = 1.0,
    read_noise: float = 0.0,
    heights: Sharing = "atom",
    widths: Sharing = "all",
    n_iter: int = 10,
    n_inner: int = 12,
) -> Refined:
    """Atoms at `positions` (n, 3) [Å] of species `labels` (n,) refined against `images` (n_tilt, n_y, n_x).

    The images must be less their background, and should be neither denoised nor resampled, for the fit itself
    averages, and what a filter takes from an atom it gives to its neighbours. `shifts` (n_tilt, 2) along
    (x, y) [Å], `scales` (n_tilt,) and `blur` (n_tilt,) say how each was taken, none by default; blur is the
    variance [Å²] by which an image is less sharp than the sharpest. The variance of a pixel is
    gain · (model + `background`) + read_noise², and `FLOOR`. `heights` and `widths` say what shares an
    intensity and a width: each `atom`, a `species`, or `all`. At most `n_iter` Gauss–Newton steps, of
    `n_inner` conjugate gradients each; a step that does not lower Σ r²/variance is damped and tried again.

    An atom that is not there takes intensity from its neighbours and pulls them; one that is missing is not
    added. Raises `InputError` for arrays that do not fit together.
    """
    check_refinable(positions, labels, images, geometry)
    if not len(positions) or not np.any(images > 0):
        return Refined(positions.copy(), np.zeros(len(positions)), np.full(len(positions), START_WIDTH))
    data = np.ascontiguousarray(images, dtype=np.float32)
    groups = (_groups(labels, heights), _groups(labels, widths))
    fit = _Fit(positions, data, geometry, groups, shifts=shifts, scales=scales, blur=blur)
    mean = max(float(data.mean()), float(np.abs(data).mean()) * 1e-3)
    state = fit.start()
    damping, iterations, chi_squared = DAMPING, 0, np.nan
    while iterations < n_iter:
        iterations += 1
        expected = np.maximum(state.model, 0)
        weights = (1 / (gain * (expected + background + FLOOR * mean) + read_noise**2)).astype(np.float32)
        linear = LinearisedFit(state.atoms, state.heights, weights, *fit.groups)
        residual = data - state.model
        cost = _weighted(residual, weights)
        gradient = linear.gradient(residual)
        while damping <= MAX_DAMPING:
            tried = fit.moved(state, linear.solve(gradient, damping, n_inner))
            chi_squared = _weighted(data - tried.model, weights)
            if chi_squared <= cost:
                break
            damping = 10 * max(damping, 1e-3)
        else:
            break
        damping = max(damping / 5, DAMPING)
        moved = np.sqrt(np.mean(np.sum((tried.positions - state.positions) ** 2, axis=1)))
        state = tried
        if moved * geometry.pixel_size < SETTLED:
            break
    total = float(np.abs(data).sum(dtype=np.float64))
    stats = {
        "iterations": float(iterations),
        "chi_squared": chi_squared / data.size,
        "r_factor": float(np.abs(data - state.model).sum(dtype=np.float64)) / total,
        "displacement": float(np.sqrt(np.mean(fit.displacements(state.positions) ** 2))),
    }
    pixel = geometry.pixel_size
    seen = np.sqrt(state.atoms.variances.mean(axis=0))
    return Refined(state.positions * pixel, state.heights, seen * pixel, stats)


@dataclass(frozen=True)
class _State:
    """Atoms in pixels, and their images."""

    positions: FloatArray
    heights: FloatArray
    atoms: GaussianAtoms
    model: Images


class _Fit:
    """What stays while atoms move: where they began, the images, the geometry, and who shares what."""

    def __init__(
        self,
        positions: FloatArray,
        data: Images,
        geometry: Geometry,
        groups: tuple[Labels, Labels],
        *,
        shifts: FloatArray | None,
        scales: FloatArray | None,
        blur: FloatArray | None,
    ) -> None:
        self.pixel = geometry.pixel_size
        self.begin = positions / self.pixel
        self.data, self.groups = data, groups
        self.rows = np.ascontiguousarray(geometry.rotations.as_matrix()[:, :2, :])
        self.origin = np.array([geometry.x[0], geometry.y[0]]) / self.pixel
        self.shifts = None if shifts is None else shifts / self.pixel
        self.blur = None if blur is None else blur / self.pixel**2
        self.scales = scales

    def state(self, positions: FloatArray, heights: FloatArray, sigma: FloatArray) -> _State:
        atoms = GaussianAtoms.at(
            positions,
            sigma,
            self.rows,
            self.origin,
            (self.data.shape[1], self.data.shape[2]),
            shifts=self.shifts,
            blur=self.blur,
            scales=self.scales,
        )
        return _State(positions, heights, atoms, atoms.project(heights))

    def start(self) -> _State:
        """Atoms as bright as what the images hold around them, all together as bright as the images."""
        sigma = np.full(len(self.begin), START_WIDTH / self.pixel)
        empty = self.state(self.begin, np.zeros(len(sigma)), sigma)
        share = np.maximum(empty.atoms.moments(self.data)[:, 0], 0)
        group = self.groups[0]
        share = (np.bincount(group, share) / np.maximum(np.bincount(group), 1))[group]
        brightness = max(float(self.data.sum(dtype=np.float64)), 0) / len(self.data)
        heights = np.maximum(share, LEAST_HEIGHT * share.mean()) * brightness / max(share.sum(), 1e-300)
        return self.state(self.begin, heights, sigma)

    def moved(self, state: _State, step: Step) -> _State:
        """The state after a step, which is cut to `MAX_STEP`, `MAX_MOVE` and positive intensities."""
        positions = state.positions + cut(step[0], MAX_STEP / self.pixel)
        positions = self.begin + cut(positions - self.begin, MAX_MOVE / self.pixel)
        heights = state.heights + step[1][self.groups[0]]
        heights = np.maximum(heights, LEAST_HEIGHT * np.median(state.heights))
        change = step[2][self.groups[1]] / state.atoms.sigma
        sigma = state.atoms.sigma * (1 + np.clip(change, -WIDTH_STEP, WIDTH_STEP))
        return self.state(positions, heights, sigma)

    def displacements(self, positions: FloatArray) -> FloatArray:
        """Distances [Å] of `positions` [pixel] from where they began."""
        return np.asarray(np.linalg.norm(positions - self.begin, axis=1) * self.pixel)


def _groups(labels: Labels, sharing: Sharing) -> Labels:
    """The number of the unknown that each atom follows."""
    if sharing == "atom":
        return np.arange(len(labels))
    if sharing == "species":
        return np.unique(labels, return_inverse=True)[1].astype(np.int64)
    if sharing == "all":
        return np.zeros(len(labels), dtype=np.int64)
    raise InputError(f"heights and widths are shared by {', '.join(get_args(Sharing))}, not {sharing!r}")


def cut(vectors: FloatArray, longest: float) -> FloatArray:
    """`vectors` (n, 3), none of them longer than `longest`."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors * np.minimum(1, longest / np.maximum(length, 1e-300)))


def _weighted(residual: Images, weights: Images) -> float:
    return float(np.vdot(residual.astype(np.float64), weights * residual))


def check_refinable(
    positions: FloatArray, labels: Labels, images: npt.NDArray[np.floating], geometry: Geometry
) -> None:
    """Raise `InputError` unless there is one label per position and one image per rotation."""
    if positions.ndim != 2 or positions.shape[1] != 3 or labels.shape != positions.shape[:1]:
        raise InputError(
            f"refinement needs positions (n, 3) and labels (n,), got {positions.shape} and {labels.shape}"
        )
    if images.shape != geometry.projection_shape:
        raise InputError(f"images have shape {images.shape}, the geometry needs {geometry.projection_shape}")
