"""A preset: which datasets, doses, replicates and methods make a grid, and how it is scored."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import Field, ValidationInfo, field_validator

from benchmarks.controls import CONTROLS
from benchmarks.metrics.cards import get_metric
from benchmarks.metrics.match import CUTOFF, MAX_TRANSLATION
from benchmarks.metrics.published import PUBLISHED_CUTOFF
from benchmarks.metrics.scoring import Scoring
from datasets.cards import Card, load_card
from datasets.errors import InputError, unknown_name

FOLDER = Path(__file__).parent / "presets"


class Criterion(Card):
    """What a metric must reach for a dose to be enough: at most `value` where lower is better, at least
    `value` where higher is. Scores are fractions (0.05, not 5 %).
    """

    metric: str
    value: float

    @field_validator("metric")
    @classmethod
    def _can_be_met(cls, metric: str) -> str:
        card = get_metric(metric)
        if card.direction == "none":
            raise ValueError(f"{metric!r} has no better direction, so nothing can be asked of it")
        return metric

    @property
    def text(self) -> str:
        """The criterion in signs: `tracing_error ≤ 0.05`."""
        return f"{self.metric} {'≤' if self.lower_is_better else '≥'} {self.value:g}"

    @property
    def lower_is_better(self) -> bool:
        """The direction of the metric."""
        return get_metric(self.metric).direction == "lower"


DEFAULT_CRITERIA = (
    Criterion(metric="tracing_error", value=0.05),
    Criterion(metric="classification", value=0.95),
)
"""After MSET (004), section III.C, which calls zero tracing error with about 95 % classified decent; here 5 %
of the atoms may be false or missing."""


class PresetCard(Card):
    """One grid. Whatever is not given takes its default."""

    name: str
    title: str
    datasets: tuple[str, ...] = Field(min_length=1)
    doses: tuple[float, ...] | dict[str, tuple[float, ...]] | None = None
    """e⁻/Å² per image, for all datasets or by their names, with or without options; those of a dataset's card
    where there are none."""
    replicates: int = Field(default=1, ge=1)
    reconstructors: tuple[str, ...] = ()
    only: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """The datasets on which a method runs, by its name in `reconstructors`; all where it is not named."""
    controls: tuple[str, ...] = tuple(CONTROLS)
    cutoff: float = Field(default=CUTOFF, gt=0)
    """Å, of the one-to-one matching."""
    max_translation: float = Field(default=MAX_TRANSLATION, ge=0)
    """Å, the longest rigid translation removed before matching."""
    published_cutoff: float = Field(default=PUBLISHED_CUTOFF, gt=0)
    """Å, of the papers' own rule."""
    criteria: tuple[Criterion, ...] = Field(default=DEFAULT_CRITERIA, min_length=1)
    """All of them must be met at the threshold dose."""
    time_limit: float = Field(default=3600.0, gt=0)
    """Seconds that a cell may take."""
    cost: str = ""
    """What it takes on two cores, as measured."""

    @field_validator("doses")
    @classmethod
    def _positive(
        cls, doses: tuple[float, ...] | dict[str, tuple[float, ...]] | None, info: ValidationInfo
    ) -> tuple[float, ...] | dict[str, tuple[float, ...]] | None:
        if doses is None:
            return None
        for some in doses.values() if isinstance(doses, dict) else (doses,):
            if not some or not all(dose > 0 for dose in some):
                raise ValueError("doses must be lists of positive numbers, or null for those of the dataset")
        if isinstance(doses, dict):
            datasets = info.data.get("datasets", ())
            known = {*datasets, *(name.partition("[")[0] for name in datasets)}
            for name in doses:
                if name not in known:
                    raise unknown_name("dataset of this preset", name, known)
        return doses

    def doses_of(self, dataset: str) -> tuple[float, ...] | None:
        """The doses of a dataset by the name it has in `datasets`; None: those of its card."""
        if isinstance(self.doses, dict):
            return self.doses.get(dataset, self.doses.get(dataset.partition("[")[0]))
        return self.doses

    @field_validator("only")
    @classmethod
    def _of_this_preset(
        cls, only: dict[str, tuple[str, ...]], info: ValidationInfo
    ) -> dict[str, tuple[str, ...]]:
        for method, datasets in only.items():
            if method not in info.data.get("reconstructors", ()):
                raise unknown_name("method of this preset", method, info.data.get("reconstructors", ()))
            for name in datasets:
                if name not in info.data.get("datasets", ()):
                    raise unknown_name("dataset of this preset", name, info.data.get("datasets", ()))
        return only

    @field_validator("controls")
    @classmethod
    def _known(cls, controls: tuple[str, ...]) -> tuple[str, ...]:
        for name in controls:
            if name not in CONTROLS:
                raise unknown_name("control", name, CONTROLS)
        return controls

    @property
    def scoring(self) -> Scoring:
        """The rule by which answers are scored."""
        return Scoring(self.cutoff, self.max_translation, self.published_cutoff)

    @property
    def attributes(self) -> dict[str, str | float]:
        """What a reader of results needs to know of the preset: its name and title, the rule of scoring
        (cutoff, max_translation, published_cutoff [Å], scoring_version) and the criteria in words.
        """
        rule = self.scoring.record()
        return {
            "preset": self.name,
            "title": self.title,
            **{key: rule[key] for key in ("cutoff", "max_translation", "published_cutoff")},
            "scoring_version": rule["version"],
            "criteria": "; ".join(criterion.text for criterion in self.criteria),
        }

    def to_yaml(self) -> str:
        """The preset as the text of a YAML file that `load_preset` reads back."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def preset_names() -> list[str]:
    """The presets that come with dosebench."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_preset(name: str) -> PresetCard:
    """The preset called `name`, or the one in the YAML file `name`. Raises `InputError`."""
    if name.endswith((".yaml", ".yml")):
        return load_card(PresetCard, Path(name))
    if name not in preset_names():
        raise unknown_name("preset", name, preset_names())
    try:
        return load_card(PresetCard, FOLDER / f"{name}.yaml")
    except InputError as error:
        raise InputError(f"preset {name!r}: {error}") from None
