"""Trained weights: shipped with the package, each with a card that says where they come from, and held to
its hash.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import torch

from datasets.errors import InputError, StoreError

SHIPPED = "shipped"


def load_weights(name: str) -> tuple[dict[str, torch.Tensor], Mapping[str, Any]]:
    """The weights called `name`, or those of the file `name` (`….pt`), and their card.

    Only tensors are read (`weights_only`), and only those whose SHA-256 is that of the card beside them.
    Raises `InputError` where there are none and `StoreError` where they are not what the card says.
    """
    if name.endswith(".pt"):
        path = Path(name)
        if not path.is_file():
            raise InputError(f"weights {name!r}: there is no such file")
        content, text = path.read_bytes(), path.with_suffix(".json").read_text()
    else:
        folder = resources.files(__package__) / SHIPPED
        if not (folder / f"{name}.pt").is_file():
            raise InputError(f"weights {name!r}: not among those shipped ({', '.join(shipped_names())})")
        content, text = (folder / f"{name}.pt").read_bytes(), (folder / f"{name}.json").read_text()
    card = json.loads(text)
    if hashlib.sha256(content).hexdigest() != card["sha256"]:
        raise StoreError(
            f"weights {name!r}: they are not those that their card describes; install them again"
        )
    return torch.load(io.BytesIO(content), weights_only=True, map_location="cpu"), card


def has_weights(name: str) -> bool:
    """Whether there are weights called `name`, shipped or as a file."""
    return Path(name).is_file() if name.endswith(".pt") else name in shipped_names()


def shipped_names() -> list[str]:
    """The names of the weights that come with the package."""
    folder = resources.files(__package__) / SHIPPED
    if not folder.is_dir():
        return []
    return sorted(item.name.removesuffix(".pt") for item in folder.iterdir() if item.name.endswith(".pt"))


def save_weights(path: Path, weights: Mapping[str, torch.Tensor], card: Mapping[str, Any]) -> None:
    """Write `weights` to `path` (`….pt`) and the `card`, with their hash and size, beside them (`….json`)."""
    buffer = io.BytesIO()
    torch.save({key: value.detach().cpu().contiguous() for key, value in weights.items()}, buffer)
    content = buffer.getvalue()
    full = {
        **card,
        "n_weights": sum(v.numel() for v in weights.values()),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.with_suffix(".json").write_text(json.dumps(full, indent=1, ensure_ascii=False) + "\n")
