"""Atoms as shaded spheres: each pixel shows the sphere nearest to the eye; light from the upper left.

A depth buffer instead of patches drawn in order: spheres that touch meet where they do in space, and the
time goes with the number of pixels covered, not with that of curves.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

FloatArray = npt.NDArray[np.float64]

LIGHT = (-0.421, 0.521, 0.742)
"""Direction towards the light, a unit vector: right, up, towards the eye."""
AMBIENT = 0.58
"""Brightness of what the light does not reach, of 1."""
RIM, OUTLINE = 0.30, 0.62
"""Where the cosine between a sphere's surface and the eye is below RIM, it is darkened by OUTLINE."""
FADE = 0.62
"""How far the colour of the farthest atom has gone towards white."""
SUPERSAMPLING = 2


def render(
    positions: FloatArray,
    radii: FloatArray,
    colours: FloatArray,
    extent: tuple[float, float, float, float],
    n_across: int,
    fade: float = FADE,
) -> npt.NDArray[np.uint8]:
    """An image (n_up, n_across, 4) of red, green, blue and opacity; the first row is the top.

    `positions` (n, 3) [Å] are right, up and towards the eye, `radii` (n,) [Å], `colours` (n, 3) from 0 to 1,
    `extent` is left, right, bottom, top [Å].
    """
    left, right, bottom, top = extent
    n_up = max(1, round((top - bottom) / (right - left) * n_across))
    pixel = (right - left) / (n_across * SUPERSAMPLING)
    scene = (positions - [left, bottom, 0.0]) / pixel - [0.5, 0.5, 0.0]
    depth = positions[:, 2]
    span = float(np.ptp(depth))
    away = fade * (depth.max() - depth) / span if span > 0 else np.zeros(len(depth))
    shape = (n_up * SUPERSAMPLING, n_across * SUPERSAMPLING)
    fine = _draw(scene, radii / pixel, colours, away, shape)
    image = fine.reshape(n_up, SUPERSAMPLING, n_across, SUPERSAMPLING, 4).mean(axis=(1, 3))
    image[..., :3] /= np.maximum(image[..., 3:], 1e-6)  # the colour of the part that is covered
    return np.rint(255 * image[::-1]).astype(np.uint8)


@njit(cache=True)
def _draw(
    scene: FloatArray, radii: FloatArray, colours: FloatArray, away: FloatArray, shape: tuple[int, int]
) -> npt.NDArray[np.float32]:
    """Red, green, blue and opacity (rows up, columns, 4) of spheres with positions and radii in pixels."""
    image = np.zeros((shape[0], shape[1], 4), np.float32)
    nearest = np.full(shape, -np.inf, np.float32)
    for nth in range(len(scene)):
        x, y, z = scene[nth]
        radius = radii[nth]
        for row in range(max(0, math.ceil(y - radius)), min(shape[0], math.floor(y + radius) + 1)):
            for column in range(max(0, math.ceil(x - radius)), min(shape[1], math.floor(x + radius) + 1)):
                right, up = (column - x) / radius, (row - y) / radius
                square = 1 - right**2 - up**2
                if square <= 0:
                    continue
                facing = math.sqrt(square)
                if z + radius * facing <= nearest[row, column]:
                    continue
                nearest[row, column] = z + radius * facing
                lit = right * LIGHT[0] + up * LIGHT[1] + facing * LIGHT[2]
                light = AMBIENT + (1 - AMBIENT) * max(lit, 0.0)
                if facing < RIM:
                    light *= OUTLINE
                for channel in range(3):
                    image[row, column, channel] = colours[nth, channel] * light * (1 - away[nth]) + away[nth]
                image[row, column, 3] = 1
    return image
