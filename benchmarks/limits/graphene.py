"""How well the heights of a sheet can be known from one frame, with and without knowing that it is graphene.

No unbiased estimate of the coordinates of all atoms has a covariance below F⁻¹, F their Fisher
information (Cramér and Rao). One that also knows how likely a sheet is, exp(−E/kT), is bound, on average
over sheets, by (F + P)⁻¹, P = ⟨∂²E⟩/kT (Van Trees; Gill and Levit, Bernoulli 1, 59 (1995)). P is averaged
over the sheets given, best several of one temperature; directions in which it is negative (a sheet under
compression, its free edge) are given none, which lowers the bound and leaves it one.

With the curvature of the sheet at hand alone, (F + P)⁻¹ is what its posterior would have if it were
normal: about a rippled sheet slopes couple heights to the lengths of bonds, and what the frame knows of
the plane tells how steep the sheet is. Nearer to what the best estimate reaches is `posterior`, by
sampling.

F is that of `recon.graphene.information`: the interference with the direct beam, the variance of the mean
count.

Aberrations that are not known either are fitted with the sheet: rows more in F. A change of defocus is
one of all heights, ∂_D I = Σ_j ∂_z_j I, and that of Cs the same, mode by mode times −λ²k²/2, because χ =
πλk² (λ²k² Cs/2 − D). So an unknown defocus costs the mean height, whole, and of the shape of the sheet
nothing.

Cost: one factorisation of 3N rows, 640 atoms 1 s, 2 s for F.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_solve, eigh

from recon.graphene.descent import cholesky_of
from recon.graphene.information import Columns, derivatives
from recon.graphene.multislice import FrameModel
from recon.graphene.prior import BOLTZMANN, Sheet
from recon.graphene.topology import bonds
from recon.optics import wavelength

FloatArray = npt.NDArray[np.float64]

Aberration = Literal["defocus", "Cs"]


@dataclass(frozen=True, eq=False)
class SheetBound:
    """The least covariance (3 n_atoms, 3 n_atoms) [Å²] of the coordinates of a sheet at `positions`
    (n_atoms, 3).
    """

    positions: FloatArray
    covariance: FloatArray

    def rms(self) -> FloatArray:
        """The least rms error (3,) of x, y and z [Å] over all atoms, as they are."""
        variances = np.diag(self.covariance).reshape(-1, 3)
        return np.asarray(np.sqrt(variances.mean(axis=0)))

    def levelled(self) -> float:
        """The least rms error of z [Å] after its mean and tilt are taken off."""
        plane = np.column_stack([np.ones(len(self.positions)), self.positions[:, :2]])
        kept = np.eye(len(plane)) - plane @ np.linalg.pinv(plane)
        total = float(np.trace(kept @ self.covariance[2::3, 2::3] @ kept))
        return float(np.sqrt(max(total, 0.0) / len(plane)))


def sheet_bound(
    model: FrameModel,
    positions: FloatArray,
    *,
    temperature: float | None = None,
    sheets: Sequence[FloatArray] = (),
    unknown: Mapping[Aberration, float] | None = None,
) -> SheetBound:
    """The bound for the atoms at `positions` (n_atoms, 3) [Å], from the frame alone or, with a
    `temperature` [K], from the energy of graphene too. `sheets`, by default the one at hand, are what the
    curvature of the energy is averaged over; they have the atoms in the same order. `unknown` names the
    aberrations that are fitted too, each with the standard deviation [Å] to which it is known beforehand.
    """
    columns = derivatives(model, positions).reshape(3 * len(positions), -1)
    information = np.asarray(columns @ columns.T, dtype=np.float64)
    if unknown:
        information -= _shared(model, columns, unknown)
    if temperature is not None:
        information = information + stiffness(positions, temperature, sheets)
    return bound_of(information, positions)


def stiffness(positions: FloatArray, temperature: float, sheets: Sequence[FloatArray] = ()) -> FloatArray:
    """What the energy of graphene at `temperature` [K] adds to the information, (3 n_atoms, 3 n_atoms)
    [1/Å²].
    """
    sheet = Sheet(bonds(positions))
    curvature = np.mean([sheet.hessian(one) for one in sheets or [positions]], axis=0)
    return _positive(curvature) / (BOLTZMANN * temperature)


def bound_of(information: FloatArray, positions: FloatArray) -> SheetBound:
    """The bound that `information` (3 n_atoms, 3 n_atoms) [1/Å²] sets."""
    factor = cholesky_of(information)
    covariance = cho_solve((factor, True), np.eye(len(factor)), check_finite=False)
    return SheetBound(positions, np.asarray(covariance))


def _positive(matrix: FloatArray) -> FloatArray:
    """The symmetric `matrix` without its negative part."""
    values, vectors = eigh(matrix, check_finite=False)
    return np.asarray(matrix - (vectors[:, values < 0] * values[values < 0]) @ vectors[:, values < 0].T)


def _shared(model: FrameModel, columns: Columns, unknown: Mapping[Aberration, float]) -> FloatArray:
    """What of the information (3 n_atoms, 3 n_atoms) the `unknown` aberrations could have caused as well."""
    k2 = (model.ky[:, None] ** 2 + model.kx**2).cpu().numpy().ravel().astype(np.float64)
    by_defocus = columns[2::3].sum(axis=0, dtype=np.float64)
    by_Cs = by_defocus * np.tile(-0.5 * (wavelength(model.lens.energy) ** 2) * k2, 2)
    known = {"defocus": by_defocus, "Cs": by_Cs}
    # in units of what is known of them, so that one matrix holds lengths of 1 Å and of 1 µm
    own = np.stack([known[name] * deviation for name, deviation in unknown.items()])
    cross = columns.astype(np.float64) @ own.T
    return np.asarray(cross @ np.linalg.solve(own @ own.T + np.eye(len(own)), cross.T))
