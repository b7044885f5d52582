"""The windowed multislice against abTEM's full field, on one image of a dataset: time and error in one run.

python -m datasets.imaging.compare cuau-150 --tilt 3 --probes 200
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import click
import numpy as np
import numpy.typing as npt
from ase import Atoms

from datasets.catalog import DatasetCard, load_dataset
from datasets.errors import InputError
from datasets.imaging import abtem_reference, adf
from datasets.imaging.detector import Imperfections
from datasets.imaging.potential import sliced_potential, thermal_displacements
from datasets.structures import make_structure


@dataclass(frozen=True)
class Comparison:
    """Fractions (n_probes,) of both engines at the same probes of one configuration, and seconds per probe.

    Building the potential, which both share, is left out of the times.
    """

    windowed: npt.NDArray[np.float64]
    reference: npt.NDArray[np.float64]
    windowed_seconds: float
    reference_seconds: float

    @property
    def error(self) -> float:
        """The largest difference, as a fraction of the reference's maximum."""
        return float(np.abs(self.windowed - self.reference).max() / self.reference.max())

    @property
    def correlation(self) -> float:
        """The correlation between the two."""
        return float(np.corrcoef(self.windowed, self.reference)[0, 1])


def compare(card: DatasetCard, tilt: int, n_probes: int, *, seed: int = 0) -> Comparison:
    """Image one tilt of `card` with one phonon configuration: all probes windowed, `n_probes` random ones by
    abTEM.
    """
    theta = card.adf.tilts.theta()
    if not 0 <= tilt < len(theta):
        raise InputError(f"dataset {card.name}: tilt must be 0 to {len(theta) - 1}, got {tilt}")
    atoms = make_structure(card.structure)
    atoms.positions = (
        Imperfections.draw(card.imperfections, len(theta)).rotations(theta)[tilt].apply(atoms.positions)
    )
    thermal = thermal_displacements(
        len(atoms), 1, card.adf.phonon_sigma, np.random.SeedSequence([seed, tilt])
    )
    positions = atoms.positions + thermal[0]
    plan = adf.make_plan(card.adf, positions, card.adf.defocus)
    chosen = np.random.default_rng(seed).permutation(np.flatnonzero(plan.mask))[:n_probes]
    mask = np.zeros_like(plan.mask)
    mask.flat[chosen] = True

    potential = sliced_potential(Atoms(numbers=atoms.numbers, positions=positions), plan.grid)
    adf.scan_image(plan, potential, card.adf, card.adf.defocus)  # plans of the FFT library, caches
    start = time.perf_counter()
    windowed = adf.scan_image(plan, potential, card.adf, card.adf.defocus)
    middle = time.perf_counter()
    reference = abtem_reference.scan_image(plan, potential, card.adf, card.adf.defocus, mask)
    return Comparison(
        windowed[mask],
        reference[mask],
        (middle - start) / int(plan.mask.sum()),
        (time.perf_counter() - middle) / int(mask.sum()),
    )


@click.command()
@click.argument("dataset")
@click.option("--tilt", default=0, show_default=True)
@click.option("--probes", default=200, show_default=True, help="Probes that abTEM computes.")
def main(dataset: str, tilt: int, probes: int) -> None:
    """Compare the two multislice engines on one image of DATASET."""
    try:
        result = compare(load_dataset(dataset), tilt, probes)
    except InputError as error:
        raise click.ClickException(str(error)) from None
    click.echo(
        f"abTEM, full field: {result.reference_seconds * 1e3:.2f} ms per probe\n"
        f"windowed:          {result.windowed_seconds * 1e3:.2f} ms per probe "
        f"({result.reference_seconds / result.windowed_seconds:.0f} times faster)\n"
        f"largest error:     {result.error:.2%} of the maximum, correlation {result.correlation:.5f}, "
        f"{len(result.reference)} probes"
    )


if __name__ == "__main__":
    main()
