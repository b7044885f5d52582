"""What is done to traced atoms afterwards, by name: refined against the images, and named anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from ase import Atoms

from datasets.errors import InputError
from recon.align.alignment import Alignment
from recon.atoms.classify import by_atomic_number, classify_intensities
from recon.atoms.reclassify import reclassify_locally
from recon.atoms.refine import Refined, refine
from recon.atoms.refine_published import refine_published
from recon.project.geometry import Geometry

FloatArray = npt.NDArray[np.float64]
Refine = Literal["none", "published", "projections"]
Reclassify = Literal["none", "heights", "local"]


def refine_atoms(
    atoms: Atoms,
    images: FloatArray,
    geometry: Geometry,
    method: Refine,
    *,
    denoised: FloatArray | None = None,
    alignment: Alignment | None = None,
    background: float = 0.0,
    gain: float = 1.0,
    read_noise: float = 0.0,
    source: float = 0.0,
) -> tuple[Atoms, dict[str, float]]:
    """`atoms` refined against `images` (n_tilt, n_y, n_x), less their background; and figures.

    `projections` is `recon.atoms.refine`, against images with the shifts, scales and, where it has any,
    widths of `alignment`; `published` is `recon.atoms.refine_published`, against aligned images, the
    `denoised` ones where there are such; `none` leaves the atoms. The array `intensity` of the
    atoms becomes their refined intensity [electron per image]. `background`, `gain` and `read_noise` are
    those of the counts, `source` the source size [Å]. Raises `InputError` for another method.
    """
    if method not in get_args(Refine):
        raise InputError(f"refine must be one of {', '.join(get_args(Refine))}, not {method!r}")
    if method == "none" or not len(atoms):
        return atoms, {}
    labels = np.unique(atoms.numbers, return_inverse=True)[1].astype(np.int64)
    found: Refined
    if method == "published":
        smooth = images if denoised is None else denoised
        found = refine_published(atoms.positions, labels, smooth, geometry, source=source)
    else:
        widths = None if alignment is None else alignment.widths
        found = refine(
            atoms.positions,
            labels,
            images,
            geometry,
            shifts=None if alignment is None else alignment.shifts,
            scales=None if alignment is None else alignment.scales,
            blur=None if widths is None else widths - widths.min(),
            background=background,
            gain=gain,
            read_noise=read_noise,
        )
    refined = Atoms(symbols=atoms.get_chemical_symbols(), positions=found.positions)
    refined.set_array("intensity", found.heights)
    return refined, {f"refine_{name}": value for name, value in found.stats.items()}


def reclassify_atoms(
    atoms: Atoms, elements: Sequence[str], method: Reclassify, *, refined: bool = False
) -> Atoms:
    """`atoms` with species of `elements` given anew by their array `intensity`; some may be dropped as none.

    `heights` fits the mixture of `recon.atoms.classify` to intensities that were `refined` for each atom, and
    leaves others; `local` is `recon.atoms.reclassify`; `none` leaves all. Raises `InputError` for another
    method.
    """
    if method not in get_args(Reclassify):
        raise InputError(f"reclassify must be one of {', '.join(get_args(Reclassify))}, not {method!r}")
    species = by_atomic_number(elements)
    if not len(atoms) or method == "none" or (method == "heights" and not refined):
        return atoms
    intensities = atoms.get_array("intensity")
    if method == "heights":
        labels = classify_intensities(intensities, elements)
    else:
        before = np.array([species.index(symbol) for symbol in atoms.get_chemical_symbols()])
        labels = reclassify_locally(atoms.positions, before, intensities)
    kept = labels >= 0
    named = Atoms(symbols=[species[label] for label in labels[kept]], positions=atoms.positions[kept])
    named.set_array("intensity", intensities[kept])
    return named
