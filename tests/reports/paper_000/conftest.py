"""Results of a small rippling sheet in two frames, drawn as the figures of paper 000."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.grid import run
from benchmarks.preset import PresetCard
from reports.figures.paper_000 import (
    calibration,
    convergence,
    dose,
    frames,
    geometry,
    localisation,
    strain_maps,
)
from reports.figures.plate import Plate
from reports.series import Collection, open_collection

SHEET = """
name: sheet
title: A small sheet, coherent and coarse
reference: made for the tests
structure: {generator: graphene, seed: 3, parameters: {n_atoms: 112, duration: 0.1, compression: 0.03}}
imaging:
  {modality: hrtem, energy_eV: 80.0e+3, defocus: 80, Cs: 1.0e+4, focal_spread: 10, psf_sigma: 0.3,
   potential_sampling: 0.2, slice_thickness: 1, pixel_size: 0.2, n_pixels: 100}
background: 0
doses: [8.0e+3]
cost: a second
"""
MAP = "multislice-map[n_iter=20,n_samples=16]"
ANNEALING = "annealing-md[n_burn=1,n_outer=2,steps=40]"
DOSES = (8e3, 3e4, float("inf"))


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the card, data, the results of two frames, and of one frame by guesses alone."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("sheets")
    card = folder / "sheet.yaml"
    card.write_text(SHEET, encoding="utf-8")
    for name, datasets, doses, methods, replicates in (
        ("results", [str(card)], DOSES, ["graphene-flat", MAP], 2),
        ("series", [f"{card}[frame=1]"], (8e3,), [MAP], 1),
        ("guesses", [str(card)], (8e3,), ["graphene-flat"], 1),
    ):
        preset = PresetCard(
            name=name,
            title="A part of the paper",
            datasets=tuple(datasets),
            doses=doses,
            replicates=replicates,
            reconstructors=tuple(methods),
            controls=("oracle",),
            criteria=({"metric": "z_rmsd_levelled", "value": 45},),
        )
        run(preset, results=str(folder / name), data_root=str(folder / "data"), n_workers=0, progress=False)
    return folder


@pytest.fixture(scope="session")
def collection(root: Path) -> Collection:
    """Both frames."""
    from reports.series import merged

    folders = (root / "results", root / "series")
    return merged([open_collection(folder, str(root / "data")) for folder in folders])


@pytest.fixture(scope="session")
def plates(collection: Collection, cache: Path) -> dict[str, Plate]:
    """Every plate by its key."""
    modules = (calibration, convergence, frames, strain_maps, geometry, localisation, dose)
    found = [module.plate(collection, cache) for module in modules]
    return {plate.key: plate for plate in found}
