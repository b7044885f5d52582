"""The sites of a honeycomb in a noisy frame, by geometric phase analysis.

M. J. Hÿtch, E. Snoeck and R. Kilaas, Ultramicroscopy 74, 131 (1998): the frame times exp(−2πi g·r), averaged
over a neighbourhood, is H_g(r) = |H_g| exp(−2πi g·u(r)), with u the displacement of the lattice there. Three
first reflections with g₁ + g₂ + g₃ = 0 give the two components of u. A neighbourhood of some 60 atoms is
known where none of them can be seen by itself, so sites are found at doses where peaks are not.

Seen from the centre of a hexagon the first structure factors of the honeycomb are −1 times those of an atom,
and H₁H₂H₃ does not depend on where the origin is: its sign says whether atoms are bright or dark.

Cost at n pixels: 3 · 2 · 60 products of n for the orientation, and six separable filters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.ndimage
from scipy.optimize import minimize
from scipy.spatial import KDTree
from skimage.restoration import unwrap_phase

from datasets.errors import InputError

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

BOND = 1.42
"""Carbon–carbon bond of graphene [Å] (paper 000: b₀)."""
WINDOW = 4.5
"""Standard deviation [Å] of the neighbourhood: 4πσ² is that of about 100 atoms."""
SCALES = np.linspace(0.94, 1.04, 11)
"""Lattice constants tried, relative to the flat sheet's: ripples and tilt make them seem shorter."""
SHEET = 0.4
"""Part of the lattice's full amplitude above which there is sheet: a half at a straight edge."""
REACH = 0.35
"""Å that a sheet is taken to reach beyond where its amplitude says; noise decides about the atoms there."""
RIM = 3.0
"""Å beyond the sheet, two rows of atoms, where the lattice is continued."""


@dataclass(frozen=True)
class Honeycomb:
    """Where the atoms of a sheet should be.

    `sites` (n, 2) as (x, y) [Å]; `amplitude` (n,), that of the lattice around each relative to its greatest;
    `sign`, +1 where atoms are bright and −1 where dark; `vectors` (2, 2) [Å], the mean lattice vectors as
    rows; `significance`, the amplitude over its noise at its median in the sheet.
    """

    sites: FloatArray
    amplitude: FloatArray
    sign: int
    vectors: FloatArray
    significance: float
    beyond: FloatArray


def find_honeycomb(
    frame: FloatArray, x: FloatArray, y: FloatArray, *, bond: float = BOND, window: float = WINDOW
) -> Honeycomb:
    """The honeycomb in `frame` (n_y, n_x), its pixels centred at `x` and `y` [Å], of any mean and contrast.

    Raises `InputError` where no lattice stands out of the noise. One sheet of one orientation; strain of a
    few percent and displacements up to about 0.7 Å from the mean lattice are followed where they vary slowly.
    """
    contrast = frame / frame.mean() - 1
    pixel = float(x[1] - x[0])
    g = _reflections(contrast, x, y, bond)
    waves = [_demodulated(contrast, gk, x, y, window / pixel) for gk in g]
    noise = np.sqrt(contrast.var() * pixel**2 / (4 * np.pi * window**2))
    amplitude = np.sqrt(sum(np.abs(wave) ** 2 for wave in waves) / 3)
    full = float(np.quantile(amplitude, 0.9))
    inside = amplitude > SHEET * full
    triple = waves[0] * waves[1] * waves[2]
    sign = -1 if float(triple[inside].sum().real) > 0 else 1
    significance = float(np.median(amplitude[inside])) / noise
    if significance < 3:
        raise InputError(f"no honeycomb of bonds of {bond:g} Å stands out of the noise of this frame")
    u = _displacement([-sign * wave for wave in waves], g, inside)
    vectors = np.asarray(
        np.linalg.inv(g[:2]), dtype=np.float64
    )  # columns are the lattice vectors that belong to g₁ and g₂
    sites = _sites(vectors, u, x, y, bond)
    strength = _at(amplitude / full, sites, x, y)
    near = _at(scipy.ndimage.maximum_filter(amplitude, int(2 * REACH / pixel) | 1) / full, sites, x, y)
    seen = near > SHEET
    distance = np.asarray(KDTree(sites[seen]).query(sites)[0])
    beyond = sites[~seen & (distance < RIM)]
    return Honeycomb(sites[seen], strength[seen], sign, vectors.T, significance, beyond)


