"""A specimen of Gaussian atoms, the geometry of its images, and how the images change with both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from recon.project.gaussian_atoms import GaussianAtoms
from recon.project.geometry import Geometry

FloatArray = npt.NDArray[np.float64]

N_ATOM, N_TILT = 4, 7
SCALE, SHIFT, TURN, WIDTH = slice(0, 1), slice(1, 3), slice(3, 6), slice(6, 7)
"""A step in the numbers of a model is one vector: for every atom its position x, y, z [Å] and its height,
then for every tilt its scale, its shift along x and y [Å], the vector of a small rotation about the axes of
the laboratory [rad], and the width σ² [Å²]."""

REACH = 3.5
"""Half the window in units of the width of an atom: beyond it lie 0.2 % of its intensity."""

LEAST_WIDTH = 0.5
"""The part of a width that a single step leaves of it."""


@dataclass(frozen=True)
class AtomModel:
    """Gaussian atoms and the geometry of their images.

    `positions` (n, 3) [Å] and `heights` (n,), the sum of an atom's image; for every tilt its `rotations`,
    `scales` (n_tilt,), `shifts` (n_tilt, 2) along (x, y) [Å], and `widths` (n_tilt,), the variance σ² of the
    image of an atom [Å²]: what focus, source and thermal motion make of it.
    """

    positions: FloatArray
    heights: FloatArray
    rotations: Rotation
    scales: FloatArray
    shifts: FloatArray
    widths: FloatArray

    def moved(self, step: FloatArray) -> AtomModel:
        """The model after a `step`; heights stay positive."""
        atoms, tilts = split(step, len(self.heights))
        return AtomModel(
            self.positions + atoms[:, :3],
            np.maximum(self.heights + atoms[:, 3], 0.0),
            Rotation.from_rotvec(tilts[:, TURN]) * self.rotations,
            self.scales + tilts[:, 0],
            self.shifts + tilts[:, SHIFT],
            np.maximum(self.widths + tilts[:, 6], LEAST_WIDTH * self.widths),
        )


def split(step: FloatArray, n: int) -> tuple[FloatArray, FloatArray]:
    """The parts of a step that belong to the `n` atoms, (n, 4), and to the tilts, (n_tilt, 7)."""
    return step[: N_ATOM * n].reshape(n, N_ATOM), step[N_ATOM * n :].reshape(-1, N_TILT)


class AtomImages:
    """The images (n_tilt, n_y, n_x) of a `model` on the pixels of `geometry`, whose rotations do not matter.

    As all that a small step does to an atom's image is to move it in its plane, to dim or to blur it,
    `derivative` is one `render` and `adjoint` one `moments`, whatever the number of numbers: rotations about
    axes in the plane move an atom by its depth.
    """

    def __init__(self, model: AtomModel, geometry: Geometry) -> None:
        self.model, self._size = model, geometry.pixel_size
        turns = model.rotations.as_matrix()
        self._rows = turns[:, :2, :]
        self._turned = np.einsum("tij,nj->tni", turns, model.positions)
        corner = np.array([geometry.x[0], geometry.y[0]])
        places = (self._turned[:, :, :2] + model.shifts[:, None, :] - corner) / self._size
        self._atoms = GaussianAtoms(
            np.ascontiguousarray(places[..., 0]),
            np.ascontiguousarray(places[..., 1]),
            np.zeros(len(model.heights)),
            np.tile(np.eye(2), (len(turns), 1, 1)),
            (len(geometry.y), len(geometry.x)),
            blur=model.widths / self._size**2,
            reach=REACH,
            precision=np.float64,
        )
        self._bright = model.scales[:, None] * model.heights

    def render(self) -> FloatArray:
        """The images."""
        weights = np.zeros((*self._bright.shape, 4))
        weights[..., 0] = self._bright
        return np.asarray(self._atoms.render(weights), dtype=np.float64)

    def derivative(self, step: FloatArray) -> FloatArray:
        """The change of the images with a small `step`."""
        atoms, tilts = split(step, len(self.model.heights))
        x, y, z = (self._turned[:, :, axis] for axis in range(3))
        about_x, about_y, about_z = (tilts[:, 3 + axis, None] for axis in range(3))
        moved = np.einsum("tij,nj->tni", self._rows, atoms[:, :3]) + tilts[:, None, SHIFT]
        moved[..., 0] += about_y * z - about_z * y
        moved[..., 1] += about_z * x - about_x * z
        weights = np.empty((*self._bright.shape, 4))
        weights[..., 0] = self.model.scales[:, None] * atoms[:, 3] + tilts[:, SCALE] * self.model.heights
        weights[..., 1:3] = self._bright[..., None] * moved / self._size
        weights[..., 3] = self._bright * tilts[:, WIDTH] / self._size**2
        return np.asarray(self._atoms.render(weights), dtype=np.float64)

    def adjoint(self, images: FloatArray) -> FloatArray:
        """The adjoint of `derivative`."""
        sums = self._atoms.moments(images, by_tilt=True)
        pull = self._bright[..., None] * sums[..., 1:3] / self._size
        x, y, z = (self._turned[:, :, axis] for axis in range(3))
        atoms = np.empty((len(self.model.heights), N_ATOM))
        atoms[:, :3] = np.einsum("tij,tni->nj", self._rows, pull)
        atoms[:, 3] = self.model.scales @ sums[..., 0]
        tilts = np.empty((len(images), N_TILT))
        tilts[:, 0] = sums[..., 0] @ self.model.heights
        tilts[:, SHIFT] = pull.sum(axis=1)
        tilts[:, 3] = -np.sum(z * pull[..., 1], axis=1)
        tilts[:, 4] = np.sum(z * pull[..., 0], axis=1)
        tilts[:, 5] = np.sum(x * pull[..., 1] - y * pull[..., 0], axis=1)
        tilts[:, 6] = np.sum(self._bright * sums[..., 3], axis=1) / self._size**2
        return np.concatenate([atoms.ravel(), tilts.ravel()])

    def squares(self, weights: FloatArray) -> FloatArray:
        """The squared norm of the derivative by each number, pixels times `weights` (n_tilt, n_y, n_x).

        Those of the tilts are exact; those of an atom are as if it lay on even weights.
        """
        n, n_tilt = len(self.model.heights), len(weights)
        variance = (self.model.widths / self._size**2)[:, None]
        sums = self._atoms.squared().moments(weights**2, by_tilt=True)
        # ∫ G² and ∫ |d|² G², from those of a Gaussian of half the variance
        plain = sums[..., 0] / (4 * np.pi * variance)
        square = variance / 2 * (variance * sums[..., 3] + 2 * sums[..., 0]) / (4 * np.pi * variance)
        slope = (self._bright / (self._size * variance)) ** 2 * square / 2
        atoms = np.empty((n, N_ATOM))
        atoms[:, :3] = np.einsum("tij,tn->nj", self._rows**2, slope)
        atoms[:, 3] = np.sum(self.model.scales[:, None] ** 2 * plain, axis=0)
        tilts = np.empty((n_tilt, N_TILT))
        for column in range(N_TILT):
            step = np.zeros(N_ATOM * n + N_TILT * n_tilt)
            step[N_ATOM * n + column :: N_TILT] = 1.0
            tilts[:, column] = np.sum((weights * self.derivative(step)) ** 2, axis=(1, 2))
        return np.concatenate([atoms.ravel(), tilts.ravel()])
