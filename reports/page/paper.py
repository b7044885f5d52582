"""The figures of a paper as one HTML file, in the look of the report; it needs no script."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import jinja2
from markupsafe import Markup


@dataclass(frozen=True)
class Drawn:
    """One figure of the page: `wide` for a window, `narrow` for a telephone, both SVG, with width and height
    in CSS pixels. `rows` are its table, the first one the names of its columns.
    """

    key: str
    title: str
    wide: bytes
    wide_size: tuple[int, int]
    narrow: bytes
    narrow_size: tuple[int, int]
    caption: str
    alt: str
    notes: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def wide_source(self) -> str:
        """The picture for a window as a data address."""
        return _source(self.wide)

    @property
    def narrow_source(self) -> str:
        """The picture for a telephone as a data address."""
        return _source(self.narrow)


def _source(image: bytes) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(image).decode('ascii')}"


def render(
    drawn: Sequence[Drawn],
    missing: Sequence[tuple[str, str]],
    *,
    number: str,
    reference: str,
    reading: str,
    name: str,
    provenance: Sequence[tuple[str, str]],
    command: str,
) -> str:
    """The page as HTML. `missing` are the figures that could not be drawn, and why."""
    folder = files("reports.page")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((folder / "paper.html").read_text(encoding="utf-8"))
    styles = [
        (folder / part).read_text(encoding="utf-8") for part in ("report.css", "gallery.css", "paper.css")
    ]
    return template.render(
        drawn=drawn,
        missing=missing,
        headline=headline(number, len(drawn), len(missing)),
        number=number,
        reference=reference,
        reading=reading,
        name=name,
        provenance=provenance,
        command=command,
        css=Markup("".join(styles)),
    )


def headline(number: str, n_drawn: int, n_missing: int) -> str:
    """How many figures there are, and how many could not be drawn."""
    figures = f"{n_drawn} figure{'' if n_drawn == 1 else 's'} of paper {number} drawn from our own results"
    return f"{figures}." if not n_missing else f"{figures}; {n_missing} could not be."
