"""The tomographic workflow: denoise, subtract the background, align, reconstruct, trace, classify, refine."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr
from ase import Atoms
from scipy.spatial.transform import Rotation

from datasets.errors import InputError
from datasets.schema import rotations
from recon.align.against_atoms import refine_against_atoms
from recon.align.alignment import Alignment
from recon.align.angles import refine_angles
from recon.align.blur import BlurredProjector, excess_blur
from recon.align.reprojection import default_solver
from recon.align.series import Align, align
from recon.atoms.classify import Classify
from recon.atoms.from_volume import atoms_from_volume
from recon.atoms.refinement import Reclassify, Refine, reclassify_atoms, refine_atoms
from recon.base import Callback, Reconstruction, Reconstructor, Status
from recon.memory import peak_memory
from recon.preprocess.annular import annular_images, holds_annular_images
from recon.preprocess.background import Background, subtract_background
from recon.preprocess.denoise import Denoise, denoise
from recon.preprocess.noise import Noise, estimate_noise
from recon.project.geometry import Geometry, is_single_axis
from recon.project.projector import Projector, make_projector
from recon.tomography.r_factor import r_factor

MIN_TILTS = 3
"""Fewer projections than this do not determine a volume in any useful sense."""

DIVERGED = 10.0
"""An R-factor that only divergence reaches: an empty volume has 1, a close fit of sparse counts about 3."""


FIRST_ITER = 54
"""Iterations of FISTA for the atoms that angles are refined against: those of its own default."""

FloatArray = npt.NDArray[np.float64]

Angles = Literal["nominal", "atoms", "refine", "grid"]
"""The tilt angles as given; refined against the atoms of a first answer, with shifts and scales; refined
together with the volume; refined by the published grid search."""

Blur = Literal["ignore", "fit"]
"""Whether some images are more blurred than others, as out of focus, is ignored or fitted against atoms."""

Detection = Literal["counted", "estimated"]
"""Whether the counts are electrons, or their gain and read noise are estimated from the images."""


@dataclass(frozen=True)
class TomographicReconstructor(Reconstructor):
    """From an ADF tilt series to atoms by way of a volume; a subclass gives `volume`.

    Fields: `denoise` and its `denoise_sigma` [Å] (`recon.preprocess.denoise`); `noise`, `counted` electrons
    or gain and read noise `estimated` from the images, the mean of the series; `background`
    (`recon.preprocess.background`); `align`, shifts and intensities (`recon.align.series`); `angles`,
    `nominal`, `atoms` (`recon.align.against_atoms`), `refine` or the published `grid`
    (`recon.align.angles`); `blur`, with `angles=atoms` also `fit`, an own sharpness for every image
    (`recon.align.blur`); `oversample`, sub-voxels per voxel along x and z of the projector;
    `min_height`, the least height of a maximum relative to the volume's greatest value; `min_distance`
    between atoms [Å] (by default `recon.atoms.classify.closest_approach`);
    `trace_sigma`, a Gaussian [fine voxel] before tracing; `classify` (`recon.atoms.classify`), and
    `cluster_radius`, `split_radius` and `species_radius`, the spheres [fine voxel] of its published rules;
    `refine`, the atoms against the images, and `reclassify`, by refined `heights` or by `local` comparison
    (`recon.atoms.refinement`); `device`, a PyTorch device or "auto".
    """

    denoise: Denoise = "wiener"
    denoise_sigma: float = 0.0
    noise: Detection = "counted"
    background: Background = "known"
    align: Align = "none"
    angles: Angles = "nominal"
    blur: Blur = "ignore"
    oversample: int = 2
    min_height: float = 1e-3
    min_distance: float | None = None
    trace_sigma: float = 0.0
    classify: Classify = "mixture"
    cluster_radius: int = 3
    split_radius: int = 3
    species_radius: int = 9
    refine: Refine = "none"
    reclassify: Reclassify = "heights"
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.denoise == "gaussian" and not self.denoise_sigma > 0:
            raise InputError(f"denoise_sigma must be positive for denoise=gaussian, not {self.denoise_sigma}")
        if self.blur == "fit" and self.angles != "atoms":
            raise InputError("blur=fit needs angles=atoms, for it is the atoms that show it")
        if self.oversample < 1:
            raise InputError(f"oversample must be at least 1, not {self.oversample}")
        if self.min_distance is not None and not self.min_distance > 0:
            raise InputError(f"min_distance must be positive, not {self.min_distance}")
        if self.trace_sigma < 0:
            raise InputError(f"trace_sigma must not be negative, not {self.trace_sigma}")
        for name in ("cluster_radius", "split_radius", "species_radius"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1 fine voxel, not {getattr(self, name)}")

    @abstractmethod
    def volume(self, projector: Projector, projections: torch.Tensor, callback: Callback) -> torch.Tensor:
        """The volume (n_z, n_y, n_x) that explains `projections` (n_tilt, n_y, n_x)."""

    def volume_with_background(
        self, projector: Projector, projections: torch.Tensor, background: torch.Tensor, callback: Callback
    ) -> torch.Tensor:
        """As `volume`, given also the `background` that was subtracted (same shape): together with the
        `projections` it makes up the images again, for methods whose model holds it.
        """
        return self.volume(projector, projections, callback)

    def supports(self, measurement: xr.Dataset) -> tuple[bool, str]:
        """Whether this is or holds an ADF tilt series of at least `MIN_TILTS` images."""
        modality = measurement.attrs.get("modality")
        if holds_annular_images(measurement):
            measurement = annular_images(measurement)
        elif modality != "adf":
            return False, f"{self.name} reconstructs adf tilt series, this measurement is {modality}"
        if measurement.sizes["tilt"] < MIN_TILTS:
            return (
                False,
                f"{self.name} needs at least {MIN_TILTS} tilts, this has {measurement.sizes['tilt']}",
            )
        if self.align == "common_line" and not is_single_axis(rotations(measurement)):
            return False, "the common line needs tilts about y only; align by center_of_mass instead"
        return True, ""

    def reconstruct(
        self, measurement: xr.Dataset, *, rng: np.random.Generator, callback: Callback | None = None
    ) -> Reconstruction:
        """The atoms of `measurement`, with the volume that they were traced in."""
        if (declined := self.declined(measurement)) is not None:
            return declined
        start = time.perf_counter()
        measurement = annular_images(measurement)
        record = _Record(callback)
        geometry = Geometry.of(measurement)
        try:
            images, background, geometry, alignment, measured = self._prepare(measurement, geometry)
        except InputError as problem:
            # too few counts to align by: a fact about these data, not a mistake of the user
            return Reconstruction(Atoms(), status=Status.ERROR, message=str(problem))
        projector, projections, found = self._solve(images, background, geometry, alignment, record)
        stats = {
            "iterations": float(record.iterations),
            "r_factor": r_factor(projector.forward(found), projections),
        }
        if self.align != "none" or self.angles != "nominal":
            stats |= _moves(alignment, geometry, rotations(measurement))
        volume = _with_coordinates(found, geometry)
        status, atoms = Status.OK, Atoms()
        if not np.isfinite(stats["r_factor"]):
            status = Status.NONFINITE
        elif record.iterations and max(stats["r_factor"], record.r_factor) > DIVERGED:
            status = Status.DIVERGED
        else:
            atoms = self._atoms(volume, list(measurement.attrs["elements"]))
            atoms, figures = self._refined(
                atoms, measurement, images, measured, background, geometry, alignment
            )
            stats |= figures
        stats["seconds"] = time.perf_counter() - start
        stats["peak_memory"] = peak_memory()
        return Reconstruction(atoms, volume, status, status.sentence, stats, alignment.as_dataset())

    def volume_of(self, measurement: xr.Dataset, *, callback: Callback | None = None) -> xr.DataArray:
        """The volume of `measurement` (z, y, x) [electron], not traced. Raises `InputError` where its images
        cannot be aligned.
        """
        measurement = annular_images(measurement)
        images, background, geometry, alignment, _ = self._prepare(measurement, Geometry.of(measurement))
        _, _, found = self._solve(images, background, geometry, alignment, _Record(callback))
        return _with_coordinates(found, geometry)

    def _solve(
        self,
        images: FloatArray,
        background: FloatArray,
        geometry: Geometry,
        alignment: Alignment,
        record: _Record,
    ) -> tuple[Projector, torch.Tensor, torch.Tensor]:
        """The projector, the projections and the volume that explains them."""
        projector = make_projector(geometry, oversample=self.oversample, device=self.device)
        if self.blur == "fit" and alignment.widths is not None:
            projector = BlurredProjector(projector, excess_blur(alignment.widths))
        projections, subtracted = (
            torch.as_tensor(part).to(projector.dtype).to(projector.device) for part in (images, background)
        )
        return projector, projections, self.volume_with_background(projector, projections, subtracted, record)

    def _prepare(
        self, measurement: xr.Dataset, geometry: Geometry
    ) -> tuple[FloatArray, FloatArray, Geometry, Alignment, FloatArray]:
        """The images (n_tilt, n_y, n_x) to reconstruct from, the background that was taken from them, their
        geometry, what they were corrected for, and the counts less the background, otherwise as measured.
        """
        counts = measurement["counts"].values.astype(np.float64)
        background = float(measurement.attrs["background"])
        noise: Noise | None = None if self.noise == "counted" else estimate_noise(counts).pooled()
        whole = denoise(counts, self.denoise, sigma=self.denoise_sigma / geometry.pixel_size, noise=noise)
        images = subtract_background(whole, self.background, known=background)
        subtracted = whole - images
        measured = counts - subtracted
        if self.align == "none" and self.angles == "nominal":
            return images, subtracted, geometry, Alignment.identity(geometry.rotations), measured
        _, found = align(images, geometry, self.align, background=background)
        if self.angles == "atoms":
            atoms = self._first_atoms(found.correct(images, geometry.pixel_size), geometry, measurement)
            heights = atoms.get_array("intensity") if len(atoms) else np.empty(0)
            fit = refine_against_atoms(
                measured, geometry, atoms.positions, heights, start=found, background=background
            )
            geometry, found = fit.geometry, fit.alignment
        elif self.angles != "nominal":
            method: Literal["joint", "grid"] = "joint" if self.angles == "refine" else "grid"
            geometry, found = refine_angles(images, geometry, method=method, start=found)
        images, subtracted = (found.correct(part, geometry.pixel_size) for part in (images, subtracted))
        return images, subtracted, geometry, found, measured

    def _first_atoms(self, images: FloatArray, geometry: Geometry, measurement: xr.Dataset) -> Atoms:
        """The atoms of `images` at the angles as given."""
        projector = make_projector(geometry, oversample=self.oversample, device=self.device)
        projections = torch.as_tensor(images).to(projector.dtype).to(projector.device)
        volume = default_solver()(projector, projections, FIRST_ITER)
        return self._atoms(_with_coordinates(volume, geometry), list(measurement.attrs["elements"]))

    def _atoms(self, volume: xr.DataArray, elements: list[str]) -> Atoms:
        return atoms_from_volume(
            volume,
            elements,
            min_height=self.min_height,
            min_distance=self.min_distance,
            sigma=self.trace_sigma,
            method=self.classify,
            radii=(self.cluster_radius, self.split_radius, self.species_radius),
        )

    def _refined(
        self,
        atoms: Atoms,
        measurement: xr.Dataset,
        images: FloatArray,
        measured: FloatArray,
        background: FloatArray,
        geometry: Geometry,
        alignment: Alignment,
    ) -> tuple[Atoms, dict[str, float]]:
        """`atoms` refined against `images`, or against what was `measured`, and named anew."""
        figures: dict[str, float] = {}
        if self.refine != "none":
            counts = measurement["counts"].values.astype(np.float64)
            noise = None if self.noise == "counted" else estimate_noise(counts).pooled()
            atoms, figures = refine_atoms(
                atoms,
                measured,
                geometry,
                self.refine,
                denoised=images,
                alignment=alignment if self.blur == "fit" else replace(alignment, widths=None),
                background=max(float(background.mean()), 0.0),
                gain=1.0 if noise is None else float(noise.gain[0]),
                read_noise=0.0 if noise is None else float(noise.read_noise[0]),
                source=float(measurement.attrs.get("source_sigma", 0.0)),
            )
        elements = list(measurement.attrs["elements"])
        refined = self.refine == "projections"
        return reclassify_atoms(atoms, elements, self.reclassify, refined=refined), figures


def _moves(found: Alignment, geometry: Geometry, nominal: Rotation) -> dict[str, float]:
    """Root mean square corrections: shift [Å], relative intensity, and rotation [deg] of a projection."""
    turned = np.asarray((geometry.rotations * nominal.inv()).magnitude())
    return {
        "shift_correction": float(np.sqrt(np.mean(np.sum(found.shifts**2, axis=1)))),
        "scale_correction": float(np.std(found.scales)),
        "angle_correction": float(np.rad2deg(np.sqrt(np.mean(turned**2)))),
    }


class _Record:
    """Remembers the number of the last iteration and its R-factor, and passes both on."""

    def __init__(self, callback: Callback | None) -> None:
        self.callback, self.iterations, self.r_factor = callback, 0, 0.0

    def __call__(self, iteration: int, figures: Mapping[str, float]) -> None:
        self.iterations = iteration
        self.r_factor = figures["r_factor"]
        if self.callback is not None:
            self.callback(iteration, figures)


def _with_coordinates(volume: torch.Tensor, geometry: Geometry) -> xr.DataArray:
    coords = {name: (name, getattr(geometry, name), {"units": "Å"}) for name in ("z", "y", "x")}
    return xr.DataArray(
        np.ascontiguousarray(volume.cpu().numpy()),
        dims=("z", "y", "x"),
        coords=coords,
        attrs={"units": "electron"},
    )
