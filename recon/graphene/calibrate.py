"""The dose of a frame, by the Kullback–Leibler divergence of intensity histograms (paper 000, Fig. 1a, Table
1).

D(P‖Q) = Σ P ln(P / Q), with P the histogram of the frame and Q that of an image simulated at a trial dose:
the fewer electrons, the wider. Intensities are taken relative to their mean, so nothing need be known of the
camera's gain. The paper draws its simulated images electron by electron (`sparse_image`); here Q is summed
over the Poisson distribution of every pixel, without the noise of a draw, so the minimum is a smooth function
and can be interpolated. Σ P ln Q is the mean log-likelihood of a pixel: the minimum is the maximum-likelihood
dose of the binned intensities.

What is calibrated is the ratio of mean to noise. The forward model must therefore be right in its contrast,
and the frame must have the noise of its electrons: a detector that blurs after counting makes them look more.

Cost: n_bins × N_LEVELS Poisson sums per dose and, per bootstrap draw, n_bins × n_doses multiply-adds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.special

from datasets.errors import InputError

FloatArray = npt.NDArray[np.float64]

PUBLISHED_DOSES = (4.5e3, 6.0e3, 7.0e3, 8.0e3, 9.0e3, 1.0e4, 1.2e4)
"""Trial doses of paper 000, Table 1 [e⁻/Å²]."""

N_BINS = 32
"""Bins of equal population; from 16 to 96 the minimum moves by less than its own error (tested)."""

N_LEVELS = 32
"""Expected intensities that stand for those of all pixels, equally many pixels each; they lie closer together
than the noise is wide."""

REACH = 2.0
"""The minimum is sought this factor beyond the trial doses on either side."""

N_FINE = 61
"""Doses of the search, even in their logarithm; between them a parabola."""

BLOCK = 16
"""Edge [pixel] of the blocks that the bootstrap draws: neighbouring pixels show the same structure."""

N_BOOTSTRAP = 400
LEAST = 1e-300


@dataclass(frozen=True)
class DoseCalibration:
    """A calibrated dose.

    `dose_per_area` [e⁻/Å²] with the 95 % bootstrap interval `low` … `high`; `dose_per_pixel` [e⁻/pixel];
    `divergence` (n_dose,) at the `trial_doses` (n_dose,) and its least value `minimum`, in nat.
    """

    dose_per_area: float
    low: float
    high: float
    dose_per_pixel: float
    trial_doses: FloatArray
    divergence: FloatArray
    minimum: float


def calibrate_dose(
    frame: npt.ArrayLike,
    expected: npt.ArrayLike,
    pixel_size: float,
    *,
    trial_doses: Sequence[float] = PUBLISHED_DOSES,
    n_bins: int = N_BINS,
    unit: float = 0.0,
    block: int = BLOCK,
    rng: np.random.Generator | None = None,
) -> DoseCalibration:
    """The dose at which `expected` (any shape), a simulated noise-free image in any unit, looks like `frame`.

    `frame` (n_y, n_x) is in any linear unit; where it holds whole electrons, or whole multiples of a gain,
    `unit` is that step, and each count is spread evenly over it so that bins need not know of steps.
    `pixel_size` is in Å. `rng` draws the bootstrap. Raises `InputError` for images without intensity and
    where no minimum lies within a factor 2 of the trial doses.
    """
    measured, model = np.asarray(frame, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    doses = np.sort(np.asarray(trial_doses, dtype=np.float64))
    if measured.ndim != 2 or not measured.mean() > 0:
        raise InputError("dose calibration needs a frame (n_y, n_x) with a positive mean")
    if model.min() < 0 or not model.mean() > 0:
        raise InputError("dose calibration needs an expected image that is not negative")
    if len(doses) < 2 or doses[0] <= 0 or n_bins < 4:
        raise InputError("dose calibration needs at least two positive trial doses and four bins")
    edges = relative_edges(measured, n_bins)
    by_block = block_histograms(measured, edges, block, unit)
    area = pixel_size**2
    fine = np.geomspace(doses[0] / REACH, doses[-1] * REACH, N_FINE)
    levels = _levels(model)
    log_q = np.log(np.stack([expected_histogram(levels, dose * area, edges) for dose in fine]) + LEAST)
    p = by_block.sum(axis=0) / by_block.sum()
    best, inside = _maximum(p @ log_q.T, np.log(fine))
    if not inside:
        raise InputError(
            f"the divergence has no minimum between {fine[0]:g} and {fine[-1]:g} e⁻/Å²; "
            "give other trial doses"
        )
    rng = rng or np.random.default_rng(0)
    weights = rng.multinomial(len(by_block), np.full(len(by_block), 1 / len(by_block)), size=N_BOOTSTRAP)
    draws = (weights @ by_block) / (weights @ by_block.sum(axis=1))[:, None]
    low, high = np.percentile([_maximum(row, np.log(fine))[0] for row in draws @ log_q.T], [2.5, 97.5])
    at_trials = [kl_divergence(p, expected_histogram(levels, dose * area, edges)) for dose in doses]
    found = float(np.exp(best))
    least = kl_divergence(p, expected_histogram(levels, found * area, edges))
    interval = (float(np.exp(low)), float(np.exp(high)))
    return DoseCalibration(found, *interval, found * area, doses, np.array(at_trials), least)


def kl_divergence(p: FloatArray, q: FloatArray) -> float:
    """D(P‖Q) = Σ P ln(P / Q) [nat] of two histograms (n,), each normalised to 1 first. Zero only if equal."""
    p, q = p / p.sum(), q / q.sum()
    some = p > 0
    return float(np.sum(p[some] * np.log(p[some] / np.maximum(q[some], LEAST))))


def sparse_image(
    expected: npt.ArrayLike, dose_per_pixel: float, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Electrons drawn one by one from the normalised image `expected` (n_y, n_x), as the paper does.

    The total, `dose_per_pixel` times the number of pixels, is fixed; given it, Poisson counts are distributed
    alike.
    """
    image = np.asarray(expected, dtype=np.float64)
    total = round(dose_per_pixel * image.size)
    return np.asarray(rng.multinomial(total, image.ravel() / image.sum()).reshape(image.shape))


