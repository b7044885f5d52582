"""What an atom does to a wave: its projected potential, as a few Gaussians, from Lobato's parametrisation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from recon.optics import interaction_constant

FloatArray = npt.NDArray[np.float64]

WIDTHS = (0.0, 0.25, 0.5, 0.95)
"""Standard deviations [Å] of an atom's Gaussians before vibration and the size of pixels widen them."""


def gaussian_widths(vibration: float, pixel: float) -> FloatArray:
    """Standard deviations [Å] of the Gaussians of an atom that vibrates by `vibration` [Å, rms along an
    axis], seen in pixels of `pixel` [Å], whose band limit passes what a Gaussian of 0.45 pixel does.
    """
    return np.asarray(np.sqrt(np.array(WIDTHS) ** 2 + vibration**2 + (0.45 * pixel) ** 2))


def phase_integrals(symbols: Sequence[str], energy: float) -> FloatArray:
    """Phase [rad Å²] in each Gaussian of each of `symbols`, (n_species, n_gaussians): what the wave's phase
    changes by behind an atom, integrated over the plane.

    The scattering factor is fitted between 0 and 1.5 Å⁻¹, weighed as a plane is by its circumference.
    """
    constant = interaction_constant(energy)
    return np.stack([constant * _fitted(symbol) for symbol in symbols])


@cache
def _fitted(symbol: str) -> FloatArray:
    from abtem.parametrizations import LobatoParametrization

    k = np.linspace(0.01, 1.5, 150)
    factor = LobatoParametrization().projected_scattering_factor(symbol)(k**2)
    basis = np.exp(-2 * (np.pi * np.array(WIDTHS) * k[:, None]) ** 2)
    weights = np.sqrt(k)
    found, _ = nnls(basis * weights[:, None], np.asarray(factor, dtype=float) * weights)
    return np.asarray(found)
