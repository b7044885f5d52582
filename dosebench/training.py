"""`dosebench train`: make a corpus, train a network on it, and write its weights with their card."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.provenance import software
from datasets.errors import InputError, unknown_name
from datasets.structures.workspace import available_threads
from recon.neural.training.corpus import make_corpus
from recon.neural.training.descent import Settings
from recon.neural.training.names import NAME as NAMES
from recon.neural.training.names import train_names
from recon.neural.training.recipes import IMAGE_RECIPES, RECIPES, train_images, train_volumes
from recon.neural.training.species import SpeciesTraining


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
    recipe = RECIPES.get(name) or IMAGE_RECIPES.get(name)
    if recipe is None and name != NAMES:
        raise unknown_name("network", name, [*RECIPES, *IMAGE_RECIPES, NAMES])
    if n_steps is not None and n_steps < 1:
        raise InputError(f"steps must be at least 1, not {n_steps}")
    torch.set_num_threads(available_threads())
    told = ("python", "packages", "git")
    provenance = {key: software()[key] for key in told} | {"threads": available_threads()}
    if recipe is None:
        make_corpus(url, n_samples, workers=available_threads(), progress=not quiet)
        own = out / "pann-volumes.pt"
        training = SpeciesTraining(epochs=n_steps or SpeciesTraining.epochs, seed=seed)
        return train_names(
            url,
            n_samples,
            training,
            volumes=str(own) if own.exists() else "pann-volumes",
            out=out,
            provenance=provenance,
            progress=not quiet,
        )
    settings = Settings(
        n_steps=n_steps or recipe.n_steps,
        seed=seed,
        precision="bfloat16" if bfloat16 else "float32",
        device=device,
    )
    if name in IMAGE_RECIPES:
        settings = replace(settings, batch=16)
        return train_images(name, settings, out=out, provenance=provenance, progress=not quiet)
    make_corpus(url, n_samples, workers=available_threads(), progress=not quiet)
    return train_volumes(name, url, n_samples, settings, out=out, provenance=provenance, progress=not quiet)
