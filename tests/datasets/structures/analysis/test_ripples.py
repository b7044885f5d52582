"""The spectrum of sheets made with a known one."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import graphene

from datasets.errors import InputError
from datasets.structures.analysis.ripples import height_spectrum, heights


def sheet() -> Atoms:
    """A flat periodic sheet of 1152 atoms."""
    atoms = graphene(size=(24, 24, 1), vacuum=10)
    atoms.pbc = (True, True, False)
    return atoms


def rippled(exponent: float, seed: int) -> Atoms:
    """Heights of random modes with mean power ∝ q^−exponent, rms 1 Å."""
    atoms, rng = sheet(), np.random.default_rng(seed)
    reciprocal = 2 * np.pi * np.linalg.inv(atoms.cell.array[:2, :2]).T
    height = np.zeros(len(atoms))
    for m in range(13):
        for n in range(-12, 13):
            q = np.array([m, n]) @ reciprocal
            size = np.linalg.norm(q)
            if (m, n) > (0, 0) and size < 1.3:
                amplitude = (rng.normal() + 1j * rng.normal()) * size ** (-exponent / 2)
                height += (amplitude * np.exp(1j * (atoms.positions[:, :2] @ q))).real
    atoms.positions[:, 2] += height / height.std()
    return atoms


@pytest.mark.parametrize("exponent", [3.2, 4.0])
def test_the_slope_is_found_within_its_error(exponent: float) -> None:
    misses = []
    for seed in range(8):
        slope, error = height_spectrum(rippled(exponent, seed)).slope()
        misses.append((slope + exponent) / error)
    assert np.abs(np.mean(misses)) < 3 / np.sqrt(8)
    assert 0.4 < np.std(misses) < 1.8


def test_one_wave_has_a_quarter_of_its_square_in_its_mode() -> None:
    atoms = sheet()
    q = 2 * np.pi * np.linalg.inv(atoms.cell.array[:2, :2]) @ np.array([3, 0])
    atoms.positions[:, 2] += 0.5 * np.cos(atoms.positions[:, :2] @ q)
    spectrum = height_spectrum(atoms)
    top = int(np.argmax(spectrum.power))
    assert spectrum.q[top] == pytest.approx(np.linalg.norm(q))
    assert spectrum.power[top] == pytest.approx(0.25**2)
    assert np.delete(spectrum.power, top).max() < 1e-20
    assert np.sqrt(np.mean(heights(atoms) ** 2)) == pytest.approx(0.5 / np.sqrt(2))


def test_the_radial_average_keeps_every_mode() -> None:
    spectrum = height_spectrum(rippled(4.0, 0))
    q, power = spectrum.averaged()
    assert (np.diff(q) > 0).all()
    assert spectrum.power.min() <= power.min() <= power.max() <= spectrum.power.max()


def test_heights_of_a_tilted_flake_are_over_its_own_plane() -> None:
    flat = sheet()
    tilted = Atoms(flat.numbers, flat.positions)
    tilted.rotate(35, "x")
    assert np.abs(heights(tilted)).max() < 1e-9
    with pytest.raises(InputError, match="periodic along two axes"):
        height_spectrum(tilted)
