"""Training of PANN's second stage on what its first stage finds in the corpus, and its card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from datasets.corpus.families import split_of
from datasets.errors import InputError
from recon.neural.pann import ORDER, RADIUS, volume_network
from recon.neural.species import SpeciesSizes
from recon.neural.training import corpus
from recon.neural.training.naming import species_samples
from recon.neural.training.recipes import describe_corpus
from recon.neural.training.species import SpeciesTraining, train_species
from recon.neural.weights import load_weights, save_weights
from recon.neural.zernike import feature_names

NAME = "pann-species"
REFERENCE = "Zhou et al., arXiv:2603.19942 (2026), of which the abstract is public; the rest is our reading"


def train_names(
    url: str,
    n_samples: int,
    training: SpeciesTraining,
    *,
    volumes: str,
    out: Path,
    provenance: Mapping[str, Any],
    corpus_seed: int = 0,
    device: str = "cpu",
    progress: bool = True,
) -> Path:
    """Train the network that names atoms, on what the volume network with weights `volumes` finds.

    Atoms are found anew in every sample of the corpus at `url`, about a second of one core for each. Raises
    `InputError` where there is nothing to learn from.
    """
    network = volume_network(volumes)
    particles = [s for s in corpus.read_corpus(url, n_samples, seed=corpus_seed) if s.family != corpus.EMPTY]
    seen = {split: [s for s in particles if split_of(s.family) == split] for split in ("train", "validation")}
    found = {}
    for split, own in seen.items():
        bar = tqdm(own, desc=f"atoms to {split}", disable=None if progress else True)
        found[split] = list(species_samples(network, bar, device=device))
    if not found["train"] or not found["validation"]:
        raise InputError(f"{url}: no alloys to learn names from, or none to validate with; make more samples")
    sizes = SpeciesSizes(n_descriptors=2 * len(feature_names(ORDER)))
    checkpoint = out / f"{NAME}.checkpoint"
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(training.seed)
    trained = train_species(
        found["train"],
        found["validation"],
        sizes=sizes,
        training=training,
        device=device,
        checkpoint=checkpoint,
    )
    best = trained.curves[trained.best_epoch - 1]
    card = {
        "name": NAME,
        "reference": REFERENCE,
        "network": asdict(sizes),
        "descriptors": {"radius": RADIUS, "order": ORDER, "of": ["density as redrawn", "volume as given"]},
        "found_by": load_weights(volumes)[1]["sha256"],
        "corpus": describe_corpus(seen["train"], seen["validation"], n_samples, corpus_seed)
        | {"particles": {split: len(own) for split, own in found.items()}},
        "settings": asdict(training),
        "validation_loss": best["validation_loss"],
        "validation_accuracy": best["validation_accuracy"],
        "at_epoch": trained.best_epoch,
        "curve": {
            key: [round(epoch[key], 5) for epoch in trained.curves]
            for key in ("train_loss", "validation_loss", "validation_accuracy", "seconds")
        },
        "provenance": dict(provenance),
    }
    path = out / f"{NAME}.pt"
    save_weights(path, trained.state, card)
    checkpoint.unlink(missing_ok=True)
    return path
