"""How fast reconstruction is on this machine: `python -m benchmarks.speed`.

Four things are timed on one made-up particle. RESIRE at the size of paper 003, which took 36 s for 100
iterations on three RTX A6000 (Methods); the accelerated solver up to the same R-factor; the normal operator
by sparse products and by FFT as tilts are added; and SIRT beside that of the ASTRA toolbox. A fifth, only
when asked for, is how the likelihood of atoms grows with their number (`benchmarks.likelihood_speed`).
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import get_args

import click
import numpy as np
import scipy.ndimage
import torch
from scipy.spatial.transform import Rotation
from tqdm import tqdm

from benchmarks.astra_sirt import AstraSIRT, Kind
from benchmarks.likelihood_speed import ATOMS, time_likelihood
from datasets.errors import InputError
from datasets.schema import EULER_SEQUENCE, pixel_axis
from recon.project.geometry import Geometry
from recon.project.projector import Projector, make_projector
from recon.project.toeplitz import ToeplitzNormal
from recon.tomography.fista import fista
from recon.tomography.r_factor import r_factor
from recon.tomography.resire import RESIRE, resire
from recon.tomography.sirt import sirt

PIXEL_SIZE = 0.347
"""[Å], of the 19,993-atom particle in paper 003: 60 projections of 290² pixels."""

MAX_TILT = 75.0
VOXELS_PER_ATOM = 370
ATOM_SIGMA = 1.5
RADIUS = 0.4
"""The particle's, as a part of the volume's edge."""

BRIGHTEST = 1000.0
"""Electrons in the brightest pixel of the noise-free images; counts are drawn from these."""

PARTS = ("resire", "accelerated", "toeplitz", "astra")
"""Timed unless others are asked for."""
LIKELIHOOD = "likelihood"


@dataclass
class Seconds:
    """By the clock and summed over processors."""

    clock: float = 0.0
    processor: float = 0.0

    def __str__(self) -> str:
        return f"{self.clock:.3g} s ({self.processor:.3g} s of processor)"


@contextmanager
def timed() -> Iterator[Seconds]:
    """The seconds of the block, known when it ends."""
    taken, clock, processor = Seconds(), time.perf_counter(), time.process_time()
    yield taken
    taken.clock, taken.processor = time.perf_counter() - clock, time.process_time() - processor


def least(work: Callable[[], object], repeats: int = 2) -> Seconds:
    """The least of several runs after a first one that compiles and warms."""
    work()
    runs = []
    for _ in range(repeats):
        with timed() as taken:
            work()
        runs.append(taken)
    return min(runs, key=lambda run: run.clock)


def tilt_angles(tilts: int) -> np.ndarray:
    """[deg], evenly over ±`MAX_TILT`."""
    return np.linspace(-MAX_TILT, MAX_TILT, tilts)


def geometry(size: int, tilts: int, rows: int | None = None) -> Geometry:
    """Tilts about y of `rows` slices of `size`²."""
    euler = np.zeros((tilts, 3))
    euler[:, 1] = tilt_angles(tilts)
    x, y = pixel_axis(size, PIXEL_SIZE), pixel_axis(rows or size, PIXEL_SIZE)
    return Geometry(Rotation.from_euler(EULER_SEQUENCE, euler, degrees=True), x, y, x, PIXEL_SIZE)


def particle(size: int, rows: int | None = None) -> torch.Tensor:
    """Gaussian atoms at random in a ball, (size, rows, size); the middle `rows` when not all."""
    rng = np.random.default_rng(0)
    volume = np.zeros((size,) * 3, dtype=np.float32)
    at = rng.uniform(-RADIUS, RADIUS, (size**3 // VOXELS_PER_ATOM, 3))
    at = ((at[np.linalg.norm(at, axis=1) < RADIUS] + 0.5) * size).astype(int)
    np.add.at(volume, tuple(at.T), 1.0)
    volume = scipy.ndimage.gaussian_filter(volume, ATOM_SIGMA, output=np.float32, truncate=3.0)
    first = (size - (rows or size)) // 2
    return torch.from_numpy(volume[:, first : first + (rows or size)].copy())


def counts(projector: Projector, volume: torch.Tensor) -> torch.Tensor:
    """Poisson counts of the particle, (n_tilt, n_y, n_x)."""
    expected = projector.forward(volume)
    expected = expected * (BRIGHTEST / expected.max())
    return torch.poisson(expected.contiguous(), generator=torch.Generator().manual_seed(0))


def peak_memory() -> float:
    """GiB that this process has held at most."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def progress(total: int, name: str) -> tuple[tqdm, Callable[[int, Mapping[str, float]], None]]:
    """A bar on a terminal, and the callback that moves it."""
    bar = tqdm(total=total, desc=name, leave=False, disable=None)

    def callback(iteration: int, figures: Mapping[str, float]) -> None:
        bar.update()
        bar.set_postfix(R=f"{figures['r_factor']:.4f}")

    return bar, callback


def time_resire(projector: Projector, data: torch.Tensor, iterations: int) -> float:
    """Print what RESIRE took; its R-factor."""
    resire(projector, data, 1)  # compiled and warm
    bar, callback = progress(iterations, "resire")
    with timed() as taken, bar:
        volume = resire(projector, data, iterations, step=RESIRE.step, callback=callback)
    reached = r_factor(projector.forward(volume), data)
    click.echo(
        f"resire         {iterations} iterations, step {RESIRE.step:g}: {taken}, R-factor {reached:.4f}, "
        f"peak memory {peak_memory():.2f} GiB"
    )
    return reached


