"""The training loop of all image and volume networks: Adam, cosine decay, validation, checkpoints.

A run is determined by its settings: the batch of step k is drawn from (seed, k), so that a run that was
stopped goes on as if it had not been. The weights kept are those with the least validation loss. On CUDA,
and where a CPU multiplies bfloat16 matrices in hardware, `precision=bfloat16` halves the time and more;
weights are float32 always.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from datasets.errors import InputError
from recon.project.projector import resolve_device

Batch = TypeVar("Batch")


class Problem(Protocol[Batch]):
    """What is learned: batches to learn from, batches to be judged by, and the loss of a network on one."""

    held: Sequence[Batch]

    def draw(self, n: int, edge: int, rng: np.random.Generator) -> Batch:
        """A batch of `n` patches of `edge` voxels or pixels."""
        ...

    def loss(self, network: nn.Module, batch: Batch, device: torch.device) -> torch.Tensor:
        """The loss of `network` on `batch`, a number."""
        ...


@dataclass(frozen=True)
class Settings:
    """How long and how: `n_steps` of `batch` patches of `edge` voxels, at a `rate` that decays as a cosine.

    Every `check_every` steps the validation loss is taken; after `patience` checks without a better one it
    ends.
    """

    n_steps: int = 10_000
    batch: int = 4
    edge: int = 40
    rate: float = 1e-3
    check_every: int = 500
    patience: int = 6
    seed: int = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.edge % 8 or self.edge < 16:
            raise InputError(f"patches have an edge of 16, 24, 32 … voxels, not {self.edge}")


@dataclass(frozen=True)
class Curve:
    """The training and validation loss at the checks, and the processor seconds until then."""

    steps: list[int]
    training: list[float]
    validation: list[float]
    seconds: list[float]


def train(
    network: nn.Module,
    problem: Problem[Batch],
    settings: Settings,
    *,
    checkpoint: Path,
    progress: bool = True,
) -> Curve:
    """Train `network` in place, ending with its best weights; goes on from `checkpoint` where there is one.

    Raises `InputError` for a checkpoint of other settings.
    """
    device = resolve_device(settings.device)
    network.to(device)
    optimiser = torch.optim.Adam(network.parameters(), lr=settings.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.n_steps, settings.rate / 100)
    best: dict[str, Any] = {"loss": float("inf"), "weights": network.state_dict()}
    curve, first = Curve([], [], [], []), 0
    if checkpoint.exists():
        kept = torch.load(checkpoint, weights_only=True, map_location=device)
        if kept["settings"] != asdict(settings):
            raise InputError(
                f"{checkpoint}: belongs to a training with other settings; remove it to begin anew"
            )
        network.load_state_dict(kept["network"])
        optimiser.load_state_dict(kept["optimiser"])
        schedule.load_state_dict(kept["schedule"])
        best, curve, first = kept["best"], Curve(**kept["curve"]), kept["step"]
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=settings.precision == "bfloat16")
    spent = curve.seconds[-1] if curve.seconds else 0.0
    begin, seen = time.process_time(), 0.0
    bar = tqdm(
        range(first, settings.n_steps),
        initial=first,
        total=settings.n_steps,
        disable=None if progress else True,
    )
    for step in bar:
        rng = np.random.default_rng([settings.seed, step])
        torch.manual_seed(int(rng.integers(2**31)))
        batch = problem.draw(settings.batch, settings.edge, rng)
        network.train()
        optimiser.zero_grad(set_to_none=True)
        with autocast:
            value = problem.loss(network, batch, device)
        value.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        seen += float(value.detach())
        if (step + 1) % settings.check_every and step + 1 < settings.n_steps:
            continue
        network.eval()
        with torch.no_grad(), autocast:
            torch.manual_seed(settings.seed)
            checked = float(np.mean([float(problem.loss(network, part, device)) for part in problem.held]))
        done = (step % settings.check_every) + 1
        curve.steps.append(step + 1)
        curve.training.append(seen / done)
        curve.validation.append(checked)
        curve.seconds.append(spent + time.process_time() - begin)
        bar.set_postfix(training=f"{seen / done:.4f}", validation=f"{checked:.4f}")
        seen = 0.0
        if checked < best["loss"]:
            best = {
                "loss": checked,
                "weights": {k: v.detach().cpu().clone() for k, v in network.state_dict().items()},
            }
        _save(
            checkpoint,
            {
                "settings": asdict(settings),
                "network": network.state_dict(),
                "optimiser": optimiser.state_dict(),
                "schedule": schedule.state_dict(),
                "best": best,
                "curve": asdict(curve),
                "step": step + 1,
            },
        )
        since = len(curve.validation) - 1 - int(np.argmin(curve.validation))
        if since >= settings.patience:
            break
    network.load_state_dict(best["weights"])
    network.eval()
    return curve


def _save(path: Path, state: dict[str, Any]) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    torch.save(state, part)
    os.replace(part, path)
