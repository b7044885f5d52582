"""Results on tiny particles of the paper's elements, and every plate of its figures drawn from them."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from ase import Atoms

from benchmarks.cells import Cell, counts_key
from benchmarks.execute import Task, store_answer
from benchmarks.grid import run
from benchmarks.methods import make_methods
from benchmarks.metrics.scoring import Scoring
from benchmarks.preset import PresetCard
from datasets.catalog import DatasetCard, load_structure
from datasets.formats import write_atoms
from datasets.structures import make_structure
from recon.base import Reconstruction
from reports.figures.paper_003 import alignment, alloy, defocus, rings, silicon, tilt_angles
from reports.figures.plate import Plate
from reports.series import Collection, Series, open_collection

DOSE = 1.7e4
"""e⁻/Å²: the paper's for Co–Pd–Pt, and within rounding its 1.6e4."""
SILICA = """
name: silica
title: Silica in 4D-STEM, never imaged
reference: made for the tests
imaging:
  {modality: 4dstem, energy_eV: 80.0e+3, semiangle_mrad: 30, defocus: 180, detector_inner_mrad: 120,
   detector_outer_mrad: 200, potential_sampling: 0.1, slice_thickness: 2, phonons: 1, phonon_sigma: 0.085,
   scan_step: 0.5, n_scan: 48, n_pixels: 64, reciprocal_pixel_size: 0.05,
   tilts: {start: -90, stop: 75, n: 12}}
background: 0
doses: [1.6e+3, 1.6e+4]
cost: nothing
"""
PLAIN = "resire[n_iter=30]"
REFINED = "resire[angles=refine,n_iter=30]"
ALIGNED = "resire[align=common_line,n_iter=30]"
SIRT = "sirt[n_iter=20]"


def _card(tiny: DatasetCard, name: str, structure: dict[str, Any], **imperfections: float) -> dict[str, Any]:
    content = tiny.model_dump(mode="json")
    content |= {"name": name, "structure": structure, "imperfections": imperfections, "doses": [DOSE]}
    content["imaging"] |= {"pixel_size": 0.45, "n_pixels": 32}
    if "tilt_rms" in imperfections:
        content["imaging"]["tilts"] = {"start": -69, "stop": 63, "n": 12}
    return content


def _silica(folder: Path) -> dict[str, Any]:
    """The card of a 4D-STEM series of silica, and answers on it: the truth moved, thinned and misnamed, by
    single slices more than by several.
    """
    card = DatasetCard.model_validate(
        {**yaml.safe_load(SILICA), "structure": load_structure("sio2-300").recipe}
    )
    truth = make_structure(card.structure)
    info = {"base": card.name, "title": card.title, "modality": "4dstem", "engine": "multislice"}
    info |= {"reference": card.reference, "elements": "O Si"}
    rng = np.random.default_rng(2)
    wrongs = {("paet-single", 1.6e3): 0.2, ("paet-multi", 1.6e3): 0.03, ("paet-single", 1.6e4): 0.1}
    for method, dose, replicate in itertools.product(("paet-single", "paet-multi"), card.doses, range(2)):
        wrong = wrongs.get((method, dose), 0.0)
        atoms = truth.copy()
        atoms.positions += rng.normal(0, 0.05 + wrong, atoms.positions.shape)
        misnamed = rng.random(len(atoms)) < wrong / 2
        atoms.numbers[misnamed] = np.where(atoms.numbers[misnamed] == 14, 8, 14)
        atoms = atoms[rng.random(len(atoms)) >= wrong / 2]
        cell = Cell(card.name, counts_key(card), dose, replicate, method, method)
        task = Task(
            cell=cell,
            method=make_methods((), ("oracle",))[0],
            card=card,
            dataset_info=info,
            data_root=str(folder / "data"),
            results=str(folder / "results"),
            scoring=Scoring(),
            time_limit=1.0,
            run="made",
        )
        store_answer(task, truth, Reconstruction(atoms), None, {"seconds": 1.0, "peak_memory": 1.0})
    return card.model_dump(mode="json")


