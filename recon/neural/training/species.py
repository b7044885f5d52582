"""Training of the network that names atoms (`recon.neural.species`).

Cross-entropy over the species present, averaged over the atoms of a particle and then over particles, so that
a large one counts no more than a small one; Adam with a short rise and a cosine fall of its rate; the weights
kept are those of the epoch with the least loss on the validation list. On a CPU one seed gives the same
weights, to the bit, with or without a stop in between; on CUDA, where sums over neighbours have no fixed
order and products are of bfloat16, nearly the same.
"""

from __future__ import annotations

import dataclasses
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from datasets.errors import InputError
from recon.neural.atom_graph import AtomGraph, atom_graph
from recon.neural.species import SpeciesNetwork, SpeciesSizes, collate
from recon.project.projector import resolve_device

FloatArray = npt.NDArray[np.float64]
Callback = Callable[[int, Mapping[str, float]], None]
"""Called after every epoch with its number (from 1) and its figures; may raise StopIteration to end there."""


@dataclass(frozen=True)
class SpeciesSample:
    """The atoms found in one measurement, and what they are.

    `positions` (n, 3) [Å], `intensities` (n,) and `descriptors` (n, n_descriptors) as `name_atoms` is handed
    them; `target` (n,) the true index into `elements`, anything for atoms of no weight, such as false ones;
    `family` the kind of material; `weights` (n,), by default one.
    """

    positions: FloatArray
    intensities: FloatArray
    descriptors: FloatArray
    target: npt.NDArray[np.int64]
    elements: tuple[str, ...]
    family: str
    weights: FloatArray | None = None


@dataclass(frozen=True)
class SpeciesTraining:
    """How to train. A step takes up to `batch_size` particles of like size with up to `batch_atoms` atoms;
    `patience` is how many epochs may pass without a lower validation loss.
    """

    epochs: int = 60
    batch_size: int = 8
    batch_atoms: int = 8192
    learning_rate: float = 1e-3
    rise: float = 0.05
    patience: int = 15
    clip: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class SpeciesTrained:
    """The best weights, the epoch (from 1) they are of, and per epoch its figures: `learning_rate`,
    `train_loss`, `validation_loss`, `validation_accuracy` and `seconds`.
    """

    sizes: SpeciesSizes
    state: dict[str, torch.Tensor]
    best_epoch: int
    curves: list[dict[str, float]]

    def network(self) -> SpeciesNetwork:
        """The trained network, ready to name atoms."""
        model = SpeciesNetwork(self.sizes)
        model.load_state_dict(self.state)
        return model.eval()


@dataclass(frozen=True)
class Score:
    """Of a list of samples: mean loss and accuracy of its particles, that of each family, and how many
    particles are in it.
    """

    loss: float
    accuracy: float
    by_family: dict[str, float]
    n_particles: int


@dataclass(frozen=True)
class _Prepared:
    graph: AtomGraph
    target: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32]
    family: str


@dataclass
class _State:
    epoch: int = 0
    best_loss: float = math.inf
    best_epoch: int = 0
    best: dict[str, torch.Tensor] = field(default_factory=dict)
    curves: list[dict[str, float]] = field(default_factory=list)


