"""Results on tiny particles of the paper's elements, and every plate of its figures drawn from them.

Answers are the truth moved, thinned and misnamed, with a volume of Gaussian atoms; the counts are those of$
the beam alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

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
from datasets.catalog import FOLDER, DatasetCard
from datasets.catalog.acquisition import wavelength
from datasets.schema import make_measurement, pixel_axis
from datasets.store import DatasetStore
from datasets.structures import make_structure
from recon.base import Reconstruction
from reports.figures.paper_004 import convergence, equal_dose, grids, summary
from reports.figures.plate import Plate
from reports.series import Collection, open_collection

N_TILTS = 4
INF = math.inf
METHODS = ("mset", "sset", "resire", "genfire", "atoms-4d", "fista")


def card(name: str, generator: str, elements: str, **imaging: Any) -> DatasetCard:
    """Four tilts of 20 atoms, 25 patterns each, on a coarse potential."""
    content = yaml.safe_load((FOLDER / f"{elements}-150-4d.yaml").read_text(encoding="utf-8"))
    content |= {
        "name": name,
        "structure": {"generator": generator, "seed": 7, "parameters": {"n_atoms": 20}},
        "doses": [500.0],
    }
    content["imaging"] |= {
        "potential_sampling": 0.115,
        "detector_outer_mrad": 55,
        "phonons": 1,
        "n_scan": 5,
        "n_pixels": 32,
        "reciprocal_pixel_size": 0.078125,
        "tilts": {"start": -90, "stop": 45, "n": N_TILTS},
        **imaging,
    }
    return DatasetCard.model_validate(content)


def rings(name: str, generator: str, elements: str, **imaging: Any) -> DatasetCard:
    """Annular images of the same atoms, over the tilts of `card`."""
    content = yaml.safe_load((FOLDER / f"{elements}-150.yaml").read_text(encoding="utf-8"))
    like = card(name, generator, elements, **imaging)
    content |= {"name": name, "structure": like.structure.model_dump(), "doses": [500.0]}
    content["imaging"] |= {"n_pixels": 24, "tilts": like.tilts.model_dump()}
    return DatasetCard.model_validate(content)


def wedge(reach: float) -> dict[str, Any]:
    """Tilts from minus `reach` to that [deg]."""
    return {"tilts": {"start": -reach, "stop": reach, "n": N_TILTS}}


CUAU: Mapping[str, dict[str, Any]] = {
    "cuau-tiny": {},
    "cuau-fine": {"defocus": 0, "scan_step": 0.4},
    "cuau-focus": {"defocus": 0},
    "cuau-coarse": {"scan_step": 3.2},
    "cuau-wedge": wedge(75),
    "cuau-narrow": wedge(25),
    "cuau-fine-wedge": {"defocus": 0, "scan_step": 0.4, **wedge(75)},
}
BAO: Mapping[str, dict[str, Any]] = {
    "bao-tiny": {},
    "bao-fine": {"defocus": 0, "scan_step": 0.4},
    "bao-wedge": wedge(75),
}
CUAU_RINGS: Mapping[str, dict[str, Any]] = {"cuau-rings": {}}
BAO_RINGS: Mapping[str, dict[str, Any]] = {
    "bao-rings": {},
    "bao-rings-wedge": wedge(75),
    "bao-rings-narrow": wedge(25),
}
"""Annular images; the last over tilts that no scan of Ba–O has."""
TOTALS = (2e3, 2e4, 2e5, INF)
ANSWERS: Mapping[str, tuple[tuple[str, ...], tuple[float, ...]]] = {
    "cuau-tiny": (("mset", "sset", "atoms-4d"), TOTALS),
    "cuau-fine": (("mset", "sset", "resire"), TOTALS),
    "cuau-rings": (("genfire", "fista"), TOTALS),
    "cuau-focus": (("mset",), (INF,)),
    "cuau-coarse": (("mset",), (INF,)),
    "cuau-wedge": (("mset", "sset"), (1.25e4, 1.25e5, 2e5, 2e6)),
    "cuau-narrow": (("mset",), (INF,)),
    "cuau-fine-wedge": (("resire",), (2e5, 2e6)),
    "bao-tiny": (("mset", "atoms-4d"), TOTALS),
    "bao-fine": (("resire",), TOTALS),
    "bao-rings": (("fista",), TOTALS),
    "bao-rings-narrow": (("fista",), TOTALS),
    "bao-wedge": (("mset", "sset"), (1.25e4, 1.25e5, 2e5, 2e6)),
    "bao-rings-wedge": (("resire",), (2e5, 2e6)),
}
"""The methods that have an answer on a series, and at which totals [e⁻/Å²]."""
REPLICATES = 2
MORE = 3
"""Replicates of the annular images."""


def wrong(method: str, total: float) -> float:
    """How bad an answer is made, from 0: by method and dose."""
    return (0.01 + 0.03 * METHODS.index(method)) * (1 if math.isinf(total) else max(1, 8 - math.log10(total)))


def answer(truth: Atoms, how_wrong: float, rng: np.random.Generator) -> Reconstruction:
    """The truth moved, thinned and misnamed, and a volume in which it stands."""
    numbers = sorted(set(truth.numbers))
    atoms = truth.copy()
    atoms.positions += rng.normal(0, 0.03 + how_wrong / 2, atoms.positions.shape)
    misnamed = rng.random(len(atoms)) < how_wrong / 2
    atoms.numbers[misnamed] = [numbers[1] if n == numbers[0] else numbers[0] for n in atoms.numbers[misnamed]]
    atoms = atoms[rng.random(len(atoms)) >= how_wrong / 2]
    if how_wrong > 0.1:
        atoms += Atoms([int(numbers[0])], [[7.0, 0.0, 0.3]])
    atoms.set_array("intensity", atoms.numbers**0.7 * (1 + rng.normal(0, 0.1, len(atoms))))
    axis = pixel_axis(44, 0.5)
    volume = np.zeros((44, 44, 44))
    for number, (x, y, z) in zip(truth.numbers, truth.positions, strict=True):
        part = [np.exp(-0.5 * ((axis - c) / 0.5) ** 2) for c in (z, y, x)]
        volume += number * part[0][:, None, None] * part[1][:, None] * part[2]
    volume += how_wrong * rng.random(volume.shape) * volume.max()
    coords = dict.fromkeys(("z", "y", "x"), axis)
    return Reconstruction(atoms, xr.DataArray(volume, dims=("z", "y", "x"), coords=coords))


def store(folder: Path, made: DatasetCard, truth: Atoms, method: str, total: float, replicate: int) -> None:
    """One cell with a made answer."""
    parameters = {"n_iter": 2} if method == "mset" else {}
    cell = Cell(made.name, counts_key(made), total / N_TILTS, replicate, method, method, parameters)
    info = {"base": made.name, "title": made.title, "modality": made.imaging.modality, "engine": "multislice"}
    task = Task(
        cell=cell,
        method=make_methods((), ("oracle",))[0],
        card=made,
        dataset_info={**info, "reference": made.reference, "elements": " ".join(sorted(set(truth.symbols)))},
        data_root=str(folder / "data"),
        results=str(folder / "results"),
        scoring=Scoring(),
        time_limit=1.0,
        run="made",
    )
    rng = np.random.default_rng([METHODS.index(method), replicate, int(math.log10(min(total, 1e9)))])
    found = answer(truth, wrong(method, total), rng)
    store_answer(task, truth, found, None, {"seconds": 1.0, "peak_memory": 1.0})


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with cards of tiny particles, the data of one and results on all."""
    folder = tmp_path_factory.mktemp("multislice")
    cards = {name: card(name, "nanoparticle", "cuau", **imaging) for name, imaging in CUAU.items()}
    cards |= {name: card(name, "rock_salt", "bao", **imaging) for name, imaging in BAO.items()}
    cards |= {name: rings(name, "nanoparticle", "cuau", **imaging) for name, imaging in CUAU_RINGS.items()}
    cards |= {name: rings(name, "rock_salt", "bao", **imaging) for name, imaging in BAO_RINGS.items()}
    for name, made in cards.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(made.model_dump(mode="json")))
    preset = PresetCard(
        name="part",
        title="A part of the paper",
        datasets=tuple(str(folder / f"{name}.yaml") for name in cards),
        doses=(2e5 / N_TILTS,),
        reconstructors=("mset",),
        controls=("oracle",),
    )
    for name, (methods, totals) in ANSWERS.items():
        truth = make_structure(cards[name].structure)
        for method in methods:
            for total in totals:
                for replicate in range(MORE if "rings" in name else REPLICATES):
                    store(folder, cards[name], truth, method, total, replicate)
    base = DatasetStore(cards["cuau-tiny"], str(folder / "data"))
    base.write_truth(make_structure(cards["cuau-tiny"].structure))
    one = beam(cards["cuau-tiny"], 1.0)
    base.write_expected(one.rename(counts="expected"))
    for total in TOTALS:
        base.write_counts(beam(cards["cuau-tiny"], min(total, 1e7) / N_TILTS), total / N_TILTS, 0)
    (folder / "results" / "preset.yaml").write_text(preset.to_yaml())
    return folder