@pytest.fixture(scope="session")
def root(tiny_card: DatasetCard, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with cards of tiny particles of the paper's elements, their data and their results."""
    folder = tmp_path_factory.mktemp("paper")
    lattice = make_structure(tiny_card.structure)
    for name, elements in (("alloy", ("Co", "Pd", "Pt")), ("semiconductor", ("Si", "Ge", "Sn"))):
        symbols = list(itertools.islice(itertools.cycle(elements), len(lattice)))
        write_atoms(folder / f"{name}.xyz", Atoms(symbols, lattice.positions))
    alloyed = {"generator": "from_file", "parameters": {"path": str(folder / "alloy.xyz")}}
    mixed = {"generator": "from_file", "parameters": {"path": str(folder / "semiconductor.xyz")}}
    silicon_card = {
        "generator": "nanoparticle",
        "seed": 3,
        "parameters": {"n_atoms": 40, "core": "Si", "shell": "Si"},
    }
    cards = {
        "si-tiny": _card(tiny_card, "si-tiny", silicon_card),
        "sigesn-tiny": _card(tiny_card, "sigesn-tiny", mixed),
        "focused": _card(tiny_card, "focused", alloyed),
        "defocused": _card(tiny_card, "defocused", alloyed, defocus_range=30),
        "turned": _card(tiny_card, "turned", alloyed, tilt_rms=0.7),
        "shifted": _card(tiny_card, "shifted", alloyed, shift_range=1.0, intensity_rms=0.05),
    }
    for name, content in cards.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
    grids = [
        (["si-tiny", "defocused"], [DOSE], [PLAIN], 1),
        (["sigesn-tiny"], [DOSE, 1.7e5], [PLAIN], 1),
        (["focused"], [DOSE], [PLAIN], 2),
        (["turned"], [DOSE], [PLAIN, REFINED, SIRT], 1),
        (["shifted"], [DOSE], [PLAIN, ALIGNED], 1),
    ]
    for nth, (names, doses, methods, replicates) in enumerate(grids):
        preset = PresetCard(
            name=f"part-{nth}",
            title="A part of the paper",
            datasets=tuple(str(folder / f"{name}.yaml") for name in names),
            doses=tuple(doses),
            replicates=replicates,
            reconstructors=tuple(methods),
            controls=("oracle",),
        )
        run(
            preset,
            results=str(folder / "results"),
            data_root=str(folder / "data"),
            n_workers=0,
            progress=False,
        )
    cards["silica"] = _silica(folder)
    (folder / "silica.yaml").write_text(yaml.safe_dump(cards["silica"]))
    whole = preset.model_copy(
        update={"name": "whole", "datasets": tuple(str(folder / f"{name}.yaml") for name in cards)}
    )
    (folder / "results" / "preset.yaml").write_text(whole.to_yaml())
    shutil.rmtree(folder / "results" / "results.zarr")  # made again from all cells
    return folder


@pytest.fixture(scope="session")
def collection(root: Path) -> Collection:
    """All series of the results."""
    return open_collection(root / "results", str(root / "data"))


@pytest.fixture(scope="session")
def plates(collection: Collection, cache: Path) -> dict[str, Plate]:
    """Every plate by its key."""
    found = [*silicon.plates(collection, cache), alloy.sigesn(collection, cache)]
    found += [alloy.copdpt(collection, cache), alignment.plate(collection, cache)]
    found += [defocus.plate(collection, cache), tilt_angles.plate(collection, cache)]
    found.insert(3, rings.plate(collection, cache))
    return {plate.key: plate for plate in found}


@pytest.fixture(scope="session")
def series_of(collection: Collection) -> Callable[[str], Series]:
    """The series of a name."""
    return lambda name: next(s for s in collection.series if s.name == name)
