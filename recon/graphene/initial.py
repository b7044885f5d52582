"""A first answer to a frame of graphene: x and y alone, z zero or from the contrast (paper 000).

Both answers are controls of everything that searches longer: `graphene-flat`, a sheet without ripples, and
`graphene-pcd`, heights by the projected charge density approximation, smoothed by LOWESS.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr
from ase import Atoms

from datasets.errors import InputError
from datasets.naming import Value
from recon.base import Callback, Reconstruction, Reconstructor, Status
from recon.graphene.charge_density import Contrast, depth_of_contrast, heights_from_contrast
from recon.graphene.gaussian_fit import FittedAtoms, fit_atoms
from recon.graphene.local_regression import lowess
from recon.graphene.multislice import Lens, frame_model
from recon.graphene.preprocess import FlatField, average, remove_artefacts
from recon.graphene.topology import VIBRATION, FoundSheet, find_sheet
from recon.preprocess.denoise import Denoise, denoise
from recon.preprocess.noise import Noise

FloatArray = npt.NDArray[np.float64]

SMALLEST = 24
"""Pixels along an edge below which there is no room for a lattice."""

Fit = Literal["likelihood", "gaussian"]
"""x and y from the images of atoms through this lens, or by multiple Gaussian fits, as published."""


def refuses(measurement: xr.Dataset, name: str, frame: int = 0) -> str:
    """Why `frame` of `measurement` is not one of graphene that `name` reconstructs, in a sentence; empty
    where it is.
    """
    attrs = measurement.attrs
    if attrs.get("modality") != "hrtem":
        return f"{name} reconstructs hrtem frames, this measurement is {attrs.get('modality')}"
    if list(attrs.get("elements", [])) != ["C"]:
        return f"{name} reconstructs graphene, this specimen holds {', '.join(attrs.get('elements', []))}"
    if missing := [key for key in ("energy_eV", "defocus") if key not in attrs]:
        return f"{name} needs the optics of the frame, and the measurement does not state {missing[0]}"
    if min(measurement.sizes["y"], measurement.sizes["x"]) < SMALLEST:
        return f"{name} needs at least {SMALLEST} pixels along x and y"
    if frame >= measurement.sizes["frame"]:
        return f"frame {frame} is not among the {measurement.sizes['frame']} measured"
    return ""


@dataclass(frozen=True)
class FirstAtoms:
    """Atoms of the first estimate: the `sheet` found, its `atoms` with the heights of Gaussian fits, and the
    prepared `frame` (n_y, n_x) [electron per pixel].
    """

    atoms: FittedAtoms
    sheet: FoundSheet
    frame: FloatArray

    @property
    def unseen(self) -> FloatArray:
        """Where the lattice goes on around the sheet (n, 2) [Å]."""
        return self.sheet.unseen


def first_atoms(
    measurement: xr.Dataset,
    *,
    target: int = 0,
    n_average: int = 1,
    max_drift: float = 1.2,
    flat_field: FlatField = "none",
    dead_threshold: float = 0.0,
    denoising: Denoise = "none",
    prior: float = VIBRATION,
    fit: Fit = "likelihood",
) -> FirstAtoms:
    """The atoms that frame `target` shows, x and y; their number comes from the frame too.

    Which atoms there are is found before noise is removed: only then is it known. Raises `InputError` where
    no lattice is seen.
    """
    x, y = measurement["x"].values, measurement["y"].values
    counts = measurement["counts"].values.astype(np.float64)
    frames = remove_artefacts(counts, how=flat_field, threshold=dead_threshold).frames
    n_used = min(n_average, len(frames))
    step = float(measurement.attrs["pixel_size"])
    frame = average(frames, target, n=n_used, max_shift=max_drift / step if n_used > 1 else 0.0)
    background = float(measurement.attrs["background"])
    if not frame.mean() > background:
        raise InputError("a frame without electrons shows no lattice")
    attributes = {**measurement.attrs, "background": n_used * background}
    sheet = find_sheet(frame_model(n_used * frame, x, y, attributes), n_used * frame, x, y, spread=prior)
    frame = frame - background
    noise = float(np.sqrt(counts.mean() / n_used)) / float(frame.mean())
    if denoising != "none":
        own = Noise(np.array([1.0 / n_used]), np.zeros(1))
        frame = denoise(np.maximum(frame, 0.0)[None], denoising, noise=own)[0]
    about = sheet.sites if fit == "gaussian" else sheet.positions
    fitted = fit_atoms(frame / frame.mean(), about, x, y, noise=noise, prior=prior)
    if fit == "likelihood":
        fitted = replace(fitted, positions=sheet.positions)
    return FirstAtoms(fitted, sheet, frame)


@dataclass(frozen=True)
class FlatGraphene(Reconstructor):
    """A flat sheet at z = 0: what x and y say alone. The control that a reconstruction of ripples must beat.

    Fields: `frame`, the one that is answered to; `n_average` frames about it are averaged, registered within
    `max_drift` [Å]; `flat_field` and `dead_threshold` (0: none are sought) remove a detector's artefacts;
    `denoise` (`recon.preprocess.denoise`); `prior`, the spread [Å] of x and y about the lattice; `fit`, what
    tells x and y: the images of atoms through this lens (`likelihood`), or `gaussian` fits, which alone see
    the denoised frame.
    """

    name: ClassVar[str] = "graphene-flat"
    reference: ClassVar[str] = "paper 000: initial model in x and y"
    variants: ClassVar[Mapping[str, Mapping[str, Value]]] = {
        "published": {
            "n_average": 5,
            "flat_field": "subtract",
            "dead_threshold": 5.0,
            "denoise": "bm3d",
            "fit": "gaussian",
        }
    }

    frame: int = 0
    n_average: int = 1
    max_drift: float = 1.2
    flat_field: FlatField = "none"
    dead_threshold: float = 0.0
    denoise: Denoise = "none"
    prior: float = VIBRATION
    fit: Fit = "likelihood"

    def __post_init__(self) -> None:
        if self.n_average < 1 or self.frame < 0:
            raise InputError("n_average must be at least 1 and frame not negative")
        if not self.prior > 0 or not self.max_drift > 0:
            raise InputError("prior and max_drift must be positive")
        if self.denoise == "gaussian":
            raise InputError("frames of graphene are not smoothed by a Gaussian; take denoise=wiener")

    def supports(self, measurement: xr.Dataset) -> tuple[bool, str]:
        """Whether this is a frame of carbon with known optics."""
        reason = refuses(measurement, self.name, self.frame)
        return not reason, reason

    def reconstruct(
        self, measurement: xr.Dataset, *, rng: np.random.Generator, callback: Callback | None = None
    ) -> Reconstruction:
        """The sheet; without atoms where no lattice stands out of the noise."""
        if (declined := self.declined(measurement)) is not None:
            return declined
        begun = time.perf_counter()
        try:
            first = self._first(measurement)
        except InputError as error:
            return Reconstruction(Atoms(), status=Status.OK, message=str(error))
        z = self._heights(first, measurement)
        atoms = Atoms(f"C{len(z)}", positions=np.column_stack([first.atoms.positions, z]))
        atoms.set_array("intensity", first.atoms.heights)
        stats = {
            "seconds": time.perf_counter() - begun,
            "significance": first.sheet.significance,
            "width": first.atoms.width,
        }
        return Reconstruction(atoms, stats=stats)

    def _first(self, measurement: xr.Dataset) -> FirstAtoms:
        return first_atoms(
            measurement,
            target=self.frame,
            n_average=self.n_average,
            max_drift=self.max_drift,
            flat_field=self.flat_field,
            dead_threshold=self.dead_threshold,
            denoising=self.denoise,
            prior=self.prior,
            fit=self.fit,
        )

    def _heights(self, first: FirstAtoms, measurement: xr.Dataset) -> FloatArray:
        return np.zeros(len(first.atoms.heights))


@dataclass(frozen=True)
class ChargeDensityGraphene(FlatGraphene):
    """Heights from the contrast of single atoms, smoothed: the initial model of paper 000.

    Not an estimate to trust at a low dose: one atom's contrast is known to a fifth, which is several Å of
    height. Fields beside those of `graphene-flat`: `contrast`, how it depends on height (`charge_density`, as
    published, or `weak_phase`, through this lens), and `fraction` of all atoms in a neighbourhood of LOWESS,
    none: as prediction errors have it.
    """

    name: ClassVar[str] = "graphene-pcd"
    reference: ClassVar[str] = "paper 000: initial model; Lynch, Moodie and O'Keefe (1975)"
    variants: ClassVar[Mapping[str, Mapping[str, Value]]] = {
        "published": {**FlatGraphene.variants["published"], "contrast": "charge_density"}
    }

    contrast: Contrast = "weak_phase"
    fraction: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fraction is not None and not 0 < self.fraction <= 1:
            raise InputError(f"fraction must lie between 0 and 1, not {self.fraction}")

    def _heights(self, first: FirstAtoms, measurement: xr.Dataset) -> FloatArray:
        lens = Lens.of(measurement.attrs)
        z = heights_from_contrast(first.atoms.heights, depth_of_contrast(lens, self.contrast))
        smooth = lowess(first.atoms.positions, z, fraction=self.fraction)
        return smooth - smooth.mean()