def relative_edges(frame: FloatArray, n_bins: int) -> FloatArray:
    """Edges (n_bins + 1,) in units of the mean, about equally many pixels of `frame` between two of them; the
    first and the last are infinite.
    """
    inner = np.quantile(frame / frame.mean(), np.arange(1, n_bins) / n_bins)
    return np.concatenate([[-np.inf], np.unique(inner), [np.inf]])


def block_histograms(frame: FloatArray, edges: FloatArray, block: int, unit: float) -> FloatArray:
    """Pixels of `frame` (n_y, n_x) in each bin, for every block of `block`² pixels: (n_block, n_bin).

    With `unit` > 0 each pixel counts as spread evenly over ± unit / 2. What does not fill a block is left
    out.
    """
    block = min(block, *frame.shape)
    n_y, n_x = (n // block for n in frame.shape)
    values = frame[: n_y * block, : n_x * block] / frame.mean()
    blocks = values.reshape(n_y, block, n_x, block).swapaxes(1, 2).reshape(n_y * n_x, -1)
    step = unit / float(frame.mean())
    below = np.empty((len(blocks), len(edges)))
    for k, edge in enumerate(edges):
        if step > 0 and np.isfinite(edge):
            below[:, k] = np.clip((edge - blocks) / step + 0.5, 0, 1).sum(axis=1)
        else:
            below[:, k] = np.count_nonzero(blocks < edge, axis=1)
    return np.diff(below, axis=1)


def _levels(expected: FloatArray) -> FloatArray:
    """`N_LEVELS` intensities in units of the mean that stand for all pixels of `expected`."""
    ordered = np.sort(expected.ravel() / expected.mean())
    parts = np.array_split(ordered, min(N_LEVELS, ordered.size))
    means = np.array([part.mean() for part in parts])
    return means / means.mean()


def expected_histogram(levels: FloatArray, dose_per_pixel: float, edges: FloatArray) -> FloatArray:
    """Share (n_bin,) of pixels between `edges` (in units of the mean) when each has Poisson counts of mean
    `dose_per_pixel` times its level (n_level,), every count spread evenly over ± 1/2 electron.
    """
    mean = np.maximum(dose_per_pixel * levels, LEAST)
    counts = np.maximum(edges[1:-1, None] * dose_per_pixel + 0.5, 0.0)
    whole = np.floor(counts)
    # P(N ≤ whole) less the part of P(N = whole) that lies beyond the edge
    at = np.exp(scipy.special.xlogy(whole, mean) - mean - scipy.special.gammaln(whole + 1))
    below = scipy.special.pdtr(whole, mean) - (1 - (counts - whole)) * at
    return np.diff(np.concatenate([[0.0], below.mean(axis=1), [1.0]]))


def _maximum(values: FloatArray, abscissa: FloatArray) -> tuple[float, bool]:
    """Where `values` (n,) on an even `abscissa` (n,) are greatest, by a parabola; and whether not at an
    end.
    """
    k = int(np.argmax(values))
    if k in (0, len(values) - 1):
        return float(abscissa[k]), False
    left, middle, right = values[k - 1 : k + 2]
    curvature = left - 2 * middle + right
    shift = 0.0 if curvature == 0 else 0.5 * (left - right) / curvature
    return float(abscissa[k] + shift * (abscissa[1] - abscissa[0])), True
