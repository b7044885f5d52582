"""Tracked errors of a tiny seeded pipeline: a particle, its counts at one dose, every tomographic method."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from benchmarks.metrics.match import match_positions
from benchmarks.metrics.position import position_scores
from benchmarks.metrics.tracing import tracing_scores
from datasets.catalog import AdfCard, StructureRecipe
from datasets.imaging.detector import draw_counts, noise_seed
from datasets.imaging.engines import adf_image
from datasets.schema import make_measurement, pixel_axis
from datasets.structures import make_structure
from recon import registry

DOSE = 350.0
"""e⁻/Å² per image: so few that no error is zero, for a curve at zero shows no improvement."""
BACKGROUND = 0.5
"""e⁻/pixel."""
METHODS = ("fbp", "sirt[n_iter=50]", "resire[n_iter=50]")

STRUCTURE = StructureRecipe(generator="nanoparticle", seed=1, parameters={"n_atoms": 80})
IMAGING = AdfCard.model_validate(
    {
        "engine": "linear",
        "energy_eV": 300e3,
        "semiangle_mrad": 21.0,
        "detector_inner_mrad": 38.0,
        "detector_outer_mrad": 200.0,
        "source_sigma": 0.3,
        "potential_sampling": 0.07,
        "slice_thickness": 1.0,
        "phonons": 1,
        "phonon_sigma": 0.08,
        "pixel_size": 0.4,
        "n_pixels": 64,
        "tilts": {"start": -70.0, "stop": 70.0, "n": 29},
    }
)


class Accuracy:
    """Linear images, so that a change of multislice does not move these curves."""

    params = METHODS
    param_names = ("reconstructor",)
    timeout = 300

    def setup_cache(self) -> dict[str, dict[str, float]]:
        """Scores of every method against the truth, made once for all tracked numbers."""
        atoms = make_structure(STRUCTURE)
        theta = IMAGING.tilts.theta()
        images = [adf_image(atoms, IMAGING, Rotation.from_euler("y", t, degrees=True)) for t in theta]
        axis = pixel_axis(IMAGING.n_pixels, IMAGING.pixel_size)
        level = np.zeros_like(theta)
        measurement = make_measurement(
            "adf",
            draw_counts(
                np.stack(images) * IMAGING.pixel_size**2, DOSE, BACKGROUND, noise_seed("asv", DOSE, 0)
            ),
            {"phi": level, "theta": theta, "psi": level, "y": axis, "x": axis},
            dose_per_area=DOSE,
            pixel_size=IMAGING.pixel_size,
            background=BACKGROUND,
            elements=["Cu", "Au"],
        )
        scores: dict[str, dict[str, float]] = {}
        for name in METHODS:
            answer = registry.get(name).reconstruct(measurement, rng=np.random.default_rng(0))
            match = match_positions(answer.atoms.positions, atoms.positions)
            scores[name] = position_scores(match) | dict(answer.stats)
            scores[name] |= tracing_scores(match, answer.atoms.numbers, atoms.numbers)
        return scores

    def track_rmsd(self, scores: dict[str, dict[str, float]], reconstructor: str) -> float:
        """Of matched atoms."""
        return scores[reconstructor]["rmsd"]

    def track_missing(self, scores: dict[str, dict[str, float]], reconstructor: str) -> float:
        """True atoms that were not found."""
        return 100 * (1 - scores[reconstructor]["recall"])

    def track_tracing_error(self, scores: dict[str, dict[str, float]], reconstructor: str) -> float:
        """False and missing atoms over true atoms."""
        return 100 * scores[reconstructor]["tracing_error"]

    def track_misidentified(self, scores: dict[str, dict[str, float]], reconstructor: str) -> float:
        """True atoms that were not found with their species."""
        return 100 * (1 - scores[reconstructor]["classification"])

    def track_r_factor(self, scores: dict[str, dict[str, float]], reconstructor: str) -> float:
        """Of the volume, after its last iteration."""
        return 100 * scores[reconstructor]["r_factor"]


Accuracy.track_rmsd.unit = "pm"  # type: ignore[attr-defined]
for _track in ("missing", "tracing_error", "misidentified", "r_factor"):
    getattr(Accuracy, f"track_{_track}").unit = "%"
