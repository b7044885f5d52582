"""Whether diffraction patterns can be what they are said to be: their electrons, and their bright disc."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from datasets.catalog.acquisition import wavelength
from datasets.errors import InputError

FloatArray = npt.NDArray[np.float64]

SEEN = 1.1
"""A disc whose radius is further from what it is said to be is noted."""
BELIEVED = 1.4
"""One that is further away than this is refused: a semi-angle taken for the full angle is."""
CONTRAST = 2.0
"""How much brighter than all around it the disc has to be, per pixel."""
TOO_MANY, TOO_FEW = 1.25, 0.3
"""Electrons of the patterns, of those that the dose says there were: some leave past the detector's edge."""
SMALLEST, LARGEST = 2.0, 0.75
"""The least radius of a disc [pixel], and the largest as a part of the patterns' width."""
SETTLED = 20
"""Passes after which the centre of a disc is taken as it is."""


def disc_radius(attributes: Mapping[str, Any], step: float) -> float:
    """The radius [pixel] of the bright disc, the image of the condenser aperture, at `step` [1/Å]."""
    return float(1e-3 * attributes["semiangle_mrad"] / wavelength(attributes["energy_eV"]) / step)


def find_centre(pattern: npt.NDArray[Any], radius: float) -> tuple[float, float]:
    """The centre of mass (row, column) of what lies within 1.2 × `radius` [pixel] of itself."""
    rows, columns = np.indices(pattern.shape)
    weights = np.where(pattern > 0.5 * pattern.max(), pattern, 0).astype(float)
    row = column = math.inf
    for _ in range(SETTLED):
        before, total = (row, column), max(weights.sum(), 1e-30)
        row, column = float((weights * rows).sum() / total), float((weights * columns).sum() / total)
        if math.hypot(row - before[0], column - before[1]) < 1e-3:
            break
        within = (rows - row) ** 2 + (columns - column) ** 2 < (1.2 * radius) ** 2
        weights = np.where(within, pattern, 0).astype(float)
    return row, column


def summed_patterns(counts: npt.NDArray[Any]) -> FloatArray:
    """The sum of all patterns of each tilt, (tilt, ky, kx)."""
    return np.asarray(counts.sum(axis=1, dtype=np.float64))


def check_radius(
    where: str,
    shape: tuple[int, ...],
    radii: list[float],
    attributes: Mapping[str, Any],
    steps: tuple[float, float],
) -> None:
    """The disc fits into the patterns, and is more than a point. Raises `InputError`."""
    if min(radii) >= SMALLEST and max(radii) < LARGEST * max(shape):
        return
    raise InputError(
        f"{where}: at {attributes['energy_eV']:g} eV {attributes['semiangle_mrad']:g} mrad are a disc of "
        f"radius {max(radii):.3g} pixels of {steps[1]:g} 1/Å, in patterns of {shape[0]} × {shape[1]} pixels; "
        "check --energy [eV], --semiangle [mrad], --reciprocal-pixel-size [1/Å] and the order of --axes"
    )


def check_dose(where: str, counts: npt.NDArray[Any], attributes: Mapping[str, Any]) -> None:
    """The electrons in the patterns against those that the dose brings to a position.

    Raises `InputError`.
    """
    n_tilt, n_scan, n_y, n_x = counts.shape
    area = float(attributes["pixel_size"]) ** 2
    said = float(attributes["dose_per_area"]) * area
    background = n_y * n_x * float(attributes["background"])
    found = float(counts.sum(dtype=np.float64)) / (n_tilt * n_scan) - background
    if TOO_FEW * said <= found <= TOO_MANY * said:
        return
    raise InputError(
        f"{where}: a pattern holds {found:.4g} electrons on average, but {attributes['dose_per_area']:g} "
        f"e⁻/Å² per tilt are {said:.4g} for a probe step of {attributes['pixel_size']:g} Å; check --dose "
        f"(the patterns say {found / area:.3g}), --pixel-size [Å], --gain and the order of --axes"
    )


def check_disc(
    where: str,
    counts: npt.NDArray[Any],
    centre: tuple[float, float],
    radius: float,
    note: Callable[[str], None],
) -> None:
    """The bright disc is there, around `centre`, and as large as it is said to be.

    Raises `InputError`.
    """
    summed = summed_patterns(counts).sum(axis=0)
    rows, columns = np.indices(summed.shape)
    away = np.hypot(rows - centre[0], columns - centre[1])
    inside, outside = summed[away < 0.85 * radius], summed[away > 1.2 * radius]
    around = f"around row {centre[0]:.1f}, column {centre[1]:.1f}"
    if not inside.size:
        raise InputError(f"{where}: there is no pixel {around} of its patterns")
    if outside.size and inside.mean() < CONTRAST * outside.mean():
        raise InputError(
            f"{where}: the summed patterns have no bright disc of radius {radius:.3g} pixels {around}; "
            "check the order of --axes, --centre, --semiangle [mrad] and --reciprocal-pixel-size [1/Å]"
        )
    bright = summed > 0.5 * np.median(inside)
    if bright.all() or not outside.size:
        return
    found = math.sqrt(bright.sum() / math.pi)
    where_to = find_centre(summed, radius)
    off = math.hypot(where_to[0] - centre[0], where_to[1] - centre[1])
    if not 1 / BELIEVED <= found / radius <= BELIEVED:
        raise InputError(
            f"{where}: the bright disc of the summed patterns has a radius of {found:.3g} pixels, that of "
            f"the stated beam {radius:.3g}; check --semiangle (half the full angle) [mrad], "
            "--reciprocal-pixel-size [1/Å] and --energy [eV]"
        )
    if not 1 / SEEN <= found / radius <= SEEN:
        note(f"the bright disc has a radius of {found:.3g} pixels, the beam that is stated {radius:.3g}")
    if off > max(1.0, 0.1 * radius):
        raise InputError(
            f"{where}: the centre of mass of the bright disc is row {where_to[0]:.1f}, column "
            f"{where_to[1]:.1f}, {off:.1f} pixels from where the beam is said to be; give --centre mass"
        )
    if off > 0.5:
        note(f"the bright disc is {off:.2f} pixels from where the beam is said to be")
