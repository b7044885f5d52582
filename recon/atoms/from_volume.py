"""From a volume to atoms: trace its maxima, tell which are atoms, and of which species."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from ase import Atoms

from recon.atoms.classify import PUBLISHED_RADII, Classify, by_atomic_number, classify, closest_approach
from recon.atoms.mixture import Z_EXPONENT
from recon.atoms.trace import trace


def atoms_from_volume(
    volume: xr.DataArray,
    elements: Sequence[str],
    *,
    min_height: float,
    min_distance: float | None = None,
    sigma: float = 0.0,
    method: Classify = "mixture",
    radii: tuple[int, int, int] = PUBLISHED_RADII,
    exponent: float = Z_EXPONENT,
) -> Atoms:
    """The atoms of `volume` (z, y, x), with the array `intensity` that their species were told by.

    Maxima below `min_height` of the volume's greatest value are not looked at. `min_distance` [Å] is by
    default `closest_approach`; `sigma` [fine voxel], `method`, `radii` and `exponent` are those of `trace`
    and `classify`.
    """
    if min_distance is None:
        min_distance = closest_approach(elements)
    threshold = min_height * max(float(volume.max()), 0.0)
    peaks = trace(volume, min_distance=min_distance, threshold=threshold, sigma=sigma)
    labels, intensities = classify(volume, peaks, elements, method=method, radii=radii, exponent=exponent)
    atom = labels >= 0
    symbols = np.array(by_atomic_number(elements))[labels[atom]]
    atoms = Atoms(symbols=list(symbols), positions=peaks.positions[atom])
    atoms.set_array("intensity", intensities[atom])
    return atoms
