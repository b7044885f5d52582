"""Which network is trained with which loss, and what is written of it: weights, and a card that says what
they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from datasets.corpus.families import TEST, TRAIN, VALIDATION, split_of
from datasets.errors import InputError
from recon.neural.grid import SIGMA, VOXEL
from recon.neural.inpaint import ImageUNet
from recon.neural.res_unet import ResUNet3D
from recon.neural.training import corpus
from recon.neural.training.corpus import Sample
from recon.neural.training.descent import Curve, Settings, train
from recon.neural.training.images import SupportRemoval, WedgeCompletion
from recon.neural.training.losses import PhysicsLoss, augmentation_loss
from recon.neural.training.volumes import Augmentation, Loss
from recon.neural.unet import UNet3D
from recon.neural.weights import save_weights

N_VALIDATION = 48
"""Samples of the validation family that every check looks at."""


@dataclass(frozen=True)
class Recipe:
    """A network by its sizes, and what it is trained to."""

    make: Callable[..., nn.Module]
    sizes: Mapping[str, int]
    loss: Loss
    n_steps: int
    reference: str
    loss_weights: Mapping[str, float] = field(default_factory=dict)


RECIPES = {
    "unet": Recipe(
        UNet3D,
        {"base": 12},
        augmentation_loss,
        10_000,
        "Lee, Jeong & Yang, Nature Communications 12, 1962 (2021)",
    ),
    "pann-volumes": Recipe(
        ResUNet3D,
        {"base": 16, "coarse": 16},
        PhysicsLoss(),
        6_000,
        "Zhou et al., arXiv:2603.19942 (2026), of which the abstract is public; the rest is our reading",
        asdict(PhysicsLoss()),
    ),
}


def train_volumes(
    name: str,
    url: str,
    n_samples: int,
    settings: Settings,
    *,
    out: Path,
    provenance: Mapping[str, Any],
    corpus_seed: int = 0,
    progress: bool = True,
) -> Path:
    """Train the network of recipe `name` on the corpus at `url` and write its weights into the folder `out`.

    Goes on from the checkpoint in `out` where one is. Families of the test split are not read into memory.
    Raises `InputError` where the corpus has not been made.
    """
    recipe = RECIPES[name]
    samples = list(corpus.read_corpus(url, n_samples, seed=corpus_seed))
    training = [sample for sample in samples if split_of(sample.family) == "train"]
    validation = [sample for sample in samples if split_of(sample.family) == "validation"][:N_VALIDATION]
    if not training or not validation:
        raise InputError(f"{url}: {n_samples} samples hold none to train or none to validate with; make more")
    torch.manual_seed(settings.seed)
    network = recipe.make(**recipe.sizes)
    checkpoint = out / f"{name}.checkpoint"
    problem = Augmentation(recipe.loss, training, validation)
    curve = train(network, problem, settings, checkpoint=checkpoint, progress=progress)
    card = {
        "name": name,
        "reference": recipe.reference,
        "network": {"class": type(network).__name__, **recipe.sizes},
        "grid": {"voxel": VOXEL, "sigma": SIGMA},
        "loss": {"name": getattr(recipe.loss, "__name__", type(recipe.loss).__name__), **recipe.loss_weights},
        "corpus": describe_corpus(training, validation, n_samples, corpus_seed),
        **_told(curve, settings, provenance),
    }
    path = out / f"{name}.pt"
    save_weights(path, network.state_dict(), card)
    checkpoint.unlink(missing_ok=True)
    return path


@dataclass(frozen=True)
class ImageRecipe:
    """A network for images, and what it learns."""

    problem: Callable[[], SupportRemoval | WedgeCompletion]
    n_channels: int
    n_steps: int
    reference: str
    base: int = 16


IMAGE_RECIPES = {
    "support-removal": ImageRecipe(
        SupportRemoval, 1, 3_000, "after Iwai et al., Small Methods 8, 2301163 (2024)"
    ),
    "wedge-completion": ImageRecipe(
        WedgeCompletion, 4, 4_000, "after Ding et al., Sci. Rep. 9, 12803 (2019)"
    ),
}


def train_images(
    name: str, settings: Settings, *, out: Path, provenance: Mapping[str, Any], progress: bool = True
) -> Path:
    """Train the image network of recipe `name` on series drawn as it goes; writes its weights into `out`."""
    recipe = IMAGE_RECIPES[name]
    torch.manual_seed(settings.seed)
    network = ImageUNet(recipe.n_channels, recipe.base)
    checkpoint = out / f"{name}.checkpoint"
    curve = train(network, recipe.problem(), settings, checkpoint=checkpoint, progress=progress)
    card = {
        "name": name,
        "reference": recipe.reference,
        "network": {"class": "ImageUNet", "n_channels": recipe.n_channels, "base": recipe.base},
        "grid": {"voxel": VOXEL},
        "loss": {"name": "mean square error over the power of the target"},
        "corpus": {"trained_on": list(TRAIN), "validated_on": list(VALIDATION), "held_out": list(TEST)},
        **_told(curve, settings, provenance),
    }
    path = out / f"{name}.pt"
    save_weights(path, network.state_dict(), card)
    checkpoint.unlink(missing_ok=True)
    return path


def _told(curve: Curve, settings: Settings, provenance: Mapping[str, Any]) -> dict[str, Any]:
    """What every card says of how the training went."""
    best = min(range(len(curve.validation)), key=curve.validation.__getitem__)
    return {
        "settings": asdict(settings),
        "validation_loss": curve.validation[best],
        "at_step": curve.steps[best],
        "processor_seconds": curve.seconds[-1],
        "curve": {
            "steps": curve.steps,
            "training": [round(v, 5) for v in curve.training],
            "validation": [round(v, 5) for v in curve.validation],
        },
        "provenance": dict(provenance),
    }


def describe_corpus(
    training: Sequence[Sample], validation: Sequence[Sample], n_samples: int, seed: int
) -> dict[str, Any]:
    """What a card says of the corpus: what was trained on, what validated, what was never looked at."""
    return {
        "version": corpus.VERSION,
        "seed": seed,
        "n_samples": n_samples,
        "starts": corpus.STARTS,
        "trained_on": dict(sorted(Counter(sample.family for sample in training).items())),
        "validated_on": {family: len(validation) for family in VALIDATION},
        "held_out": list(TEST),
    }