def _reflections(contrast: FloatArray, x: FloatArray, y: FloatArray, bond: float) -> FloatArray:
    """g₁, g₂, g₃ (3, 2) as (x, y) [1/Å], their sum zero: where the three hold the most power together."""
    taper = contrast * np.outer(np.hanning(len(y) + 2)[1:-1], np.hanning(len(x) + 2)[1:-1])

    def power(turn: float, scale: float) -> float:
        kx, ky = _star(turn, bond * scale).T
        along_x = np.exp(-2j * np.pi * np.outer(x, kx))
        along_y = np.exp(-2j * np.pi * np.outer(y, ky))
        return float((np.abs(np.einsum("yk,yk->k", along_y, taper @ along_x)) ** 2).sum())

    turns = np.deg2rad(np.arange(0, 60, 1.0))
    grid = [(power(turn, scale), turn, scale) for turn in turns for scale in SCALES]
    _, turn, scale = max(grid)
    fine = minimize(  # type: ignore[call-overload]
        lambda p: -power(p[0], p[1]),
        np.array([turn, scale]),
        method="Nelder-Mead",
        options={"xatol": 1e-4, "fatol": 1e-6},
    )
    return _star(float(fine.x[0]), bond * float(fine.x[1]))


def _star(turn: float, bond: float) -> FloatArray:
    angles = turn + np.deg2rad([0, 120, 240])
    return 2 / (3 * bond) * np.stack([np.cos(angles), np.sin(angles)], axis=-1)


def _demodulated(
    contrast: FloatArray, g: FloatArray, x: FloatArray, y: FloatArray, sigma: float
) -> npt.NDArray[np.complex128]:
    wave = contrast * np.exp(-2j * np.pi * (g[1] * y[:, None] + g[0] * x))
    real, imag = (scipy.ndimage.gaussian_filter(p, sigma, mode="constant") for p in (wave.real, wave.imag))
    return np.asarray(real + 1j * imag)


def _displacement(waves: list[npt.NDArray[np.complex128]], g: FloatArray, inside: BoolArray) -> FloatArray:
    """u (2, n_y, n_x) [Å] from phases −2π g·u by least squares; outside the sheet the nearest inside."""
    phases = []
    for wave in waves:
        mean = wave[inside].sum()
        turned = np.angle(wave * (mean.conj() / abs(mean)))
        free = np.asarray(unwrap_phase(np.ma.masked_array(turned, ~inside)).filled(0.0))
        # a phase may be unwrapped to another turn as a whole
        free -= 2 * np.pi * np.round(np.median(free[inside]) / (2 * np.pi))
        phases.append(free + np.angle(mean))
    closure = sum(phases)
    phases[2] = phases[2] - 2 * np.pi * np.round(np.median(closure[inside]) / (2 * np.pi))
    inverse = np.linalg.pinv(-2 * np.pi * g)
    u = np.einsum("ak,kyx->ayx", inverse, np.stack(phases))
    nearest = scipy.ndimage.distance_transform_edt(~inside, return_distances=False, return_indices=True)
    return np.asarray(u[:, nearest[0], nearest[1]])


def _sites(vectors: FloatArray, u: FloatArray, x: FloatArray, y: FloatArray, bond: float) -> FloatArray:
    """All atoms (n, 2) on the frame: two about each hexagon centre at n₁ a₁ + n₂ a₂ + u there."""
    reach = int(np.ceil(1.5 * (np.ptp(x) + np.ptp(y) + abs(x).max() + abs(y).max()) / bond / np.sqrt(3)))
    n = np.arange(-reach, reach + 1)
    cells = np.stack(np.meshgrid(n, n, indexing="ij"), axis=-1).reshape(-1, 2).astype(float)
    basis = np.array([[1, 2], [2, 1]]) / 3
    ideal = np.concatenate([(cells + shift) @ vectors.T for shift in _thirds(vectors, basis)])
    near = _within(ideal, x, y, 1.5 + RIM)
    ideal = ideal[near]
    sites = ideal.copy()
    for _ in range(4):
        sites = ideal + np.stack([_at(u[axis], sites, x, y) for axis in (0, 1)], axis=-1)
    return sites[_within(sites, x, y, RIM)]


def _thirds(vectors: FloatArray, basis: FloatArray) -> FloatArray:
    """The two places with three nearest hexagon centres, for lattice vectors at 60° or at 120°."""
    if float(vectors[:, 0] @ vectors[:, 1]) > 0:
        return np.array([[1, 1], [2, 2]]) / 3
    return basis


def _within(points: FloatArray, x: FloatArray, y: FloatArray, margin: float) -> BoolArray:
    low, high = np.array([x[0], y[0]]) - margin, np.array([x[-1], y[-1]]) + margin
    return np.asarray(((points >= low) & (points <= high)).all(axis=1))


def _at(values: FloatArray, points: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    """`values` (n_y, n_x) at `points` (n, 2) as (x, y) [Å], between pixels linearly."""
    pixel = x[1] - x[0]
    places = np.stack([(points[:, 1] - y[0]) / pixel, (points[:, 0] - x[0]) / pixel])
    return np.asarray(scipy.ndimage.map_coordinates(values, places, order=1, mode="nearest"))
