"""Seconds of one windowed multislice image, and of the same image by the linear engine; their peak memory."""

from __future__ import annotations

import torch
from ase import Atoms
from scipy.spatial.transform import Rotation

from datasets.catalog import AdfCard, StructureRecipe
from datasets.imaging.engines import adf_image
from datasets.structures import make_structure

STRUCTURE = StructureRecipe(generator="nanoparticle", seed=1, parameters={"n_atoms": 40})
IMAGING = {
    "energy_eV": 300e3,
    "semiangle_mrad": 21.0,
    "detector_inner_mrad": 38.0,
    "detector_outer_mrad": 90.0,
    "source_sigma": 0.3,
    "potential_sampling": 0.07,
    "slice_thickness": 2.0,
    "phonons": 1,
    "phonon_sigma": 0.08,
    "pixel_size": 0.4,
    "n_pixels": 48,
    "tilts": {"start": 0.0, "stop": 0.0, "n": 1},
}
TILT = Rotation.from_euler("y", 17.0, degrees=True)


class Multislice:
    """One tilt, one phonon configuration, 40 atoms: potential, scan and interpolation together."""

    params = ("multislice", "linear")
    param_names = ("engine",)
    timeout = 300

    def setup(self, engine: str) -> None:
        """Make the particle, and an image of one atom so that everything is imported."""
        torch.set_num_threads(1)
        self.atoms = make_structure(STRUCTURE)
        self.imaging = AdfCard.model_validate(IMAGING | {"engine": engine})
        adf_image(Atoms("Au"), self.imaging, TILT)

    def time_image(self, engine: str) -> None:
        """From atoms to the fraction of the beam on the detector."""
        adf_image(self.atoms, self.imaging, TILT)

    def peakmem_image(self, engine: str) -> None:
        """The most memory of the process."""
        adf_image(self.atoms, self.imaging, TILT)
