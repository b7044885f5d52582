"""The figures of a paper from results folders: one page, and every figure for print."""

from __future__ import annotations

import csv
import io
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from datasets.errors import InputError
from reports.figures import style
from reports.figures.paper_000 import (
    calibration,
    convergence,
    dose,
    frames,
    geometry,
    localisation,
    strain_maps,
)
from reports.figures.paper_002 import augmentation, confusion, wedge
from reports.figures.paper_002 import dose as network_dose
from reports.figures.paper_003 import alignment, alloy, defocus, rings, silicon, tilt_angles
from reports.figures.paper_004 import convergence as passes
from reports.figures.paper_004 import equal_dose, grids, summary
from reports.figures.plate import Plate, compose
from reports.page.paper import Drawn, render
from reports.provenance import provenance
from reports.report import PAGE, file_name
from reports.series import Collection, merged, open_collection

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CACHE = "reconstructed"
"""The folder of what was reconstructed again for the pictures; it may be deleted."""


@dataclass(frozen=True)
class Source:
    """A paper: its `reference`; the presets that are run, by scale; how to read the page, in sentences; and
    each of its figures with what draws it.
    """

    reference: str
    presets: Mapping[str, tuple[str, ...]]
    reading: str
    figures: tuple[tuple[str, Callable[[Collection, Path], Plate | list[Plate]]], ...]


PAPERS: dict[str, Source] = {
    "000": Source(
        "“Physics-informed 3D atomic reconstruction and dynamics of free-standing graphene from single "
        "low-dose TEM images”, Zhang et al. (2026)",
        {"small": ("graphene-smoke",), "full": ("graphene", "graphene-series")},
        "Every panel is ours, from simulated frames whose truth is known; the paper's numbers are the black "
        "bars and dashed lines. It states neither its defocus nor how it paired atoms, and its code holds no "
        "working reconstruction to compare with.",
        (
            ("Fig. 1a", calibration.plate),
            ("Fig. 2", convergence.plate),
            ("Fig. 3", frames.plate),
            ("Fig. 4", strain_maps.plate),
            ("Fig. 5", geometry.plate),
            ("Fig. 6", localisation.plate),
            ("Fig. 7", dose.plate),
        ),
    ),
    "001": Source(
        "“Physics-aware neural networks enable robust and full atomic structure determination via low-dose "
        "atomic electron tomography”, Zhou et al., arXiv:2603.19942 (2026)",
        {"small": ("neural",), "full": ("neural",)},
        "Of this paper the abstract is public, with no number in it: all here is ours, by networks that "
        "are our reading of it, trained on other materials than those shown.",
        (
            ("By dose", network_dose.plate),
            ("Species", confusion.plate),
            ("Missing wedge", wedge.plate),
        ),
    ),
    "002": Source(
        "“Advancing atomic electron tomography with neural networks”, Lee and Yang, Appl. Microsc. 55, 7 "
        "(2025)",
        {"small": ("neural",), "full": ("neural",)},
        "A review: its figures show experiments, whose truth nobody knows. Here networks of the same kind, "
        "trained on linear images of other materials, are held to the truth of simulated ones.",
        (
            ("Fig. 3a–f", augmentation.plate),
            ("By dose", network_dose.plate),
            ("Missing wedge", wedge.plate),
        ),
    ),
    "003": Source(
        "“Accurate determination of the 3D atomic structure of amorphous materials”, Nature (2026), "
        "doi:10.1038/s41586-025-09857-4",
        {"small": ("paper-003-small",), "full": ("paper-003",)},
        "Every panel is ours; the paper's numbers are the black bars and dashed lines, and hold for its own, "
        "mostly larger, particles. Its rule of scoring is more lenient than ours, so that each answer is "
        "scored by both.",
        (
            ("Fig. 1", silicon.plates),
            ("Fig. 2", alloy.sigesn),
            ("Fig. 3", alloy.copdpt),
            ("Fig. 4", rings.plate),
            ("Extended Data Fig. 5", alignment.plate),
            ("Extended Data Fig. 6", defocus.plate),
            ("Extended Data Fig. 7", tilt_angles.plate),
        ),
    ),
    "004": Source(
        "“Multislice electron tomography using four-dimensional scanning transmission electron microscopy”, "
        "Lee et al., Phys. Rev. Applied 19, 054062 (2023)",
        {"small": ("paper-004-small", "phase-contrast"), "full": ("paper-004",)},
        "Every panel is ours; the paper's numbers, where its text gives any, stand in brackets or as black "
        "bars, and hold for its own particles of 1,602 and 987 atoms. It states no rule for pairing "
        "atoms; ours is one to one.",
        (
            ("Fig. 2", passes.plate),
            ("Fig. 3", grids.algorithms),
            ("Fig. 4", grids.steps),
            ("Fig. 5", grids.doses),
            ("Fig. 6", grids.tilt_ranges),
            ("Fig. 7", grids.typical),
            ("Fig. 8", grids.sparse),
            ("Fig. 9", summary.plate),
            ("Equal dose", equal_dose.plate),
        ),
    ),
}
"""Every paper whose figures can be drawn, by its number."""


