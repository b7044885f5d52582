"""Heights of atoms from their contrast: the projected charge density approximation.

D. F. Lynch, A. F. Moodie and M. A. O'Keefe, Acta Cryst. A 31, 300 (1975). A thin specimen makes the wave 1 +
iσφ, φ the projected potential. Underfocused by D, every Fourier component is multiplied by exp(iπλDk²) ≈ 1 +
iπλDk², so the intensity is

    I = |1 + iσφ − ...|² ≈ 1 − 2σ πλD · FT⁻¹[k² φ_k] = 1 + (σλD / 2π) ∇²φ = 1 − (σλD / 2πε₀) ρ_p

by Poisson's equation, ρ_p the projected charge: nuclei are seen with a contrast proportional to D. An atom at
height z along the beam is z more out of focus, so its contrast is A ∝ D + z, and

    z = L (A / ⟨A⟩ − 1),    L = D   (charge density).

The approximation is that of χ ≪ 1, which at atomic resolution and with spherical aberration fails. To first
order in z the same holds for any lens with L = A / (dA/dz), A the contrast of the flat lattice, atom less
hexagon centre, as a sum over its reflections (`weak_phase`). L is large where contrast hardly depends on
focus, and noise with it.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from datasets.errors import InputError
from recon.graphene.multislice import Lens, atomic_scattering
from recon.graphene.prior import BOND
from recon.optics import wavelength

FloatArray = npt.NDArray[np.float64]

Contrast = Literal["charge_density", "weak_phase"]
"""Contrast proportional to the defocus; as the lens transfers the reflections of the lattice."""

SHELLS = ((1.0, 9.0), (4.0, 9.0), (7.0, 18.0), (13.0, 18.0))
"""Squared length of the reflections of a honeycomb relative to the first, and how much more a unit of each
shell adds at an atom than at the centre of a hexagon: multiplicity × structure factor × (cos there − cos
here). The shells of 3, 9 and 12 look the same from both."""


def depth_of_contrast(lens: Lens, how: Contrast = "weak_phase", *, bond: float = BOND) -> float:
    """L [Å] in z = L (A / ⟨A⟩ − 1), of either sign; raises `InputError` where contrast does not tell
    height.
    """
    if how == "charge_density":
        if lens.defocus == 0:
            raise InputError("in focus the charge density approximation has no contrast to tell heights from")
        return lens.defocus
    squared, weight = np.array(SHELLS).T
    k2 = squared * (2 / (3 * bond)) ** 2
    amplitude = atomic_scattering(np.sqrt(k2), lens.energy) * lens.transfer(k2)
    amplitude = amplitude * lens.envelope(k2) * np.exp(-2 * (np.pi * lens.point_spread) ** 2 * k2)
    contrast = float((weight * amplitude.real).sum())
    slope = float((weight * (1j * np.pi * wavelength(lens.energy) * k2 * amplitude).real).sum())
    if slope == 0:
        raise InputError("with this lens the contrast of an atom does not depend on its height")
    return contrast / slope


def heights_from_contrast(contrast: FloatArray, depth: float) -> FloatArray:
    """z (n,) [Å], of mean zero about, of atoms of `contrast` (n,), of one sign, with L = `depth` [Å]."""
    mean = float(contrast.mean())
    if mean == 0:
        raise InputError("atoms without contrast have no height in it")
    return depth * (contrast / mean - 1)
