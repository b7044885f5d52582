"""Patterns by windowed multislice against abTEM's full field: error and time by the width of the window.

python -m datasets.imaging.compare_patterns cuau-150-4d --width 12 --width 16 --width 24
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import click
import numpy as np
from ase import Atoms

from datasets.catalog import DatasetCard, load_dataset
from datasets.errors import InputError
from datasets.imaging.abtem_patterns import full_field_patterns
from datasets.imaging.detector import Imperfections
from datasets.imaging.four_d_stem import make_beam, make_plan, one_configuration
from datasets.imaging.potential import thermal_displacements
from datasets.schema import pixel_axis
from datasets.structures import make_structure

AROUND = 1.1
"""Probes are taken within this many particle radii of its centre."""


@dataclass(frozen=True)
class PatternError:
    """The error of patterns made with a window `width` [Å] wide, rms over rms: `of_norm` of the patterns, and
    `of_change` of what the specimen changes of them; that of the annular detector as part of its largest
    fraction; and the processor seconds per probe.
    """

    width: float
    of_norm: float
    of_change: float
    annular: float
    seconds: float


def compare(
    card: DatasetCard, tilt: int, n_probes: int, widths: Sequence[float], *, seed: int = 0
) -> tuple[list[PatternError], float]:
    """The errors at one tilt and one phonon configuration of `card`, of the window that it takes (first) and
    of others, and abTEM's processor seconds per probe.
    """
    imaging, theta = card.four_d_stem, card.tilts.theta()
    if not 0 <= tilt < len(theta):
        raise InputError(f"dataset {card.name}: tilt must be 0 to {len(theta) - 1}, got {tilt}")
    atoms = make_structure(card.structure)
    positions = (
        Imperfections.draw(card.imperfections, len(theta)).rotations(theta)[tilt].apply(atoms.positions)
    )
    sequence = np.random.SeedSequence([seed, tilt])
    positions += thermal_displacements(len(atoms), 1, imaging.phonon_sigma, sequence)[0]
    turned = Atoms(numbers=atoms.numbers, positions=positions)

    axis = pixel_axis(imaging.n_scan, imaging.scan_step)
    radius = np.hypot(axis[:, None], axis)
    (inside,) = np.nonzero(radius.ravel() <= AROUND * np.abs(positions[:, :2]).max())
    chosen = np.sort(np.random.default_rng(seed).permutation(inside)[:n_probes])
    points = np.stack([axis[chosen % imaging.n_scan], axis[chosen // imaging.n_scan]], axis=1)
    start = time.process_time()
    reference = full_field_patterns(turned, points, imaging, imaging.defocus)
    reference_seconds = (time.process_time() - start) / len(chosen)

    errors = []
    for width in (None, *widths):
        plan = make_plan(imaging, positions, imaging.defocus, width)
        near = np.zeros_like(plan.near)
        near.flat[chosen] = True
        beam = make_beam(plan, imaging, imaging.defocus)
        # what does not depend on the number of probes is left out of the time
        seen = one_configuration(replace(plan, near=near), turned, beam, imaging)  # and plans of the FFTs
        start = time.process_time()
        one_configuration(replace(plan, near=np.zeros_like(near)), turned, beam, imaging)
        middle = time.process_time()
        one_configuration(replace(plan, near=near), turned, beam, imaging)
        seconds = (time.process_time() - middle) - (middle - start)
        error = np.sum((seen.patterns - reference.patterns) ** 2)
        change = reference.patterns - beam.pattern(imaging.binning)
        ring = np.abs(seen.annular - reference.annular).max() / reference.annular.max()
        errors.append(
            PatternError(
                plan.window * plan.grid.sampling,
                float(np.sqrt(error / np.sum(reference.patterns**2))),
                float(np.sqrt(error / np.sum(change**2))),
                float(ring),
                seconds / len(chosen),
            )
        )
    return errors, reference_seconds


@click.command()
@click.argument("dataset")
@click.option("--tilt", default=13, show_default=True)
@click.option("--probes", default=12, show_default=True, help="Probes that abTEM computes.")
@click.option("--width", "widths", multiple=True, type=float, help="A further window [Å]; repeatable.")
def main(dataset: str, tilt: int, probes: int, widths: tuple[float, ...]) -> None:
    """Compare the patterns of the two multislice engines on one tilt of DATASET."""
    try:
        errors, seconds = compare(load_dataset(dataset), tilt, probes, widths)
    except InputError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"abTEM, full field: {seconds * 1e3:.0f} ms per probe; {probes} probes\n")
    click.echo("window [Å]   error   of what the specimen changes   annular   ms per probe")
    for one in errors:
        click.echo(
            f"{one.width:10.1f} {one.of_norm:7.2%} {one.of_change:30.1%} {one.annular:9.1%} "
            f"{one.seconds * 1e3:14.1f}"
        )


if __name__ == "__main__":
    main()
