"""What a report shows, as plain data: every figure and the page draw from a `Payload` and from nothing else.

All values are those of the results, unrounded; `None` stands for "no value" (JSON has no NaN). Doses are in
e⁻/Å² per image, infinite where there is no noise; positions in Å in the specimen frame, residuals in pm.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

from datasets.simulate import NOISE_FREE_DOSE


@dataclass(frozen=True)
class Metric:
    """One score: its key in the results, how it is written, which way is better, and what it means."""

    key: str
    label: str
    unit: str
    """Unit of the results; a score of unit 1 with a direction is shown in percent (`shown_unit`)."""
    better: str
    """`higher`, `lower` or `none`."""
    description: str = ""
    reference: str = ""
    failure: str = ""
    """What a cell without an answer is given, in a sentence."""
    no_value: str = ""
    """When it has no value, or what it is then."""
    family: str = ""
    """The key of its card: `identified` for `identified_Cu`."""
    element: str = ""

    @property
    def percent(self) -> bool:
        """Whether it is shown in percent."""
        return self.unit == "1" and self.better != "none"

    @property
    def scale(self) -> float:
        """What to multiply a value of the results by to show it."""
        return 100.0 if self.percent else 1.0

    @property
    def shown_unit(self) -> str:
        """The unit as shown: `%`, `pm`, or nothing for a plain number."""
        return "%" if self.percent else "" if self.unit == "1" else self.unit


@dataclass(frozen=True)
class Method:
    """One reconstructor; a control is drawn in grey, any other has its own colour (light and dark theme)."""

    name: str
    control: bool
    colour: str
    colour_dark: str
    dash: str
    """A line style that matplotlib and plotly both know: solid, dash, dot or dashdot."""
    symbol: str
    """A marker, by plotly's name."""
    description: str = ""
    """What it is, with all its parameters."""


@dataclass(frozen=True)
class Mark:
    """One number of a paper: a value of `metric`, in its unit, at `dose`."""

    metric: str
    dose: float
    value: float
    source: str


@dataclass(frozen=True)
class Specimen:
    """One dataset: what was imaged and how."""

    name: str
    title: str
    reference: str
    engine: str
    base: str
    """Its name without options: structures of one kind share it."""
    n_images: int | None
    n_atoms: int
    elements: list[str]
    doses: list[float]
    """Infinite for images without noise."""
    modality: str = "adf"
    bound: list[float | None] = field(default_factory=list)
    """Cramér–Rao bound on the RMSD [pm] at each of `doses`; empty where the results know none."""
    with_floor: list[float | None] = field(default_factory=list)
    """√(bound² + floor²) [pm] at each of `doses`, where the floor is what a sum of atoms leaves of noise-free
    multislice images; empty where no limit lies stored beside the dataset."""
    published: list[Mark] = field(default_factory=list)
    """What a paper states of such a specimen."""

    @property
    def image(self) -> str:
        """What one of its images is called."""
        return "4D-STEM scan" if self.modality == "4dstem" else "image"


@dataclass(frozen=True)
class Value:
    """The centre of one score over the replicates of one dose, its interval, and how many there were."""

    mean: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Row:
    """One dataset, dose and method, over all replicates."""

    dataset: str
    dose: float
    dose_total: float | None
    method: str
    n: int
    """Cells, failed ones included."""
    failures: int
    seconds: float | None
    values: dict[str, Value]


@dataclass(frozen=True)
class Threshold:
    """The dose from which `criterion` is met on one kind of structure, with its interval.

    `dose`, `low` and `high` are None where they lie outside the doses measured, `min_dose` to `max_dose`:
    `censored`, `low_censored` and `high_censored` then say on which side (`below` or `above`).
    """

    structure: str
    """`cuau-150`, with the engine in brackets where it is the linear one or the results hold several."""
    method: str
    criterion: str
    joint: bool
    """Whether the criterion is the whole one that was asked for, or one part of it."""
    dose: float | None
    low: float | None
    high: float | None
    censored: str
    """`above`: not met at the highest dose; `below`: met at the lowest; or nothing."""
    low_censored: str
    high_censored: str
    min_dose: float
    max_dose: float
    n_images: int | None
    n_structures: int
    n_replicates: int

    @property
    def n(self) -> int:
        """Series of doses that it rests on."""
        return self.n_structures * self.n_replicates


@dataclass(frozen=True)
class Slice:
    """One plane through the centre of a volume, as a grey PNG (base64) with the first row at the bottom."""

    plane: str
    png: str
    extent: list[float]
    """left, right, bottom, top [Å]."""


@dataclass(frozen=True)
class Answer:
    """One representative cell in 3D: what was found where, beside the `Truth` of its dataset."""

    dataset: str
    method: str
    dose: float
    replicate: int
    matched: list[int]
    """Indices of the true atoms that were found."""
    residuals: list[list[float]]
    """Found minus true, one (x, y, z) [pm] per entry of `matched`."""
    missed: list[int]
    false: list[list[float]]
    """Positions [Å] of atoms that are not in the truth."""
    slices: list[Slice] = field(default_factory=list)


@dataclass(frozen=True)
class Truth:
    """The true atoms of one dataset."""

    dataset: str
    elements: list[str]
    positions: list[list[float]]
    """(x, y, z) [Å]."""


@dataclass(frozen=True)
class Failure:
    """One cell without an answer."""

    dataset: str
    method: str
    dose: float
    replicate: int
    status: str
    sentence: str
    message: str
    traceback: str


@dataclass(frozen=True)
class Payload:
    """Everything a report shows."""

    name: str
    interval: str
    """What the intervals of `rows` are, in words."""
    metrics: list[Metric]
    methods: list[Method]
    datasets: list[Specimen]
    rows: list[Row]
    thresholds: list[Threshold]
    threshold_interval: str
    """What the intervals of `thresholds` are, in words."""
    truths: list[Truth]
    answers: list[Answer]
    failures: list[Failure]
    provenance: list[tuple[str, str]]
    command: str
    matching: str = ""
    """How truth and answer were matched, in words."""
    missing: int = 0
    """Cells of the grid that were not run."""

    def metric(self, key: str) -> Metric:
        """The metric called `key`; raises KeyError."""
        return {m.key: m for m in self.metrics}[key]

    def method(self, name: str) -> Method:
        """The method called `name`; raises KeyError."""
        return {m.name: m for m in self.methods}[name]

    def specimen(self, name: str) -> Specimen:
        """The dataset called `name`; raises KeyError."""
        return {d.name: d for d in self.datasets}[name]

    def curve(self, dataset: str, method: str) -> list[Row]:
        """The rows of one dataset and method, by dose."""
        rows = [r for r in self.rows if r.dataset == dataset and r.method == method]
        return sorted(rows, key=lambda row: row.dose)


def plain(payload: Payload) -> dict[str, Any]:
    """The payload as JSON types; a dose of infinity is `NOISE_FREE_DOSE`."""
    found = with_finite_doses(dataclasses.asdict(payload))
    return dict(found)


def with_finite_doses(content: Any) -> Any:
    """`content` of JSON types in which every infinity, which only doses have and JSON has not, is
    `NOISE_FREE_DOSE`.
    """
    if isinstance(content, dict):
        return {key: with_finite_doses(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [with_finite_doses(value) for value in content]
    return NOISE_FREE_DOSE if content == math.inf else content
