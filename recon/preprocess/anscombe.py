"""The generalised Anscombe transform and its exact unbiased inverse.

Counts z = gain · Poisson(mean / gain) + Normal(0, read²) become images whose noise has a standard deviation
of nearly 1 everywhere, so that a filter made for white Gaussian noise may be used. A filter returns (nearly)
the expectation of the transformed counts, which is not the transform of the expectation: the inverse must map
E[f(z)] to E[z]. M. Mäkitalo and A. Foi, "Optimal inversion of the generalized Anscombe transformation for
Poisson–Gaussian noise", IEEE Trans. Image Process. 22, 91 (2013). Their inverse is tabulated by Monte Carlo;
here E[f(z)] is summed over the Poisson and integrated over the normal distribution.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import scipy.stats

Array = npt.NDArray[np.float64]

TABLE_END = 100.0
"""Mean [electron] up to which the inverse is tabulated; from there on it is D²/4 − 1/8 − read², which is then
within 1e-5 of it."""

N_MEANS = 800
"""Means in the table, equidistant in their square root; interpolated to 1e-4 electrons."""

N_NORMAL = 161
"""Points of the integral over the normal distribution, from −6 to 6 standard deviations."""


def anscombe(counts: Array, gain: float = 1.0, read_noise: float = 0.0) -> Array:
    """The transform f of `counts` of any shape: noise of standard deviation 1, for means above about 2.

    `gain` is what one electron adds to a count, `read_noise` the standard deviation of the read-out in the
    unit of the counts.
    """
    scaled = np.asarray(counts, dtype=np.float64) / gain
    return np.asarray(_transform(scaled, read_noise / gain))


def inverse_anscombe(transformed: Array, gain: float = 1.0, read_noise: float = 0.0) -> Array:
    """The expected counts whose expected transform is `transformed`; zero where that is below f's least.

    The exact unbiased inverse: `inverse_anscombe(E[anscombe(z)])` is E[z].
    """
    read = read_noise / gain
    mean, expectation = _table(float(read))
    found = np.interp(transformed, expectation, mean)
    beyond = transformed > expectation[-1]
    found[beyond] = transformed[beyond] ** 2 / 4 - 1 / 8 - read**2
    return np.asarray(found * gain)


def _transform(electrons: Array, read: float) -> Array:
    return 2 * np.sqrt(np.maximum(electrons + 3 / 8 + read**2, 0.0))


@lru_cache(maxsize=1)
def _poisson() -> tuple[Array, Array, Array]:
    """The means of the table, the numbers of electrons and the probabilities (n_mean, n_number)."""
    mean = np.linspace(0.0, np.sqrt(TABLE_END), N_MEANS) ** 2
    number = np.arange(int(TABLE_END + 10 * np.sqrt(TABLE_END)) + 1, dtype=np.float64)
    return mean, number, np.asarray(scipy.stats.poisson.pmf(number[None, :], mean[:, None]))


@lru_cache(maxsize=128)
def _table(read: float) -> tuple[Array, Array]:
    """Means [electron] and the expectations of their transforms, both rising."""
    mean, number, probability = _poisson()
    if read == 0:
        return mean, probability @ _transform(number, read)
    t = np.linspace(-6.0, 6.0, N_NORMAL)
    weight = np.exp(-0.5 * t**2)
    given_number = _transform(number[:, None] + read * t, read) @ (weight / weight.sum())
    return mean, probability @ given_number
