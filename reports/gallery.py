"""The gallery: every structure drawn from two sides, with what shows its order and what was checked."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from datasets.catalog import StructureCard, load_structure, structure_names
from datasets.errors import InputError
from reports import quantities
from reports.figures import style
from reports.figures.structures import Drawing
from reports.page.gallery import Exhibit, Panel, render
from reports.report import PAGE, file_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OUT = Path("results", "structures")
SCREEN_DPI = 160
"""Resolution of drawings of atoms on the page; those for print have that of `style.paper`."""
COLOURS = 192
"""Colours of a drawing on the page: few enough for a small file, too many to be told from all."""


@dataclass(frozen=True)
class Gallery:
    """What was written: the page, and what it shows."""

    page: Path
    exhibits: tuple[Exhibit, ...]

    @property
    def failures(self) -> list[str]:
        """What could not be made, a sentence each."""
        return [f"{shown.name}: {shown.failure}" for shown in self.exhibits if shown.failure]


def write_gallery(
    names: Sequence[str] = (),
    out: str | Path | None = None,
    *,
    root: str | None = None,
    progress: bool = False,
) -> Gallery:
    """Draw the structures `names` (default: the whole catalog) into the folder `out`, results/structures.

    Structures that are neither shipped nor stored below `root` are made and stored, which can take hours for
    the largest; their cards say how long. OUT/figures holds each figure as PNG and PDF. One that cannot be
    made is a sentence on the page. Raises `InputError` for an unknown name or quantity, before any work, and
    when `out` cannot be written.
    """
    from tqdm import tqdm

    from datasets.store import data_root
    from datasets.structures.validate import check_card

    cards = [load_structure(name) for name in names or structure_names()]
    for card in cards:
        check_card(card)
    folder = OUT if out is None else Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".part-") as part:
            figures = Path(part) / "figures"
            figures.mkdir()
            exhibits = []
            with tqdm(cards, unit="structure", disable=None if progress else True) as bar:
                for card in bar:
                    bar.set_description(card.name)
                    exhibits.append(exhibit(card, figures, root or data_root(), progress))
            (Path(part) / PAGE).write_text(render(exhibits), encoding="utf-8")
            if (folder / "figures").exists():
                os.replace(folder / "figures", Path(part) / "earlier")
            os.replace(figures, folder / "figures")
            os.replace(Path(part) / PAGE, folder / PAGE)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise InputError(f"{folder}: the gallery cannot be written there ({error.strerror})") from error
    return Gallery(folder / PAGE, tuple(exhibits))


def exhibit(card: StructureCard, figures: Path, root: str, progress: bool = False) -> Exhibit:
    """One structure made, drawn into the folder `figures` and checked; a sentence where it cannot be."""
    import matplotlib.pyplot as plt

    from datasets.structures import make_structure
    from datasets.structures.analysis.analysis import Analysis

    about = Exhibit(
        name=card.name,
        title=card.title,
        reference=card.reference,
        generator=card.recipe.generator,
        version=card.recipe.version,
        seed=card.recipe.seed,
        cost=card.cost,
    )
    try:
        atoms = make_structure(card.recipe, root=root, progress=progress)
    except Exception as error:  # whatever stops one structure, the others are drawn
        return replace(about, failure=_sentence(error))
    analysis = Analysis(atoms)
    about = replace(about, formula=atoms.get_chemical_formula(), n_atoms=len(atoms))
    panels, notes = [], []
    for draw in quantities.figures(card, analysis):
        try:
            drawings = list(draw())
        except InputError as error:  # such as a particle that is too small to have a core
            notes.append(_sentence(error))
            continue
        for drawing in drawings:
            panels.append(panel(drawing, figures / f"{file_name(card.name)}-{drawing.key}", card.name))
            plt.close(drawing.figure)
    checks = quantities.checks(card, analysis)
    return replace(about, panels=tuple(panels), checks=checks, notes=tuple(dict.fromkeys(notes)))


def _sentence(error: Exception) -> str:
    """What an error says, with its kind where it is not meant for users."""
    text = " ".join(str(error).split()) or "no reason given"
    text = text if isinstance(error, InputError) else f"{type(error).__name__}: {text}"
    return text if text.endswith((".", "!", "?")) else f"{text}."


def panel(drawing: Drawing, path: Path, name: str) -> Panel:
    """`drawing` written as PNG and PDF beside the page, and as a smaller picture for the page."""
    caption = f"{name}: {drawing.caption}"
    with style.paper():
        drawing.figure.savefig(path.with_suffix(".png"), metadata={"Software": None, "Description": caption})
        drawing.figure.savefig(path.with_suffix(".pdf"), metadata={"CreationDate": None, "Subject": caption})
        width, height = (round(100 * inches) for inches in drawing.figure.get_size_inches())
        image = _small_png(drawing.figure) if drawing.atoms else _svg(drawing.figure)
    kind = "png" if drawing.atoms else "svg+xml"
    return Panel(drawing.title, image, kind, width, height, drawing.caption, drawing.alt)


def _small_png(figure: Figure) -> bytes:
    from PIL import Image

    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=SCREEN_DPI, metadata={"Software": None})
    image = (
        Image.open(drawn)
        .convert("RGB")
        .quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    )
    small = io.BytesIO()
    image.save(small, format="png", optimize=True)
    return small.getvalue()


def _svg(figure: Figure) -> bytes:
    import matplotlib

    drawn = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "none"}):  # text as text: a tenth of the size
        figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
    return drawn.getvalue()
