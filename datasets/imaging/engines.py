"""The engines by name, behind one call for each modality: the ADF-STEM image of a structure at one tilt, its
diffraction patterns, and an HRTEM frame.

An ADF image holds, for each probe position, the fraction of the beam's electrons that reach the detector; an
HRTEM frame holds the electrons of each pixel over those of a pixel in vacuum; patterns hold the fraction of
the beam's electrons in every pixel of the detector.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from ase import Atoms
from scipy.spatial.transform import Rotation

from datasets.catalog import AdfCard, FourDStemCard, HrtemCard
from datasets.catalog.acquisition import MicroscopeCard
from datasets.errors import InputError, unknown_name

if TYPE_CHECKING:
    from datasets.imaging.diffraction import Patterns

ENGINES = {"multislice": "adf", "abtem": "abtem_reference", "linear": "linear"}
"""Engine → the module of this package that holds its `adf_image`."""

PATTERN_ENGINES = {"multislice": "four_d_stem", "abtem": "abtem_patterns"}
"""Engine → the module of this package that holds its `diffraction_patterns`."""

FRAME_ENGINES = {"abtem": "hrtem"}
"""Engine → the module of this package that holds its `hrtem_image`."""

VERSION = 1


def adf_image(
    atoms: Atoms,
    imaging: AdfCard,
    rotation: Rotation,
    *,
    defocus_error: float = 0.0,
    seed: np.random.SeedSequence | None = None,
) -> npt.NDArray[np.float64]:
    """Fraction of the beam on the detector, (n_pixels, n_pixels) as [y, x].

    `rotation` turns the specimen (active); its origin projects to pixel n_pixels // 2. `defocus_error` [Å]
    adds to the card's defocus; `seed` draws the frozen phonons. Raises `InputError`.
    """
    engine = _engine(imaging, ENGINES)
    turned = atoms.copy()
    turned.positions = rotation.apply(atoms.positions)
    defocus = imaging.defocus + defocus_error
    image: npt.NDArray[np.float64] = engine.adf_image(
        turned, imaging, defocus=defocus, seed=seed or np.random.SeedSequence(imaging.seed)
    )
    return image


def diffraction_patterns(
    atoms: Atoms,
    imaging: FourDStemCard,
    rotation: Rotation,
    *,
    shift: tuple[float, float] = (0.0, 0.0),
    defocus_error: float = 0.0,
    seed: np.random.SeedSequence | None = None,
) -> Patterns:
    """What is recorded of every probe, row by row, as fractions of the beam.

    `rotation` turns the specimen (active), `shift` moves it along (x, y) [Å]. `defocus_error` [Å] adds to the
    card's defocus; `seed` draws the frozen phonons. Raises `InputError`.
    """
    engine = _engine(imaging, PATTERN_ENGINES)
    turned = atoms.copy()
    turned.positions = rotation.apply(atoms.positions) + np.array([*shift, 0.0])
    recorded: Patterns = engine.diffraction_patterns(
        turned,
        imaging,
        defocus=imaging.defocus + defocus_error,
        seed=seed or np.random.SeedSequence(imaging.seed),
    )
    return recorded


def hrtem_image(
    atoms: Atoms,
    imaging: HrtemCard,
    *,
    defocus_error: float = 0.0,
    seed: np.random.SeedSequence | None = None,
) -> npt.NDArray[np.float64]:
    """The frame over that of vacuum, (n_pixels, n_pixels) as [y, x].

    The origin of `atoms` projects to pixel n_pixels // 2. `defocus_error` [Å] adds to the card's defocus;
    `seed` draws the frozen phonons. Raises `InputError`.
    """
    engine = _engine(imaging, FRAME_ENGINES)
    image: npt.NDArray[np.float64] = engine.hrtem_image(
        atoms,
        imaging,
        defocus=imaging.defocus + defocus_error,
        seed=seed or np.random.SeedSequence(imaging.seed),
    )
    return image


def _engine(imaging: MicroscopeCard, engines: Mapping[str, str]) -> ModuleType:
    """The module of the engine that a card names. Raises `InputError`."""
    if imaging.engine not in engines:
        raise unknown_name("imaging engine", imaging.engine, engines)
    if imaging.version != VERSION:
        raise InputError(
            f"imaging: version {imaging.version} is asked for, this dosebench has version {VERSION}"
        )
    return importlib.import_module(f"datasets.imaging.{engines[imaging.engine]}")
