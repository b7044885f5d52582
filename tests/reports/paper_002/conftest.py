"""Results of networks and others on a tiny alloy, with and without a wedge, and every plate drawn from them.

Answers are the truth moved, thinned and misnamed, each method by its own amount, with a volume of Gaussian
atoms.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml
from ase import Atoms

from benchmarks.cells import Cell, counts_key
from benchmarks.execute import Task, store_answer
from benchmarks.methods import make_methods
from benchmarks.metrics.scoring import Scoring
from benchmarks.preset import PresetCard
from datasets.catalog import DatasetCard
from datasets.formats import write_atoms
from datasets.schema import pixel_axis
from datasets.structures import make_structure
from recon.base import Reconstruction
from reports.figures.paper_002 import augmentation, confusion, dose, wedge
from reports.figures.plate import Plate
from reports.series import Collection, open_collection

METHODS = ("resire", "mlem", "unet", "unet+ml", "pann", "pann+ml", "poisson-ml")
DOSES = (1e2, 1e3, 1e4)
REPLICATES = 2
SPECIES = (27, 46, 78)


def wrong(method: str, at: float, cut: bool) -> float:
    """How wrong an answer is: less at high dose, in the order of the methods, more with a wedge."""
    return (0.5 - 0.06 * METHODS.index(method)) * (1e2 / at) ** 0.3 * (1.4 if cut else 1.0)


def answer(truth: Atoms, how_wrong: float, rng: np.random.Generator) -> Reconstruction:
    """The truth moved, thinned and misnamed, and a volume in which it stands."""
    atoms = truth.copy()
    atoms.positions += rng.normal(0, 0.03 + how_wrong / 3, atoms.positions.shape)
    misnamed = rng.random(len(atoms)) < how_wrong / 2
    atoms.numbers[misnamed] = rng.choice(SPECIES, misnamed.sum())
    atoms = atoms[rng.random(len(atoms)) >= how_wrong / 2]
    atoms.set_array("intensity", atoms.numbers**0.7 * (1 + rng.normal(0, 0.1, len(atoms))))
    axis = pixel_axis(40, 0.5)
    volume = np.zeros((40, 40, 40))
    for number, (x, y, z) in zip(truth.numbers, truth.positions, strict=True):
        part = [np.exp(-0.5 * ((axis - c) / 0.5) ** 2) for c in (z, y, x)]
        volume += number * part[0][:, None, None] * part[1][:, None] * part[2]
    coords = dict.fromkeys(("z", "y", "x"), axis)
    return Reconstruction(atoms, xr.DataArray(volume, dims=("z", "y", "x"), coords=coords))


@pytest.fixture(scope="session")
def root(tiny_card: DatasetCard, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the cards of a tiny alloy and results on it; one answer of `mlem` has failed."""
    folder = tmp_path_factory.mktemp("networks")
    lattice = make_structure(tiny_card.structure)
    symbols = list(itertools.islice(itertools.cycle(("Co", "Pd", "Pt")), len(lattice)))
    write_atoms(folder / "alloy.xyz", Atoms(symbols, lattice.positions))
    cards = {}
    for name, imperfections in (("alloy", {}), ("alloy[missing_wedge=50]", {"missing_wedge": 50.0})):
        content = tiny_card.model_dump(mode="json")
        content |= {"name": name, "imperfections": imperfections, "doses": list(DOSES)}
        content["structure"] = {
            "generator": "from_file",
            "parameters": {"path": str(folder / "alloy.xyz")},
        }
        cards[name] = DatasetCard.model_validate(content)
        (folder / f"{len(cards)}.yaml").write_text(yaml.safe_dump(content))
    for card, method, at, replicate in itertools.product(cards.values(), METHODS, DOSES, range(REPLICATES)):
        store(folder, card, method, at, replicate)
    preset = PresetCard(
        name="networks",
        title="Networks",
        datasets=tuple(str(folder / f"{n}.yaml") for n in (1, 2)),
        doses=DOSES,
        reconstructors=("resire",),
        controls=("oracle",),
    )
    (folder / "results" / "preset.yaml").write_text(preset.to_yaml())
    return folder


def store(folder: Path, card: DatasetCard, method: str, at: float, replicate: int) -> None:
    """One cell with a made answer."""
    info = {"base": card.name, "title": card.title, "modality": "adf", "engine": "linear"}
    task = Task(
        cell=Cell(card.name, counts_key(card), at, replicate, method, method),
        method=make_methods((), ("oracle",))[0],
        card=card,
        dataset_info={**info, "reference": card.reference, "elements": "Co Pd Pt"},
        data_root=str(folder / "data"),
        results=str(folder / "results"),
        scoring=Scoring(),
        time_limit=1.0,
        run="made",
    )
    truth = make_structure(card.structure)
    cut = card.imperfections.missing_wedge > 0
    rng = np.random.default_rng([METHODS.index(method), replicate, int(at), cut])
    found = answer(truth, wrong(method, at, cut), rng)
    store_answer(task, truth, found, None, {"seconds": 1.0, "peak_memory": 1.0})


@pytest.fixture(scope="session")
def collection(root: Path) -> Collection:
    """All series of the results."""
    return open_collection(root / "results", str(root / "data"))


@pytest.fixture(scope="session")
def plates(collection: Collection, cache: Path) -> dict[str, Plate]:
    """Every plate by its key."""
    found = [module.plate(collection, cache) for module in (augmentation, dose, confusion, wedge)]
    return {plate.key: plate for plate in found}
