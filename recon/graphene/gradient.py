"""Rippling graphene in three dimensions from one frame, by Bayes' rule: reconstructor `multislice-map`.

1. x and y: the lattice, bent as its local phases say, the sites that are occupied, turned bonds (`topology`).
2. A flat sheet there descends to the most probable one nearby (`descent`): Poisson likelihood of the raw
   counts through `multislice`, times exp(−E/kT) with Tersoff's energy (`prior`).
3. Sheets are drawn from the posterior (`sampling`) hot at first, so that ripples may turn over, then at the
   temperature that the sheet itself shows. Their mean is the answer; their covariance is how sure it is.

What a frame knows of z is little: how the defocus at each atom changes its contrast, 5 % of a contrast of 4
%, and by how much slopes shorten bonds in projection, which says how steep, not which way. The first
decides the sign.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr
from ase import Atoms
from scipy.linalg import cho_solve

from datasets.errors import InputError
from recon.base import Callback, Reconstruction, Reconstructor, Status
from recon.graphene.aberrations import ModelOf, fit_spherical_aberration
from recon.graphene.descent import Posterior, cholesky_of, descend
from recon.graphene.information import fisher_information
from recon.graphene.initial import refuses
from recon.graphene.multislice import FrameModel, frame_model
from recon.graphene.prior import BOLTZMANN, Sheet
from recon.graphene.sampling import STEP, Chain, Masses, Quadratic
from recon.graphene.topology import bonds, find_sheet

FloatArray = npt.NDArray[np.float64]

FIRST_TEMPERATURE = 1000.0
"""Temperature [K] until the sheet shows its own: of classical atoms that vibrate as much as zero-point
motion makes real bonds vibrate (980 K for the stretching constant of aromatic C–C, 40.7 eV/Å²)."""
HEAT = 4.0
"""By how much the first trajectories are hotter."""
N_CURVATURES = 4
"""Sheets over which the curvature is averaged."""
STUCK = 0.1
"""A walk whose steps had to become shorter than this part of `sampling.STEP` samples nothing."""
FEWEST = 6
"""A hexagon; with fewer atoms there is no sheet."""

Estimate = Literal["mean", "map"]
"""The mean of the posterior, or its maximum."""
Defocus = Literal["nominal", "refine"]
"""As stated, so that z is absolute; or fitted, so that the mean of z is zero and the defocus that of the
mean plane."""
SphericalAberration = Literal["nominal", "refine"]
"""As stated, or fitted to the frame, with the height of the sheet (`aberrations`)."""


@dataclass(frozen=True)
class MultisliceMAP(Reconstructor):
    """The sheet of carbon that explains one low-dose frame best.

    `estimate`: the `mean` sheet of the posterior, which errs least, or the most probable one, `map`, after a
    shorter walk; `n_iter` bounds the steps of the descent; `n_samples` sheets are drawn for the mean,
    after as many again in which the walk forgets its start; `temperature` [K] of the prior, by default the
    one that the sheet shows; `defocus` and `Cs`: `nominal`, or `refine`. Every atom of the answer has
    `covariance` (9: a 3 × 3 matrix) [Å²].

    It takes one sheet of carbon, vacancies and turned bonds as `topology` finds them, as it is seen from
    above; what is on it, or a second layer, is not in its model. It solves dense systems in 3 n_atoms
    unknowns, so that time grows as n_atoms³ and memory as n_atoms². Only the first frame of a series is used.
    """

    name: ClassVar[str] = "multislice-map"
    reference: ClassVar[str] = "this package (dosebench)"

    estimate: Estimate = "mean"
    n_iter: int = 80
    n_samples: int = 240
    temperature: float | None = None
    defocus: Defocus = "nominal"
    Cs: SphericalAberration = "nominal"
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name in ("n_iter", "n_samples"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.temperature is not None and not self.temperature > 0:
            raise InputError(f"temperature must be positive, not {self.temperature}")

    def supports(self, measurement: xr.Dataset) -> tuple[bool, str]:
        """Whether this is an HRTEM frame of carbon that states energy and defocus."""
        reason = refuses(measurement, self.name)
        return not reason, reason

    def reconstruct(
        self, measurement: xr.Dataset, *, rng: np.random.Generator, callback: Callback | None = None
    ) -> Reconstruction:
        """The atoms of the first frame of `measurement`."""
        if (declined := self.declined(measurement)) is not None:
            return declined
        begin = time.perf_counter()
        frame = measurement["counts"].values[0].astype(np.float64)
        x, y = measurement["x"].values, measurement["y"].values
        model = frame_model(frame, x, y, measurement.attrs, device=self.device)
        try:
            plane = find_sheet(model, frame, x, y).positions
        except InputError as error:
            return Reconstruction(Atoms(), status=Status.ERROR, message=str(error))
        if len(plane) < FEWEST:
            message = f"{len(plane)} atoms were found, a hexagon has {FEWEST}"
            return Reconstruction(Atoms(), status=Status.ERROR, message=message)
        sheet = Sheet(bonds(plane))
        posterior = Posterior(model, frame, sheet, self.temperature or FIRST_TEMPERATURE)
        record = _Record(callback, frame.size)
        flat = np.column_stack([plane, np.zeros(len(plane))])

        def model_of(Cs: float) -> FrameModel:
            return frame_model(frame, x, y, {**measurement.attrs, "Cs": Cs}, device=self.device)

        positions, covariance, figures = self._fit(posterior, flat, model_of, rng, record)
        if not np.isfinite(positions).all():
            return Reconstruction(Atoms(), status=Status.NONFINITE, message=Status.NONFINITE.sentence)
        stats = {
            "iterations": float(record.steps),
            "deviance": 2 * posterior.likelihood(positions)[0] / frame.size,
            "temperature": posterior.temperature,
            "defocus": posterior.model.lens.defocus,
            "Cs": posterior.model.lens.Cs,
            **{f"spread_{axis}": float(np.sqrt(covariance[:, k, k].mean())) for k, axis in enumerate("xyz")},
            **figures,
        }
        if self.defocus == "refine":
            stats["defocus"] += float(positions[:, 2].mean())
            positions[:, 2] -= positions[:, 2].mean()
        atoms = Atoms(f"C{len(positions)}", positions)
        atoms.set_array("covariance", covariance.reshape(-1, 9))
        stats["seconds"] = time.perf_counter() - begin
        if figures.get("step", STEP) < STUCK * STEP:
            message = "The walk hardly moved: a sheet under the stated lens does not explain the frame."
            return Reconstruction(atoms, None, Status.NOT_CONVERGED, message, stats)
        return Reconstruction(atoms, None, Status.OK, Status.OK.sentence, stats)

    def _fit(
        self,
        posterior: Posterior,
        flat: FloatArray,
        model_of: ModelOf,
        rng: np.random.Generator,
        record: _Record,
    ) -> tuple[FloatArray, FloatArray, dict[str, float]]:
        """Positions (n_atoms, 3) [Å], their covariance (n_atoms, 3, 3) [Å²], and what the walk was like."""
        positions = flat
        for _ in range(1 if self.Cs == "nominal" else 2):
            if self.Cs == "refine":
                positions = refine_lens(posterior, positions, model_of)
            positions, _, _ = descend(posterior, positions, n_iter=self.n_iter, on_step=record.descended)
        if record.stopped:
            return positions, _laplace(posterior, positions), {}
        chain = walk(posterior, positions, [positions], rng)
        warm = max(self.n_samples // 2, 1)
        after = record.walked
        chain.run(warm, heat=lambda k: max(HEAT * (1 - 1.5 * k / warm), 1.0), adapt=True, after=after)
        chain.free_temperature = self.temperature is None
        first, temperatures = chain.run(warm, adapt=True, after=after)
        posterior.temperature = float(np.mean(temperatures[len(temperatures) // 2 :]))
        positions = first.mean(axis=0).astype(np.float64)
        if self.estimate == "map":
            positions, _, _ = descend(posterior, positions, n_iter=self.n_iter, on_step=record.descended)
        if self.estimate == "map" or record.stopped:
            return positions, _laplace(posterior, positions), {}
        again = walk(posterior, positions, list(first[:: max(warm // N_CURVATURES, 1)]), rng)
        again.positions, again.step = chain.positions, chain.step
        chain = again
        chain.free_temperature = self.temperature is None
        chain.run(warm // 4, adapt=True, after=after)
        sheets, temperatures = chain.run(self.n_samples, adapt=True, after=after)
        posterior.temperature = float(np.mean(temperatures))
        mean = sheets.mean(axis=0).astype(np.float64)
        off = sheets - mean
        covariance = np.einsum("sai,saj->aij", off, off) / max(len(sheets) - 1, 1)
        return mean, covariance, {"accepted": chain.accepted, "step": chain.step}


def _laplace(posterior: Posterior, positions: FloatArray) -> FloatArray:
    """Covariance (n_atoms, 3, 3) [Å²] of the normal distribution as curved as the posterior is."""
    factor = cholesky_of(posterior.curvature(positions))
    whole = cho_solve((factor, True), np.eye(len(factor)))
    n = np.arange(len(positions))
    return np.asarray(whole.reshape(len(n), 3, len(n), 3)[n, :, n])


def refine_lens(posterior: Posterior, positions: FloatArray, model_of: ModelOf) -> FloatArray:
    """`positions` (n_atoms, 3) [Å] at the height, and `posterior` with the Cs, that its frame shows."""
    fitted = fit_spherical_aberration(posterior.counts, positions, posterior.model.lens.Cs, model_of)
    posterior.model = model_of(fitted.Cs)
    return positions + np.array([0.0, 0.0, fitted.height])


def walk(
    posterior: Posterior, positions: FloatArray, sheets: Sequence[FloatArray], rng: np.random.Generator
) -> Chain:
    """A walk that begins at `positions` (n_atoms, 3) [Å], the likelihood expanded about them. Its masses
    are the curvature of the prior averaged over `sheets`: the mean of many is shorter in its bonds than
    any, and buckles.
    """
    information = fisher_information(posterior.model, positions)
    likelihood = Quadratic(positions, posterior.likelihood(positions)[1].ravel(), information)
    prior = sum(posterior.sheet.hessian(s.astype(np.float64)) for s in sheets) / len(sheets)
    masses = Masses.of(information + prior / (BOLTZMANN * posterior.temperature))
    return Chain(posterior.sheet, likelihood, masses, positions, posterior.temperature, rng)


class _Record:
    """Counts the steps of a descent, says how it and the walk fare, and knows whether they were stopped."""

    def __init__(self, callback: Callback | None, n_pixels: int) -> None:
        self.callback, self.n_pixels = callback, n_pixels
        self.steps, self.said, self.stopped = 0, 0, False

    def descended(self, value: float) -> None:
        """After a step; StopIteration ends the descent."""
        self.steps += 1
        if not self._says({"objective": value}):
            raise StopIteration

    def walked(self, temperature: float) -> bool:
        """After a trajectory; whether the walk goes on."""
        return self._says({"temperature": temperature})

    def _says(self, figures: dict[str, float]) -> bool:
        self.said += 1
        if self.callback is not None and not self.stopped:
            try:
                self.callback(self.said, figures)
            except StopIteration:
                self.stopped = True
        return not self.stopped
