"""In which order tilts are taken by methods that do not take all of them at once."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from datasets.errors import InputError

SAME = 1e-6
"""sin² of the angle below which two beam directions count as one (0.06°)."""


def spread_order(turns: Rotation) -> list[int]:
    """The tilts in an order in which every few successive ones look from as different directions as can be.

    Successive updates from neighbouring tilts nearly repeat each other; from crossing ones they converge
    several times sooner (Guan & Gordon, Phys. Med. Biol. 39, 2005 (1994), for evenly spaced angles about one
    axis). Here for any geometry: from the first tilt on, the next is the one least repelled by those already
    taken, with the potential 1/sin² of the angle between beam directions; opposite ones are the same. Evenly
    spaced tilts over 180° come out as 0, 90, 45, 135, 22.5 …°.
    """
    beams = turns.inv().apply([0.0, 0.0, 1.0])
    repulsion = 1.0 / np.maximum(1.0 - (beams @ beams.T) ** 2, SAME)
    order, potential = [0], repulsion[0].copy()
    for _ in range(len(beams) - 1):
        potential[order[-1]] = np.inf
        # a millionth apart is a tie, which goes to the first tilt: the order is the same on every machine
        order.append(int(np.argmax(potential <= potential.min() * (1 + 1e-6))))
        potential = potential + repulsion[order[-1]]
    return order


def spread_subsets(turns: Rotation, n_subset: int) -> list[list[int]]:
    """All tilts in `n_subset` parts of equal size (or one less), each spread over all directions.

    Raises `InputError` unless there is at least one tilt for every part.
    """
    if not 1 <= n_subset <= len(turns):
        raise InputError(f"subsets must be between 1 and the number of tilts ({len(turns)}), not {n_subset}")
    return [part.tolist() for part in np.array_split(spread_order(turns), n_subset)]
