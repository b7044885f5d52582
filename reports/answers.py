"""The cells that a report shows in 3D and in slices: few enough to keep the page small."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.data import chemical_symbols

from benchmarks.cells import Arrays, CellResult
from benchmarks.metrics.sheet import match_in_plane
from reports.payload import Answer, Slice, Specimen, Truth

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

ATOM_BUDGET = 60_000
"""Atoms, summed over the answers of one page: about 25 byte each."""

MARGIN = 3.0
"""Å around the true atoms that slices show."""

WINDOW = (1.0, 99.9)
"""Percentiles of a cell's slices that are drawn black and white, on a square-root scale: light atoms beside
heavy ones stay visible."""

MAX_PIXELS = 256
"""Largest side of a slice on the page."""


def representative(
    cells: Sequence[CellResult], methods: Sequence[str], specimens: Sequence[Specimen]
) -> tuple[list[Truth], list[Answer]]:
    """Truths and answers of the first structure of each kind and its first replicate.

    All doses of the `methods` are taken while the atoms of all stay within `ATOM_BUDGET`, else doses spread
    over the sweep; of controls, which look the same at every dose, the middle dose only.
    """
    first = {(d.base, d.engine): d for d in reversed(specimens)}
    shown = [d for d in specimens if first[d.base, d.engine] is d]
    truths: list[Truth] = []
    answers: list[Answer] = []
    for specimen in shown:
        own = [c for c in cells if c.cell.dataset == specimen.name]
        room = ATOM_BUDGET / len(shown) / max(specimen.n_atoms, 1) / max(len(methods), 1)
        doses = spread_doses(specimen.doses, max(int(room), 1))
        middle = specimen.doses[len(specimen.doses) // 2]
        picked = [
            c
            for c in _first_replicates(own)
            if c.cell.dose in (doses if c.cell.kind != "control" else [middle])
        ]
        if not picked:
            continue
        truths.append(_truth(specimen.name, picked[0].arrays()))
        sheet = specimen.modality == "hrtem"
        answers += [_answer(cell, cell.arrays(), sheet) for cell in picked]
    return truths, answers


def spread_doses(doses: Sequence[float], most: int) -> list[float]:
    """At most `most` of `doses`, evenly spread; of one, the middle one."""
    if len(doses) <= most:
        return list(doses)
    if most == 1:
        return [doses[len(doses) // 2]]
    return [doses[round(i)] for i in np.linspace(0, len(doses) - 1, most)]


def _first_replicates(cells: Sequence[CellResult]) -> list[CellResult]:
    """Of each dose and method the answered cell with the lowest replicate."""
    chosen: dict[tuple[float, str], CellResult] = {}
    for result in sorted(cells, key=lambda r: r.cell.replicate):
        if not result.failed:
            chosen.setdefault((result.cell.dose, result.cell.reconstructor), result)
    return [result for result in cells if result in chosen.values()]


def _truth(dataset: str, arrays: Arrays) -> Truth:
    symbols = [chemical_symbols[int(number)] for number in arrays["truth_numbers"]]
    return Truth(dataset, symbols, arrays["truth_positions"].round(2).tolist())


def _pairs(arrays: Arrays, sheet: bool) -> tuple[IntArray, FloatArray, FloatArray]:
    """Pairs (n, 2), their residuals (n, 3) [Å] and the translation removed (3,) [Å]; of a frame those made in
    the plane, heights as they are.
    """
    if not sheet:
        return arrays["pairs"].reshape(-1, 2), arrays["residuals"].reshape(-1, 3), arrays["translation"]
    answer = Atoms(arrays["answer_numbers"], arrays["answer_positions"])
    truth = Atoms(arrays["truth_numbers"], arrays["truth_positions"])
    match = match_in_plane(answer, truth)
    i, j = match.pairs.reshape(-1, 2).T
    heights = answer.positions[j, 2] - truth.positions[i, 2]
    return match.pairs.reshape(-1, 2), np.column_stack([match.residuals[:, :2], heights]), match.translation


def _answer(result: CellResult, arrays: Arrays, sheet: bool) -> Answer:
    pairs, residuals, translation = _pairs(arrays, sheet)
    missed = np.setdiff1d(np.arange(len(arrays["truth_numbers"])), pairs[:, 0])
    false = np.setdiff1d(np.arange(len(arrays["answer_numbers"])), pairs[:, 1])
    positions = arrays["answer_positions"][false] - translation
    return Answer(
        dataset=result.cell.dataset,
        method=result.cell.reconstructor,
        dose=result.cell.dose,
        replicate=result.cell.replicate,
        matched=pairs[:, 0].tolist(),
        residuals=(100 * residuals).round(1).tolist(),
        missed=missed.tolist(),
        false=positions.round(2).tolist(),
        slices=_slices(arrays) if "slice_z" in arrays else [],
    )


def _slices(arrays: Arrays) -> list[Slice]:
    """The three slices, cut to the particle and drawn in grey from one window."""
    axes = {"z": "xy", "y": "xz", "x": "yz"}
    pieces = [(plane, *_cut(arrays, normal, plane)) for normal, plane in axes.items()]
    low, high = np.nanpercentile(np.concatenate([image.ravel() for _, image, _ in pieces]), WINDOW)
    return [
        Slice(plane, _png(np.clip((image - low) / (high - low or 1.0), 0, 1) ** 0.5), extent)
        for plane, image, extent in pieces
    ]


def _cut(arrays: Arrays, normal: str, plane: str) -> tuple[npt.NDArray[np.float64], list[float]]:
    """One slice as far as true atoms reach from the origin, and `MARGIN` more; its left, right, bottom and
    top [Å]. The three slices have the same size unless the volume is smaller.
    """
    image = arrays[f"slice_{normal}"].astype(float)
    reach = np.abs(arrays["truth_positions"]).max() + MARGIN
    keep, extent = [], []
    for name in plane:
        axis = arrays[f"axis_{name}"].astype(float)
        inside = np.flatnonzero(np.abs(axis) <= reach)
        inside = inside if len(inside) > 1 else np.arange(len(axis))
        step = (axis[-1] - axis[0]) / max(len(axis) - 1, 1)
        keep.append(slice(inside[0], inside[-1] + 1))
        extent += [float(axis[inside[0]] - step / 2), float(axis[inside[-1]] + step / 2)]
    across, up = keep
    return image[up, across], [round(edge, 3) for edge in extent]


def _png(image: npt.NDArray[np.float64]) -> str:
    """`image` (up, across) in [0, 1] as a grey PNG, base64, the lowest row last."""
    from PIL import Image

    grey = Image.fromarray((255 * np.clip(np.nan_to_num(image[::-1]), 0, 1)).round().astype(np.uint8))
    if max(grey.size) > MAX_PIXELS:
        grey.thumbnail((MAX_PIXELS, MAX_PIXELS), Image.Resampling.BOX)
    buffer = io.BytesIO()
    grey.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
