"""Shared fixtures: a dataset so small that it is simulated within the test run; settings for all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from datasets.catalog import DatasetCard
from datasets.store import DatasetStore

settings.register_profile("dosebench", deadline=None)  # time says nothing on a shared machine
settings.load_profile("dosebench")

TINY_DOSES = (1e3, 1e5)
TINY_REPLICATES = 2


@pytest.fixture(scope="session", autouse=True)
def _settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Two threads, and a data folder of this session's own."""
    import torch

    torch.set_num_threads(min(2, os.cpu_count() or 1))
    before = os.environ.get("DOSEBENCH_DATA")
    os.environ["DOSEBENCH_DATA"] = str(tmp_path_factory.mktemp("data"))
    yield
    if before is None:
        del os.environ["DOSEBENCH_DATA"]
    else:
        os.environ["DOSEBENCH_DATA"] = before


def _tiny() -> DatasetCard:
    return DatasetCard.model_validate(
        {
            "name": "tiny",
            "title": "CuAu core–shell particle of 40 atoms, linear images",
            "reference": "made for the tests",
            "structure": {"generator": "nanoparticle", "seed": 7, "parameters": {"n_atoms": 40}},
            "imaging": {
                "engine": "linear",
                "energy_eV": 300e3,
                "semiangle_mrad": 21,
                "detector_inner_mrad": 40,
                "detector_outer_mrad": 84,
                "potential_sampling": 0.078,
                "slice_thickness": 2,
                "phonons": 1,
                "phonon_sigma": 0.085,
                "pixel_size": 0.4,
                "n_pixels": 40,
                "tilts": {"start": -90, "stop": 75, "n": 12},
            },
            "background": 0.1,
            "doses": TINY_DOSES,
            "cost": "well under a second",
        }
    )


@pytest.fixture(scope="session")
def tiny_card() -> DatasetCard:
    """A particle of about 40 atoms imaged linearly at 12 tilts; not in the catalog."""
    return _tiny()


@pytest.fixture(scope="session")
def tiny_store(tiny_card: DatasetCard, tmp_path_factory: pytest.TempPathFactory) -> DatasetStore:
    """`tiny_card` at doses 1e3 and 1e5 e⁻/Å² per image with 2 replicates; read it, never change it."""
    from datasets.simulate import simulate

    root: Path = tmp_path_factory.mktemp("tiny")
    return simulate(tiny_card, TINY_DOSES, TINY_REPLICATES, root=str(root), progress=False)
