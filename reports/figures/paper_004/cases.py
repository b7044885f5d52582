"""Which series and cells stand for which case of paper 004: by what they are, not by what they are called."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.cells import CellResult
from benchmarks.summary import mean_interval
from datasets.catalog import AdfCard, FourDStemCard
from datasets.errors import InputError
from datasets.naming import parse_name
from reports import position_error
from reports.accuracy import NONE, Estimate
from reports.published import same_dose
from reports.published_multislice import FULL, RMSD, STATED, Stated
from reports.series import Collection, Series

CUAU = ("Cu", "Au")
BAO = ("O", "Ba")
WAVE_METHODS = ("atoms-4d", "mset", "sset")
"""Reconstructors from diffraction patterns; the others see the annular images of the scan."""
WHOLE = 89.0
"""Degrees: a series that reaches so far has no missing wedge."""


@dataclass(frozen=True)
class Scanned:
    """A 4D-STEM series, or one of annular images, and its acquisition."""

    series: Series
    imaging: FourDStemCard | AdfCard

    @property
    def annular(self) -> bool:
        """Whether there are annular images alone, without patterns."""
        return isinstance(self.imaging, AdfCard)

    @property
    def defocus(self) -> float:
        """Å, underfocus positive."""
        return self.imaging.defocus

    @property
    def step(self) -> float:
        """Distance between probe positions [Å]."""
        return self.imaging.pixel_size

    @property
    def tilt_range(self) -> float:
        """Degrees from zero to the largest tilt; `FULL` without a missing wedge."""
        reach = float(np.abs(self.imaging.tilts.theta()).max())
        return FULL if reach >= WHOLE else reach

    @property
    def focused(self) -> bool:
        """Whether the probe is in focus."""
        return self.defocus == 0

    def total(self, dose: float) -> float:
        """The dose over the whole series [e⁻/Å²], from that of one tilt."""
        return dose * self.series.n_images

    def method(self, family: str) -> str | None:
        """The plainest method of a family that has an answer here."""
        found = [m for m in self.series.methods() if parse_name(m)[0] == family]
        return min(found, key=lambda m: (len(parse_name(m)[1]), "published" in m), default=None)


@dataclass(frozen=True)
class Case:
    """One method on one series at one dose [e⁻/Å² per tilt]; `label` says in what it differs from others."""

    scanned: Scanned
    family: str
    method: str
    dose: float
    label: str

    @property
    def total(self) -> float:
        """The dose over the whole series [e⁻/Å²]."""
        return self.scanned.total(self.dose)

    @property
    def cells(self) -> list[CellResult]:
        """All replicates."""
        return self.scanned.series.replicates(self.method, self.dose)

    def shown(self) -> CellResult:
        """The answered cell with the lowest replicate."""
        return min((c for c in self.cells if not c.failed), key=lambda c: c.cell.replicate)

    def score(self, metric: str) -> Estimate:
        """RMSD [pm], or any other metric in %, over the replicates."""
        values = self._values(metric)
        high = None if metric == RMSD or metric.startswith("tracing") else 100.0
        return Estimate(*mean_interval(values, 0.0, high)) if len(values) else NONE

    def bar(self, metric: str) -> Estimate:
        """The mean with the ends of an error bar: of two replicates their values, for a Student interval
        of two reaches 13 standard errors to either side; of more that interval.
        """
        values = self._values(metric)
        if len(values) != 2 or not np.isfinite(values).all():
            return self.score(metric)
        return Estimate(float(values.mean()), float(values.min()), float(values.max()), 2)

    @property
    def whole(self) -> bool:
        """Whether recall and precision are high enough in the mean for an RMSD to be that of all atoms."""
        least = 100 * position_error.WHOLE
        return all(self.score(name).mean >= least for name in ("recall", "precision"))

    def _values(self, metric: str) -> npt.NDArray[np.float64]:
        factor = 1.0 if metric == RMSD else 100.0
        return np.array([factor * c.scores.get(metric, math.nan) for c in self.cells], dtype=np.float64)

    @property
    def stated(self) -> Stated | None:
        """What the paper states of this case."""
        scanned = self.scanned
        if set(scanned.series.elements) != set(CUAU):
            return None
        return next((s for s in STATED if s.method == self.family and _same(s, scanned, self.total)), None)


def _same(stated: Stated, scanned: Scanned, total: float) -> bool:
    if math.isinf(stated.total_dose) or math.isinf(total):
        doses = stated.total_dose == total
    else:
        doses = same_dose(stated.total_dose, total)
    # the annular methods need the fine scan, MSET and SSET at low dose run on the sparse one
    steps = any(math.isclose(step, scanned.step) for step in stated.steps)
    sparse = stated.source.startswith("Fig. 7") or stated.tilt_range < FULL
    return (
        doses
        and scanned.tilt_range == stated.tilt_range
        and stated.defocus == scanned.defocus
        and (steps or sparse)
    )


def scans(collection: Collection, elements: Sequence[str]) -> list[Scanned]:
    """The 4D-STEM series of these elements without imperfections, of one structure: that with most series;
    after them those of annular images that have the same particle and tilts as one of them.

    Raises `InputError` when there is no 4D-STEM series.
    """
    by_structure: dict[str, list[Scanned]] = {}
    rings = []
    for series in collection.find(elements, only=True):
        imaging = series.card.imaging
        if isinstance(imaging, FourDStemCard):
            found = by_structure.setdefault(series.card.structure.key(), [])
            found.append(Scanned(series, imaging))
        elif isinstance(imaging, AdfCard) and not series.linear:
            rings.append(Scanned(series, imaging))
    if not by_structure:
        name = "cuau-150-4d" if "Cu" in elements else "bao-150-4d"
        raise InputError(f"no 4D-STEM series of {'–'.join(elements)} ({name}) is among the results")
    chosen = max(by_structure.values(), key=lambda group: (len(group), group[0].series.n_atoms))
    imaged = [(one.series.card.structure, one.imaging.tilts) for one in chosen]
    return [*chosen, *(one for one in rings if (one.series.card.structure, one.imaging.tilts) in imaged)]


def in_focus(found: Sequence[Scanned], family: str) -> list[Scanned]:
    """Of the series in focus that on which a family of methods has answers: the finest of the 4D-STEM ones,
    or where there is none annular images.
    """
    answered = [s for s in found if s.focused and s.method(family)]
    return sorted(answered, key=lambda s: (s.annular, s.step))[:1]


def cases(
    found: Sequence[Scanned], family: str, doses: Sequence[float] | None = None, label: str = ""
) -> list[Case]:
    """The cases of a family of methods on several series, one after the other, at their highest dose or at
    the totals `doses`.
    """
    made = []
    for scanned in found:
        method = scanned.method(family)
        if method is None:
            continue
        available = scanned.series.doses(method)
        wanted = available[-1:] if doses is None else [d for t in doses for d in at_total(scanned, method, t)]
        made += [Case(scanned, family, method, dose, label or family) for dose in wanted]
    return made


def at_total(scanned: Scanned, method: str, total: float) -> list[float]:
    """The dose per tilt that gives a total to a reader's accuracy, if there is one."""
    for dose in scanned.series.doses(method):
        whole = scanned.total(dose)
        if whole == total or (math.isfinite(whole) and math.isfinite(total) and same_dose(whole, total)):
            return [dose]
    return []


def percent_wrong(estimate: Estimate) -> Estimate:
    """The classification error: what is missing to 100 %."""
    return Estimate(100 - estimate.mean, 100 - estimate.high, 100 - estimate.low, estimate.n)
