"""How `poisson-ml` grows with the number of atoms: its part of `python -m benchmarks.speed`.

Made-up amorphous particles of the density of silicon, drawn with the model of the fit itself, so that nothing
but counting noise is wrong: what is timed is the work, and the errors show that it was done. Every size runs
in a process of its own, whose peak memory is then its own.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import click
import numpy as np
import numpy.typing as npt
import torch
import xarray as xr
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from benchmarks.metrics.match import match_positions
from datasets.schema import EULER_SEQUENCE, make_measurement, pixel_axis
from recon import registry
from recon.atoms.covariance import local_covariance
from recon.atoms.halo import probe_halo
from recon.atoms.poisson_fit import Series, State, state_of
from recon.project.gaussian_atoms import REACH, GaussianAtoms
from recon.project.geometry import Geometry

FloatArray = npt.NDArray[np.float64]

ATOMS = (200, 630, 2000, 6300, 20000)
DENSITY = 0.05
"""Atoms per Å³, and the least distance [Å] of two: those of amorphous silicon."""
CLOSEST = 2.3
MARGIN = 4.6
"""Å, of dark around the particle; with it 20,000 atoms need images of 290²."""
PIXEL_SIZE = 0.347
DOSE = 8e3
"""Electrons per Å² in every image. With it an atom of silicon gives `HEIGHT` electrons, as wide as `WIDTH`
[Å] (multislice of si-208), above `BACKGROUND` electrons per pixel."""
HEIGHT = 13.5
WIDTH = 0.42
SPREAD = 0.05
BACKGROUND = 1.0
OPTICS = {"energy_eV": 200e3, "semiangle_mrad": 17.5}
CUTOFF = 0.9
"""Å, of the matching (paper 003, si-208)."""
PM_PER_ANGSTROM = 100.0


@dataclass(frozen=True)
class Outcome:
    """What one size took and gave: seconds by the clock and of all processors, those of all processors for
    `drawing` all atoms once, peak memory [GiB]; recall, precision, RMSD and its bounds [pm], of atoms `alone`
    and `coupled` to their neighbours; rounds of adding and removing.
    """

    atoms: int
    pixels: int
    clock: float
    processor: float
    drawing: float
    memory: float
    recall: float
    precision: float
    rmsd: float
    alone: float
    coupled: float
    rounds: float


def packed(n: int, rng: np.random.Generator) -> FloatArray:
    """`n` points (n, 3) [Å] at random in a ball of `DENSITY`, none nearer to another than `CLOSEST`.

    Pairs that are too close push each other apart until there are none: n log n operations a round.
    """
    radius = (3 * n / (4 * np.pi * DENSITY)) ** (1 / 3)
    points = rng.normal(size=(n, 3))
    points *= radius * rng.uniform(size=(n, 1)) ** (1 / 3) / np.linalg.norm(points, axis=1, keepdims=True)
    while True:
        pairs = KDTree(points).query_pairs(CLOSEST, output_type="ndarray")
        if not len(pairs):
            return points
        apart = points[pairs[:, 0]] - points[pairs[:, 1]]
        distance = np.linalg.norm(apart, axis=1, keepdims=True)
        push = apart * (0.5 * (1.02 * CLOSEST - distance) / distance)
        for axis in range(3):
            points[:, axis] += np.bincount(pairs[:, 0], push[:, axis], n)
            points[:, axis] -= np.bincount(pairs[:, 1], push[:, axis], n)
        points *= np.minimum(1, radius / np.linalg.norm(points, axis=1, keepdims=True))


def drawn(n: int, tilts: int, seed: int = 0) -> tuple[xr.Dataset, Series, State]:
    """Counts of a particle of `n` atoms at `tilts` around y, and the truth as a state of their fit."""
    rng = np.random.default_rng([seed, n])
    positions = packed(n, rng)
    reach = float(np.linalg.norm(positions, axis=1).max()) + MARGIN
    axis = pixel_axis(2 * round(reach / PIXEL_SIZE), PIXEL_SIZE)
    euler = np.zeros((tilts, 3))
    euler[:, 1] = np.arange(tilts) * 180 / tilts - 90
    turns = Rotation.from_euler(EULER_SEQUENCE, euler, degrees=True)
    blank = np.zeros((tilts, len(axis), len(axis)), dtype=np.float32)
    geometry = Geometry(turns, axis, axis, axis, PIXEL_SIZE)
    series = Series(blank, geometry, np.zeros((tilts, 2)), np.ones(tilts), probe_halo(OPTICS))
    heights = HEIGHT * (1 + SPREAD * rng.normal(size=n))
    truth = state_of(series, positions, heights, WIDTH, BACKGROUND)
    coords = {"phi": euler[:, 0], "theta": euler[:, 1], "psi": euler[:, 2], "y": axis, "x": axis}
    data = make_measurement(
        "adf",
        rng.poisson(truth.model).astype(np.uint16),
        coords,
        dose_per_area=DOSE,
        pixel_size=PIXEL_SIZE,
        background=BACKGROUND,
        elements=["Si"],
        optics=OPTICS,
    )
    return data, series, truth


def bounds(series: Series, truth: State) -> tuple[float, float]:
    """The least RMSD [pm] at the `truth`: of atoms that are alone and as bright as known, and with their own
    and their neighbours' numbers unknown.
    """
    atoms = series.atoms(truth.positions, truth.width)
    at = truth.positions, truth.heights, atoms, truth.weights, series.near
    alone = local_covariance(*at, precision=1e6, radius=CLOSEST / 10)
    found = [np.trace(c[:, 1:, 1:], axis1=1, axis2=2).mean() for c in (alone, local_covariance(*at))]
    return PM_PER_ANGSTROM * PIXEL_SIZE * np.sqrt(found[0]), PM_PER_ANGSTROM * PIXEL_SIZE * np.sqrt(found[1])


def measured(n: int, tilts: int, threads: int, name: str) -> Outcome:
    """Reconstruct a particle of `n` atoms by `name`."""
    torch.set_num_threads(threads)
    data, series, truth = drawn(n, tilts)
    method = registry.get(name)
    clock, processor = time.perf_counter(), time.process_time()
    answer = method.reconstruct(data, rng=np.random.default_rng(0))
    clock, processor = time.perf_counter() - clock, time.process_time() - processor
    unit = 1 if sys.platform == "darwin" else 1024
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
    match = match_positions(answer.atoms.positions, truth.positions, cutoff=CUTOFF)
    return Outcome(
        n,
        data.sizes["x"],
        clock,
        processor,
        drawing_once(series, truth),
        memory,
        match.n / n,
        match.n / max(len(answer.atoms), 1),
        PM_PER_ANGSTROM * float(np.sqrt(match.sum_of_squares / max(match.n, 1))),
        *bounds(series, truth),
        answer.stats.get("rounds", np.nan),
    )


def drawing_once(series: Series, truth: State) -> float:
    """Processor seconds for drawing all atoms once, the least of three: n · n_tilt windows of ±`REACH` widths
    with two multiply-adds at each pixel. A step of the fit cannot do without some ten such passes.
    """
    atoms = series.atoms(truth.positions, truth.width)
    cores = GaussianAtoms(atoms.u, atoms.v, atoms.sigma, atoms.rows, atoms.shape)
    taken = []
    for _ in range(3):
        begin = time.process_time()
        cores.project(truth.heights)
        taken.append(time.process_time() - begin)
    return min(taken)


def in_a_process(n: int, tilts: int, threads: int, name: str) -> Outcome:
    """`measured` in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measured, n, tilts, threads, name).result()


