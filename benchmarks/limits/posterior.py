"""What the best estimate of a sheet can reach: sheets drawn from the posterior of frames made for it.

The mean of the posterior errs least of all estimates, in the mean square, and by as much as sheets drawn
from the posterior differ from their mean. No formula gives that (`graphene.sheet_bound` with a prior is
far below it, `endless_sheet` holds for flat sheets), so it is sampled: a frame is drawn for a known
sheet, and sheets are drawn that it could be as well (`recon.graphene.sampling`). The known sheet is one
of them, so the walk begins there and has no start to forget. It does not cross to ripples turned over,
either, in as few steps as are made here: `error`, that of the mean, sees what `spread` does not.

Cost: a trajectory of 24 steps is 10 ms with 240 atoms, 25 ms with 640; beside them F, ∂²E and the masses,
1 s and 7 s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from recon.graphene.descent import Posterior
from recon.graphene.gradient import walk
from recon.graphene.multislice import FrameModel
from recon.graphene.prior import Sheet
from recon.graphene.topology import bonds

FloatArray = npt.NDArray[np.float64]

N_SAMPLES = 400
"""Sheets per frame."""


@dataclass(frozen=True, eq=False)
class PosteriorError:
    """Rms [Å] per frame, each (n_frames,): `error` of the mean height, levelled, against the known sheet's;
    `spread` of the heights, levelled, about it; `plane`, the spread of a coordinate in the plane.
    """

    error: FloatArray
    spread: FloatArray
    plane: FloatArray

    def mean(self) -> tuple[float, float]:
        """The rms of `error` over frames, and its standard error (infinite for a single frame)."""
        squares = self.error**2
        total = math.sqrt(float(squares.mean()))
        if len(squares) < 2:
            return total, math.inf
        return total, float(squares.std(ddof=1)) / math.sqrt(len(squares)) / (2 * total)


def posterior_error(
    model: FrameModel,
    positions: FloatArray,
    temperature: float,
    rng: np.random.Generator,
    *,
    n_frames: int = 1,
    n_samples: int = N_SAMPLES,
) -> PosteriorError:
    """What `n_frames` noisy frames of the sheet at `positions` (n_atoms, 3) [Å] leave open of it, if it is
    known to be graphene at `temperature` [K].
    """
    with torch.no_grad():
        expected = model.expected(torch.as_tensor(positions, dtype=model.dtype)).double().cpu().numpy()
    sheet = Sheet(bonds(positions))
    plane = np.column_stack([np.ones(len(positions)), positions[:, :2]])
    level = np.eye(len(positions)) - plane @ np.linalg.pinv(plane)
    rows = []
    for _ in range(n_frames):
        posterior = Posterior(model, rng.poisson(expected).astype(np.float64), sheet, temperature)
        chain = walk(posterior, positions, [positions], rng)
        chain.run(max(n_samples // 8, 1), adapt=True)
        drawn = chain.run(n_samples, adapt=True)[0].astype(np.float64)
        heights = drawn[:, :, 2] @ level
        off = heights.mean(axis=0) - level @ positions[:, 2]
        spreads = [heights.var(axis=0, ddof=1).mean(), drawn[:, :, :2].var(axis=0, ddof=1).mean()]
        rows.append([math.sqrt(float(v)) for v in ((off**2).mean(), *spreads)])
    error, spread, across = np.array(rows).T
    return PosteriorError(error, spread, across)
