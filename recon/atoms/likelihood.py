"""From counts to atoms by Poisson maximum likelihood: start, fit, and add or remove atoms by their odds.

No published workflow uses the counts themselves: they denoise, reconstruct a volume and look for atoms in it.
Here a volume only says where to start. From then on the raw counts are compared with what atoms would give
(positivity, atomicity and Poisson statistics used as they are), and an atom is kept when the odds are for it
(`recon.atoms.atom_search`).
"""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import xarray as xr
from scipy.spatial.transform import Rotation

from datasets.errors import InputError
from datasets.naming import format_name, parse_name
from datasets.schema import EULER_SEQUENCE, check_measurement
from recon import registry
from recon.align.against_atoms import refine_against_atoms
from recon.align.alignment import Alignment
from recon.atoms.atom_search import AtomSearch
from recon.atoms.classify import by_atomic_number
from recon.atoms.halo import probe_halo
from recon.atoms.poisson_fit import Series
from recon.base import Callback, Reconstruction, Reconstructor, Status
from recon.preprocess.annular import annular_images
from recon.project.geometry import Geometry

Images = Literal["as_given", "fit"]
"""Whether the images are as the start leaves them, or fitted to the atoms too."""


@dataclass(frozen=True)
class PoissonML(Reconstructor):
    """Atoms straight from the counts by Poisson maximum likelihood, warm-started by another reconstructor.

    `start` is the reconstructor whose atoms it begins with, and whose alignment it keeps; `false_rate` is how
    many false atoms noise may be expected to give at most, as a part of the atoms found
    (`recon.atoms.detection`); with `images` fit, angles, shifts, intensities and sharpness of all images are
    fitted to the atoms (`recon.align.against_atoms`) and the atoms found again; `n_rounds` bounds the rounds
    of adding and removing, `n_steps` the Fisher-scoring steps of each. Every atom of the answer has arrays
    `covariance` (9: a 3 × 3 matrix) [Å²] and `confidence`, the probability that it is one. As
    `resire+ml[n_iter=50]` it starts from `resire[n_iter=50]`: options that it does not have are the start's.

    It models atoms as alike within a species and images as sums of atoms. Where a crystal channels along a
    zone axis or a particle is thick, that is wrong, and at high dose the error of the model is that of the
    answer; what is off is then correlated over the image of an atom, and `covariance` is too small.
    """

    name: ClassVar[str] = "poisson-ml"
    version: ClassVar[int] = 2
    reference: ClassVar[str] = "this package (dosebench)"

    start: str = "fista"
    images: Images = "as_given"
    false_rate: float = 0.03
    n_rounds: int = 12
    n_steps: int = 8

    def __post_init__(self) -> None:
        if not 0 < self.false_rate <= 1:
            raise InputError(f"false_rate must be above 0 and at most 1, not {self.false_rate}")
        for name in ("n_rounds", "n_steps"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, not {getattr(self, name)}")

    @property
    def label(self) -> str:
        """As `Reconstructor.label`; from another start, `START+ml` with the parameters of both."""
        defaults = {f.name: f.default for f in dataclasses.fields(self)}
        own = {key: value for key, value in self.parameters.items() if value != defaults[key]}
        if "start" not in own:
            return format_name(self.name, own)
        del own["start"]
        base, options = parse_name(self.start)
        return format_name(base + registry.REFINED, options | own)

    def supports(self, measurement: xr.Dataset) -> tuple[bool, str]:
        """Whether the reconstructor that it starts from supports this measurement."""
        return self._starter().supports(measurement)

    def _starter(self) -> Reconstructor:
        return registry.get(self.start)

    def reconstruct(
        self, measurement: xr.Dataset, *, rng: np.random.Generator, callback: Callback | None = None
    ) -> Reconstruction:
        """The most likely atoms of `measurement`; without atoms to start from, none."""
        check_measurement(measurement)
        begin = time.perf_counter()
        first = self._starter().reconstruct(measurement, rng=rng, callback=callback)
        if first.status.failed or not len(first.atoms):
            return first
        measurement = annular_images(measurement)
        elements = by_atomic_number(list(measurement.attrs["elements"]))
        background = float(measurement.attrs["background"])
        series, geometry = _series(measurement, first), first.geometry
        search = AtomSearch.of(series, first.atoms, elements, background, self.false_rate)
        rounds = search.run(self.n_rounds, self.n_steps)
        if self.images == "fit" and len(search.labels):
            series, found = _fitted(search)
            geometry = found.as_dataset()
            search = AtomSearch.of(series, search.answer(), elements, background, self.false_rate)
            rounds += search.run(self.n_rounds, self.n_steps)
        stats = {**first.stats, **search.stats(), "rounds": float(rounds)}
        stats["seconds"] = time.perf_counter() - begin
        atoms = search.answer()
        status = Status.OK if np.isfinite(atoms.positions).all() else Status.NONFINITE
        return Reconstruction(atoms, first.volume, status, status.sentence, stats, geometry)


def _fitted(search: AtomSearch) -> tuple[Series, Alignment]:
    """The series with its images fitted to the atoms of `search`, and how they were found to be."""
    series, state = search.series, search.state
    start = replace(Alignment.identity(series.geometry.rotations), shifts=series.shifts, scales=series.scales)
    fit = refine_against_atoms(
        series.counts.astype(np.float64) - state.background,
        series.geometry,
        state.positions,
        state.heights,
        start=start,
        background=state.background,
    )
    found = fit.alignment
    blurs = None if found.widths is None else found.widths - found.widths.min()
    fitted = replace(series, geometry=fit.geometry, shifts=found.shifts, scales=found.scales, blurs=blurs)
    return fitted, found


def _series(measurement: xr.Dataset, first: Reconstruction) -> Series:
    """The raw counts with the geometry that the first answer rests on."""
    geometry = Geometry.of(measurement)
    n_tilt = measurement.sizes["tilt"]
    shifts, scales, blurs = np.zeros((n_tilt, 2)), np.ones(n_tilt), None
    if first.geometry is not None:
        angles = np.stack([first.geometry[name].values for name in ("phi", "theta", "psi")], axis=-1)
        turns = Rotation.from_euler(EULER_SEQUENCE, angles, degrees=True)
        geometry = Geometry(turns, geometry.x, geometry.y, geometry.z, geometry.pixel_size)
        shifts = np.stack([first.geometry[name].values for name in ("shift_x", "shift_y")], axis=-1)
        scales = first.geometry["scale"].values.astype(np.float64)
        if "width" in first.geometry:
            blurs = first.geometry["width"].values ** 2
            blurs -= blurs.min()
    counts = np.ascontiguousarray(measurement["counts"].values, dtype=np.float32)
    return Series(counts, geometry, shifts, scales, probe_halo(measurement.attrs), blurs)