def train_species(
    samples: Iterable[SpeciesSample],
    validation: Iterable[SpeciesSample],
    *,
    sizes: SpeciesSizes,
    training: SpeciesTraining | None = None,
    device: str | torch.device = "auto",
    checkpoint: str | os.PathLike[str] | None = None,
    callback: Callback | None = None,
) -> SpeciesTrained:
    """A network of `sizes` trained on `samples`, stopped by `validation`.

    With a `checkpoint` file the state after every epoch is written there, atomically, and training goes on
    from it where it exists. Mixed precision on CUDA only. Raises `InputError` where there is nothing to learn
    from, or where the checkpoint is of other sizes or settings.
    """
    training = training or SpeciesTraining()
    target_device = resolve_device(device)
    learn, check = ([_prepare(s, sizes) for s in part] for part in (samples, validation))
    learn, check = ([p for p in part if p.weights.any()] for part in (learn, check))
    if not learn or not check:
        raise InputError("training needs particles with known atoms, and others to validate on")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        model = SpeciesNetwork(sizes)
    model.to(target_device)
    optimiser = torch.optim.Adam(model.parameters(), lr=training.learning_rate)
    path = None if checkpoint is None else Path(checkpoint)
    state = _State()
    if path is not None and path.exists():
        state = _read(path, model, optimiser, training)
    while state.epoch < training.epochs and state.epoch - state.best_epoch < training.patience:
        started = time.perf_counter()
        train_loss = _epoch(model, optimiser, learn, training, state.epoch)
        score = _score(model, check, training)
        state.epoch += 1
        if score.loss < state.best_loss:
            state.best_loss, state.best_epoch = score.loss, state.epoch
            state.best = {key: value.detach().cpu().clone() for key, value in model.state_dict().items()}
        state.curves.append(
            {
                "learning_rate": float(optimiser.param_groups[0]["lr"]),
                "train_loss": train_loss,
                "validation_loss": score.loss,
                "validation_accuracy": score.accuracy,
                "seconds": time.perf_counter() - started,
            }
        )
        if path is not None:
            _write(path, model, optimiser, training, state)
        if callback is not None:
            try:
                callback(state.epoch, state.curves[-1])
            except StopIteration:
                break
    if not state.best:
        raise InputError("training diverged: no epoch had a finite validation loss; lower the learning rate")
    return SpeciesTrained(sizes, state.best, state.best_epoch, state.curves)


def score_species(
    model: SpeciesNetwork, samples: Iterable[SpeciesSample], *, training: SpeciesTraining | None = None
) -> Score:
    """How well `model` names the atoms of `samples`, as many at once as `training` says. Raises
    `InputError`.
    """
    prepared = [_prepare(sample, model.sizes) for sample in samples]
    prepared = [p for p in prepared if p.weights.any()]
    if not prepared:
        raise InputError("there are no particles with known atoms to score")
    return _score(model, prepared, training or SpeciesTraining())


def _prepare(sample: SpeciesSample, sizes: SpeciesSizes) -> _Prepared:
    n = len(sample.positions)
    weights = np.ones(n) if sample.weights is None else np.asarray(sample.weights)
    if sample.target.shape != (n,) or weights.shape != (n,):
        raise InputError(f"a sample of {sample.family!r} needs a target and a weight for each of {n} atoms")
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise InputError(f"a sample of {sample.family!r} has a weight that is negative or not finite")
    target = np.where(weights > 0, sample.target, 0)
    if n and (target.min() < 0 or target.max() >= len(sample.elements)):
        raise InputError(
            f"a sample of {sample.family!r} has a target outside its {len(sample.elements)} elements"
        )
    if sample.descriptors.shape[1:] != (sizes.n_descriptors,):
        raise InputError(
            f"a sample of {sample.family!r} has descriptors of shape {sample.descriptors.shape}, "
            f"they must be {sizes.n_descriptors}"
        )
    graph = atom_graph(
        sample.positions,
        sample.intensities,
        sample.descriptors,
        sample.elements,
        n_neighbours=sizes.n_neighbours,
    )
    return _Prepared(graph, target, weights.astype(np.float32), sample.family)


def _batches(
    prepared: Sequence[_Prepared], training: SpeciesTraining, rng: np.random.Generator | None
) -> Iterator[list[_Prepared]]:
    """Particles of like size together, so that little is padding; in random order where there is `rng`."""
    sizes = np.array([len(p.target) for p in prepared], dtype=np.float64)
    if rng is not None:
        sizes = sizes * np.exp(rng.uniform(-0.3, 0.3, len(sizes)))
    batches: list[list[_Prepared]] = []
    for row in np.argsort(sizes, kind="stable"):
        here = prepared[row]
        full = not batches or len(batches[-1]) == training.batch_size
        if (
            full
            or max(len(p.target) for p in [*batches[-1], here]) * (len(batches[-1]) + 1)
            > training.batch_atoms
        ):
            batches.append([])
        batches[-1].append(here)
    order = np.arange(len(batches)) if rng is None else rng.permutation(len(batches))
    return (batches[row] for row in order)


