"""A small particle, and tilt series of it with every kind of misalignment, all known."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
from ase import Atoms
from scipy.spatial.transform import Rotation

from datasets.schema import EULER_SEQUENCE, pixel_axis
from recon.project.geometry import Geometry

FloatArray = npt.NDArray[np.float64]


@dataclass
class Series:
    """`images` of a specimen; `nominal` is what the microscope says, the rest what really was."""

    images: FloatArray
    nominal: Geometry
    turns: Rotation
    shifts: FloatArray
    scales: FloatArray


@pytest.fixture(scope="session")
def misaligned(cluster: Callable[..., Atoms], images_of: Callable[..., FloatArray]) -> Callable[..., Series]:
    """A tilt series with uniform shifts within ±`shift` [Å], and errors of intensity and angle of given rms.

    With a `peak` the images are Poisson counts of that greatest mean on a background of one, subtracted.
    """

    def make(
        *,
        n_atom: int = 80,
        n_tilt: int = 16,
        n_pixel: int = 48,
        pixel_size: float = 0.4,
        shift: float = 0.0,
        scale: float = 0.0,
        angle: float = 0.0,
        move: tuple[float, float, float] = (0.0, 0.0, 0.0),
        peak: float | None = None,
        seed: int = 0,
    ) -> Series:
        rng = np.random.default_rng(seed)
        atoms = cluster(n_atom, ("Au",), seed)
        atoms.positions += move
        theta = np.linspace(-75, 75, n_tilt)
        angles = np.stack([0 * theta, theta, 0 * theta], axis=-1)
        nominal = Rotation.from_euler(EULER_SEQUENCE, angles, degrees=True)
        angles = angles + angle * rng.normal(size=angles.shape)
        turns = Rotation.from_euler(EULER_SEQUENCE, angles, degrees=True)
        shifts, scales = rng.uniform(-shift, shift, (n_tilt, 2)), 1 + scale * rng.normal(size=n_tilt)
        x = pixel_axis(n_pixel, pixel_size)
        images = np.concatenate(
            [
                b * images_of(atoms, turns[i : i + 1], x - d[0], x - d[1])
                for i, (d, b) in enumerate(zip(shifts, scales, strict=True))
            ]
        )
        if peak is not None:
            images = rng.poisson(images / images.max() * peak + 1).astype(np.float64) - 1
        return Series(images, Geometry(nominal, x, x, x, pixel_size), turns, shifts, scales)

    return make


def rotation_error(found: Rotation, true: Rotation) -> float:
    """The root mean square error [deg] per axis, a common rotation of the specimen apart."""
    common = (true.inv() * found).mean()
    rest = (found * common.inv() * true.inv()).as_rotvec(degrees=True)
    return float(np.sqrt(np.mean(rest**2)))


@pytest.fixture(scope="session")
def angle_error() -> Callable[[Rotation, Rotation], float]:
    return rotation_error
