"""The dose that a structure needs: where a criterion is first met and stays met, with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from benchmarks.preset import Criterion
from datasets.errors import InputError

BELOW, ABOVE = -math.inf, math.inf
"""A threshold below the smallest dose, and one above the largest."""

LEVEL = 0.95
N_BOOTSTRAP = 1000

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Threshold:
    """A threshold dose [e⁻/Å² per image] and its interval, each `-inf` where it lies below the smallest dose
    and `inf` where it lies above the largest.

    The interval is a percentile bootstrap over `n_structures` and `n_replicates`; with few of them it is
    narrower than it should be, and with one of each it has no width and says nothing. `n_replicates` are the
    fewest at any dose next to the interval or within it.
    """

    dose: float
    low: float
    high: float
    smallest: float
    largest: float
    n_structures: int
    n_replicates: int

    @property
    def censored(self) -> str:
        """`below` or `above` the doses that were run, or empty."""
        return "below" if self.dose == BELOW else "above" if self.dose == ABOVE else ""

    @property
    def text(self) -> str:
        """`4.2e+03 (3.1e+03 to 5e+03)`, `< 1e+03` or `> 1e+05`, in e⁻/Å²."""
        if self.low == self.high:
            return self._say(self.dose)
        return f"{self._say(self.dose)} ({self._say(self.low)} to {self._say(self.high)})"

    def _say(self, dose: float) -> str:
        if dose == BELOW:
            return f"< {self.smallest:.3g}"
        return f"> {self.largest:.3g}" if dose == ABOVE else f"{dose:.3g}"


def crossing(doses: npt.ArrayLike, values: npt.ArrayLike, limit: float, *, lower_is_better: bool) -> Values:
    """Where curves reach `limit` and stay there, interpolated linearly in the logarithm of the dose.

    `doses` (n,) ascend; `values` (…, n) are the curves. Between the last dose at which the criterion is not
    met and the next one; `-inf` when it is met throughout, `inf` when it is not met at the largest dose. NaN
    is not met, and nothing is interpolated from it: the crossing is then at the next dose. Shape (…).
    """
    dose = np.asarray(doses, dtype=np.float64)
    if dose.ndim != 1 or not len(dose) or (dose <= 0).any() or (np.diff(dose) <= 0).any():
        raise InputError(f"doses must be positive and ascend, they are {dose.tolist()}")
    excess = np.asarray(values, dtype=np.float64) - limit  # negative: met with something to spare
    excess = excess if lower_is_better else -excess
    unmet = ~(excess <= 0)
    last = np.where(unmet.any(axis=-1), len(dose) - 1 - unmet[..., ::-1].argmax(axis=-1), -1)
    before, after = np.clip(last, 0, None), np.clip(last + 1, 0, len(dose) - 1)
    above = np.take_along_axis(excess, before[..., None], axis=-1)[..., 0]
    below = np.take_along_axis(excess, after[..., None], axis=-1)[..., 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        part = above / (above - below)
    part = np.where(np.isfinite(part) & np.isfinite(above), part, 1.0)
    log = np.log(dose)
    inside = np.exp(log[before] + part * (log[after] - log[before]))
    inside = np.where(part == 1, dose[after], np.clip(inside, dose[before], dose[after]))
    return np.where(last < 0, BELOW, np.where(last == len(dose) - 1, ABOVE, inside))


def threshold(
    doses: npt.ArrayLike,
    values: Sequence[npt.ArrayLike],
    criteria: Sequence[Criterion],
    *,
    ran: npt.ArrayLike | None = None,
    n_bootstrap: int = N_BOOTSTRAP,
    seed: int = 0,
) -> Threshold:
    """The threshold dose of the mean curve, with a bootstrap interval.

    `doses` (n_dose,) in e⁻/Å² per image; `values` holds for each of `criteria` an array (n_structure,
    n_replicate, n_dose). All criteria must be met, so the threshold is the largest of theirs. A replicate
    without a value (NaN) leaves the mean without one, and NaN is not met. Where `ran`, of that shape, is
    false, a cell was not run and stands for the mean of its structure's other replicates at that dose. The
    bootstrap draws structures, and within each of them replicates, with replacement.
    """
    curves = [np.asarray(value, dtype=np.float64) for value in values]
    if not criteria or len(curves) != len(criteria):
        raise InputError(f"{len(criteria)} criteria need as many arrays of values, there are {len(curves)}")
    if any(c.ndim != 3 or c.shape != curves[0].shape or 0 in c.shape for c in curves):
        raise InputError(
            "values must have shape (n_structure, n_replicate, n_dose), the same for each criterion"
        )
    n_structures, n_replicates, _ = curves[0].shape
    held = np.ones(curves[0].shape, dtype=bool) if ran is None else np.asarray(ran, dtype=bool)
    counts = held.sum(axis=1)
    if (counts == 0).any():
        raise InputError("of every structure a replicate must have been run at every dose")
    rng = np.random.default_rng(seed)
    structure = rng.integers(n_structures, size=(n_bootstrap, n_structures, 1))
    replicate = rng.integers(n_replicates, size=(n_bootstrap, n_structures, n_replicates))
    point, drawn = np.array(BELOW), np.full(n_bootstrap, BELOW)
    for curve, criterion in zip(curves, criteria, strict=True):
        lower = criterion.lower_is_better
        of_others = np.where(held, curve, 0).sum(axis=1) / counts
        curve = np.where(held, curve, of_others[:, None])
        mean, means = curve.mean(axis=(0, 1)), curve[structure, replicate].mean(axis=(1, 2))
        point = np.maximum(point, crossing(doses, mean, criterion.value, lower_is_better=lower))
        drawn = np.maximum(drawn, crossing(doses, means, criterion.value, lower_is_better=lower))
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail], method="inverted_cdf")  # it mixes no −∞ with ∞
    dose = np.asarray(doses, dtype=np.float64)
    ends = float(dose[0]), float(dose[-1])
    first = max(int(np.searchsorted(dose, low, side="right")) - 1, 0)
    last = min(int(np.searchsorted(dose, high)), len(dose) - 1)
    fewest = int(counts[:, first : last + 1].min())
    if n_structures * fewest == 1:  # a dose next to it has one replicate: nothing tells how far it varies
        low = high = float(point)
    return Threshold(float(point), float(low), float(high), *ends, n_structures, fewest)


def thresholds(
    results: xr.Dataset, criteria: Sequence[Criterion], *, n_bootstrap: int = N_BOOTSTRAP, seed: int = 0
) -> pd.DataFrame:
    """The threshold of every reconstructor on every kind of structure in `results` that it was run on.

    Datasets of one family (`cuau-150`, `cuau-150[seed=2]`) and engine are structures of one kind. A
    failed cell has the failure value of its metric; a cell that was not run says nothing, so the threshold
    rests on the doses that the reconstructor was run at, and on the structures that have all of these. Images
    without noise, of infinite dose, are no dose that could be needed.
    One row per kind and reconstructor: base, engine, reconstructor, kind, dose, low, high, censored, text,
    min_dose, max_dose, n_structures, n_replicates. Raises `InputError` for a metric that is not in `results`.
    """
    for criterion in criteria:
        if criterion.metric not in results:
            raise InputError(f"metric {criterion.metric!r} is not in these results")
    rows = []
    groups = list(zip(results["base"].values, results["engine"].values, strict=True))
    for base, engine in dict.fromkeys(groups):
        chosen = results.isel(dataset=[i for i, group in enumerate(groups) if group == (base, engine)])
        ran = chosen["status"].values >= 0
        measured = ran.any(axis=(0, 2, 3)) & np.isfinite(chosen["dose"].values)
        if not measured.any():
            continue
        chosen = chosen.isel(dose=np.flatnonzero(measured))
        for name, kind in zip(chosen["reconstructor"].values, chosen["kind"].values, strict=True):
            curves = chosen.sel(reconstructor=name).transpose("dataset", "replicate", "dose", ...)
            ran = curves["status"].values >= 0
            doses = np.any(ran, axis=(0, 1))
            structures = ran[..., doses].any(axis=1).all(axis=-1) & ran.any()
            if not structures.any():
                continue
            curves = curves.isel(dataset=structures, dose=doses)
            found = threshold(
                curves["dose"].values,
                [curves[criterion.metric].values for criterion in criteria],
                criteria,
                ran=ran[structures][..., doses],
                n_bootstrap=n_bootstrap,
                seed=seed,
            )
            rows.append(
                {
                    "base": str(base),
                    "engine": str(engine),
                    "reconstructor": str(name),
                    "kind": str(kind),
                    "dose": found.dose,
                    "low": found.low,
                    "high": found.high,
                    "censored": found.censored,
                    "text": found.text,
                    "min_dose": found.smallest,
                    "max_dose": found.largest,
                    "n_structures": found.n_structures,
                    "n_replicates": found.n_replicates,
                }
            )
    return pd.DataFrame(rows)
