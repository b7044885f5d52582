"""What microscope setting tells most of z: information and elasticity of an endless flat sheet, mode by mode.

Atoms of a flat honeycomb move by u_a exp(2πi q·R), a one of the two atoms of a cell and R the cell. Modes
of different q do not disturb one another, so that the information of the whole sheet falls apart into
matrices of six rows (two atoms, x, y and z),

    F(q)_ac,bd = n/A Σ_G D*_ac(q + G) D_bd(q + G),   D_ac(k) = h_c(k) exp(−2πi k·τ_a),

n the dose [e⁻/Å²], A the area of a cell, G its reciprocal lattice and h_c(k) the derivative of the image
of one atom along c: −2πi k_x h(k) for x, for z that with defocus. h is the interference with the direct
beam behind the envelopes of lens and camera (`recon.graphene.multislice`). No unbiased estimate has less
variance than the mean over q of the diagonal of F(q)⁻¹ (Cramér and Rao).

With the elastic energy of flat graphene, ½ u* H(q) u per cell (Tersoff's potential,
`recon.graphene.prior`), the prior is normal, and (F(q) + H(q)/kT)⁻¹ is exactly what remains. Ripples
longer than some wavelength are seen, by F; shorter ones are not, but held down by the stiffness κ: with
F_z per atom alike at every q, the two meet where F_z = A κ q⁴/2kT, and

    rms z ∝ (F_z κ/kT)^(−1/4) ∝ dose^(−1/4),

so that a frame which tells twice as much of every height lowers the error by 16 %, not 29 %. In a sheet
that is rippled slopes shorten bonds, too, and what the frame knows of the plane tells how steep it is:
what helps here, near focus, harms there (`graphene.stiffness`, `posterior`).

q is that of waves that fit a sheet of `n_cells` × `n_cells` cells; the mean height, q = 0, is left out.

Cost per setting: n_q × n_G × 36 complex products, for 18 × 18 cells 323 × 91 × 36 = 1 million, and 323
inverses of 6 × 6; 30 ms, of which the products would take 2: the rest are the exponentials of the lens.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from recon.graphene.multislice import Lens, atomic_scattering
from recon.graphene.prior import BOLTZMANN, BOND, Sheet
from recon.graphene.topology import bonds
from recon.optics import wavelength

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]

HIGHEST = 2.0
"""Spatial frequency [1/Å] beyond which no lens of interest passes anything on."""
EDGES = BOND * np.array([[1.5, math.sqrt(3) / 2], [1.5, -math.sqrt(3) / 2]])
"""Of the cell, as rows (x, y) [Å]."""
BASIS = np.array([[0.0, 0.0], [BOND, 0.0]])
"""The atoms of a cell (2, 2) [Å]."""
FLAKE = 4
"""Cells on either side of the one whose elastic constants are taken: four bonds reach no further."""


@dataclass(frozen=True)
class Precision:
    """Rms errors [Å] of a height, `z`, and of a coordinate in the plane."""

    z: float
    plane: float


@dataclass(frozen=True, eq=False)
class SheetModes:
    """The information (n_q, 6, 6) [1/Å²] that 1 e⁻/Å² carries."""

    information: ComplexArray
    n_cells: int

    def precision(self, dose: float, temperature: float | None = None) -> Precision:
        """The least errors at `dose` [e⁻/Å²] from the frame alone or, with a `temperature` [K], with the
        energy of a flat sheet.
        """
        total = dose * self.information
        if temperature is not None:
            total = total + elasticity(self.n_cells) / (BOLTZMANN * temperature)
        variances = np.einsum("qii->qi", np.linalg.inv(total)).real.mean(axis=0).reshape(2, 3)
        return Precision(math.sqrt(variances[:, 2].mean()), math.sqrt(variances[:, :2].mean()))


def sheet_modes(lens: Lens, pixel: float, n_cells: int) -> SheetModes:
    """The modes of a sheet of `n_cells` × `n_cells` seen through `lens` by square pixels of `pixel` [Å]."""
    k, scattering, camera = _scattered(n_cells, lens.energy, pixel, lens.point_spread)
    k2 = np.einsum("qgi,qgi->qg", k, k)
    wave = lens.transfer(k2) * scattering
    passed = 2 * lens.envelope(k2) * camera
    image = wave.real * passed
    along_z = (1j * math.pi * wavelength(lens.energy) * k2 * wave).real * passed
    along = np.stack([*(-2j * np.pi * k[..., i] * image for i in range(2)), along_z.astype(complex)], axis=-1)
    phases = np.exp(-2j * np.pi * k @ BASIS.T)
    columns = (phases[..., :, None] * along[..., None, :]).reshape(*k.shape[:2], 6)
    area = abs(float(np.linalg.det(EDGES)))
    return SheetModes(np.einsum("qga,qgb->qab", columns.conj(), columns, optimize=True) / area, n_cells)


@cache
def elasticity(n_cells: int) -> ComplexArray:
    """H(q) (n_q, 6, 6) [eV/Å²] of flat graphene at the q of `waves`."""
    n = np.arange(-FLAKE, FLAKE + 1)
    cells = np.stack(np.meshgrid(n, n, indexing="ij"), axis=-1).reshape(-1, 2)
    plane = ((cells @ EDGES)[:, None] + BASIS).reshape(-1, 2)
    flat = np.column_stack([plane, np.zeros(len(plane))])
    middle = len(cells) // 2
    hessian = Sheet(bonds(flat)).hessian(flat).reshape(len(cells), 6, len(cells), 6)[middle]
    phases = np.exp(2j * np.pi * waves(n_cells) @ (cells @ EDGES).T)
    result = np.einsum("qr,arb->qab", phases, hessian)
    return np.asarray(0.5 * (result + result.conj().transpose(0, 2, 1)))


@cache
def waves(n_cells: int) -> FloatArray:
    """The q (n_q, 2) [1/Å] that fit `n_cells` × `n_cells` cells, without 0."""
    n = np.arange(n_cells) / n_cells
    shares = np.stack(np.meshgrid(n, n, indexing="ij"), axis=-1).reshape(-1, 2)[1:]
    # those about 0 on either side, so that k and −k are cut off alike
    return np.asarray(((shares + 0.5) % 1 - 0.5) @ np.linalg.inv(EDGES).T)


@cache
def _scattered(
    n_cells: int, energy: float, pixel: float, point_spread: float
) -> tuple[FloatArray, ComplexArray, FloatArray]:
    """q + G (n_q, n_G, 2) [1/Å], what a carbon atom scatters there [Å²], and what the camera keeps."""
    n = np.arange(-6, 7)
    reciprocal = np.stack(np.meshgrid(n, n, indexing="ij"), axis=-1).reshape(-1, 2) @ np.linalg.inv(EDGES).T
    k = waves(n_cells)[:, None] + reciprocal[np.hypot(*reciprocal.T) < HIGHEST + 0.5]
    length = np.hypot(k[..., 0], k[..., 1])
    scattering = np.where(length < HIGHEST, atomic_scattering(length, energy), 0)
    blur = np.exp(-2 * (math.pi * point_spread * length) ** 2)
    return k, scattering, np.sinc(k[..., 0] * pixel) * np.sinc(k[..., 1] * pixel) * blur
