"""Where things are written: names are checked before the work, and files replaced whole or not at all."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from typing import Literal

import fsspec

from datasets.errors import InputError

SUFFIXES = {
    "a measurement": (".zarr", ".npz", ".mat"),
    "a volume": (".zarr", ".mrc"),
    "a structure": (".extxyz", ".xyz"),
}
"""What is written to which types of file."""

Thing = Literal["a measurement", "a volume", "a structure"]


def check_writable(path: str | os.PathLike[str], thing: Thing) -> str:
    """The suffix of `path`, once it is clear that `thing` can be written there; ask before long work.

    Raises `InputError` for another type of file, a folder that does not exist or cannot be written to, and a
    `.zarr` that is already there: a folder is never replaced, a file is.
    """
    path = os.fspath(path)
    suffix = check_suffix(path, thing)
    if suffix == ".zarr":
        fs, inside = fsspec.url_to_fs(path)
        if fs.exists(inside):
            raise InputError(f"{path}: there is something of this name already; delete it or choose another")
        return suffix
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise InputError(f"{path}: the folder {folder} does not exist")
    if os.path.isdir(path):
        raise InputError(f"{path}: there is a folder of this name; give the name of a file")
    if not os.access(folder, os.W_OK):
        raise InputError(f"{path}: no permission to write in {folder}")
    return suffix


def check_suffix(path: str, thing: Thing) -> str:
    """The suffix of `path`, in lower case; raises `InputError` unless `thing` is kept in such files."""
    suffix = os.path.splitext(path.rstrip("/"))[1].lower()
    if suffix not in SUFFIXES[thing]:
        known = " or ".join(SUFFIXES[thing])
        raise InputError(f"{path}: {thing} is kept in a {known} file, not {suffix or 'one with no suffix'}")
    return suffix


@contextlib.contextmanager
def replacing(path: str) -> Iterator[str]:
    """A name beside `path` to write to, moved to `path` at the end: a killed run leaves no half file."""
    folder, name = os.path.split(os.path.abspath(path))
    stem, suffix = os.path.splitext(name)
    part = os.path.join(folder, f".{stem}.{uuid.uuid4().hex[:8]}{suffix.lower()}")
    try:
        yield part
        os.replace(part, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(part)
