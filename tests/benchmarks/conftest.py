"""The tiny dataset as a preset names it, and a module of reconstructors that workers can import too."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from benchmarks.preset import PresetCard
from datasets.catalog import DatasetCard
from datasets.store import DatasetStore

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def card_path(tiny_card: DatasetCard, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The file of the tiny dataset's card."""
    path = tmp_path_factory.mktemp("card") / "tiny.yaml"
    path.write_text(yaml.safe_dump(tiny_card.model_dump(mode="json")))
    return str(path)


@pytest.fixture(scope="session", autouse=True)
def _methods() -> Iterator[None]:
    """`grid_methods`, beside this file, can be imported here and in worker processes."""
    sys.path.insert(0, str(HERE))
    yield
    sys.path.remove(str(HERE))


@pytest.fixture
def preset(card_path: str, tiny_store: DatasetStore) -> PresetCard:
    """The controls on the tiny dataset, two doses and two replicates, which are stored below `data_root`."""
    return PresetCard(name="tiny", title="A tiny grid", datasets=(card_path,), replicates=2, time_limit=60)


@pytest.fixture
def data_root(tiny_store: DatasetStore) -> str:
    """Where the tiny dataset is stored."""
    return tiny_store.root
