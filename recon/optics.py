"""Electrons of a microscope: their wavelength, and how strongly a potential turns their phase."""

from __future__ import annotations

import math

from scipy import constants


def wavelength(energy: float) -> float:
    """Relativistic wavelength [Å] of electrons of `energy` [eV]."""
    rest = constants.m_e * constants.c**2 / constants.e
    momentum = math.sqrt(energy * (energy + 2 * rest)) * constants.e / constants.c
    return constants.h / momentum * 1e10


def interaction_constant(energy: float) -> float:
    """σ = 2π m e λ / h² [rad/(V Å)] of electrons of `energy` [eV], m their relativistic mass."""
    rest = constants.m_e * constants.c**2 / constants.e
    mass = constants.m_e * (1 + energy / rest)
    return 2 * math.pi * mass * constants.e * wavelength(energy) * 1e-10 / constants.h**2 * 1e-10
