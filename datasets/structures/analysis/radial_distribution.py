"""The radial distribution function g(r), its peaks and its first minimum.

Every pair counts 1 / (4πr² ρ f(r)), with ρ the number density of the core and f(r) the part of a sphere of
radius r around core atoms that lies inside the body: the finite-size correction of an isolated particle of
any shape, exact for a uniform body. Sheets are normalised in two dimensions. Pairs are weighted before they
are smoothed, so that smoothing shifts no peak.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

from datasets.errors import InputError

FloatArray = npt.NDArray[np.float64]

STEP = 0.01
"""Bin of the histogram [Å]."""
R_MAX = 10.0
"""Largest distance [Å]."""
FINE, COARSE = 0.05, 0.15
"""Standard deviations of the smoothing [Å]: for the place of the first peak, and for what is found beyond."""


@dataclass(frozen=True, eq=False)
class RadialDistribution:
    """`g` (n,) at `r` (n,) [Å], one value per `STEP`, not smoothed; `shell` (n,) is the expected number of
    pairs per bin where g = 1.
    """

    r: FloatArray
    g: FloatArray
    shell: FloatArray

    def smooth(self, sigma: float) -> FloatArray:
        """g convolved with a Gaussian of standard deviation `sigma` [Å]."""
        return np.asarray(gaussian_filter1d(self.g, sigma / STEP, mode="nearest"))

    @property
    def first_minimum(self) -> float:
        """Where the first shell ends [Å]: the middle of the deepest stretch between the first two peaks."""
        first, second = self._peaks()[:2]
        g = self.smooth(COARSE)[first:second]
        deepest = np.flatnonzero(g <= g.min() + 0.01)
        return float(self.r[first + round(float(deepest.mean()))])

    @property
    def first_peak(self) -> float:
        """The place of the first peak [Å]."""
        g = np.where(self.r < self.first_minimum, self.smooth(FINE), 0.0)
        return _vertex(self.r, g, int(np.argmax(g)), FINE)

    @property
    def second_peak(self) -> float:
        """The place of the second peak [Å], smoothed by 0.15 Å."""
        return _vertex(self.r, self.smooth(COARSE), self._peaks()[1], COARSE)

    @property
    def second_minimum(self) -> float:
        """The lowest place between the second and the third peak [Å]."""
        peaks = self._peaks()
        g = self.smooth(COARSE)
        end = peaks[2] if len(peaks) > 2 else len(g)
        return float(self.r[peaks[1] + int(np.argmin(g[peaks[1] : end]))])

    def _peaks(self) -> npt.NDArray[np.intp]:
        """Bins of the peaks that stand out of the counting noise by three standard deviations."""
        g = self.smooth(COARSE)
        effective = self.shell * 2 * np.sqrt(np.pi) * COARSE / STEP
        noise = np.sqrt(2 * np.maximum(g, 0.05) / np.maximum(effective, 1e-9))
        candidates, properties = find_peaks(g, prominence=0.15)
        peaks = candidates[properties["prominences"] > 3 * noise[candidates]]
        if len(peaks) < 2:
            raise InputError(f"too few pairs of atoms for the shells of g(r): {len(peaks)} peaks stand out")
        return np.asarray(peaks)


def radial_distribution(
    distances: FloatArray,
    *,
    n_centres: int,
    density: float,
    inside: FloatArray | None = None,
    r_max: float = R_MAX,
    dimensions: int = 3,
) -> RadialDistribution:
    """g(r) from the `distances` (n,) [Å] of partners seen from `n_centres` atoms.

    `density` of the partners [Å⁻³, Å⁻² in two dimensions]; `inside` is f(r) at the middle of every bin.
    """
    edges = np.arange(round(r_max / STEP) + 1) * STEP
    r = (edges[1:] + edges[:-1]) / 2
    volume = 4 / 3 * np.pi * np.diff(edges**3) if dimensions == 3 else np.pi * np.diff(edges**2)
    shell = n_centres * density * volume * (1.0 if inside is None else inside)
    counts = np.histogram(distances, bins=edges)[0]
    return RadialDistribution(r, counts / shell, shell)


def bin_centres(r_max: float = R_MAX) -> FloatArray:
    """The middles of the bins (n,) [Å]."""
    return np.asarray((np.arange(round(r_max / STEP)) + 0.5) * STEP)


def _vertex(r: FloatArray, g: FloatArray, peak: int, sigma: float) -> float:
    """Top of the parabola through what is within `sigma` [Å] of the bin `peak`."""
    reach = max(round(sigma / STEP), 1)
    window = slice(max(peak - reach, 0), peak + reach + 1)
    curvature, slope, _ = np.polyfit(r[window] - r[peak], g[window], 2)
    if curvature >= 0:
        return float(r[peak])
    return float(r[peak] + np.clip(-slope / (2 * curvature), -sigma, sigma))
