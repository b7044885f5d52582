"""The engines by name, behind one call: the ADF-STEM image of a structure at one tilt.

An image holds, for each probe position, the fraction of the beam's electrons that reach the detector.
"""

from __future__ import annotations

import importlib

import numpy as np
import numpy.typing as npt
from ase import Atoms
from scipy.spatial.transform import Rotation

from datasets.catalog import ImagingCard
from datasets.errors import InputError, unknown_name

ENGINES = {"multislice": "adf", "abtem": "abtem_reference", "linear": "linear"}
"""Engine → the module of this package that holds its `adf_image`."""

VERSION = 1


def adf_image(
    atoms: Atoms,
    imaging: ImagingCard,
    rotation: Rotation,
    *,
    defocus_error: float = 0.0,
    seed: np.random.SeedSequence | None = None,
) -> npt.NDArray[np.float64]:
    """Fraction of the beam on the detector, (n_pixels, n_pixels) as [y, x].

    `rotation` turns the specimen (active); its origin projects to pixel n_pixels // 2. `defocus_error` [Å]
    adds to the card's defocus; `seed` draws the frozen phonons. Raises `InputError`.
    """
    if imaging.engine not in ENGINES:
        raise unknown_name("imaging engine", imaging.engine, ENGINES)
    if imaging.version != VERSION:
        raise InputError(
            f"imaging: version {imaging.version} is asked for, this dosebench has version {VERSION}"
        )
    engine = importlib.import_module(f"datasets.imaging.{ENGINES[imaging.engine]}")
    turned = atoms.copy()
    turned.positions = rotation.apply(atoms.positions)
    defocus = imaging.defocus + defocus_error
    image: npt.NDArray[np.float64] = engine.adf_image(
        turned, imaging, defocus=defocus, seed=seed or np.random.SeedSequence(imaging.seed)
    )
    return image
