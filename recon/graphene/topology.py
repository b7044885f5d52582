"""Where the atoms are in the plane: the lattice of a frame, how it is bent, and which sites are occupied.

One atom of a low-dose frame is barely seen, but six spots of its diffractogram hold them all. Their places
give the lattice, their phases where its hexagons are, and the same phases taken locally (geometric phase
analysis: Hÿtch, Snoeck and Kilaas, Ultramicroscopy 74, 131 (1998)) by how much it is displaced from place
to place. Sites bent by that field are candidates; all their amplitudes are fitted at once, and one is an
atom where its amplitude, 1 ± σ or 0 ± σ, and its neighbours make that more likely. The number of atoms is a
result. A turned bond is not on the lattice: such sites are only found as vacancies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from recon.graphene.information import atom_images, standardised_modes
from recon.graphene.multislice import FrameModel
from recon.graphene.prior import BOND

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
ComplexArray = npt.NDArray[np.complex128]

STRAIN = 0.06
"""The lattice may differ by this much in scale from graphene's: slopes of a sheet shorten it, by 3 % where
it rises by 1 Å in 4."""
SMOOTHING = 4.0
"""Standard deviation [Å] of the window in which displacements are averaged, about 40 atoms."""
COUPLING = 2.0
"""Log odds that a neighbour that is there adds to a site's being occupied, and one that is not takes away.
A single vacancy is taken for one at 2 σ below half an atom's amplitude where σ = 0.3."""
LONGEST_BOND = 1.25
"""Atoms nearer than this many bonds in the plane are neighbours, three at most; the next nearest are at
1.73."""


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


def find_atoms(model: FrameModel, frame: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    """Positions (n_atoms, 2) as (x, y) [Å] of the atoms of `frame` (n_y, n_x) [e⁻/pixel]; as many as there
    seem to be.
    """
    contrast = frame / frame.mean() - 1
    lattice = find_lattice(contrast, x, y, model)
    sites = bent_sites(contrast, x, y, lattice, model)
    present = occupied(model, frame, sites)
    return sites[present]


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


def bent_sites(
    contrast: FloatArray, x: FloatArray, y: FloatArray, lattice: Lattice, model: FrameModel
) -> FloatArray:
    """Sites (n, 2) as (x, y) [Å] of the honeycomb that follows the local phases, all over the frame."""
    edges = lattice.edges
    reach = math.ceil(np.hypot(np.ptp(x), np.ptp(y)) / BOND)
    cells = np.stack(np.meshgrid(*2 * [np.arange(-reach, reach + 1)]), axis=-1).reshape(-1, 2)
    offsets = _basis(edges)
    sites = (lattice.centre + cells @ edges)[:, None] + offsets
    sites = sites.reshape(-1, 2)
    low, high = np.array([x[0], y[0]]), np.array([x[-1], y[-1]])
    sites = sites[np.all((sites > low - 2) & (sites < high + 2), axis=1)]
    field = _displacements(contrast, x, y, lattice, model)
    pixel = x[1] - x[0]
    rows = np.clip(np.rint((sites[:, 1] - y[0]) / pixel).astype(int), 0, len(y) - 1)
    columns = np.clip(np.rint((sites[:, 0] - x[0]) / pixel).astype(int), 0, len(x) - 1)
    moved = sites + field[rows, columns]
    return np.asarray(moved[np.all((moved > low) & (moved < high), axis=1)])


def occupied(model: FrameModel, frame: FloatArray, sites: FloatArray) -> npt.NDArray[np.bool_]:
    """Which of the `sites` (n, 2) hold an atom: amplitudes fitted together, and the sites around each."""
    columns = atom_images(model, np.column_stack([sites, np.zeros(len(sites))]))
    information = (columns @ columns.T).astype(np.float64)
    information[np.diag_indices_from(information)] += 1e-3 * np.trace(information) / len(sites)
    covariance = np.linalg.inv(information)
    amplitudes = covariance @ (columns @ standardised_modes(model, frame))
    odds = (amplitudes - 0.5) / np.diag(covariance)
    neighbours = bonds(sites)
    present = odds > 0
    for _ in range(10):
        votes = np.where(neighbours >= 0, np.where(present[neighbours], 1.0, -1.0), -1.0).sum(axis=1)
        after = odds + COUPLING * votes > 0
        if np.array_equal(after, present):
            break
        present = after
    return present


def bonds(positions: FloatArray) -> IntArray:
    """Neighbours (n, 3) of every atom at `positions` (n, 2 or 3) [Å], nearest in the plane first, −1 where
    there are fewer. Bonds are mutual.
    """
    plane = positions[:, :2]
    n = len(plane)
    if n < 2:
        return np.full((n, 3), -1)
    count = min(4, n)
    distances, near = map(np.asarray, cKDTree(plane).query(plane, k=count))
    found = np.full((n, 3), -1)
    found[:, : count - 1] = np.where(distances[:, 1:] < LONGEST_BOND * BOND, near[:, 1:], -1)
    mutual = np.array([[j >= 0 and i in found[j] for j in row] for i, row in enumerate(found)])
    return np.where(mutual, found, -1)


def _displacements(
    contrast: FloatArray, x: FloatArray, y: FloatArray, lattice: Lattice, model: FrameModel
) -> FloatArray:
    """By how much (n_y, n_x, 2) as (x, y) [Å] hexagons lie off those of the lattice, smoothly."""
    pixel = x[1] - x[0]
    sign = _sign(model, lattice.g)
    phases, weights = [], []
    for g, s in zip(lattice.g, sign, strict=True):
        carrier = np.outer(
            np.exp(-2j * np.pi * g[1] * (y - lattice.centre[1])),
            np.exp(-2j * np.pi * g[0] * (x - lattice.centre[0])),
        )
        local = -s * contrast * carrier
        smooth = [
            gaussian_filter(part, SMOOTHING / pixel, mode="constant") for part in (local.real, local.imag)
        ]
        phases.append(np.arctan2(smooth[1], smooth[0]))
        weights.append(np.hypot(*smooth))
    weight = np.min(weights, axis=0)
    field = np.stack(phases, axis=-1) @ np.linalg.pinv(-2 * np.pi * lattice.g).T
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
