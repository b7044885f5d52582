"""Fit the three constants of the linear engine to the windowed multislice, on particles kept for tuning.

    python -m datasets.imaging.calibrate cuau-150

Atoms of one species share one weight: for a given width, the least-squares weights of the two species over
all images follow linearly, and the width is searched. The exponent is the ratio of the weights' logarithms.
"""

from __future__ import annotations

from dataclasses import dataclass

import click
import numpy as np
import numpy.typing as npt
from abtem.core.energy import energy2wavelength
from ase import Atoms
from scipy.optimize import minimize_scalar

from datasets.catalog import AdfCard, StructureRecipe, load_dataset
from datasets.errors import InputError
from datasets.imaging.detector import Imperfections
from datasets.imaging.engines import adf_image
from datasets.imaging.linear import gaussian_atoms
from datasets.schema import pixel_axis
from datasets.structures import make_structure

TUNING_SEEDS = (201, 202)
"""Particles that no benchmark uses."""
TUNING_TILTS = (2, 7, 12, 17)

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """The constants of datasets.imaging.linear, and the relative residual of the fit, rms over rms."""

    exponent: float
    cross_section: float
    probe_width: float
    residual: float


def fit(tilted: list[Atoms], images: list[FloatArray], imaging: AdfCard) -> Calibration:
    """The constants that bring the linear images of `tilted` two-species structures closest to `images`."""
    axis = pixel_axis(imaging.n_pixels, imaging.pixel_size)
    numbers = np.unique(tilted[0].numbers)
    if len(numbers) != 2:
        raise InputError(f"calibration needs structures of two species, got {len(numbers)}")
    target = np.concatenate([image.ravel() for image in images])

    def weights(sigma: float) -> tuple[FloatArray, float]:
        columns = [
            np.concatenate(
                [
                    gaussian_atoms(atoms.positions, 1.0 * (atoms.numbers == z), sigma, axis).ravel()
                    for atoms in tilted
                ]
            )
            for z in numbers
        ]
        design = np.stack(columns, axis=1)
        solution = np.linalg.lstsq(design, target)[0]
        return solution, float(np.sqrt(np.mean((design @ solution - target) ** 2) / np.mean(target**2)))

    best = minimize_scalar(lambda sigma: weights(sigma)[1], bounds=(0.1, 1.0), method="bounded")
    (light, heavy), residual = weights(float(best.x))
    exponent = float(np.log(heavy / light) / np.log(numbers[1] / numbers[0]))
    resolution = float(energy2wavelength(imaging.energy_eV)) / (imaging.semiangle_mrad * 1e-3)
    probe = np.sqrt(best.x**2 - imaging.phonon_sigma**2 - imaging.source_sigma**2)
    return Calibration(exponent, float(light / numbers[0] ** exponent), float(probe / resolution), residual)


@click.command()
@click.argument("dataset")
def main(dataset: str) -> None:
    """Calibrate the linear engine on the optics of DATASET."""
    card = load_dataset(dataset)
    rotations = Imperfections.draw(card.imperfections, card.adf.tilts.n).rotations(card.adf.tilts.theta())
    tilted, images = [], []
    for seed in TUNING_SEEDS:
        structure = StructureRecipe.model_validate({**card.structure.model_dump(), "seed": seed})
        for tilt in TUNING_TILTS:
            atoms = make_structure(structure)
            sequence = np.random.SeedSequence([card.adf.seed, tilt])
            images.append(adf_image(atoms, card.adf, rotations[tilt], seed=sequence))
            atoms.positions = rotations[tilt].apply(atoms.positions)
            tilted.append(atoms)
    found = fit(tilted, images, card.adf)
    click.echo(
        f"EXPONENT = {found.exponent:.3f}\nCROSS_SECTION = {found.cross_section:.4g}\n"
        f"PROBE_WIDTH = {found.probe_width:.4f}\nresidual {found.residual:.1%} (rms over rms)"
    )


if __name__ == "__main__":
    main()