def exponent(x: FloatArray, y: FloatArray) -> tuple[float, float]:
    """Of y against x by least squares in the logarithms, and its standard error (nan for two points)."""
    steps, values = np.log(x) - np.log(x).mean(), np.log(y)
    slope = float(steps @ values / (steps @ steps))
    rest = values - values.mean() - slope * steps
    free = len(x) - 2
    return slope, float(np.sqrt(rest @ rest / free / (steps @ steps))) if free > 0 else np.nan


def time_likelihood(atoms: Iterable[int], tilts: int, threads: int, name: str = "poisson-ml") -> None:
    """Print what `name` took and gave at every size, and the exponent of its growth."""
    in_a_process(min(50, *atoms), tilts, threads, name)  # compiled
    click.echo(
        "likelihood     atoms  pixels  seconds (of processor, an atom, in drawings)   GiB  recall  precision"
        "  RMSD (bound alone, coupled)  rounds"
    )
    seen = []
    for n in sorted(atoms):
        found = in_a_process(n, tilts, threads, name)
        seen.append(found)
        pixels = (2 * REACH * WIDTH / PIXEL_SIZE) ** 2
        click.echo(
            f"likelihood     {n:5d}  {found.pixels:5d}²  {found.clock:.1f} s ({found.processor:.1f} s, "
            f"{1e3 * found.processor / n:.1f} ms, {found.processor / found.drawing:.0f} of "
            f"{n * tilts * pixels / 1e6:.1f} million pixels)  {found.memory:.2f}  "
            f"{100 * found.recall:.2f} %  {100 * found.precision:.2f} %  "
            f"{found.rmsd:.1f} pm ({found.alone:.1f}, {found.coupled:.1f})  {found.rounds:.0f}"
        )
    if len(seen) > 1:
        n_atoms = np.array([found.atoms for found in seen], dtype=float)
        for what in ("processor", "clock"):
            slope, error = exponent(n_atoms, np.array([getattr(found, what) for found in seen]))
            click.echo(f"likelihood     seconds ({what}) grow as atoms^{slope:.3f} ± {error:.3f}")
