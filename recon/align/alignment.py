"""What an alignment found, and how a tilt series is corrected by it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.spatial.transform import Rotation

from recon.align.shift import shift_images

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Alignment:
    """The errors found in a tilt series: image i is `scales[i]` times a projection displaced by `shifts[i]`.

    `shifts` (n_tilt, 2) [Å] are along (x, y) and hold no translation of the whole specimen; `scales`
    (n_tilt,) have mean 1; `angles` (n_tilt, 3) [deg] are phi, theta and psi of each tilt, refined where that
    was asked for. `rounds` were made, and `history` is the figure of merit at each of them: the R-factor of
    the re-projections, or where there is no volume the root mean square of the correction [pixel]. `widths`
    (n_tilt,), where they were fitted, are the variances of the image of an atom [Å²].
    """

    shifts: FloatArray
    scales: FloatArray
    angles: FloatArray
    rounds: int = 0
    history: tuple[float, ...] = ()
    widths: FloatArray | None = None

    @classmethod
    def identity(cls, turns: Rotation) -> Alignment:
        """No error at all, at the rotations `turns`."""
        return cls(np.zeros((len(turns), 2)), np.ones(len(turns)), euler_angles(turns))

    def correct(self, projections: FloatArray, pixel_size: float) -> FloatArray:
        """The `projections` (n_tilt, n_y, n_x) moved back by `shifts` and divided by `scales`.

        Always made from the measured projections, so that they are interpolated once.
        """
        moved = shift_images(projections, -self.shifts / pixel_size) if self.shifts.any() else projections
        return np.asarray(moved / self.scales[:, None, None])

    def as_dataset(self) -> xr.Dataset:
        """The geometry of an answer (`recon.base.Reconstruction`)."""
        columns = [
            ("phi", self.angles[:, 0], "deg"),
            ("theta", self.angles[:, 1], "deg"),
            ("psi", self.angles[:, 2], "deg"),
            ("shift_x", self.shifts[:, 0], "Å"),
            ("shift_y", self.shifts[:, 1], "Å"),
            ("scale", self.scales, "1"),
        ]
        if self.widths is not None:
            columns.append(("width", np.sqrt(self.widths), "Å"))
        return xr.Dataset({name: ("tilt", values, {"units": units}) for name, values, units in columns})


def euler_angles(turns: Rotation, near: FloatArray | None = None) -> FloatArray:
    """phi, theta, psi [deg] of `turns`, (n_tilt, 3), on the branch that is closest to the angles `near`.

    Every rotation has two such triples, with theta on either side of 90°. At exactly ±90° only one
    combination of phi and psi is defined: psi is then that of `near`, and within a degree of it phi and psi
    are both uncertain, by the inverse of the distance, while the rotation itself is not. Without `near`,
    theta is within ±90° and psi 0 where it is free.
    """
    matrix = turns.as_matrix()
    reference = np.zeros((len(matrix), 3)) if near is None else np.asarray(near, dtype=np.float64)
    cosine = np.hypot(matrix[:, 0, 0], matrix[:, 1, 0])
    theta = np.rad2deg(np.arctan2(-matrix[:, 2, 0], cosine))
    phi = np.rad2deg(np.arctan2(matrix[:, 1, 0], matrix[:, 0, 0]))
    psi = np.rad2deg(np.arctan2(matrix[:, 2, 1], matrix[:, 2, 2]))
    locked = cosine < 1e-7
    if locked.any():
        # with psi chosen, R Rx(psi)⁻¹ = Rz(phi) Ry(±90°), whose middle column is (−sin phi, cos phi, 0)
        undone = (
            turns[locked] * Rotation.from_euler("X", reference[locked, 2:], degrees=True).inv()
        ).as_matrix()
        phi[locked] = np.rad2deg(np.arctan2(-undone[:, 0, 1], undone[:, 1, 1]))
        psi[locked] = reference[locked, 2]
    found = np.stack([phi, theta, psi], axis=-1)
    if near is None:
        return found
    other = np.stack([phi + 180, 180 - theta, psi + 180], axis=-1)
    found, other = (reference + (angles - reference + 180) % 360 - 180 for angles in (found, other))
    closer = np.sum((other - reference) ** 2, axis=1) < np.sum((found - reference) ** 2, axis=1)
    return np.where(closer[:, None] & ~locked[:, None], other, found)