def time_accelerated(
    projector: Projector, data: torch.Tensor, iterations: int, subsets: int, target: float
) -> None:
    """Print what FISTA needs to the R-factor `target` of RESIRE after `iterations`."""
    for parts in dict.fromkeys((1, subsets)):
        seen: list[float] = []

        def stop(iteration: int, figures: Mapping[str, float], seen: list[float] = seen) -> None:
            seen.append(figures["r_factor"])
            if figures["r_factor"] <= target:
                raise StopIteration

        fista(projector, data, iterations, subsets=parts, callback=stop)
        n_iter = max(1, len(seen) - 2)  # the figures are those of volumes an iteration or more ago
        while True:
            with timed() as taken:
                volume = fista(projector, data, n_iter, subsets=parts)
            reached = r_factor(projector.forward(volume), data)
            if reached <= target or n_iter >= iterations:
                break
            n_iter += 1
        ratio = f"{iterations / n_iter:.1f} times fewer" if reached <= target else "not reached"
        click.echo(
            f"fista          subsets={parts}: {n_iter} iterations, {taken}, R-factor {reached:.4f} "
            f"(resire {target:.4f} after {iterations}): {ratio}"
        )


def time_toeplitz(size: int, tilts: tuple[int, ...]) -> None:
    """Print the seconds of AᵀA by both ways for several numbers of tilts."""
    volume = particle(size)
    for n_tilt in tilts:
        projector = make_projector(geometry(size, n_tilt), oversample=2)
        sparse = projector.zeros() + volume
        with_projector = least(lambda p=projector, v=sparse: p.adjoint(p.forward(v)))  # type: ignore[misc]
        reference = projector.adjoint(projector.forward(sparse))
        del projector
        normal = ToeplitzNormal(geometry(size, n_tilt), oversample=2)
        slices = normal.zeros() + volume
        with_fft = least(lambda f=normal, v=slices: f(v))  # type: ignore[misc]
        difference = float((normal(slices) - reference).norm() / reference.norm())
        click.echo(
            f"normal         {n_tilt} tilts: sparse {with_projector}, FFT {with_fft}, "
            f"differing by {difference:.1e}"
        )


def time_astra(size: int, tilts: int, rows: int, iterations: int, threads: int) -> None:
    """Print the seconds per iteration of SIRT, ours and ASTRA's, on the same slices and threads."""
    projector = make_projector(geometry(size, tilts, rows), oversample=2)
    data = counts(projector, particle(size, rows))
    ours = least(lambda: sirt(projector, data, iterations), repeats=1)
    volume = sirt(projector, data, iterations).numpy()
    click.echo(
        f"sirt           {rows} slices, {threads} threads, ours, 2 × 2 sub-voxels: {_each(ours, iterations)}"
    )
    for kind in get_args(Kind):
        peer = AstraSIRT(np.deg2rad(tilt_angles(tilts)), data.numpy(), kind)
        taken = Seconds(*peer.run(iterations, threads))
        alike = float(np.corrcoef(peer.volume().ravel(), volume.ravel())[0, 1])
        peer.close()
        click.echo(
            f"sirt           {rows} slices, {threads} threads, ASTRA, {kind}: {_each(taken, iterations)}, "
            f"{taken.clock / ours.clock:.1f} times ours; volumes correlate by {alike:.4f}"
        )


def _each(taken: Seconds, iterations: int) -> str:
    return f"{Seconds(taken.clock / iterations, taken.processor / iterations)} per iteration"


@click.command()
@click.option("--size", default=290, show_default=True, help="Edge of the volume and of the images.")
@click.option("--tilts", default=60, show_default=True)
@click.option("--iterations", default=100, show_default=True, help="Of RESIRE.")
@click.option("--subsets", default=8, show_default=True, help="Of the accelerated solver.")
@click.option("--threads", default=0, help="0: as many as PyTorch takes.")
@click.option("--slices", default=64, show_default=True, help="For ASTRA, which is slower.")
@click.option(
    "--atoms", multiple=True, default=ATOMS, show_default=True, help="Of the likelihood; repeatable."
)
@click.option(
    "--part",
    "parts",
    multiple=True,
    type=click.Choice((*PARTS, LIKELIHOOD)),
    help="Only this one; repeatable. The likelihood takes minutes and runs only when named.",
)
def main(
    size: int,
    tilts: int,
    iterations: int,
    subsets: int,
    threads: int,
    slices: int,
    atoms: tuple[int, ...],
    parts: tuple[str, ...],
) -> None:
    """Time reconstruction on this machine."""
    chosen = parts or PARTS
    if threads:
        torch.set_num_threads(threads)
    threads = torch.get_num_threads()
    if LIKELIHOOD in chosen:
        time_likelihood(atoms, tilts, threads)
    if set(chosen) == {LIKELIHOOD}:
        return
    click.echo(f"{tilts} tilts of {size} × {size} pixels into {size}³, {threads} threads")
    if "resire" in chosen or "accelerated" in chosen:
        with timed() as taken:
            projector = make_projector(geometry(size, tilts), oversample=2)
        click.echo(f"projector      made in {taken}")
        data = counts(projector, projector.zeros() + particle(size))
        target = time_resire(projector, data, iterations)
        if "accelerated" in chosen:
            time_accelerated(projector, data, iterations, subsets, target)
        del projector, data
    if "toeplitz" in chosen:
        time_toeplitz(size, (20, 60, 200))
    if "astra" in chosen:
        try:
            time_astra(size, tilts, min(slices, size), 3, threads)
        except InputError as problem:
            click.echo(f"sirt           {problem}")


if __name__ == "__main__":
    main()
