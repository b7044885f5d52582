"""Multiple two-dimensional Gaussian fitting: where atoms are, and how high they stand out of a frame.

Every atom is a Gaussian on a window of 15 pixels (the authors' code of paper 000), all of one width; a window
holds its atom, the tails of its neighbours, and a level of its own. Neighbours are taken from the last round,
so that all windows are solved at once, a 4 × 4 system each: Gauss–Newton steps in x, y, height and level. The
positions have a normal prior about where the lattice has them (`recon.graphene.topology`), of the spread of
thermal vibration: at low dose a window tells less than its neighbourhood.

Cost at n atoms: 15² · 30 multiply-adds and a 4 × 4 solution per atom and round.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

WINDOW = 15
"""Edge of a window [pixel] (published)."""
N_ROUNDS = 8
WIDTHS = np.arange(0.25, 0.81, 0.05)
"""Standard deviations of an atom's image [Å] that are tried."""
MAX_STEP = 0.1
"""Å, the longest step of a round."""
HEIGHT_SPREAD = 0.25
"""Relative spread of heights about the common one: what a few Å in z change."""


@dataclass(frozen=True)
class FittedAtoms:
    """Atoms as fitted: `positions` (n, 2) as (x, y) [Å], `heights` (n,) relative to the frame's mean, each
    with its standard error `height_errors`; and one `width` [Å].
    """

    positions: FloatArray
    heights: FloatArray
    height_errors: FloatArray
    width: float


def fit_atoms(
    frame: FloatArray,
    sites: FloatArray,
    x: FloatArray,
    y: FloatArray,
    *,
    noise: float,
    prior: float,
    window: int = WINDOW,
    n_rounds: int = N_ROUNDS,
) -> FittedAtoms:
    """Gaussians fitted to `frame` (n_y, n_x), relative to its mean, about `sites` (n, 2) as (x, y) [Å].

    `x` (n_x,) and `y` (n_y,) are the pixels [Å], `noise` the standard deviation of a pixel of `frame`,
    `prior` that of the positions about the sites [Å]. Images of atoms are not Gaussians, and what is left of
    them counts as noise that all pixels of an atom share. Atoms off their site count in it too: even without
    noise positions stay drawn to their sites.
    """
    width, common, level, misfit = common_width(frame, sites, x, y)
    # an atom's misfit is the same all over its image, so that many pixels say no more of it than one does
    n_pixels = max(1.0, 4 * np.pi * width**2 / float(x[1] - x[0]) ** 2)
    noise = float(np.sqrt(noise**2 + n_pixels * max(misfit**2 - noise**2, 0.0)))
    positions, heights = sites.copy(), np.full(len(sites), common)
    levels = np.full(len(sites), level)
    windows = _Windows.about(frame, sites, x, y, window)
    covariance = np.tile(np.eye(4), (len(sites), 1, 1))
    for _ in range(n_rounds):
        model = _model(positions, heights, width, x, y)
        pixels = np.stack(np.broadcast_arrays(windows.x[:, None, :], windows.y[:, :, None]), axis=-1)
        offset = pixels - positions[:, None, None, :]
        shape = np.exp(-0.5 * (offset**2).sum(axis=-1) / width**2) * windows.inside
        own = heights[:, None, None] * shape
        residual = (windows.values - windows.cut(model) - levels[:, None, None]) * windows.inside
        along = own[..., None] * offset / width**2
        design = np.concatenate([along, shape[..., None], windows.inside[..., None]], axis=-1)
        flat = design.reshape(len(sites), -1, 4) / noise
        normal = flat.swapaxes(1, 2) @ flat
        gradient = (flat.swapaxes(1, 2) @ (residual.reshape(len(sites), -1, 1) / noise))[..., 0]
        # priors: of the positions, of the heights about their mean, and a weak one that keeps levels finite
        spread = max(HEIGHT_SPREAD * abs(common), 1e-12)
        precision = np.array([prior**-2, prior**-2, spread**-2, 1e-6])
        from_prior = np.column_stack([sites - positions, common - heights, np.zeros(len(sites))])
        normal[:, range(4), range(4)] += precision
        step = np.linalg.solve(normal, (gradient + precision * from_prior)[..., None])[..., 0]
        length = np.linalg.norm(step[:, :2], axis=1, keepdims=True)
        positions = positions + step[:, :2] * np.minimum(1, MAX_STEP / np.maximum(length, 1e-12))
        heights, levels = np.asarray(heights + step[:, 2]), np.asarray(levels + step[:, 3])
        covariance = np.asarray(np.linalg.inv(normal), dtype=np.float64)
    # least squares of the height alone, for z: the prior would draw it to the mean; neighbours as they are
    free, error = _free_heights(covariance, heights, common, spread)
    return FittedAtoms(positions, free, error, width)


