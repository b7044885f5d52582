"""Diffraction patterns as instruments store them: where their beam is, and how they lie to the scan."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from datasets.errors import InputError
from datasets.formats.pattern_checks import (
    check_disc,
    check_dose,
    check_radius,
    disc_radius,
    find_centre,
    summed_patterns,
)
from datasets.formats.stored import RASTER

FloatArray = npt.NDArray[np.float64]

AXES = ("ky", "kx", *RASTER)
"""Axes that can be flipped."""
SURE = 5.0
"""A beam has wandered if it is this many standard deviations from where it stands in most tilts."""
FINE = 4
"""Points along each axis of a pixel that are followed where patterns turn by no multiple of 90°."""


@dataclass(frozen=True)
class Layout:
    """How patterns lie on the detector.

    `centre` is where the beam goes without a specimen: `mass` (measured: the centre of mass of the bright
    disc, tilt by tilt), `middle` (pixel n // 2) or ROW,COLUMN in pixels from 0, of ky and kx as stored.
    `flip` names axes that run the wrong way (`AXES`); then patterns turn by `turn` [deg] from kx towards ky.
    """

    centre: str | None = None
    flip: tuple[str, ...] = ()
    turn: float = 0.0

    @classmethod
    def of(cls, centre: str | None, flip: str | None, turn: float | None) -> Layout:
        """The layout that the options say. Raises `InputError`."""
        axes = tuple(name.strip() for name in flip.split(",")) if flip is not None else ()
        for name in axes:
            if name not in AXES:
                raise InputError(f"--flip names axes among {', '.join(AXES)}, not {name!r}")
        if len(set(axes)) < len(axes):
            raise InputError(f"--flip names an axis twice: {flip}")
        if turn is not None and not math.isfinite(turn):
            raise InputError(f"--rotate-detector must be finite, it is {turn:g}")
        layout = cls(centre, axes, (turn or 0.0) % 360.0)
        if centre is not None and centre not in ("mass", "middle"):
            layout.pixel()
        return layout

    def pixel(self) -> tuple[float, float]:
        """The pixel (row, column) that `centre` names."""
        try:
            row, column = (float(part) for part in str(self.centre).split(","))
        except ValueError:
            row = column = math.nan
        if not (math.isfinite(row) and math.isfinite(column)):
            raise InputError(
                f"--centre is mass, middle or ROW,COLUMN in pixels such as 63.5,64.2; it is {self.centre!r}"
            )
        return row, column

    @property
    def given(self) -> bool:
        """Whether anything is said."""
        return self.centre is not None or bool(self.flip) or self.turn != 0


def arrange_patterns(
    where: str,
    counts: npt.NDArray[Any],
    raster: tuple[int, int] | None,
    layout: Layout,
    steps: tuple[float, float],
    attributes: Mapping[str, Any],
    stored_centre: tuple[float, float] | None,
    note: Callable[[str], None],
) -> tuple[npt.NDArray[Any], FloatArray, FloatArray]:
    """Patterns (tilt, scan, ky, kx) as `layout` says, and their ky and kx [1/Å], `steps` apart.

    `stored_centre` is the pixel (row, column) that the file's own coordinates say. Raises `InputError` for
    patterns that cannot be of the beam that `attributes` state.
    """
    radii = [disc_radius(attributes, step) for step in steps]
    check_radius(where, counts.shape[2:], radii, attributes, steps)
    check_dose(where, counts, attributes)
    radius = math.sqrt(radii[0] * radii[1])
    centre = stored_centre if layout.centre is None else None
    if layout.centre in (None, "mass") and centre is None:
        counts, centre = _centred(counts, radius, note)
    elif layout.centre == "middle":
        centre = counts.shape[2] // 2, counts.shape[3] // 2
    elif centre is None:
        centre = layout.pixel()
    check_disc(where, counts, centre, radius, note)
    for name in layout.flip:
        counts, centre = _flipped(where, counts, centre, name, raster)
    if layout.flip:
        note(f"{', '.join(layout.flip)}: the other way round")
    if layout.turn:
        if steps[0] != steps[1]:
            raise InputError(f"{where}: patterns whose pixels are not square cannot turn")
        counts, centre = _turned(counts, centre, layout.turn)
        note(f"patterns turned by {layout.turn:g}° from kx towards ky")
    n_y, n_x = counts.shape[2:]
    ky = (np.arange(n_y, dtype=np.float64) - centre[0]) * steps[0]
    kx = (np.arange(n_x, dtype=np.float64) - centre[1]) * steps[1]
    return counts, ky, kx


def _centred(
    counts: npt.NDArray[Any], radius: float, note: Callable[[str], None]
) -> tuple[npt.NDArray[Any], tuple[float, float]]:
    """Patterns whose beam stands still, and where: tilts are moved by whole pixels where it wanders."""
    summed = summed_patterns(counts)
    centres = np.array([find_centre(pattern, radius) for pattern in summed])
    away = np.linalg.norm(centres - np.median(centres, axis=0), axis=1)
    target = centres[np.argmin(away)]
    # the centre of mass of N electrons in a disc is known to radius/(2 √N) along each axis
    known = radius / (2 * np.sqrt(np.maximum(summed.sum(axis=(1, 2)), 1)))
    off = target - centres
    moves = np.where(np.abs(off) > SURE * known[:, None], np.rint(off), 0).astype(int)
    if moves.any():
        counts = np.stack([_moved(tilt, *move) for tilt, move in zip(counts, moves, strict=True)])
        note(f"patterns of a tilt moved by up to {np.abs(moves).max()} pixels, for the beam wanders")
        summed = summed_patterns(counts)
    row, column = find_centre(summed.sum(axis=0), radius)
    note(f"the beam is at row {row:.2f}, column {column:.2f} of the patterns, their centre of mass")
    return counts, (row, column)


def _moved(patterns: npt.NDArray[Any], down: int, right: int) -> npt.NDArray[Any]:
    """Patterns moved by whole pixels, with nothing where nothing comes from."""
    moved = np.roll(patterns, (down, right), axis=(-2, -1))
    for axis, by in ((-2, down), (-1, right)):
        lost = np.moveaxis(moved, axis, 0)
        lost[slice(None, by) if by > 0 else slice(len(lost) + by, None)] = 0
    return moved


def _flipped(
    where: str,
    counts: npt.NDArray[Any],
    centre: tuple[float, float],
    name: str,
    raster: tuple[int, int] | None,
) -> tuple[npt.NDArray[Any], tuple[float, float]]:
    if name == "ky":
        return counts[:, :, ::-1], (counts.shape[2] - 1 - centre[0], centre[1])
    if name == "kx":
        return counts[:, :, :, ::-1], (centre[0], counts.shape[3] - 1 - centre[1])
    if raster is None:
        raise InputError(f"{where}: its positions are a list, so turn round its {name} instead of --flip")
    scanned = counts.reshape(counts.shape[0], *raster, *counts.shape[2:])
    return np.flip(scanned, 1 + RASTER.index(name)).reshape(counts.shape), centre


def _turned(
    counts: npt.NDArray[Any], centre: tuple[float, float], turn: float
) -> tuple[npt.NDArray[Any], tuple[float, float]]:
    """Patterns turned by `turn` [deg] from kx towards ky: exactly by quarters, else by parts of pixels."""
    n_y, n_x = counts.shape[2:]
    quarters, rest = divmod(turn, 90.0)
    if rest:
        matrix = _turning(n_y, n_x, centre, turn)
        turned = np.empty(counts.shape, dtype=np.float32)
        for tilt, patterns in enumerate(counts):
            flat = patterns.reshape(len(patterns), -1).astype(np.float32)
            turned[tilt] = (matrix @ flat.T).T.reshape(patterns.shape)
        return turned, centre
    for _ in range(int(quarters)):  # row' = column, column' = n_y − 1 − row
        counts, centre = np.rot90(counts, axes=(3, 2)), (centre[1], counts.shape[2] - 1 - centre[0])
    return np.ascontiguousarray(counts), centre


def _turning(n_y: int, n_x: int, centre: tuple[float, float], turn: float) -> scipy.sparse.csr_array:
    """What part of the electrons of each pixel comes into which, when patterns turn about `centre`."""
    inside = (np.arange(FINE) + 0.5) / FINE - 0.5
    y = (np.arange(n_y)[:, None] + inside).reshape(-1)[:, None] - centre[0]
    x = (np.arange(n_x)[:, None] + inside).reshape(-1)[None] - centre[1]
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    row = np.rint(sin * x + cos * y + centre[0]).astype(int)
    column = np.rint(cos * x - sin * y + centre[1]).astype(int)
    source = (np.arange(n_y * FINE)[:, None] // FINE) * n_x + np.arange(n_x * FINE)[None] // FINE
    kept = (row >= 0) & (row < n_y) & (column >= 0) & (column < n_x)
    parts = np.full(int(kept.sum()), 1 / FINE**2, dtype=np.float32)
    into = (row * n_x + column)[kept]
    return scipy.sparse.csr_array((parts, (into, source[kept])), shape=(n_y * n_x, n_y * n_x))
