"""What a tilt series cannot tell: where the specimen is, how it is turned, and how bright it is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

FloatArray = npt.NDArray[np.float64]


def without_translation(shifts: FloatArray, turns: Rotation) -> FloatArray:
    """`shifts` (n_tilt, 2) less the closest shifts ((R t)_x, (R t)_y) of a specimen moved by t.

    A volume moved by t explains such shifts as well, so only the rest is misalignment. Least squares in t.
    """
    moves = turns.as_matrix()[:, :2, :]
    translation = np.linalg.lstsq(moves.reshape(-1, 3), shifts.reshape(-1), rcond=1e-9)[0]
    return np.asarray(shifts - moves @ translation)


def without_rotation(turns: Rotation, reference: Rotation) -> Rotation:
    """`turns` less the rotation Q of the specimen that brings them, as turns·Q, closest to `reference`.

    A volume turned by Q⁻¹ gives the same images at R·Q as the volume itself at R.
    """
    common = (turns.inv() * reference).mean()
    return turns * common


def with_mean_one(scales: FloatArray) -> FloatArray:
    """`scales` over their mean: a brighter specimen explains a common factor."""
    return np.asarray(scales / scales.mean())
