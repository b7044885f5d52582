"""The report of a results folder: one page, and its figures for print."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from datasets.errors import InputError
from reports.collect import collect
from reports.figures import (
    classification,
    dose_curves,
    orthoslices,
    position_error,
    residuals,
    style,
    thresholds,
)
from reports.page.render import render
from reports.payload import Payload, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGE = "index.html"
DATA = "payload.json"


def write_report(results: str | Path, out: str | Path | None = None, *, data_root: str | None = None) -> Path:
    """Write the report of the folder `results` into the folder `out` (default: RESULTS/report), and return
    the page's path, OUT/index.html.

    OUT/figures holds every figure as PNG and PDF, and captions.md; OUT/payload.json all that they show. Each
    part of an earlier report is replaced whole, and only once the new one is complete. The floor of the bound
    is shown where the limits of a dataset lie stored below `data_root`. Raises `InputError` when there are no
    results, when they are damaged, or when `out` cannot be written.
    """
    payload = collect(results, data_root)
    folder = Path(results) / "report" if out is None else Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".part-") as part:
            write_figures(payload, Path(part) / "figures")
            (Path(part) / PAGE).write_text(render(payload), encoding="utf-8")
            text = json.dumps(plain(payload), ensure_ascii=False, allow_nan=False)
            (Path(part) / DATA).write_text(text + "\n", encoding="utf-8")
            if (folder / "figures").exists():
                os.replace(folder / "figures", Path(part) / "earlier")
            os.replace(Path(part) / "figures", folder / "figures")
            for name in (DATA, PAGE):
                os.replace(Path(part) / name, folder / name)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise InputError(f"{folder}: the report cannot be written there ({error.strerror})") from error
    return folder / PAGE


def write_figures(payload: Payload, folder: Path) -> None:
    """Every figure of `payload` as PNG and PDF in `folder`, and their captions in captions.md."""
    import matplotlib.pyplot as plt

    folder.mkdir(parents=True)
    captions = [f"# Figures of {payload.name}", ""]
    with style.paper():
        for name, figure, caption in _figures(payload):
            figure.savefig(folder / f"{name}.png", metadata={"Software": None, "Description": caption})
            figure.savefig(folder / f"{name}.pdf", metadata={"CreationDate": None, "Subject": caption})
            plt.close(figure)
            captions += [f"**{name}.** {caption}", ""]
    (folder / "captions.md").write_text("\n".join(captions), encoding="utf-8")


def _figures(payload: Payload) -> Iterator[tuple[str, Figure, str]]:
    """Name, figure and caption of each figure, drawn one at a time."""
    if drawn := position_error.draw(payload):
        yield "position-error", *drawn
    for structure in dict.fromkeys(t.structure for t in payload.thresholds):
        if drawn := thresholds.draw(payload, structure):
            yield f"thresholds-{file_name(structure)}", *drawn
    for specimen in payload.datasets:
        name = file_name(specimen.name)
        yield f"dose-curves-{name}", *dose_curves.draw(payload, specimen.name)
        drawn = None if specimen.modality == "hrtem" else classification.draw(payload, specimen.name)
        if drawn:
            yield f"classification-{name}", *drawn
        dose = orthoslices.middle_dose(payload, specimen.name)
        if dose is None:
            continue
        if drawn := orthoslices.draw(payload, specimen.name, dose):
            yield f"orthoslices-{name}", *drawn
        if drawn := residuals.draw(payload, specimen.name, dose):
            yield f"residuals-{name}", *drawn


def file_name(name: str) -> str:
    """`name` as part of a file's name: `cuau-150[seed=2]` becomes `cuau-150-seed.2`."""
    return re.sub(r"[^\w.-]", "", re.sub(r"[\s(\[,]+", "-", name).replace("=", "."))
