"""Ptychographic atomic electron tomography: a phase image of every tilt, then tomography, then atoms.

Pelz et al., Nat. Commun. 14, 7906 (2023); paper 003 (Nature, 2026), Methods and Extended Data Table 2. The
phase of a thin specimen is the projection of its potential, so that the stages of `recon.pipeline` for images
apply: shifts, intensities, angles, volume, atoms.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import scipy.ndimage
import torch

from datasets.errors import InputError
from datasets.naming import Value
from datasets.schema import pixel_axis
from recon.align.alignment import Alignment
from recon.align.angles import refine_angles
from recon.align.series import Align, align
from recon.align.support import specimen_masks
from recon.base import Callback, Status
from recon.project.geometry import Geometry, is_single_axis
from recon.project.projector import make_projector
from recon.ptychography.multislice import Ptychogram, multislice_ptychography
from recon.ptychography.reconstructor import (
    PtychographicReconstructor,
    Solution,
    require_not_negative,
    require_positive,
)
from recon.ptychography.scan import Scan
from recon.ptychography.tilt_series import TiltSeries
from recon.tomography.fista import fista
from recon.tomography.r_factor import r_factor
from recon.tomography.resire import resire

FloatArray = npt.NDArray[np.float64]
Solver = Literal["fista", "resire"]
Angles = Literal["nominal", "refine", "grid"]

LEAST_OVERLAP = 0.5
"""Least overlap of neighbouring probes, as a part of their diameter; 0.6 is best (Bunk et al.,
Ultramicroscopy 108, 481 (2008))."""
FRAME = 0.1
"""Width of the frame that is taken for vacuum at first, as a part of the scan."""


def levelled(images: FloatArray, seen: npt.NDArray[np.bool_], *, ramps: bool) -> FloatArray:
    """The phase `images` (n_tilt, n_y, n_x) with phase 0 in the vacuum around the specimen, and where nothing
    was `seen` (n_y, n_x).

    Patterns do not know the phase of a whole image, nor with an unknown probe its slope (`ramps`). The vacuum
    is the frame of what was seen, then all that is not specimen (`recon.align.support.specimen_masks`).
    """
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in seen.shape), indexing="ij")
    terms = np.stack([np.ones_like(y), y, x] if ramps else [np.ones_like(y)])
    margin = [max(1, round(FRAME * len(index))) for index in (rows, columns)]
    inner = np.zeros_like(seen)
    inner[
        rows[0] + margin[0] : rows[-1] + 1 - margin[0], columns[0] + margin[1] : columns[-1] + 1 - margin[1]
    ] = True
    vacuum = np.broadcast_to(seen & ~inner, images.shape)
    for _ in range(2):
        out = np.zeros_like(images)
        for n, (image, empty) in enumerate(zip(images, vacuum, strict=True)):
            if np.count_nonzero(empty) > len(terms):
                weights, *_ = np.linalg.lstsq(terms[:, empty].T, image[empty], rcond=None)
                image = image - np.tensordot(weights, terms, 1)
            out[n] = np.where(seen, image, 0.0)
        vacuum = seen & ~specimen_masks(out)
    return out


@dataclass(frozen=True)
class PtychographicAET(PtychographicReconstructor):
    """Multislice ptychography of every tilt, then tomography of the phase images, tracing and classification.

    Fields: of the ptychography `n_iter`, `step`, `loss` (`recon.ptychography.losses`), `slice_thickness` [Å]
    and `voxel` [Å], by default what just carries the detector's edge; of the images `blur`, standard
    deviation of a Gaussian [Å]; of the atoms `min_height`, `min_distance` and `classify` as in
    `recon.pipeline`; `device`, a PyTorch device or "auto"; of the ptychography again `damping`,
    `layer_regularisation`, `refine_probe` with `n_modes` modes, and `refine_positions`
    (`recon.ptychography.multislice`); of the images `align` (`recon.align.series`) and `angles`, nominal or
    by `refine` or `grid` (`recon.align.angles`); of the volume `solver` with `volume_iter` iterations and
    `oversample` sub-voxels.

    Each tilt stands alone until its phase image is done, so each must have the counts for that: where
    patterns are nearly empty, `mset` and `atoms-4d`, which fit all tilts together, need fewer. A projection
    is right only as long as the phase of what lies behind one another adds up.
    """

    name: ClassVar[str] = "paet-multi"
    reference: ClassVar[str] = "Pelz et al., Nat. Commun. 14, 7906 (2023)"
    variants: ClassVar[Mapping[str, Mapping[str, Value]]] = {
        "published": {
            "n_iter": 100,
            "loss": "amplitude",
            "slice_thickness": 20.0,
            "layer_regularisation": 0.5,
            "refine_probe": True,
            "align": "common_line",
            "solver": "resire",
            "volume_iter": 1000,
            "min_distance": 1.0,
            "classify": "k_means",
        }
    }
    """Extended Data Tables 1 and 2 of paper 003, in the metric of `recon.ptychography.curvature`."""

    blurs_volume: ClassVar[bool] = False

    slice_thickness: float = 8.0
    blur: float = 0.35
    damping: float = 0.1
    layer_regularisation: float = 0.0
    refine_probe: bool = False
    n_modes: int = 1
    refine_positions: bool = False
    align: Align = "none"
    angles: Angles = "nominal"
    solver: Solver = "fista"
    volume_iter: int = 54
    oversample: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "damping", "n_modes", "volume_iter", "oversample")
        require_not_negative(self, "layer_regularisation")
        if self.n_modes > 1 and not self.refine_probe:
            raise InputError("n_modes above 1 needs refine_probe=true, for it is the patterns that show them")

    def _lack(self, scan: Scan) -> str:
        """Overlap of the probes, or for a common line tilts about one axis."""
        step, diameter = scan.scan_step, probe_diameter(scan)
        if step > (1 - LEAST_OVERLAP) * diameter:
            overlap = f"{100 * LEAST_OVERLAP:.0f} %"
            return (
                f"{self.name} needs probes that overlap by {overlap} of their diameter, "
                f"which is {diameter:.2g} Å; these stand {step:.2g} Å apart"
            )
        if self.align == "common_line" and not is_single_axis(scan.rotations):
            return "the common line needs tilts about y only; align by center_of_mass instead"
        return ""

    def solve(self, series: TiltSeries, rng: np.random.Generator, callback: Callback | None) -> Solution:
        """The volume behind the phase images of all tilts. `callback` sees the iterations of one tilt after
        another; where it ends one, the tilts that follow end there too.
        """
        start = time.perf_counter()
        images, iterations, loss = self._phase_images(series, callback)
        stats = {"iterations": float(iterations), "loss": loss, "ptychography": time.perf_counter() - start}
        if not np.isfinite(images).all():
            return Solution(None, stats, status=Status.NONFINITE)
        axis = pixel_axis(series.n, series.voxel)
        geometry = Geometry(series.scan.rotations, axis, axis, axis, series.voxel)
        try:
            images, geometry, alignment = self._aligned(images, geometry)
        except InputError as problem:  # images too empty to be aligned by
            return Solution(None, stats, status=Status.ERROR, message=str(problem))
        projector = make_projector(geometry, oversample=self.oversample, device=series.device)
        projections = torch.as_tensor(images).to(projector.dtype).to(projector.device)
        solver = fista if self.solver == "fista" else resire
        found = solver(projector, projections, self.volume_iter)
        stats["r_factor"] = r_factor(projector.forward(found), projections)
        return Solution(found, stats, alignment.as_dataset())

    def _phase_images(self, series: TiltSeries, callback: Callback | None) -> tuple[FloatArray, int, float]:
        """The phase images (n_tilt, n, n), smoothed and levelled; iterations and mean loss of a tilt."""
        progress = _Progress(callback, self.n_iter)
        found = [self._ptychogram(series, tilt, progress) for tilt in range(len(series))]
        images = np.stack([part.projection.double().cpu().numpy() for part in found])
        sigma = self.blur / series.voxel
        images = scipy.ndimage.gaussian_filter(images, (0, sigma, sigma))
        axis = pixel_axis(series.n, series.voxel)
        low, high = series.scan.positions.min(axis=0), series.scan.positions.max(axis=0)
        seen = np.logical_and.outer(
            *((axis >= a - 1e-6) & (axis <= b + 1e-6) for a, b in zip(low, high, strict=True))
        )
        images = levelled(images, seen, ramps=self.refine_probe)
        return images, progress.limit, float(np.mean([part.loss for part in found]))

    def _ptychogram(self, series: TiltSeries, tilt: int, progress: _Progress) -> Ptychogram:
        return multislice_ptychography(
            series.multislice,
            series.places[tilt],
            series.counts[tilt],
            series.slicing.n_slices,
            progress.limit,
            loss=self.loss,
            step=self.step,
            damping=self.damping,
            layer_regularisation=self.layer_regularisation,
            refine_probe=self.refine_probe,
            refine_positions=self.refine_positions,
            n_modes=self.n_modes,
            callback=progress,
        )

    def _aligned(self, images: FloatArray, geometry: Geometry) -> tuple[FloatArray, Geometry, Alignment]:
        """The images with their geometry, and what they were corrected for."""
        corrected, found = align(images, geometry, self.align)
        if self.angles == "nominal":
            return corrected, geometry, found
        method: Literal["joint", "grid"] = "joint" if self.angles == "refine" else "grid"
        geometry, found = refine_angles(images, geometry, method=method, start=found)
        return found.correct(images, geometry.pixel_size), geometry, found


@dataclass(frozen=True)
class SingleSlicePAET(PtychographicAET):
    """As `paet-multi` with one slice, as if the specimen were thin."""

    name: ClassVar[str] = "paet-single"
    single_slice: ClassVar[bool] = True
    variants: ClassVar[Mapping[str, Mapping[str, Value]]] = {
        "published": {
            key: value
            for key, value in PtychographicAET.variants["published"].items()
            if key not in ("slice_thickness", "layer_regularisation")
        }
    }


def probe_diameter(scan: Scan) -> float:
    """The diameter [Å] of the probe in the plane z = 0, by geometry and diffraction."""
    lens = scan.lens
    return 2 * lens.semiangle * abs(lens.defocus) + 1.22 * lens.wavelength / lens.semiangle


class _Progress:
    """Numbers the iterations of all tilts, and ends later tilts where one was ended."""

    def __init__(self, callback: Callback | None, limit: int) -> None:
        self.callback, self.limit, self.done = callback, limit, 0

    def __call__(self, iteration: int, figures: Mapping[str, float]) -> None:
        self.done += 1
        if self.callback is not None:
            try:
                self.callback(self.done, figures)
            except StopIteration:
                self.limit = iteration
                raise
