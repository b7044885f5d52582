"""Multislice ptychography, ours and by other programs, timed: `python -m benchmarks.ptychography_peer`.

Each (`benchmarks.ptychography_programs`) is given the same patterns, probe and positions of one tilt
(`benchmarks.ptychography_scan`), begins from vacuum, and is judged by the same loss, untimed.
"""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import torch

from benchmarks.ptychography_programs import PACKAGES, PEERS, Peer, own_slices
from benchmarks.ptychography_scan import (
    PtychographyScan,
    amplitude_loss,
    load_scan,
    save_scan,
    simulate_scan,
)
from datasets.errors import InputError

STRUCTURE = "cuau-1602"
"""The particle of the paper on multislice electron tomography, 33 Å thick."""
OURS = "ours"


@dataclass(frozen=True)
class Curve:
    """The loss after each of several rounds of iterations, and the seconds that they all took till then, by
    the clock and of all processors.
    """

    iterations: tuple[int, ...]
    clock: tuple[float, ...]
    processor: tuple[float, ...]
    loss: tuple[float, ...]

    def seconds_to(self, loss: float) -> float:
        """Processor seconds to a loss, interpolated in its logarithm; NaN where it is not reached."""
        for nth, reached in enumerate(self.loss):
            if reached <= loss:
                if nth == 0:
                    return self.processor[0]
                below, above = np.log(reached), np.log(self.loss[nth - 1])
                part = (above - np.log(loss)) / (above - below)
                return float(self.processor[nth - 1] + part * (self.processor[nth] - self.processor[nth - 1]))
        return float("nan")


def time_peer(peer: Peer, scan: PtychographyScan, n_iter: int, every: int = 1) -> Curve:
    """`n_iter` iterations of a program, judged after `every` of them; judging is not timed."""
    iterations, clocks, processors, losses = [], [0.0], [0.0], []
    for done in range(every, n_iter + 1, every):
        clock, processor = time.perf_counter(), time.process_time()
        peer.run(every)
        clocks.append(clocks[-1] + time.perf_counter() - clock)
        processors.append(processors[-1] + time.process_time() - processor)
        iterations.append(done)
        losses.append(amplitude_loss(peer.slices(), scan))
    return Curve(tuple(iterations), tuple(clocks[1:]), tuple(processors[1:]), tuple(losses))


def time_own(scan: PtychographyScan, n_iter: int, every: int = 1) -> Curve:
    """The same of ours, which has momentum and so begins anew for every look at it."""
    iterations = range(every, n_iter + 1, every)
    clocks, processors, losses = [], [], []
    for n in iterations:
        clock, processor = time.perf_counter(), time.process_time()
        slices = own_slices(scan, n)
        clocks.append(time.perf_counter() - clock)
        processors.append(time.process_time() - processor)
        losses.append(amplitude_loss(slices, scan))
    return Curve(tuple(iterations), tuple(clocks), tuple(processors), tuple(losses))


def describe(name: str, settings: str, curve: Curve) -> str:
    """A curve in words."""
    n = curve.iterations[-1]
    losses = ", ".join(f"{loss:.2e}" for loss in curve.loss)
    return (
        f"{name:<16} {settings}: {curve.clock[-1] / n:.3g} s ({curve.processor[-1] / n:.3g} s of processor) "
        f"per iteration; loss after {', '.join(map(str, curve.iterations))}: {losses}"
    )


@click.command()
@click.option(
    "--peer", "names", multiple=True, type=click.Choice(list(PEERS)), help="Only this one; repeatable."
)
@click.option("--iterations", default=10, show_default=True)
@click.option("--every", default=1, show_default=True, help="Iterations between two looks at the loss.")
@click.option("--own-iterations", default=20, show_default=True, help="Of ours, which are shorter.")
@click.option("--own-every", default=4, show_default=True)
@click.option("--scan-size", default=32, show_default=True, help="Probe positions along each axis.")
@click.option("--pixels", default=64, show_default=True, help="Of the detector, and of 0.4 Å in the window.")
@click.option("--slices", default=8, show_default=True)
@click.option("--electrons", type=float, help="Per position, for Poisson counts. [default: no noise]")
@click.option("--threads", default=1, show_default=True)
@click.option(
    "--patterns",
    type=click.Path(dir_okay=False, path_type=Path),
    help="An .npz file: read where it is there, else written; patterns take a minute or two.",
)
def main(
    names: Sequence[str],
    iterations: int,
    every: int,
    own_iterations: int,
    own_every: int,
    scan_size: int,
    pixels: int,
    slices: int,
    electrons: float | None,
    threads: int,
    patterns: Path | None,
) -> None:
    """Time multislice ptychography by ours and by other programs on this machine."""
    torch.set_num_threads(threads)
    if patterns is not None and patterns.exists():
        scan = load_scan(patterns)
    else:
        from datasets.catalog import load_structure
        from datasets.structures import make_structure

        atoms = make_structure(load_structure(STRUCTURE).recipe)
        scan = simulate_scan(atoms, n_scan=scan_size, n_pixels=pixels, n_slices=slices, electrons=electrons)
        if patterns is not None:
            save_scan(patterns, scan)
    rows, columns = scan.raster
    vacuum = amplitude_loss(np.ones((scan.n_slices, *scan.shape), dtype=np.complex64), scan)
    click.echo(
        f"{rows} × {columns} positions, {scan.n_pixels}² pixels, {scan.n_slices} slices of "
        f"{scan.slice_thickness:g} Å, {threads} threads; loss of vacuum {vacuum:.2e}"
    )
    curves = {OURS: time_own(scan, own_iterations, own_every)}
    click.echo(describe(OURS, "defaults", curves[OURS]))
    for name in names or PEERS:
        try:
            peer: Peer = PEERS[name](scan)
        except InputError as problem:
            click.echo(f"{name:<16} {problem}")
            continue
        curves[name] = time_peer(peer, scan, iterations, every)
        version = importlib.metadata.version(PACKAGES[name])
        click.echo(describe(f"{name} {version}", peer.settings, curves[name]))
    for target in sorted({min(curve.loss) for curve in curves.values()}, reverse=True):
        needed = ", ".join(f"{name} {curve.seconds_to(target):.3g}" for name, curve in curves.items())
        click.echo(f"{'equal loss':<16} {target:.2e} after processor seconds: {needed}")


if __name__ == "__main__":
    main()
