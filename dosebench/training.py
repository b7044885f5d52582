"""`dosebench train`: make a corpus, train a network on it, and write its weights with their card."""

from __future__ import annotations

from pathlib import Path

import click
import torch

from benchmarks.provenance import software
from datasets.errors import InputError, unknown_name
from datasets.structures.workspace import available_threads
from recon.neural.training.corpus import make_corpus
from recon.neural.training.descent import Settings
from recon.neural.training.recipes import RECIPES, train_volumes


def train_network(
    name: str,
    *,
    url: str,
    n_samples: int,
    n_steps: int | None,
    seed: int,
    out: Path,
    bfloat16: bool,
    device: str,
    quiet: bool,
) -> Path:
    """The path of the weights of the network `name`, trained on `n_samples` of the corpus at `url`."""
    if name not in RECIPES:
        raise unknown_name("network", name, RECIPES)
    if n_steps is not None and n_steps < 1:
        raise InputError(f"steps must be at least 1, not {n_steps}")
    settings = Settings(
        n_steps=n_steps or RECIPES[name].n_steps,
        seed=seed,
        precision="bfloat16" if bfloat16 else "float32",
        device=device,
    )
    torch.set_num_threads(available_threads())
    make_corpus(url, n_samples, workers=available_threads(), progress=not quiet)
    told = ("python", "packages", "git")
    provenance = {key: software()[key] for key in told} | {"threads": available_threads()}
    path = train_volumes(name, url, n_samples, settings, out=out, provenance=provenance, progress=not quiet)
    click.echo(f"{path}: use it as `unet[weights={path}]`" if name == "unet" else str(path))
    return path
