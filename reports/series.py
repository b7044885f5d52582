"""The datasets and methods of a results folder, found by what they are and not by what they are called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import xarray as xr
from ase.data import atomic_numbers

from benchmarks.cells import CellResult, counts_key, load_cells
from benchmarks.metrics.match import CUTOFF
from benchmarks.preset import load_preset
from benchmarks.results import open_results
from datasets.catalog import DatasetCard, ImperfectionCard, load_dataset
from datasets.errors import InputError
from datasets.imaging.detector import Imperfections
from datasets.naming import parse_name
from datasets.store import DatasetStore
from reports.names import short_names

TILT, DEFOCUS, SHIFT, INTENSITY = "tilt", "defocus", "shift", "intensity"
SCAN, DRIFT, WEDGE = "scan", "drift", "wedge"
KINDS: Mapping[str, str] = {
    TILT: "tilt_rms",
    DEFOCUS: "defocus_range",
    SHIFT: "shift_range",
    INTENSITY: "intensity_rms",
    SCAN: "scan_rms",
    DRIFT: "drift_rms",
    WEDGE: "missing_wedge",
}
"""The kinds of imperfection, and the field of the card that each is in."""


def imperfections(card: ImperfectionCard) -> frozenset[str]:
    """Which kinds of imperfection a series has."""
    return frozenset(kind for kind, name in KINDS.items() if getattr(card, name))


def in_words(card: ImperfectionCard) -> str:
    """The imperfections of a series as a caption names them."""
    words = {
        TILT: f"tilt angles wrong by {card.tilt_rms:g}° rms on three axes",
        DEFOCUS: f"random defocus within ±{card.defocus_range / 10:g} nm",
        SHIFT: f"shifts up to {card.shift_range:g} Å",
        INTENSITY: f"intensities wrong by {100 * card.intensity_rms:g} % rms",
        SCAN: f"rows displaced by {card.scan_rms:g} Å rms",
        DRIFT: f"a drift of {card.drift_rms:g} Å rms",
        WEDGE: f"a missing wedge of {card.missing_wedge:g}°",
    }
    found = [words[kind] for kind in KINDS if kind in imperfections(card)]
    return ", ".join(found) if found else "no imperfection"


@dataclass(frozen=True)
class Series:
    """The results of one dataset. `cells` are all that were run, of several attempts at one the latest."""

    name: str
    card: DatasetCard
    elements: tuple[str, ...]
    """Lightest first."""
    n_atoms: int
    n_images: int
    cells: tuple[CellResult, ...]
    store: DatasetStore

    @property
    def kinds(self) -> frozenset[str]:
        """Its kinds of imperfection."""
        return imperfections(self.card.imperfections)

    def true_imperfections(self) -> Imperfections:
        """The errors of every image, as they were drawn for it."""
        nominal = self.card.tilts.theta()
        drawn = Imperfections.draw(self.card.imperfections, len(nominal))
        return drawn.of(self.card.imperfections.recorded(nominal))

    @property
    def linear(self) -> bool:
        """Whether its images are linear ones, in which there is no defocus."""
        return self.card.imaging.engine == "linear"

    @property
    def scale(self) -> str:
        """What was imaged, in words: `copdpt-300 (300 atoms, 19 multislice images)`."""
        engine = self.card.imaging.engine
        kind = "4D-STEM scans" if self.card.imaging.modality == "4dstem" else "images"
        images = f"one frame by {engine}" if self.is_frame else f"{self.n_images} {engine} {kind}"
        return f"{self.name} ({self.n_atoms:,} atoms, {images})"

    @property
    def is_frame(self) -> bool:
        """Whether it is a single frame and no tilt series."""
        return self.card.imaging.modality == "hrtem"

    def doses(self, method: str) -> list[float]:
        """The doses [e⁻/Å² per image] at which a method has an answer."""
        return sorted({c.cell.dose for c in self.cells if c.cell.reconstructor == method and not c.failed})

    def replicates(self, method: str, dose: float) -> list[CellResult]:
        """The cells of one method at one dose, failed ones included."""
        return [c for c in self.cells if (c.cell.reconstructor, c.cell.dose) == (method, dose)]

    def methods(self) -> list[str]:
        """The labels of the reconstructors that have answers, controls left out."""
        answered = (c for c in self.cells if c.cell.kind != "control" and not c.failed)
        return list(dict.fromkeys(c.cell.reconstructor for c in answered))

    def parameters(self, method: str) -> Mapping[str, Any]:
        """All parameters of a method."""
        return next(c.cell.parameters for c in self.cells if c.cell.reconstructor == method)

    def choose(self, family: str, **wanted: Sequence[object]) -> str | None:
        """The method of a family (`resire`; any where there is none of it) with parameters among those
        `wanted`, of several the one with the fewest parameters off their defaults; None without any.
        """
        fitting = [
            m
            for m in self.methods()
            if all(self.parameters(m).get(name) in values for name, values in wanted.items())
        ]
        return min(fitting, key=lambda m: (parse_name(m)[0] != family, len(parse_name(m)[1])), default=None)


@dataclass(frozen=True)
class Collection:
    """All series of a results folder: `data` are the results, `names` the short name of each method."""

    folder: str
    data: xr.Dataset
    series: tuple[Series, ...]
    names: Mapping[str, str]
    preset: str
    notes: tuple[str, ...] = ()
    """What could not be used, a sentence each."""

    @property
    def cutoff(self) -> float:
        """Å, of the one-to-one pairs."""
        return float(self.data.attrs.get("cutoff", CUTOFF))

    def find(
        self,
        elements: Iterable[str],
        *,
        needed: Iterable[str] = (),
        preferred: Iterable[str] = (),
        only: bool = False,
    ) -> list[Series]:
        """The series of these elements with the `needed` kinds of imperfection (`only`: with no other), first
        those whose kinds are closest to needed and `preferred` ones, of these first the largest.
        """
        asked = frozenset(needed)
        like = asked | frozenset(preferred)
        found = [s for s in self.series if set(s.elements) == set(elements) and asked <= s.kinds]
        if only:
            found = [s for s in found if s.kinds == asked]
        return sorted(found, key=lambda s: (len(s.kinds ^ like), -s.n_atoms, s.linear))


def open_collection(results: str | Path, data_root: str | None = None) -> Collection:
    """The series in the folder `results`, with the dataset stores below `data_root`.

    Raises `StoreError` when there are no results.
    """
    folder = str(results)
    data = open_results(folder)
    known = set(data["dataset"].values.tolist())
    latest = {
        (c.cell.dataset, c.cell.dose, c.cell.replicate, c.cell.reconstructor): c
        for c in sorted(load_cells(folder), key=lambda c: str(c.provenance.get("time", "")))
    }
    ran = [c for c in latest.values() if c.cell.dataset in known]
    preset = Path(folder) / "preset.yaml"
    card = load_preset(str(preset)) if preset.exists() else None
    cards, notes = _cards(data["dataset"].values.tolist(), card.datasets if card else ())
    series = []
    for name, dataset in cards.items():
        own = sorted((c for c in ran if c.cell.dataset == name), key=lambda c: c.cell.place)
        if all(c.failed or c.cell.kind == "control" for c in own):
            notes.append(f"{name}: no method has an answer.")
            continue
        if counts_key(dataset) != own[0].cell.dataset_key:
            notes.append(f"{name}: its card has changed since these results were made, so it is left out.")
            continue
        series.append(_series(name, dataset, tuple(own), data_root))
    labels = [str(n) for n in data["reconstructor"].values]
    asked = card.reconstructors if card else ()
    title = card.name if card else Path(folder).resolve().name
    return Collection(folder, data, tuple(series), short_names(labels, asked), title, tuple(notes))


def merged(collections: Sequence[Collection]) -> Collection:
    """Several results folders as one; of a cell that several hold the first is taken. The rule of scoring is
    that of the first.
    """
    first = collections[0]
    series: dict[str, Series] = {}
    names: dict[str, str] = {}
    for collection in collections:
        for one in collection.series:
            before = series.get(one.name)
            series[one.name] = one if before is None else _with_cells(before, one)
        names = {**collection.names, **names}
    return replace(
        first,
        series=tuple(series.values()),
        names=names,
        preset=" and ".join(dict.fromkeys(c.preset for c in collections)),
        notes=tuple(note for collection in collections for note in collection.notes),
    )


def _with_cells(one: Series, other: Series) -> Series:
    """`one` with the cells of `other` that it lacks."""
    held = {c.cell.place for c in one.cells}
    more = [c for c in other.cells if c.cell.place not in held]
    if not more:
        return one
    return replace(one, cells=tuple(sorted((*one.cells, *more), key=lambda c: c.cell.place)))


def _cards(names: Sequence[str], asked: Sequence[str]) -> tuple[dict[str, DatasetCard], list[str]]:
    """The card of each dataset by its name in results; `asked` are the names or files in the preset."""
    cards: dict[str, DatasetCard] = {}
    notes = []
    for entry in (*asked, *names):
        try:
            card = load_dataset(entry)
        except (InputError, OSError) as error:
            notes.append(f"{entry}: its card cannot be read ({error}), so it is left out.")
            continue
        cards.setdefault(card.name, card)
    return {name: cards[name] for name in names if name in cards}, [
        note for note in dict.fromkeys(notes) if note.partition(":")[0] not in cards
    ]


def _series(name: str, card: DatasetCard, cells: tuple[CellResult, ...], root: str | None) -> Series:
    info = cells[0].dataset_info
    elements = tuple(sorted(str(info["elements"]).split(), key=lambda symbol: atomic_numbers[symbol]))
    return Series(
        name=name,
        card=card,
        elements=elements,
        n_atoms=int(cells[0].scores["n_truth"]),
        n_images=card.n_images,
        cells=cells,
        store=DatasetStore(card, root),
    )
