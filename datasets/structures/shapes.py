"""The outlines of particles: smooth random shapes, and which points of a bulk lie deepest inside one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import sph_harm_y

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

DEGREES = (2, 3, 4)
"""Degrees of the spherical harmonics of a shape: 0 is its size, 1 a shift."""


@dataclass(frozen=True)
class SmoothShape:
    """A star-shaped body: its relative radius over directions is 1 + a sum of real spherical harmonics.

    `weights`, one per harmonic of degree 2 to 4; all zero is the sphere.
    """

    weights: FloatArray

    @classmethod
    def draw(cls, roughness: float, rng: np.random.Generator) -> SmoothShape:
        """A random shape; `roughness` is the rms of its relative radius over directions."""
        weights = np.array([rng.normal() / degree for degree in DEGREES for _ in range(2 * degree + 1)])
        weights *= roughness * np.sqrt(4 * np.pi) / np.linalg.norm(weights)
        return cls(weights)

    def relative_radius(self, points: FloatArray) -> FloatArray:
        """The relative radius towards each of `points` (n, 3), kept between 0.5 and 1.6."""
        polar = np.arccos(np.clip(points[:, 2] / np.linalg.norm(points, axis=1), -1, 1))
        azimuth = np.arctan2(points[:, 1], points[:, 0])
        terms = []
        for degree in DEGREES:
            for order in range(-degree, degree + 1):
                harmonic = sph_harm_y(degree, abs(order), polar, azimuth)
                part = harmonic.real if order >= 0 else harmonic.imag
                terms.append(part * (np.sqrt(2) if order else 1))
        return np.clip(1 + np.tensordot(self.weights, np.array(terms), axes=1), 0.5, 1.6)

    def size(self, points: FloatArray) -> FloatArray:
        """How much the unit shape must be scaled for each of `points` (n, 3) to lie on its surface."""
        return np.asarray(np.linalg.norm(points, axis=1) / self.relative_radius(points))

    def deepest(self, points: FloatArray, n_points: int) -> IntArray:
        """The indices of the `n_points` of `points` (n, 3) that lie deepest inside, the deepest first."""
        return np.argsort(self.size(points), kind="stable")[:n_points]

    def reach(self, volume: float) -> tuple[FloatArray, FloatArray]:
        """The corners, low and high (3,), of the box around the shape scaled to `volume`."""
        directions = _even_directions(20_000)
        radius = self.relative_radius(directions)
        surface = directions * (radius * (3 * volume / (4 * np.pi * np.mean(radius**3))) ** (1 / 3))[:, None]
        return surface.min(axis=0), surface.max(axis=0)


def _even_directions(n: int) -> FloatArray:
    """`n` unit vectors that cover the sphere evenly: a Fibonacci spiral, (n, 3)."""
    z = 1 - (2 * np.arange(n) + 1) / n
    azimuth = np.arange(n) * np.pi * (3 - np.sqrt(5))
    across = np.sqrt(1 - z**2)
    return np.stack([across * np.cos(azimuth), across * np.sin(azimuth), z], axis=1)