def _epoch(
    model: SpeciesNetwork,
    optimiser: torch.optim.Optimizer,
    learn: Sequence[_Prepared],
    training: SpeciesTraining,
    epoch: int,
) -> float:
    """One pass over `learn`; the mean loss of its particles."""
    device = next(model.parameters()).device
    batches = list(_batches(learn, training, np.random.default_rng([training.seed, epoch])))
    total = 0.0
    model.train()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(training.seed * 1_000_003 + epoch)
        for step, batch in enumerate(batches):
            rate = _rate(training, epoch + (step + 0.5) / len(batches))
            for group in optimiser.param_groups:
                group["lr"] = rate
            losses, _ = _losses(model, batch)
            optimiser.zero_grad(set_to_none=True)
            losses.mean().backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), training.clip)
            optimiser.step()
            total += float(losses.detach().sum())
    return total / len(learn)


def _rate(training: SpeciesTraining, epoch: float) -> float:
    rise = training.rise * training.epochs
    falling = max(epoch - rise, 0.0) / max(training.epochs - rise, 1e-12)
    return (
        training.learning_rate
        * min(1.0, epoch / max(rise, 1e-12))
        * (0.5 + 0.5 * math.cos(math.pi * falling))
    )


def _losses(model: SpeciesNetwork, batch: Sequence[_Prepared]) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss of every particle of `batch` and the weight of its atoms that are named right, over all."""
    device = next(model.parameters()).device
    inputs = collate([p.graph for p in batch], device)
    n = inputs.nodes.shape[1]
    target = torch.from_numpy(np.stack([np.pad(p.target, (0, n - len(p.target))) for p in batch])).to(device)
    weights = torch.from_numpy(np.stack([np.pad(p.weights, (0, n - len(p.weights))) for p in batch])).to(
        device
    )
    weights = weights / weights.sum(dim=1, keepdim=True)
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"):
        scores = model(inputs)
    entropy = torch.nn.functional.cross_entropy(scores.transpose(1, 2), target, reduction="none")
    right = (scores.argmax(dim=-1) == target) * weights
    return (entropy * weights).sum(dim=1), right.sum(dim=1)


def _score(model: SpeciesNetwork, check: Sequence[_Prepared], training: SpeciesTraining) -> Score:
    losses, accuracies, families = [], [], []
    model.eval()
    with torch.no_grad():
        for batch in _batches(check, training, None):
            loss, right = _losses(model, batch)
            losses += loss.tolist()
            accuracies += right.tolist()
            families += [p.family for p in batch]
    by_family = {
        family: float(np.mean([a for a, f in zip(accuracies, families, strict=True) if f == family]))
        for family in sorted(set(families))
    }
    return Score(float(np.mean(losses)), float(np.mean(accuracies)), by_family, len(losses))


def _write(
    path: Path,
    model: SpeciesNetwork,
    optimiser: torch.optim.Optimizer,
    training: SpeciesTraining,
    state: _State,
) -> None:
    part = path.with_name(path.name + ".part")
    torch.save(
        {
            "sizes": dataclasses.asdict(model.sizes),
            "training": dataclasses.asdict(training),
            "model": model.state_dict(),
            "optimiser": optimiser.state_dict(),
            **{f.name: getattr(state, f.name) for f in dataclasses.fields(state)},
        },
        part,
    )
    os.replace(part, path)


def _read(
    path: Path, model: SpeciesNetwork, optimiser: torch.optim.Optimizer, training: SpeciesTraining
) -> _State:
    kept = torch.load(path, weights_only=True, map_location=next(model.parameters()).device)
    for what, now in (("sizes", model.sizes), ("training", training)):
        if kept[what] != dataclasses.asdict(now):
            raise InputError(f"{path}: the checkpoint was written with other {what}: {kept[what]}")
    model.load_state_dict(kept["model"])
    optimiser.load_state_dict(kept["optimiser"])
    state = _State(**{f.name: kept[f.name] for f in dataclasses.fields(_State)})
    state.best = {key: value.cpu() for key, value in state.best.items()}
    return state
