"""The lattice of a frame, and how it is bent from place to place.

One atom of a low-dose frame is barely seen, but six spots of its diffractogram hold them all. Their places
give the lattice, their phases where its hexagons are, and the same phases taken locally (geometric phase
analysis: Hÿtch, Snoeck and Kilaas, Ultramicroscopy 74, 131 (1998)) by how much it is displaced from place
to place. Sites bent by that field are where atoms may be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from recon.graphene.multislice import FrameModel
from recon.graphene.prior import BOND

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]

STRAIN = 0.06
"""The lattice may differ by this much in scale from graphene's: slopes of a sheet shorten it, by 3 % where
it rises by 1 Å in 4."""
SMOOTHING = 4.0
"""Standard deviation [Å] of the window in which displacements are averaged, about 40 atoms."""
SHEET = 0.4
"""Part of the lattice's full amplitude above which there is sheet: a half at a straight edge."""
MARGIN = 3.0
"""Å beyond the frame to which sites go on."""


@dataclass(frozen=True)
class Lattice:
    """Reciprocal vectors `g` (3, 2) as (x, y) [1/Å], g₀ + g₁ + g₂ = 0, and the `centre` (2,) [Å] of a
    hexagon.
    """

    g: FloatArray
    centre: FloatArray

    @property
    def edges(self) -> FloatArray:
        """The two lattice vectors (2, 2) as rows (x, y) [Å]."""
        return np.asarray(np.linalg.inv(self.g[:2]).T)


def find_lattice(contrast: FloatArray, x: FloatArray, y: FloatArray, model: FrameModel) -> Lattice:
    """The lattice with the strongest first-order spots in `contrast` (n_y, n_x), its phases those of
    hexagons.
    """
    k = 2 / (3 * BOND)
    window = np.outer(np.hanning(len(y)), np.hanning(len(x)))
    scales, turns = np.linspace(1 - STRAIN / 2, 1 + STRAIN, 19), np.deg2rad(np.arange(0, 60, 0.5))
    scale, turn = (a.ravel() for a in np.meshgrid(scales, turns))
    spots = [_hexagon(k * s, t) for s, t in zip(scale, turn, strict=True)]
    power = np.abs(_spectrum(window * contrast, x, y, np.reshape(spots, (-1, 2)))) ** 2
    g = spots[int(np.argmax(power.reshape(-1, 3).sum(axis=1)))]
    for reach in (0.012, 0.004):  # each spot by itself, for a tilted sheet is no regular hexagon
        shifts = np.stack(np.meshgrid(*2 * [np.linspace(-reach, reach, 9)]), axis=-1).reshape(-1, 2)
        trial = g[:, None] + shifts
        power = np.abs(_spectrum(window * contrast, x, y, trial.reshape(-1, 2))) ** 2
        g = trial[np.arange(3), power.reshape(3, -1).argmax(axis=1)]
        g = g - g.mean(axis=0)
    # F(g) of a honeycomb about the centre of a hexagon is −1 per atom, and so are those of its image
    phases = np.angle(-_spectrum(window * contrast, x, y, g) * _sign(model, g))
    edges = np.linalg.inv(g[:2]).T
    first = -phases[:2] / (2 * np.pi) @ edges
    candidates = first + np.array([[0, 0], [1, 1], [2, 2]]) / 3 @ edges
    third = [math.cos(phases[2] + 2 * np.pi * float(g[2] @ c)) for c in candidates]
    return Lattice(g, candidates[int(np.argmax(third))])


def bent_sites(waves: ComplexArray, x: FloatArray, y: FloatArray, lattice: Lattice) -> FloatArray:
    """Sites (n, 2) as (x, y) [Å] of the honeycomb that follows the local phases of `waves`, all over the
    frame and `MARGIN` beyond.
    """
    edges = lattice.edges
    reach = math.ceil(np.hypot(np.ptp(x), np.ptp(y)) / BOND)
    cells = np.stack(np.meshgrid(*2 * [np.arange(-reach, reach + 1)]), axis=-1).reshape(-1, 2)
    offsets = _basis(edges)
    sites = (lattice.centre + cells @ edges)[:, None] + offsets
    sites = sites.reshape(-1, 2)
    low, high = np.array([x[0], y[0]]) - MARGIN, np.array([x[-1], y[-1]]) + MARGIN
    sites = sites[np.all((sites > low - 2) & (sites < high + 2), axis=1)]
    field = _displacements(waves, float(x[1] - x[0]), lattice)
    pixel = x[1] - x[0]
    rows = np.clip(np.rint((sites[:, 1] - y[0]) / pixel).astype(int), 0, len(y) - 1)
    columns = np.clip(np.rint((sites[:, 0] - x[0]) / pixel).astype(int), 0, len(x) - 1)
    moved = sites + field[rows, columns]
    return np.asarray(moved[np.all((moved > low) & (moved < high), axis=1)])


