"""Where voxels and pixels are: the geometry that a projector is built from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.spatial.transform import Rotation

from datasets.errors import InputError
from datasets.schema import pixel_axis, rotations


@dataclass(frozen=True)
class Geometry:
    """A tilt series of images [y, x] and a volume [z, y, x] on the same pixel size.

    `rotations` are the active rotations R of the specimen, one per tilt; `x`, `y`, `z` are the coordinates
    [Å] of voxel centres, those of `x` and `y` being those of the image pixels too. A voxel at r lands on the
    image at ((R r)_x, (R r)_y); the origin of the specimen frame projects to x = y = 0. Raises `InputError`
    unless every axis increases in steps of `pixel_size`.
    """

    rotations: Rotation
    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]
    z: npt.NDArray[np.float64]
    pixel_size: float

    def __post_init__(self) -> None:
        for name in ("x", "y", "z"):
            axis = getattr(self, name)
            steps = np.diff(axis)
            if (
                axis.ndim != 1
                or not axis.size
                or np.any(np.abs(steps - self.pixel_size) > 1e-3 * self.pixel_size)
            ):
                raise InputError(
                    f"geometry: axis {name!r} must be coordinates in even steps of {self.pixel_size:g} Å"
                )

    @classmethod
    def of(cls, measurement: xr.Dataset) -> Geometry:
        """The geometry of an `adf` measurement (`datasets.schema`): a volume that holds every tilt.

        Its z axis has the length of x when all tilts are about y, and of the longer image axis otherwise.
        """
        x, y = (np.asarray(measurement[name].values, dtype=np.float64) for name in ("x", "y"))
        pixel_size = float(measurement.attrs["pixel_size"])
        turns = rotations(measurement)
        n_z = len(x) if is_single_axis(turns) else max(len(x), len(y))
        return cls(turns, x, y, pixel_axis(n_z, pixel_size), pixel_size)

    def subset(self, tilts: Sequence[int]) -> Geometry:
        """The same axes with the rotations of `tilts` only, in that order."""
        return replace(self, rotations=self.rotations[list(tilts)])

    @property
    def volume_shape(self) -> tuple[int, int, int]:
        """(n_z, n_y, n_x)."""
        return len(self.z), len(self.y), len(self.x)

    @property
    def projection_shape(self) -> tuple[int, int, int]:
        """(n_tilt, n_y, n_x)."""
        return len(self.rotations), len(self.y), len(self.x)


def is_single_axis(turns: Rotation) -> bool:
    """Whether every rotation is about the y axis (phi = psi = 0)."""
    y_images = turns.as_matrix()[:, :, 1]
    return bool(np.abs(y_images - np.array([0.0, 1.0, 0.0])).max() < 1e-9)


def sub_voxel_offsets(oversample: int) -> npt.NDArray[np.float64]:
    """The (z, x) offsets [voxel] of the centres of `oversample`² sub-voxels in the plane normal to y.

    Two gives ±1/4: the sub-voxels of RESIRE's public code. Raises `InputError` below one.
    """
    if oversample < 1:
        raise InputError(f"oversample must be at least 1, it is {oversample}")
    centres = (np.arange(oversample) + 0.5) / oversample - 0.5
    return np.stack(np.meshgrid(centres, centres, indexing="ij"), axis=-1).reshape(-1, 2)
