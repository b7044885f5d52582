"""How far the derivatives that the limit of patterns rests on are those of the multislice that made them.

    python -m benchmarks.limits.pattern_derivatives cuau-150-4d --tilt 3 --atoms 6

`benchmarks.limits.diffraction` takes the derivatives of its fitted model for those of the patterns. Here
atoms are moved by ±`STEP` in the plane of one tilt, with the same frozen phonons, and all patterns of the
tilt made again. For derivatives d of the multislice and m of the model, with the weights 1/I of Poisson
counts:

    information = Σ m²/I over Σ d²/I,   correlation = Σ d m/I over √(Σ d²/I Σ m²/I).

The first says by how much the bound's information is too large; a fit with the model for its estimator has an
error of at least the true bound over the correlation (White, Econometrica 50, 1 (1982), for one parameter).

Cost: two tilts of multislice for each atom and axis, after the fit of the limit.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.limits.diffraction import PatternLimit
from datasets.catalog import load_dataset
from datasets.imaging.engines import diffraction_patterns
from datasets.simulate import simulate
from datasets.store import DatasetStore

FloatArray = npt.NDArray[np.float64]
Patterns = Callable[[FloatArray], FloatArray]
"""From turned positions (n, 3) [Å] to patterns (n_scan, n_ky, n_kx) per unit dose."""

STEP = 0.03
"""Å that an atom is moved to either side."""
FAINTEST = 1e-12
"""Patterns per unit dose are taken for no less."""


@dataclass(frozen=True)
class Agreement:
    """Of one `atom` moved along x or y: `information` of the model over that of the patterns, and their
    `correlation`.
    """

    atom: int
    axis: str
    information: float
    correlation: float


def agreements(
    limit: PatternLimit, patterns: Patterns, tilt: int, atoms: Sequence[int]
) -> Iterator[Agreement]:
    """What the derivatives of `limit` have in common with those of `patterns` at one tilt."""
    turned = limit.series.scan.rotations[tilt].apply(limit.truth.positions)
    mean = np.maximum(limit.expected[tilt].astype(np.float64).reshape(-1), FAINTEST)
    for atom in atoms:
        modelled = limit.derivatives(tilt, atom)
        for axis in (0, 1):
            ends = []
            for sign in (1, -1):
                moved = turned.copy()
                moved[atom, axis] += sign * STEP
                ends.append(np.asarray(patterns(moved), dtype=np.float64).reshape(-1))
            real, model = (ends[0] - ends[1]) / (2 * STEP), modelled[axis].reshape(-1)
            own, of_model = (real**2 / mean).sum(), (model**2 / mean).sum()
            shared = (real * model / mean).sum() / np.sqrt(own * of_model)
            yield Agreement(atom, "xy"[axis], float(of_model / own), float(shared))


def multislice_of(store: DatasetStore, limit: PatternLimit, tilt: int) -> Patterns:
    """The multislice that made the patterns of one tilt of a dataset without imperfections."""
    imaging, rotation = store.card.four_d_stem, limit.series.scan.rotations[tilt]

    def patterns(turned: FloatArray) -> FloatArray:
        atoms = limit.truth.copy()
        atoms.positions = rotation.apply(turned, inverse=True)
        seed = np.random.SeedSequence([imaging.seed, tilt])
        seen = diffraction_patterns(atoms, imaging, rotation, shift=(0.0, 0.0), defocus_error=0.0, seed=seed)
        return np.asarray(seen.patterns, dtype=np.float64) * imaging.scan_step**2

    return patterns


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the agreement of some atoms, and its mean."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset", help="a 4dstem dataset")
    parser.add_argument("--tilt", type=int, default=0)
    parser.add_argument("--atoms", type=int, default=6, help="how many, drawn evenly over the particle")
    parser.add_argument("--data", default=None, help="where datasets are stored")
    asked = parser.parse_args(arguments)
    card = load_dataset(asked.dataset)
    store = simulate(card, card.doses[:1], 1, root=asked.data)
    limit = PatternLimit.of(store)
    radius = np.linalg.norm(limit.truth.positions, axis=1)
    spread = np.linspace(0, len(radius) - 1, asked.atoms).round().astype(int)
    chosen = np.argsort(radius)[spread]
    found = []
    for one in agreements(limit, multislice_of(store, limit, asked.tilt), asked.tilt, chosen.tolist()):
        found.append(one)
        symbol = limit.truth.symbols[one.atom]
        print(
            f"{symbol:2} {one.atom:5} along {one.axis}: information {one.information:.2f}, "
            f"correlation {one.correlation:.2f}",
            flush=True,
        )
    for name in ("information", "correlation"):
        values = np.array([getattr(one, name) for one in found])
        print(f"{name}: {values.mean():.2f} ± {values.std(ddof=1):.2f} (n = {len(values)})")


if __name__ == "__main__":
    main()
