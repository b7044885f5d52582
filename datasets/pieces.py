"""A piece: one zarr group that is either there whole, or not there.

A piece is written beside its place and moved in (local disk), or written in place with its manifest last
(object storage). The manifest, an attribute of the group, lists every stored object with its size, and the
SHA-256 of the metadata; chunks carry their own CRC-32C. So a killed run leaves nothing that a later one
trusts, and damage is named instead of read.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import fsspec
import xarray as xr
import zarr
from fsspec.implementations.local import LocalFileSystem
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.storage import FsspecStore, LocalStore

from datasets.errors import StoreError
from datasets.schema import SCHEMA_VERSION

MANIFEST = "dosebench_manifest"
"""The attribute of a piece's root group that is written last and says what the piece is made of."""

_ROOT = "zarr.json"
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def join(url: str, *parts: str) -> str:
    """The path or URL of something below `url`."""
    return "/".join([url.rstrip("/"), *parts])


def has_piece(url: str) -> bool:
    """Whether a whole piece is at `url` (its manifest is there; `read_piece` checks the rest)."""
    fs, path = fsspec.url_to_fs(url)
    try:
        return _stored_manifest(fs, path) is not None
    except ValueError:  # there is something, and it is damaged: reading it says so
        return True


def write_piece(url: str, data: xr.Dataset, *, chunks: Mapping[str, Sequence[int]] | None = None) -> None:
    """Write `data` as one piece at `url`; a whole one already there stays, and so does anything foreign.

    `chunks` gives the chunk shape of a variable; without it a variable is one chunk. Raises `StoreError` when
    the disk fills; nothing that was stored before is touched.
    """
    if has_piece(url):
        return
    fs, path = fsspec.url_to_fs(url)
    local = isinstance(fs, LocalFileSystem)
    target = f"{path}.{uuid.uuid4().hex[:8]}.part" if local else path
    try:
        if local:
            os.makedirs(os.path.dirname(path), exist_ok=True)
        elif fs.exists(path):
            fs.rm(path, recursive=True)
        store = LocalStore(target) if local else FsspecStore.from_url(url)
        data.to_zarr(
            store, mode="w", zarr_format=3, consolidated=False, encoding=_encoding(data, chunks or {})
        )
        fs.invalidate_cache()
        group = zarr.open_group(store, mode="r+")
        group.attrs[MANIFEST] = {"attributes": _digest(dict(group.attrs)), **_manifest(fs, target)}
        if local:
            _move_in(target, path)
    except OSError as error:
        if error.errno in _DISK_FULL:
            raise StoreError(
                f"{url}: no room left to write it ({os.strerror(error.errno)}); "
                "what was stored before is intact"
            ) from error
        raise
    finally:
        if local:
            shutil.rmtree(target, ignore_errors=True)


def _move_in(target: str, path: str) -> None:
    try:
        os.rename(target, path)
    except OSError as error:
        if has_piece(path):  # another process finished the same piece first
            return
        raise StoreError(f"{path}: something else is there already; move it away first") from error


def read_piece(url: str, *, lazy: bool = False) -> xr.Dataset:
    """The piece at `url`, in memory, or if `lazy` with arrays that are read as they are used.

    Raises `StoreError` when it is missing, damaged, truncated, or written with a newer schema.
    """
    fs, path = fsspec.url_to_fs(url)
    fs.invalidate_cache()
    try:
        manifest = _stored_manifest(fs, path)
    except ValueError:
        raise _damaged(url, f"{_ROOT} cannot be read") from None
    if manifest is None:
        raise StoreError(f"{url}: there is no complete data here")
    if manifest["schema_version"] > SCHEMA_VERSION:
        raise StoreError(
            f"{url}: written with schema version {manifest['schema_version']}, "
            f"this dosebench reads up to {SCHEMA_VERSION}; upgrade it"
        )
    found = _manifest(fs, path)["objects"]
    for name, entry in manifest["objects"].items():
        if found.get(name) != entry:
            raise _damaged(url, f"{name} is {'not what was written' if name in found else 'missing'}")
    store = LocalStore(path, read_only=True) if isinstance(fs, LocalFileSystem) else FsspecStore.from_url(url)
    try:
        stored = xr.open_zarr(store, consolidated=False, chunks=None)
        data = stored if lazy else stored.load()
    except (ValueError, RuntimeError, KeyError) as error:  # a chunk whose checksum is off
        raise _damaged(url, str(error)) from error
    del data.attrs[MANIFEST]
    if _digest(data.attrs) != manifest["attributes"]:
        raise _damaged(url, "its attributes are not what was written")
    return data


def _damaged(url: str, what: str) -> StoreError:
    return StoreError(f"{url}: damaged: {what}; delete this folder to make it again")


def _stored_manifest(fs: Any, path: str) -> dict[str, Any] | None:
    """The manifest of the piece at `path`, or None without one; raises ValueError when unreadable."""
    try:
        root = json.loads(fs.cat_file(f"{path}/{_ROOT}"))
        manifest = root["attributes"].get(MANIFEST)
        if manifest is not None and not {"schema_version", "objects", "attributes"} <= manifest.keys():
            raise ValueError(MANIFEST)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (KeyError, AttributeError) as error:
        raise ValueError(MANIFEST) from error
    return manifest


def _digest(attributes: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(attributes, sort_keys=True).encode()).hexdigest()


def _manifest(fs: Any, path: str) -> dict[str, Any]:
    """Every object below `path` but its root: its size, and for metadata the SHA-256 too."""
    objects: dict[str, list[int | str]] = {}
    for name, info in fs.find(path, detail=True).items():
        relative = name[len(path.rstrip("/")) + 1 :]
        if relative == _ROOT:
            continue
        objects[relative] = [int(info["size"])]
        if relative.endswith(_ROOT):
            objects[relative].append(hashlib.sha256(fs.cat_file(name)).hexdigest())
    return {"schema_version": SCHEMA_VERSION, "objects": objects}


def _encoding(data: xr.Dataset, chunks: Mapping[str, Sequence[int]]) -> dict[str, dict[str, Any]]:
    return {
        str(name): {
            "chunks": tuple(chunks.get(str(name), variable.shape)),
            "compressors": (ZstdCodec(level=3), Crc32cCodec()),
        }
        for name, variable in data.variables.items()
        if variable.ndim
    }