def common_width(
    frame: FloatArray, sites: FloatArray, x: FloatArray, y: FloatArray
) -> tuple[float, float, float, float]:
    """The width [Å], height and level of one Gaussian at every one of `sites` that fit `frame` best, and the
    root mean square of what is left.

    The level is that between the atoms: pixels farther than 1 Å from a site are left out.
    """
    inside = _model(sites, np.ones(len(sites)), 0.5, x, y) > np.exp(-0.5 * (1.0 / 0.5) ** 2)
    measured = frame[inside]
    best = (np.inf, 0.5, 0.0, 0.0)
    for width in WIDTHS:
        shape = _model(sites, np.ones(len(sites)), float(width), x, y)[inside]
        design = np.column_stack([shape, np.ones(len(shape))])
        found, *_ = np.linalg.lstsq(design, measured, rcond=None)
        misfit = float(((measured - design @ found) ** 2).sum())
        if misfit < best[0]:
            best = (misfit, float(width), float(found[0]), float(found[1]))
    return best[1], best[2], best[3], float(np.sqrt(best[0] / max(len(measured), 1)))


@dataclass(frozen=True)
class _Windows:
    """Square windows about n places: pixel coordinates `x`, `y` (n, w) [Å], `values` (n, w, w), and whether a
    pixel is `inside` (n, w, w) the frame.
    """

    x: FloatArray
    y: FloatArray
    values: FloatArray
    inside: FloatArray
    rows: npt.NDArray[np.intp]
    columns: npt.NDArray[np.intp]

    @classmethod
    def about(cls, frame: FloatArray, places: FloatArray, x: FloatArray, y: FloatArray, w: int) -> _Windows:
        pixel = x[1] - x[0]
        steps = np.arange(w) - w // 2
        columns = np.rint((places[:, :1] - x[0]) / pixel).astype(np.intp) + steps
        rows = np.rint((places[:, 1:] - y[0]) / pixel).astype(np.intp) + steps
        within = ((rows >= 0) & (rows < len(y)))[:, :, None] & ((columns >= 0) & (columns < len(x)))[:, None]
        rows, columns = rows.clip(0, len(y) - 1), columns.clip(0, len(x) - 1)
        values = frame[rows[:, :, None], columns[:, None, :]]
        return cls(x[columns], y[rows], values, within.astype(np.float64), rows, columns)

    def cut(self, image: FloatArray) -> FloatArray:
        return np.asarray(image[self.rows[:, :, None], self.columns[:, None, :]])


def _model(
    positions: FloatArray, heights: FloatArray, width: float, x: FloatArray, y: FloatArray
) -> FloatArray:
    """The sum of all Gaussians (n_y, n_x)."""
    along_x = np.exp(-0.5 * ((x - positions[:, :1]) / width) ** 2)
    along_y = np.exp(-0.5 * ((y - positions[:, 1:]) / width) ** 2)
    return np.asarray((along_y * heights[:, None]).T @ along_x)


def _free_heights(
    covariance: FloatArray, heights: FloatArray, common: float, spread: float
) -> tuple[FloatArray, FloatArray]:
    """Heights (n,) and their standard errors (n,) without the prior that they were fitted with.

    A posterior mean m of variance v under a prior (μ, s²) comes from data of mean (m/v − μ/s²) / (1/v −
    1/s²).
    """
    variance = np.minimum(covariance[:, 2, 2], 0.999 * spread**2)
    weight = 1 / variance - 1 / spread**2
    return (heights / variance - common / spread**2) / weight, 1 / np.sqrt(weight)
