"""What each score means: one YAML card per metric, held to a schema."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from datasets.cards import Card, load_card
from datasets.errors import unknown_name

FOLDER = Path(__file__).parent


class MetricCard(Card):
    """One metric.

    `range` are the smallest and largest value it can take (null: unbounded). `nan_rule` says when an answer
    has no value; `on_failure` is the value of a cell that failed (null: none, and the mean over the others is
    shown with its n). A metric `per_element` has one variable per species, `KEY_Cu`.
    """

    key: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    label: str
    unit: str
    direction: Literal["lower", "higher", "none"]
    range: tuple[float | None, float | None]
    description: str
    nan_rule: str
    on_failure: float | None
    reference: str
    per_element: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> MetricCard:
        low, high = self.range
        if low is not None and high is not None and low >= high:
            raise ValueError("range must be [smallest, largest]")
        return self

    @property
    def failure_value(self) -> float:
        """`on_failure` as a number: NaN for null."""
        return math.nan if self.on_failure is None else self.on_failure

    def variable(self, element: str = "") -> str:
        """The name of the variable in results: `key`, or `key_Cu`."""
        return f"{self.key}_{element}" if self.per_element else self.key


@cache
def metric_cards() -> dict[str, MetricCard]:
    """Every metric by key."""
    cards = {path.stem: load_card(MetricCard, path) for path in sorted(FOLDER.glob("*.yaml"))}
    return {card.key: card for card in cards.values()}


def metric_names() -> list[str]:
    """The keys of all metrics."""
    return sorted(metric_cards())


def get_metric(variable: str) -> MetricCard:
    """The card of a key or of a variable with an element (`identified_Cu`). Raises `InputError`."""
    cards = metric_cards()
    if variable in cards:
        return cards[variable]
    stem, _, _ = variable.rpartition("_")
    if stem in cards and cards[stem].per_element:
        return cards[stem]
    raise unknown_name("metric", variable, cards)
