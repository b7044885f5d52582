"""The gallery of structures as one HTML file, in the look of the report; it needs no script."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import jinja2
from markupsafe import Markup, escape

from reports.figures import elements

CALLED = "dosebench report --structures"


@dataclass(frozen=True)
class Panel:
    """One picture of the page: `image` its bytes, `kind` their type, width and height in CSS pixels."""

    title: str
    image: bytes
    kind: str
    width: int
    height: int
    caption: str
    alt: str

    @property
    def source(self) -> str:
        """The picture as a data address."""
        return f"data:image/{self.kind};base64,{base64.b64encode(self.image).decode('ascii')}"


@dataclass(frozen=True)
class Check:
    """A quantity over `n` atoms, bonds or angles beside its range, as text; `ok`: it lies inside."""

    label: str
    value: str
    n: str
    range: str
    source: str
    ok: bool

    @property
    def verdict(self) -> str:
        """`ok`, `OUT` of range, or `missing` where there is no value."""
        return "ok" if self.ok else "OUT" if self.n else "missing"


@dataclass(frozen=True)
class Exhibit:
    """All that the page says of one structure.

    `failure` is the sentence in its place when it could not be made, `notes` say which figures are missing.
    """

    name: str
    title: str
    reference: str
    generator: str
    version: int
    seed: int
    cost: str
    formula: str = ""
    n_atoms: int = 0
    panels: tuple[Panel, ...] = ()
    checks: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()
    failure: str = ""

    @property
    def anchor(self) -> str:
        """The id of its heading."""
        return "structure-" + re.sub(r"[^\w-]+", "-", self.name).strip("-")

    @property
    def n_ok(self) -> int:
        """How many checks hold."""
        return sum(check.ok for check in self.checks)


def render(exhibits: Sequence[Exhibit]) -> str:
    """The gallery as HTML."""
    folder = files("reports.page")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((folder / "gallery.html").read_text(encoding="utf-8"))
    styles = [(folder / name).read_text(encoding="utf-8") for name in ("report.css", "gallery.css")]
    return template.render(
        exhibits=exhibits,
        css=Markup("".join(styles)),
        headline=headline(exhibits),
        findings=findings(exhibits),
        formula=formula,
        radius_factor=elements.RADIUS_FACTOR,
        command=" ".join([CALLED, *(exhibit.name for exhibit in exhibits)]),
    )


def headline(exhibits: Sequence[Exhibit]) -> str:
    """How many structures there are, and how many of their checks hold."""
    n, ok = sum(len(exhibit.checks) for exhibit in exhibits), sum(exhibit.n_ok for exhibit in exhibits)
    many = f"{len(exhibits)} structure{'s' if len(exhibits) != 1 else ''}"
    if not n:
        return f"{many}; their cards state no ranges to check."
    verb = "lies" if n == 1 else "lie"
    if ok == n:
        return (
            f"{many}: {'the one quantity' if n == 1 else f'all {n} quantities'} checked {verb} within range."
        )
    return f"{many}: {ok} of {n} quantities checked {'lies' if ok == 1 else 'lie'} within range."


def findings(exhibits: Sequence[Exhibit]) -> list[str]:
    """What is out of its range, and what could not be made: one sentence each."""
    sentences = []
    for exhibit in exhibits:
        sentences += [
            f"{exhibit.name}: {check.label} is {check.value}, outside {check.range}."
            for check in exhibit.checks
            if check.verdict == "OUT"
        ]
        missing = [check.label for check in exhibit.checks if check.verdict == "missing"]
        if missing:
            sentences.append(f"{exhibit.name}: not measured: {', '.join(missing)}.")
        if exhibit.failure:
            sentences.append(f"{exhibit.name} was not made: {exhibit.failure}")
    return sentences


def formula(text: str) -> Markup:
    """A chemical formula with its numbers as subscripts."""
    return Markup(re.sub(r"(\d+)", r"<sub>\1</sub>", str(escape(text))))