@dataclass(frozen=True)
class Paper:
    """What was written: the page, the titles of the figures, and a sentence for whatever is missing."""

    page: Path
    figures: tuple[str, ...]
    missing: tuple[str, ...]


def write_paper(
    number: str,
    results: str | Path | Sequence[str | Path],
    out: str | Path | None = None,
    *,
    data_root: str | None = None,
    progress: bool = False,
) -> Paper:
    """Draw the figures of paper `number` from the folder `results`, or several, into `out` (default:
    RESULTS/paper-NUMBER in the first).

    Pictures of volumes take the counts below `data_root`, from which a few cells are reconstructed again,
    once. OUT/index.html is the page; OUT/figures holds each figure as PNG, SVG and PDF with captions.md;
    OUT/numbers.csv all numbers. A figure that the results do not allow is a sentence. Raises `InputError` or
    `StoreError` when there are no results, or when `out` cannot be written.
    """
    from tqdm import tqdm

    source = PAPERS[number]
    folders = [results] if isinstance(results, (str, Path)) else list(results)
    collection = merged([open_collection(one, data_root) for one in folders])
    folder = Path(folders[0]) / f"paper-{number}" if out is None else Path(out)
    drawn: list[Drawn] = []
    missing: list[tuple[str, str]] = []
    tables: list[list[str]] = []
    captions = [f"# Figures of paper {number} from {collection.preset}", ""]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".part-") as part:
            figures = Path(part) / "figures"
            figures.mkdir()
            for title, draw in tqdm(source.figures, unit="figure", disable=None if progress else True):
                try:
                    found = draw(collection, folder / CACHE)
                except InputError as error:
                    missing.append((title, _sentence(error)))
                    continue
                for plate in found if isinstance(found, list) else [found]:
                    drawn.append(write_plate(plate, figures))
                    tables += [[plate.key, *row] for row in plate.rows[1:]]
                    captions += [f"**{plate.key}: {plate.title}.** {plate.caption}", ""]
                    captions += [f"Note: {note}\n" for note in plate.notes]
            missing += [("Results", note) for note in collection.notes]
            (figures / "captions.md").write_text("\n".join(captions), encoding="utf-8")
            header = ("figure", *(drawn[0].rows[0] if drawn else ()))
            (Path(part) / "numbers.csv").write_text(_csv([header, *tables]), encoding="utf-8")
            (Path(part) / PAGE).write_text(
                render(
                    drawn,
                    missing,
                    number=number,
                    reference=source.reference,
                    reading=source.reading,
                    name=collection.preset,
                    provenance=provenance([cell for s in collection.series for cell in s.cells]),
                    command=f"dosebench paper {number}",
                ),
                encoding="utf-8",
            )
            _replace(Path(part), folder)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise InputError(f"{folder}: the figures cannot be written there ({error.strerror})") from error
    return Paper(
        folder / PAGE,
        tuple(figure.title for figure in drawn),
        tuple(f"{title}: {reason}" for title, reason in missing),
    )


def write_plate(plate: Plate, folder: Path) -> Drawn:
    """A plate in `folder` as PNG, SVG and PDF, and both its layouts for the page."""
    import matplotlib.pyplot as plt

    name = file_name(plate.key)
    with style.paper():
        wide = compose(plate.panels)
        caption = f"{plate.title}. {plate.caption}"
        wide.savefig(folder / f"{name}.png", metadata={"Software": None, "Description": caption})
        wide.savefig(folder / f"{name}.pdf", metadata={"CreationDate": None, "Subject": caption})
        (folder / f"{name}.svg").write_bytes(_svg(wide))
        narrow = compose(plate.panels, narrow=True)
        made = Drawn(
            key=name,
            title=plate.title,
            wide=_svg(wide),
            wide_size=_pixels(wide),
            narrow=_svg(narrow),
            narrow_size=_pixels(narrow),
            caption=plate.caption,
            alt=plate.alt,
            notes=plate.notes,
            rows=plate.rows,
        )
        plt.close(wide)
        plt.close(narrow)
    return made


def _pixels(figure: Figure) -> tuple[int, int]:
    width, height = figure.get_size_inches()
    return round(100 * width), round(100 * height)


def _svg(figure: Figure) -> bytes:
    import matplotlib

    drawn = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "none"}):  # text as text: a tenth of the size
        figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
    return drawn.getvalue()


def _csv(rows: Iterable[Iterable[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _sentence(error: InputError) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."


def _replace(part: Path, folder: Path) -> None:
    """Put what is complete in the place of what was there."""
    if (folder / "figures").exists():
        os.replace(folder / "figures", part / "earlier")
    for name in ("figures", "numbers.csv", PAGE):
        os.replace(part / name, folder / name)
