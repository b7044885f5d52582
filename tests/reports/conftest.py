"""A real, tiny results folder, made by the grid from linear images, and its report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml

from benchmarks.grid import run
from benchmarks.preset import PresetCard
from benchmarks.results import open_results
from datasets.catalog import DatasetCard
from datasets.store import DatasetStore
from recon.base import Callback, Reconstruction, Reconstructor
from reports.collect import collect
from reports.payload import Payload
from reports.report import write_report

HOSTILE = "</script><script>alert('no')</script><b class=\"hostile\">&amp; $x^2$ {{ 7*7 }}"


@dataclass(frozen=True)
class Hostile(Reconstructor):
    """Raises, with a message that would break a page that does not escape it."""

    name = "hostile"

    def reconstruct(
        self, measurement: xr.Dataset, *, rng: np.random.Generator, callback: Callback | None = None
    ) -> Reconstruction:
        """Raise RuntimeError."""
        raise RuntimeError(HOSTILE)


@pytest.fixture(scope="session")
def hostile() -> str:
    """The message of the method `hostile`."""
    return HOSTILE


@pytest.fixture(scope="session")
def preset(tiny_card: DatasetCard, tmp_path_factory: pytest.TempPathFactory) -> PresetCard:
    """Two classical methods and all controls on the tiny particle: two doses, two replicates."""
    path = tmp_path_factory.mktemp("card") / "tiny.yaml"
    path.write_text(yaml.safe_dump(tiny_card.model_dump(mode="json")))
    return PresetCard(
        name="tiny",
        title="A tiny grid",
        datasets=(str(path),),
        replicates=2,
        reconstructors=("fbp", "sirt[n_iter=20]"),
    )


@pytest.fixture(scope="session")
def results(preset: PresetCard, tiny_store: DatasetStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results folder of `preset` and one method that always fails."""
    folder = tmp_path_factory.mktemp("results") / "tiny"
    run(
        preset,
        results=str(folder),
        data_root=tiny_store.root,
        reconstructors=[Hostile()],
        n_workers=0,
        progress=False,
    )
    return folder


@pytest.fixture(scope="session")
def data(results: Path) -> xr.Dataset:
    """The results themselves."""
    return open_results(str(results))


@pytest.fixture(scope="session")
def payload(results: Path) -> Payload:
    """What the report of `results` shows."""
    return collect(results)


@pytest.fixture(scope="session")
def report(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the report, its figures beside it."""
    return write_report(results, tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="session")
def html(report: Path) -> str:
    """The text of the page."""
    return report.read_text(encoding="utf-8")
