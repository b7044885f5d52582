"""How many atoms networks recover by dose, morphology and noise: `python -m benchmarks.neural_recovery
--corpus data`.

On the test split of the training corpus: families that no network was shown, in linear images with all their
faults. Every method is given the same volume, so that what is compared is the tracing of a volume as it is
and as redrawn. Rows are means over particles, with n and the 95 % bootstrap interval of the paired
difference to the plain volume.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import click
import numpy as np
import pandas as pd
from ase import Atoms
from ase.data import chemical_symbols
from tqdm import tqdm

from benchmarks.metrics.match import match_positions
from datasets.corpus.families import split_of
from datasets.errors import InputError
from recon import registry
from recon.atoms.classify import by_atomic_number
from recon.atoms.from_volume import atoms_from_volume
from recon.neural.augmented import AugmentedReconstructor
from recon.neural.grid import VOXEL, Frame, Volume
from recon.neural.training.corpus import Sample, read_corpus

PLAIN = "volume"
N_BOOTSTRAP = 2000
DOSES = (8, 40, 200, 1000, 10_001)
"""Edges of the classes of dose: electrons that the series counts of one atom of the heaviest species."""
BACKGROUNDS = (-1.0, 1e-9, 1.0, 31.0)
NOISES = ("no background", "some background", "strong background")
"""By the background within an atom's image relative to the atom: none, up to as much, more."""


@dataclass(frozen=True)
class Score:
    """Of one answer: `recall` and `precision`, the `tracing_error`, the `rmsd` [pm] of pairs, and the part
    of the true atoms that is found and rightly `named`.
    """

    recall: float
    precision: float
    tracing_error: float
    rmsd: float
    named: float


def scores_of(sample: Sample, methods: Iterable[str]) -> dict[str, Score]:
    """The scores of the plain volume of `sample` and of what each of `methods` makes of it."""
    frame = Frame(np.zeros(3), 1.0)
    truth = Atoms(numbers=sample.numbers, positions=frame.positions(sample.index))
    volume = sample.volume.astype(np.float32)
    elements = by_atomic_number([chemical_symbols[z] for z in sorted(set(sample.numbers.tolist()))])
    traced: dict[str, Callable[[], Atoms]] = {
        PLAIN: lambda: atoms_from_volume(frame.with_coordinates(volume), elements, min_height=1e-3)
    }
    for name in methods:
        method = registry.get(name)
        if not isinstance(method, AugmentedReconstructor):
            raise InputError(f"{name!r} is no network that redraws a volume")
        traced[name] = partial(_traced, method, volume, frame, elements)
    return {name: _score(trace(), truth) for name, trace in traced.items()}


def _traced(method: AugmentedReconstructor, volume: Volume, frame: Frame, elements: list[str]) -> Atoms:
    return method.trace(method.redraw(volume), volume, frame, elements)


def _score(answer: Atoms, truth: Atoms) -> Score:
    if not len(answer):
        return Score(0.0, 0.0, 1.0, np.nan, 0.0)
    match = match_positions(answer.positions, truth.positions)
    named = (answer.numbers[match.pairs[:, 1]] == truth.numbers[match.pairs[:, 0]]).sum()
    n = len(truth)
    return Score(
        match.n / n,
        match.n / len(answer),
        (n - match.n + len(answer) - match.n) / n,
        100 * float(np.sqrt(match.sum_of_squares / match.n)) if match.n else np.nan,
        float(named) / n,
    )


def recovery(
    url: str, n_samples: int, methods: list[str], *, seed: int = 0, most: int | None = None
) -> pd.DataFrame:
    """One row per test sample and method: family, dose, noise, start and scores."""
    samples = [s for s in read_corpus(url, n_samples, seed=seed) if split_of(s.family) == "test"][:most]
    rows = []
    for nth, sample in enumerate(tqdm(samples, unit="particle", disable=None)):
        told = {
            "sample": nth,
            "family": sample.family,
            "electrons": sample.record["electrons"],
            "noise": NOISES[int(np.searchsorted(BACKGROUNDS, sample.record["background"], side="right")) - 1],
            "wedge": "full range" if sample.record["tilt_range"] > 84 else "missing wedge",
            "start": sample.start,
            "n_atoms": len(sample.numbers),
        }
        rows += [
            {**told, "method": name, **vars(score)} for name, score in scores_of(sample, methods).items()
        ]
    found = pd.DataFrame(rows)
    labels = [f"{low} to {high} electrons" for low, high in pairwise(DOSES)]
    found["dose"] = pd.cut(found["electrons"], DOSES, labels=labels, right=False)
    return found


def table(found: pd.DataFrame, by: str, metric: str) -> pd.DataFrame:
    """Means of `metric` by class and method, and the paired difference of each method to the plain volume; of
    answers without a value, such as the RMSD of none, there is none.
    """
    wide = found.pivot_table(
        index=["sample", by], columns="method", values=metric, observed=True
    ).reset_index()
    rng = np.random.default_rng(0)
    rows = []
    for label, part in wide.groupby(by, observed=True):
        row: dict[str, object] = {by: label, "n": len(part)}
        for method in [PLAIN, *(c for c in wide.columns if c not in ("sample", by, PLAIN))]:
            row[method] = f"{part[method].mean():.3f}"
            if method != PLAIN:
                gain = (part[method] - part[PLAIN]).dropna().to_numpy()
                drawn = gain[rng.integers(len(gain), size=(N_BOOTSTRAP, len(gain)))].mean(axis=1)
                low, high = np.quantile(drawn, [0.025, 0.975])
                row[f"{method} − {PLAIN}"] = f"{gain.mean():+.3f} ({low:+.3f} to {high:+.3f})"
        rows.append(row)
    return pd.DataFrame(rows)


@click.command(help=__doc__)
@click.option("--corpus", "url", default="data", show_default=True)
@click.option("--samples", type=int, default=1440, show_default=True, help="Of the corpus; a tenth tests.")
@click.option("--method", "methods", multiple=True, default=("unet", "pann"), show_default=True)
@click.option("--most", type=int, help="Look at so many particles only.")
@click.option("--csv", type=click.Path(), help="Write every row there too.")
def main(url: str, samples: int, methods: tuple[str, ...], most: int | None, csv: str | None) -> None:
    """Print recovery by family, dose, noise and wedge."""
    found = recovery(url, samples, list(methods), most=most)
    if csv:
        found.to_csv(csv, index=False)
    for metric in ("tracing_error", "recall", "named", "rmsd"):
        for by in ("dose", "family", "noise", "wedge", "start"):
            click.echo(f"\n{metric} by {by}\n{table(found, by, metric).to_string(index=False)}")
    click.echo(f"\nvoxels of {VOXEL} Å; pairs within 1 Å, one translation removed")


if __name__ == "__main__":
    main()
