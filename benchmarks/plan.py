"""What a run would do and cost, without doing it."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import fsspec

from benchmarks.cells import Cell, CellResult, load_cells
from benchmarks.grid import Grid
from benchmarks.preset import PresetCard
from recon.base import Reconstructor


@dataclass(frozen=True)
class Plan:
    """What a run would do. `seconds` of computing, and `bytes` of cells; None where nothing is known."""

    cells: int
    done: int
    failed: int
    """Cells that were run and failed; they are run again."""
    datasets_to_make: dict[str, str]
    """Datasets that are not stored, with what their cards say that they cost."""
    seconds: float | None
    bytes: int | None
    basis: str
    """What the estimate rests on."""

    @property
    def to_run(self) -> int:
        """Cells that would be run."""
        return self.cells - self.done


def plan(
    preset: str | PresetCard,
    *,
    results: str,
    data_root: str | None = None,
    reconstructors: Sequence[str | Reconstructor | type[Reconstructor]] = (),
) -> Plan:
    """What `run` would do with the same arguments, and what it would cost; nothing is computed.

    The cost of a cell is the median of the same method's recorded cells in `results`, on that dataset where
    there are any. Raises `InputError`.
    """
    grid = Grid.of(preset, reconstructors)
    cells = grid.cells()
    recorded = {result.cell.key: result for result in load_cells(results)}
    found = {cell.key: recorded.get(cell.key) for cell, _, _ in cells}
    todo = [cell for cell, _, _ in cells if (r := found[cell.key]) is None or r.failed]
    known = [seconds for cell in todo if (seconds := _seconds_of(cell, recorded.values())) is not None]
    sizes = [_stored_bytes(r) for r in recorded.values() if not r.failed]
    missing = {card.name: card.cost for card in grid.cards if not grid.stored(card, data_root)}
    return Plan(
        cells=len(cells),
        done=len(cells) - len(todo),
        failed=sum(1 for r in found.values() if r is not None and r.failed),
        datasets_to_make=missing,
        seconds=sum(known) * len(todo) / len(known) if known else (None if todo else 0.0),
        bytes=int(statistics.mean(sizes) * len(todo)) if sizes else None,
        basis=_basis(len(todo), len(known), len(recorded), grid.preset.cost),
    )


def _seconds_of(cell: Cell, recorded: Iterable[CellResult]) -> float | None:
    same = [r for r in recorded if r.cell.method == cell.method and "seconds" in r.provenance]
    same = [r for r in same if not r.failed] or same
    here = [r for r in same if r.cell.dataset == cell.dataset] or same
    seconds = [float(r.provenance["seconds"]) for r in here]
    return statistics.median(seconds) if seconds else None


def _basis(todo: int, known: int, recorded: int, cost: str) -> str:
    if not todo:
        return "every cell is done"
    if known:
        return f"{recorded} recorded cells, which know the method of {known} of the {todo} cells to run"
    return f"no recorded cell; the preset says: {cost}" if cost else "no recorded cell"


def _stored_bytes(result: CellResult) -> int:
    fs, path = fsspec.url_to_fs(result.url)
    return int(fs.size(f"{path}.npz")) + int(fs.size(f"{path}.json"))
