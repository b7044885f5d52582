"""The store: round trips, damage that is named instead of read, and a full disk."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from datasets.errors import StoreError
from datasets.pieces import has_piece, read_piece, write_piece
from datasets.schema import SCHEMA_VERSION
from datasets.store import DatasetStore, smallest_unsigned


@pytest.fixture
def copied(tiny_store: DatasetStore, tmp_path: Path) -> DatasetStore:
    """A copy of the tiny store, to damage."""
    shutil.copytree(tiny_store.root, tmp_path / "copy")
    return DatasetStore(tiny_store.card, str(tmp_path / "copy"))


def a_chunk(store: DatasetStore) -> Path:
    """The file of the largest chunk of the counts at 1e5."""
    chunks = [path for path in Path(store.counts_url(1e5, 0)).joinpath("counts").rglob("*") if path.is_file()]
    return max((path for path in chunks if path.name != "zarr.json"), key=lambda path: path.stat().st_size)


def test_counts_round_trip_in_the_smallest_unsigned_integer(tiny_store: DatasetStore) -> None:
    data = tiny_store.measurement(1e3, 0)
    assert data["counts"].dtype.kind == "u"
    assert data["counts"].dtype == smallest_unsigned(data["counts"].values)
    assert data["y"].attrs["units"] == "Å"


@pytest.mark.parametrize(
    ("largest", "kind"), [(255, np.uint8), (256, np.uint16), (65536, np.uint32), (2**32, np.uint64)]
)
def test_the_smallest_integer_holds_the_largest_count(largest: int, kind: type) -> None:
    assert smallest_unsigned(np.array([0, largest])) == kind


def test_truth_round_trips(tiny_store: DatasetStore) -> None:
    from datasets.structures import make_structure

    made, stored = make_structure(tiny_store.card.structure), tiny_store.truth()
    np.testing.assert_array_equal(made.positions, stored.positions)
    assert list(made.symbols) == list(stored.symbols)
    assert made.info == stored.info


@pytest.mark.parametrize("damage", ["truncate", "corrupt", "remove"])
def test_a_damaged_chunk_is_named(copied: DatasetStore, damage: str) -> None:
    chunk = a_chunk(copied)
    content = bytearray(chunk.read_bytes())
    if damage == "truncate":
        chunk.write_bytes(content[: len(content) // 2])
    elif damage == "corrupt":
        content[len(content) // 2] ^= 0xFF
        chunk.write_bytes(content)
    else:
        chunk.unlink()
    with pytest.raises(StoreError, match=r"damaged.*delete this folder"):
        copied.measurement(1e5, 0)
    assert copied.measurement(1e5, 1)["counts"].size  # its neighbour is untouched


@pytest.mark.parametrize("damage", ["truncated", "edited"])
def test_damaged_metadata_is_named(copied: DatasetStore, damage: str) -> None:
    root = Path(copied.counts_url(1e5, 0)) / "zarr.json"
    text = root.read_text()
    if damage == "truncated":
        root.write_text(text[:50])
    else:
        content = json.loads(text)
        content["attributes"]["dose_per_area"] = 7.0
        root.write_text(json.dumps(content))
    with pytest.raises(StoreError, match="damaged"):
        copied.measurement(1e5, 0)


def test_a_newer_schema_is_refused(copied: DatasetStore) -> None:
    root = Path(copied.counts_url(1e5, 0)) / "zarr.json"
    text = root.read_text().replace(
        f'"schema_version": {SCHEMA_VERSION}', f'"schema_version": {SCHEMA_VERSION + 1}'
    )
    root.write_text(text)
    with pytest.raises(StoreError, match=f"schema version {SCHEMA_VERSION + 1}.*upgrade"):
        copied.measurement(1e5, 0)


def test_what_is_not_there_is_said(tiny_store: DatasetStore) -> None:
    assert not tiny_store.has(3e3, 0)
    with pytest.raises(StoreError, match="no complete data"):
        tiny_store.measurement(3e3, 0)


def test_what_is_no_whole_piece_is_neither_trusted_nor_overwritten(tmp_path: Path) -> None:
    url = str(tmp_path / "piece")
    data = xr.Dataset({"a": ("x", np.arange(5))})
    write_piece(url, data)
    root = Path(url) / "zarr.json"
    content = json.loads(root.read_text())
    content["attributes"] = {}
    root.write_text(json.dumps(content))
    assert not has_piece(url)
    with pytest.raises(StoreError, match="something else is there already"):
        write_piece(url, data)
    with pytest.raises(StoreError, match="no complete data"):
        read_piece(url)
    shutil.rmtree(url)
    write_piece(url, data)
    np.testing.assert_array_equal(read_piece(url)["a"], np.arange(5))


_FULL_DISK = """
import resource, signal, sys
import numpy as np, xarray as xr
from datasets.errors import StoreError
from datasets.pieces import write_piece
write_piece(sys.argv[1] + "/first", xr.Dataset({"a": ("x", np.arange(9))}))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
noise = np.random.default_rng(0).integers(0, 255, 400_000).astype(np.uint8)
try:
    write_piece(sys.argv[1] + "/second", xr.Dataset({"a": ("x", noise)}))
except StoreError as error:
    print(error)
"""


def test_a_full_disk_is_one_sentence_and_leaves_the_rest(tmp_path: Path) -> None:
    """A real limit of the operating system on the size of a file, in a process of its own."""
    run = subprocess.run(
        [sys.executable, "-c", _FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert "second: no room left to write it" in run.stdout
    assert len(run.stdout.strip().splitlines()) == 1
    np.testing.assert_array_equal(read_piece(str(tmp_path / "first"))["a"], np.arange(9))
    assert [path.name for path in tmp_path.iterdir()] == ["first"]