def beam(made: DatasetCard, dose: float) -> xr.Dataset:
    """The counts of a beam with nothing in it: a disc, the same for every probe but for its noise."""
    imaging = made.imaging
    assert imaging.modality == "4dstem"
    k = imaging.detector_axis()
    disc = np.hypot(k[:, None], k) <= 1e-3 * imaging.semiangle_mrad / wavelength(imaging.energy_eV)
    expected = np.broadcast_to(
        dose * imaging.scan_step**2 * disc / disc.sum(), (N_TILTS, imaging.n_scan**2, *disc.shape)
    )
    axis = pixel_axis(imaging.n_scan, imaging.scan_step)
    y, x = (grid.ravel() for grid in np.meshgrid(axis, axis, indexing="ij"))
    zero = np.zeros(N_TILTS)
    angles = {"phi": zero, "theta": imaging.tilts.theta(), "psi": zero}
    return make_measurement(
        "4dstem",
        np.random.default_rng(0).poisson(expected).astype(np.uint32),
        {**angles, "scan_y": y, "scan_x": x, "ky": k, "kx": k},
        dose_per_area=dose,
        pixel_size=imaging.scan_step,
        background=0.0,
        elements=["Au", "Cu"],
        optics={
            "energy_eV": imaging.energy_eV,
            "semiangle_mrad": 21.0,
            "defocus": imaging.defocus,
            "Cs": 0.0,
        },
    )


@pytest.fixture(scope="session")
def collection(root: Path) -> Collection:
    """All series of the results."""
    return open_collection(root / "results", str(root / "data"))


@pytest.fixture(scope="session")
def plates(collection: Collection, cache: Path) -> dict[str, Plate]:
    """Every plate by its key."""
    found: list[Plate] = []
    draw: Callable[[Collection, Path], Plate | list[Plate]]
    for draw in (
        convergence.plate,
        grids.algorithms,
        grids.steps,
        grids.doses,
        grids.tilt_ranges,
        grids.typical,
        grids.sparse,
        summary.plate,
        equal_dose.plate,
    ):
        made = draw(collection, cache)
        found += made if isinstance(made, list) else [made]
    return {plate.key: plate for plate in found}
