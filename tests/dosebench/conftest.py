"""A folder as a user has it: a dataset card, a preset, a series from elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from datasets.catalog import DatasetCard
from datasets.formats import write_atoms
from datasets.store import DatasetStore


@pytest.fixture
def folder(
    tmp_path: Path, tiny_card: DatasetCard, tiny_store: DatasetStore, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The current folder: tiny.yaml (a dataset), preset.yaml, series.npz, truth.extxyz; data in ./data."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOSEBENCH_DATA", str(tmp_path / "data"))
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(tiny_card.model_dump(mode="json")))
    preset = {
        "name": "mini",
        "title": "One small particle",
        "datasets": ["tiny.yaml"],
        "doses": [1e3, 1e5],
        "replicates": 2,
        "reconstructors": ["sirt[n_iter=15]"],
    }
    (tmp_path / "preset.yaml").write_text(yaml.safe_dump(preset))
    data = tiny_store.measurement(1e5, 0)
    np.savez(
        tmp_path / "series.npz",
        counts=data["counts"].values,
        theta=data["theta"].values,
        pixel_size=data.attrs["pixel_size"],
        dose_per_area=data.attrs["dose_per_area"],
        background=data.attrs["background"],
        elements=data.attrs["elements"],
    )
    write_atoms(tmp_path / "truth.extxyz", tiny_store.truth())
    return tmp_path
