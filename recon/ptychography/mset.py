"""Multislice electron tomography: one potential from all diffraction patterns of a tilt series.

Lee et al., Phys. Rev. Applied 19, 054062 (2023) descend from probe to probe with one fixed step
(`mset_published`). Here all probes of a tilt make one gradient, in windows and batches, and the volume is
updated tilt by tilt, as SART updates it by projections: V ← max(0, V − s (∇L_t(V) + λ/T) / c), with c the
curvature of a specimen that fills the volume. The step s grows while the loss of a pass falls and is halved
where it does not, so that it finds what the specimen's true thickness allows, and shrinks at the end, where
tilts no longer agree. Slices hold several voxels.

Two things are not in the paper. From pass to pass Nesterov's momentum carries the volume on, until the loss
rises (O'Donoghue and Candès, Found. Comput. Math. 15, 715 (2015)). And λ Σ V is added to the loss of T tilts:
a few tilts leave much of the volume open, noise that may only be positive fills it, and of all volumes that
explain the counts the one with the least in it is made of atoms (compressed sensing; Candès, Romberg and Tao,
IEEE Trans. Inf. Theory 52, 489 (2006)). λ is in units of the noise of that derivative by one voxel.

Cost of a pass: that of `waves` for every probe of every tilt, and two rotations of n³ voxels a tilt. 20 tilts
of 32 × 32 probes, 128³ voxels, 16 slices and windows of 64²: `python -m benchmarks.multislice_speed`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
import xarray as xr

from datasets.naming import Value
from recon.atoms.classify import Classify
from recon.base import Callback, Status
from recon.ptychography.losses import Loss
from recon.ptychography.mset_published import mset_published
from recon.ptychography.reconstructor import (
    PtychographicReconstructor,
    Solution,
    require_not_negative,
)
from recon.ptychography.scan import Scan
from recon.ptychography.scan_errors import FIRST_PASS, ScanErrors
from recon.ptychography.tilt_series import TiltSeries

GROWTH = 1.3
"""How much the step grows after a pass whose loss fell, until the first one where it did not."""
LONGEST = 3.0
"""It does not grow beyond this, which a specimen that fills two thirds of the volume just bears."""
SETTLED = 0.01
"""A loss that rises by more than this in a pass shows a step too long, and the pass is taken back."""
SHORTEST = 0.1
"""A step below this part of its longest ends the passes: what they still change is noise."""

NO_ERRORS = ScanErrors()
Method = Literal["tilts", "published"]


def mset(
    series: TiltSeries,
    n_iter: int,
    *,
    step: float,
    loss: Loss,
    rng: np.random.Generator,
    sparsity: float = 0.0,
    tv: float = 0.0,
    errors: ScanErrors = NO_ERRORS,
    initial: torch.Tensor | None = None,
    callback: Callback | None = None,
) -> torch.Tensor:
    """The volume of phases (n, n, n) [rad] after at most `n_iter` passes over the tilts, each in a new order.

    A `step` of 2 is where a specimen that fills the whole volume would begin to diverge. `sparsity` is λ as a
    part of the standard deviation of the derivative of the loss by a voxel; after each pass the total
    variation is weighed by `tv` [rad], and `errors` of the scan are corrected. `callback` gets the `loss` of
    each pass, per pixel, and may end it.
    """
    latest = volume = series.zeros() if initial is None else initial.clone()
    pixels = sum(counts.numel() for counts in series.counts)
    weight = sparsity * series.noise
    before, growth = np.inf, GROWTH
    if initial is None:
        before = (1 + SETTLED) * series.vacuum_loss(loss)
    longest, momentum = 0.0, 1.0
    for iteration in range(1, n_iter + 1):
        total = 0.0
        correcting = iteration >= FIRST_PASS or initial is not None
        by_probe = errors.gradient(series) if correcting else None
        for tilt in rng.permutation(len(series)):
            value, gradient = series.gradient(volume, int(tilt), loss, by_probe)
            total += value
            volume = torch.addcmul(volume, gradient, series.support, value=-step / series.curvature)
            volume.sub_(step * weight / (len(series) * series.curvature)).clamp_(min=0)
        value, total = total / pixels, total + weight * float(volume.sum())
        if total < before:
            step, before = max(step, min(step * growth, LONGEST)), total
            longest = max(longest, step)
            volume = less_varied(volume, tv)
            if correcting:
                errors.correct(series, volume, loss, by_probe)
            later = (1 + math.sqrt(1 + 4 * momentum**2)) / 2
            beyond = (momentum - 1) / later
            latest, volume, momentum = volume, volume.lerp(latest, -beyond).clamp_(min=0), later
        else:
            step, growth, momentum = step / 2, 1.0, 1.0
            if not total < (1 + SETTLED) * before:  # nor where it is not a number
                step, volume = step / 2, latest
            latest = volume
        if callback is not None:
            try:
                callback(iteration, {"loss": value})
            except StopIteration:
                break
        if step < SHORTEST * longest:
            break
    return latest


def less_varied(volume: torch.Tensor, tv: float) -> torch.Tensor:
    """The proximal point of `tv` times the total variation, by Chambolle (J. Math. Imaging Vis. 20, 89)."""
    if tv == 0:
        return volume
    from skimage.restoration import denoise_tv_chambolle

    return torch.as_tensor(denoise_tv_chambolle(volume.cpu().numpy(), weight=tv)).to(volume)


@dataclass(frozen=True)
class MSET(PtychographicReconstructor):
    """Multislice electron tomography, then tracing and classification.

    Fields: `n_iter` passes at most; `step` (`mset`, or of the published descent [V]); `loss`
    (`recon.ptychography.losses`); `slice_thickness` [Å]; `voxel` [Å], by default what just carries the
    detector's edge; `blur`, standard deviation of the Gaussian [Å] that the volume is smoothed by before
    tracing; `min_height`, the least height of a maximum relative to the greatest; `min_distance` between
    atoms [Å] (by default `recon.atoms.classify.closest_approach`); `classify` (`recon.atoms.classify`);
    `device`, a PyTorch device or "auto"; `method`, by `tilts` or as `published`; `sparsity`, weight of the
    sum of the volume in units of its noise (`mset`); `tv`, weight of the total variation [rad]; `positions`
    of the probes, `nominal` or `refine`, and the `probe`, `ideal` or `refine`
    (`recon.ptychography.scan_errors`).
    """

    name: ClassVar[str] = "mset"
    reference: ClassVar[str] = "Lee et al., Phys. Rev. Applied 19, 054062 (2023)"
    variants: ClassVar[Mapping[str, Mapping[str, Value]]] = {
        "published": {
            "method": "published",
            "n_iter": 50,
            "step": 100.0,
            "loss": "amplitude",
            "slice_thickness": 0.4,
            "blur": 0.3,
            "classify": "published",
        }
    }
    """Constants of paper 004: step 100, slices of one voxel; the number of iterations is not stated there."""

    n_iter: int = 16
    step: float = 1.5
    classify: Classify = "bumps"
    method: Method = "tilts"
    sparsity: float = 0.3
    tv: float = 0.0
    positions: Literal["nominal", "refine"] = "nominal"
    probe: Literal["ideal", "refine"] = "ideal"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_not_negative(self, "sparsity", "tv")

    def _scan(self, measurement: xr.Dataset) -> Scan:
        return Scan.of(measurement, self.voxel, whole=self.method == "published")

    def solve(self, series: TiltSeries, rng: np.random.Generator, callback: Callback | None) -> Solution:
        """The phases after all passes, by either method."""
        record = Record(callback)
        if self.method == "published":
            found = mset_published(series, self.n_iter, step=self.step, loss=self.loss, callback=record)
        else:
            found = mset(
                series,
                self.n_iter,
                step=self.step,
                loss=self.loss,
                rng=rng,
                sparsity=self.sparsity,
                tv=self.tv,
                errors=ScanErrors(self.positions == "refine", self.probe == "refine"),
                callback=record,
            )
        stats = {"iterations": float(record.iterations), "loss": record.loss}
        if not torch.isfinite(found).all():
            return Solution(None, stats, status=Status.NONFINITE)
        return Solution(found, {**stats, "r_factor": series.r_factor(found)})


@dataclass(frozen=True)
class SSET(MSET):
    """Single-slice electron tomography: `mset` with one slice, as if the specimen were thin."""

    name: ClassVar[str] = "sset"
    single_slice: ClassVar[bool] = True


class Record:
    """Remembers the number of the last iteration and its loss, and passes both on."""

    def __init__(self, callback: Callback | None) -> None:
        self.callback, self.iterations, self.loss = callback, 0, float("nan")

    def __call__(self, iteration: int, figures: Mapping[str, float]) -> None:
        self.iterations, self.loss = iteration, figures["loss"]
        if self.callback is not None:
            self.callback(iteration, figures)