def local_waves(
    contrast: FloatArray, x: FloatArray, y: FloatArray, lattice: Lattice, model: FrameModel
) -> ComplexArray:
    """Amplitude and phase (3, n_y, n_x) of each reflection around every pixel, as of hexagons seen from their
    centre.
    """
    pixel = x[1] - x[0]
    waves = []
    for g, s in zip(lattice.g, _sign(model, lattice.g), strict=True):
        carrier = np.outer(
            np.exp(-2j * np.pi * g[1] * (y - lattice.centre[1])),
            np.exp(-2j * np.pi * g[0] * (x - lattice.centre[0])),
        )
        local = -s * contrast * carrier
        real, imag = (
            gaussian_filter(part, SMOOTHING / pixel, mode="constant") for part in (local.real, local.imag)
        )
        waves.append(real + 1j * imag)
    return np.asarray(waves)


def significance(waves: ComplexArray, contrast: FloatArray, pixel: float) -> float:
    """The amplitude of the lattice over that of noise, at its median in the sheet."""
    amplitude = np.sqrt((np.abs(waves) ** 2).mean(axis=0))
    inside = amplitude > SHEET * np.quantile(amplitude, 0.9)
    noise = np.sqrt(contrast.var() * pixel**2 / (4 * np.pi * SMOOTHING**2))
    return float(np.median(amplitude[inside]) / noise)


def _displacements(waves: ComplexArray, pixel: float, lattice: Lattice) -> FloatArray:
    """By how much (n_y, n_x, 2) as (x, y) [Å] hexagons lie off those of the lattice, smoothly."""
    weight = np.min(np.abs(waves), axis=0)
    field = np.moveaxis(np.angle(waves), 0, -1) @ np.linalg.pinv(-2 * np.pi * lattice.g).T
    # where there is no sheet phases are noise: there the field is what it is nearby
    confident = np.clip(weight / np.quantile(weight, 0.75), 0, 1)[..., None] ** 4
    spread = [
        gaussian_filter(v, (SMOOTHING / pixel, SMOOTHING / pixel, 0)) for v in (field * confident, confident)
    ]
    blend = confident * field + (1 - confident) * spread[0] / np.maximum(spread[1], 1e-6)
    return np.asarray(blend)


def _basis(edges: FloatArray) -> FloatArray:
    """The two atoms (2, 2) [Å] around the centre of a hexagon, in a cell of `edges` at 60° or 120°."""
    sharp = float(edges[0] @ edges[1]) > 0
    return np.array([[1, 1], [2, 2]]) / 3 @ edges if sharp else np.array([[1, 2], [2, 1]]) / 3 @ edges


def _hexagon(k: float, turn: float) -> FloatArray:
    angles = turn + 2 * np.pi / 3 * np.arange(3)
    return k * np.stack([np.cos(angles), np.sin(angles)], axis=-1)


def _spectrum(values: FloatArray, x: FloatArray, y: FloatArray, k: FloatArray) -> ComplexArray:
    """Σ values exp(−2πi k·r) at the frequencies `k` (n, 2) as (x, y) [1/Å]."""
    along_y = np.exp(-2j * np.pi * np.outer(k[:, 1], y)) @ values
    return np.asarray((along_y * np.exp(-2j * np.pi * np.outer(k[:, 0], x))).sum(axis=1))


def _sign(model: FrameModel, g: FloatArray) -> FloatArray:
    """Whether atoms are bright (1) or dark (−1) at the frequencies `g` (n, 2)."""
    ky, kx = (k.cpu().numpy() for k in (model.ky, model.kx))
    rows = np.abs(ky[None] - np.where(g[:, 0] < 0, -g[:, 1], g[:, 1])[:, None]).argmin(axis=1)
    columns = np.abs(kx[None] - np.abs(g[:, 0])[:, None]).argmin(axis=1)
    return np.asarray(np.sign(model.linear()[0][rows, columns]))
