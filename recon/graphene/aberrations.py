"""The spherical aberration of the lens, and the height of the sheet, from the frame of a sheet nearly known.

Two numbers act on every atom alike: the defocus, which is the height of the sheet, and Cs. A frame of 10⁷
electrons knows both far better than the coordinates of any atom, once those are near enough to say what the
frame should look like; a flat sheet is near enough. Both are fitted together, by Fisher's scoring (Osborne,
Int. Stat. Rev. 60, 99, 1992): derivatives by differences, the variance of a pixel its expected counts.

For 640 atoms at 8 × 10³ e⁻/Å², 256² pixels of 0.18 Å and 80 kV, standard errors are 0.055 µm and 0.3 Å; a
start that is off by 2 µm is mended, one that is off by 3 µm ends in another lens, whose frame looks much the
same. Cost: five images a step, each with its lens's tables; 0.5 s a step, three to five steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from recon.graphene.multislice import FrameModel

FloatArray = npt.NDArray[np.float64]
ModelOf = Callable[[float], FrameModel]
"""From Cs [Å] to the model of a frame with it."""

DIFFERENCE = (1e3, 0.05)
"""Of Cs and of the height, for derivatives [Å]: 0.1 rad at 1.2 / Å and 80 kV, and less."""
WIDEST = (1e5, 20.0)
"""Steps beyond these [Å] leave what the sheet at hand can say."""
N_STEPS = 8
CALM = 0.1
"""A step of less than this part of the standard errors is the last one."""


@dataclass(frozen=True)
class Aberration:
    """`Cs` [Å] and by how much the sheet lies higher, `height` [Å]; the standard errors of both, given all
    atoms' places.
    """

    Cs: float
    height: float
    errors: tuple[float, float]


def fit_spherical_aberration(
    frame: FloatArray, positions: FloatArray, Cs: float, model_of: ModelOf
) -> Aberration:
    """What a `frame` (n_y, n_x) [e⁻/pixel] says of the lens, from `Cs` [Å] on, the sheet being at `positions`
    (n_atoms, 3) [Å] but for its height.
    """
    at = np.array([Cs, 0.0])

    def image(values: FloatArray) -> FloatArray:
        model = model_of(float(values[0]))
        moved = torch.as_tensor(
            positions + np.array([0.0, 0.0, values[1]]), dtype=model.dtype, device=model.device
        )
        with torch.no_grad():
            return model.expected(moved).double().cpu().numpy()

    errors = np.array([np.inf, np.inf])
    for _ in range(N_STEPS):
        expected = np.maximum(image(at), 1e-6)
        sides = [np.where(np.arange(2) == k, DIFFERENCE[k], 0.0) for k in range(2)]
        slopes = np.stack([(image(at + d) - image(at - d)).ravel() / (2 * d.max()) for d in sides])
        weighted = slopes / expected.ravel()
        information = weighted @ slopes.T
        step = np.linalg.solve(information, weighted @ (frame - expected).ravel())
        errors = np.sqrt(np.diag(np.linalg.inv(information)))
        at = at + step * min(1.0, float(np.min(WIDEST / np.maximum(np.abs(step), 1e-12))))
        if (np.abs(step) < CALM * errors).all():
            break
    return Aberration(float(at[0]), float(at[1]), (float(errors[0]), float(errors[1])))
