"""The grid: every dataset, dose, replicate and method of a preset, run, resumed, and gathered."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import fsspec
import xarray as xr
from ase import Atoms
from tqdm import tqdm

from benchmarks.cells import Cell, CellResult, counts_key, trusted_cell, write_cell
from benchmarks.execute import Task, run_task
from benchmarks.limits.stored import prepare as prepare_limits
from benchmarks.methods import Method, make_methods
from benchmarks.metrics.angle_error import geometry_scores
from benchmarks.metrics.scoring import score_match
from benchmarks.preset import PresetCard, load_preset
from benchmarks.results import build_dataset, clear_results, write_results
from datasets.acquisition import true_acquisition
from datasets.catalog import DatasetCard, load_dataset
from datasets.errors import InputError
from datasets.naming import family
from datasets.store import DatasetStore
from recon.base import Reconstructor, Status


@dataclass(frozen=True)
class Grid:
    """A preset with every name resolved: nothing in it can be misspelt any more."""

    preset: PresetCard
    cards: tuple[DatasetCard, ...]
    methods: tuple[Method, ...]
    only: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The datasets of methods, by their labels, that do not run on all."""

    @classmethod
    def of(
        cls,
        preset: str | PresetCard,
        reconstructors: Sequence[str | Reconstructor | type[Reconstructor]] = (),
    ) -> Grid:
        """The grid of a preset (by name, file or itself), with further `reconstructors`. Raises
        `InputError`.
        """
        card = load_preset(preset) if isinstance(preset, str) else preset
        cards = tuple(load_dataset(name) for name in card.datasets)
        names = [c.name for c in cards]
        if len(set(names)) < len(names):
            raise InputError(f"preset {card.name!r} names a dataset twice: {', '.join(names)}")
        methods = make_methods([*card.reconstructors, *reconstructors], card.controls)
        only = {
            make_methods([method], ())[0].label: frozenset(load_dataset(name).name for name in datasets)
            for method, datasets in card.only.items()
        }
        return cls(card, cards, methods, only)

    def doses(self, card: DatasetCard) -> tuple[float, ...]:
        """The doses [e⁻/Å² per image] at which a dataset is imaged, each once."""
        return tuple(dict.fromkeys(self.preset.doses_of(card.name) or card.doses))

    def stored(self, card: DatasetCard, data_root: str | None) -> bool:
        """Whether all that the grid needs of a dataset is on disk."""
        store = DatasetStore(card, data_root)
        return all(store.has(dose, r) for dose in self.doses(card) for r in range(self.preset.replicates))

    def cells(self) -> list[tuple[Cell, DatasetCard, Method]]:
        """Every cell, one replicate after the other, so that whole dose curves appear early."""
        return [
            (_cell(card, dose, replicate, method), card, method)
            for replicate in range(self.preset.replicates)
            for card in self.cards
            for dose in self.doses(card)
            for method in self.methods
            if method.label not in self.only or card.name in self.only[method.label]
        ]


def _cell(card: DatasetCard, dose: float, replicate: int, method: Method) -> Cell:
    return Cell(
        dataset=card.name,
        dataset_key=counts_key(card),
        dose=dose,
        replicate=replicate,
        reconstructor=method.label,
        method=method.name,
        parameters=method.parameters,
        version=method.version,
        kind=method.kind,
    )


def run(
    preset: str | PresetCard,
    *,
    results: str,
    data_root: str | None = None,
    reconstructors: Sequence[str | Reconstructor | type[Reconstructor]] = (),
    scheduler: str | None = None,
    n_workers: int | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Run a grid and return its results, which are also written below `results` (folder or fsspec URL).

    First every name is checked, then the datasets are made, then the cells that are not done or that failed
    are run: on `n_workers` processes (default: one per core), on the dask cluster at `scheduler`, or with
    `n_workers=0` one after the other in this process. A cell is stored as soon as it ends; whatever ends the
    run, only the cells in flight are lost, and the next run does the rest. Raises `InputError` before any
    work, `StoreError` when a store is damaged or a disk full.
    """
    grid = Grid.of(preset, reconstructors)
    preset = grid.preset
    if n_workers is not None and n_workers < 0:
        raise InputError(f"n_workers must not be negative, it is {n_workers}")
    _open_folder(results, preset)
    for card in grid.cards:
        if not grid.stored(card, data_root):
            from datasets.simulate import simulate

            simulate(card, grid.doses(card), preset.replicates, root=data_root, progress=progress)
        prepare_limits(card, grid.doses(card), data_root, progress=progress)
    tasks = tasks_of(grid, results, data_root)
    todo = [task for task in tasks if not _is_done(task)]
    if todo:
        clear_results(results)
    with tqdm(
        total=len(tasks),
        initial=len(tasks) - len(todo),
        desc=preset.name,
        unit="cell",
        disable=None if progress else True,
        smoothing=0.1,
    ) as bar:
        failures = 0
        for task, status in _run(todo, scheduler, n_workers):
            failures += status.failed
            bar.set_postfix_str(f"{failures} failed, last {task.cell.reconstructor}", refresh=False)
            bar.update()
    return gather(grid, results)


def tasks_of(grid: Grid, results: str, data_root: str | None) -> list[Task]:
    """The cells of a grid, whose datasets are stored, with all that it takes to run each one."""
    described = {card.name: _describe(card, data_root) for card in grid.cards}
    run = uuid.uuid4().hex
    return [
        Task(
            cell=cell,
            method=method,
            card=card,
            dataset_info=described[card.name],
            data_root=data_root,
            results=results,
            scoring=grid.preset.scoring,
            time_limit=grid.preset.time_limit,
            run=run,
        )
        for cell, card, method in grid.cells()
    ]


def _open_folder(results: str, preset: PresetCard) -> None:
    """Make the results folder and note the preset in it, before any long work."""
    fs, path = fsspec.url_to_fs(results)
    try:
        fs.makedirs(f"{path}/cells", exist_ok=True)
        fs.pipe_file(f"{path}/preset.yaml", preset.to_yaml().encode())
    except OSError as error:
        raise InputError(f"{results}: results cannot be written there ({error.strerror})") from error


def _describe(card: DatasetCard, data_root: str | None) -> dict[str, str | int]:
    """What a reader of results needs to know of a dataset."""
    truth = DatasetStore(card, data_root).truth()
    return {
        "base": family(card.name),
        "title": card.title,
        "modality": card.imaging.modality,
        "engine": card.imaging.engine,
        "reference": card.reference,
        "elements": " ".join(sorted(set(truth.get_chemical_symbols()))),
        "n_atoms": len(truth),
        "n_images": card.n_images,
    }


def _is_done(task: Task) -> bool:
    """Whether a cell has an answer; one scored by another rule is first scored again from what is stored."""
    result = trusted_cell(task.results, task.cell.key)
    if result is None or result.failed:
        return False
    if dict(result.scoring) != task.scoring_record():
        _score_again(task, result)
    return True


def _score_again(task: Task, result: CellResult) -> None:
    arrays = result.arrays()
    scores, match = score_match(
        result.answer() or Atoms(), result.truth(), task.scoring, result.stats, task.limit()
    )
    arrays |= {"pairs": match.pairs, "residuals": match.residuals, "translation": match.translation}
    if (geometry := result.geometry()) is not None:
        scores |= geometry_scores(geometry, true_acquisition(task.card))
    write_cell(task.results, replace(result, scores=scores, scoring=task.scoring_record()), arrays)


def _run(
    tasks: Sequence[Task], scheduler: str | None, n_workers: int | None
) -> Iterator[tuple[Task, Status]]:
    here = n_workers == 0 and scheduler is None
    if here or all(task.method.kind == "control" for task in tasks):  # no process is worth starting for these
        for task in tasks:
            yield task, run_task(task)
        return
    from benchmarks.cluster import run_on_cluster

    yield from run_on_cluster(tasks, scheduler, n_workers)


def gather(grid: Grid, results: str) -> xr.Dataset:
    """The results of a grid from its stored cells, written below `results` as zarr and CSV."""
    found = [trusted_cell(results, cell.key) for cell, _, _ in grid.cells()]
    data = build_dataset([result for result in found if result is not None], attrs=grid.preset.attributes)
    write_results(results, data)
    return data
