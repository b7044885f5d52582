"""Refinement of atoms as in the older work of paper 003's group: descent by turns, one B factor per species.

Ten rounds of {least squares in the species' intensities and B factors; ten gradient steps in both; ten in the
positions}, B within 5–15 Å², no atom further than 1 Å in a round (Yang et al., Nature 592, 60 (2021), and its
public code). `recon.atoms.refine` is the faster and more accurate one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.optimize

from recon.atoms.gauss_newton import LinearisedFit
from recon.atoms.refine import Refined, check_refinable, cut
from recon.project.gaussian_atoms import GaussianAtoms, Images
from recon.project.geometry import Geometry

FloatArray = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

N_ROUNDS = 10
N_STEPS = 10
B_BOUNDS = (5.0, 15.0)
"""Å²."""
MAX_MOVE = 1.0
"""Å, in one round."""
MARGIN = 1.2
"""Over the largest curvature that a few power iterations find in the first round."""


def refine_published(
    positions: FloatArray,
    labels: Labels,
    images: npt.NDArray[np.floating],
    geometry: Geometry,
    *,
    source: float = 0.0,
    bounds: tuple[float, float] = B_BOUNDS,
    step: float = 1.0,
) -> Refined:
    """Atoms at `positions` (n, 3) [Å] of species `labels` (n,) refined against denoised `images`.

    An atom's image is a Gaussian of variance B/8π² + `source`² + pixel²/12 [Å²], B within `bounds`; the
    public code writes exp(−π²r²/B) and blurs by the mean scattering factor instead. Every pixel counts the
    same. `step` of positions is in units of the inverse of the largest curvature of all moves (at 2 the
    descent turns unstable); that of the code rests on the scale of its Fourier transforms. It is the same for
    all atoms, so light ones hardly move. Raises `InputError` for arrays that do not fit together.
    """
    check_refinable(positions, labels, images, geometry)
    data = np.ascontiguousarray(images, dtype=np.float32)
    n_species = int(labels.max(initial=0)) + 1
    pixel = geometry.pixel_size
    rows = np.ascontiguousarray(geometry.rotations.as_matrix()[:, :2, :])
    origin = np.array([geometry.x[0], geometry.y[0]]) / pixel
    begin = at = positions / pixel
    factors = np.full(n_species, float(np.mean(bounds)))
    if not len(positions) or not np.any(data > 0):
        return Refined(positions.copy(), np.zeros(len(positions)), _widths(factors, source, pixel)[labels])
    brightness = np.full(n_species, max(float(data.sum(dtype=np.float64)), 1.0) / len(data) / len(positions))
    white = np.ones_like(data)
    steepest = 0.0

    def atoms_at(places: FloatArray) -> GaussianAtoms:
        sigma = _widths(factors, source, pixel)[labels] / pixel
        return GaussianAtoms.at(places, sigma, rows, origin, (data.shape[1], data.shape[2]))

    for _ in range(N_ROUNDS):
        for _ in range(2):
            atoms = atoms_at(at)
            derivatives = _derivatives(atoms, brightness, labels, pixel)
            residual = data - atoms.project(brightness[labels])
            change = _bounded_least_squares(derivatives, residual, brightness, factors, bounds)
            brightness, factors = brightness + change[:n_species], factors + change[n_species:]
        curvature = np.maximum(np.einsum("ktyx,ktyx->k", derivatives, derivatives), 1e-30)
        for _ in range(N_STEPS):
            atoms = atoms_at(at)
            residual = data - atoms.project(brightness[labels])
            descent = np.einsum("ktyx,tyx->k", _derivatives(atoms, brightness, labels, pixel), residual)
            change = descent / (len(descent) * curvature)
            brightness = np.maximum(brightness + change[:n_species], 0)
            factors = np.clip(factors + change[n_species:], *bounds)
        begin_round = at
        for _ in range(N_STEPS):
            atoms = atoms_at(at)
            heights = brightness[labels]
            fit = LinearisedFit(atoms, heights, white, labels, labels)
            move = fit.gradient(data - atoms.project(heights))[0]
            if steepest == 0.0:
                steepest = MARGIN * fit.steepest()
            at = at + step * move / max(steepest, 1e-30)
            at = begin_round + cut(at - begin_round, MAX_MOVE / pixel)
    atoms = atoms_at(at)
    residual = data - atoms.project(brightness[labels])
    stats = {
        "iterations": float(N_ROUNDS),
        "r_factor": float(np.abs(residual).sum(dtype=np.float64) / np.abs(data).sum(dtype=np.float64)),
        "displacement": float(np.sqrt(np.mean(np.sum((at - begin) ** 2, axis=1))) * pixel),
    }
    return Refined(at * pixel, brightness[labels], atoms.sigma * pixel, stats)


def _widths(factors: FloatArray, source: float, pixel: float) -> FloatArray:
    """Standard deviations [Å] of B `factors` [Å²], with source size and pixel."""
    return np.asarray(np.sqrt(factors / (8 * np.pi**2) + source**2 + pixel**2 / 12))


def _derivatives(atoms: GaussianAtoms, brightness: FloatArray, labels: Labels, pixel: float) -> Images:
    """Derivatives by each species' intensity, then by each one's B: (2 n_species, n_tilt, n_y, n_x)."""
    found = []
    by_factor = brightness[labels] / (8 * np.pi**2 * pixel**2)  # dv/dB = 1/8π² [pixel² per Å²]
    for species in range(len(brightness)):
        found.append(atoms.project((labels == species).astype(np.float64)))
    for species in range(len(brightness)):
        weights = np.zeros((len(labels), 5))
        weights[:, 4] = np.where(labels == species, by_factor, 0.0)
        found.append(atoms.render(weights))
    return np.stack(found)


def _bounded_least_squares(
    derivatives: Images,
    residual: Images,
    brightness: FloatArray,
    factors: FloatArray,
    bounds: tuple[float, float],
) -> FloatArray:
    """The change of intensities (not negative) and B factors (in `bounds`) of least squared residual."""
    flat = derivatives.reshape(len(derivatives), -1)
    normal = (flat @ flat.T).astype(np.float64)
    scale = 1 / np.sqrt(np.maximum(np.diag(normal), 1e-30))
    scaled = normal * np.outer(scale, scale) + 1e-6 * np.eye(len(flat))
    root = np.linalg.cholesky(scaled)
    target = np.linalg.solve(root, (flat @ residual.ravel()).astype(np.float64) * scale)
    low = np.concatenate([-brightness, bounds[0] - factors - 1e-9]) / scale
    high = np.concatenate([np.full(len(brightness), np.inf), bounds[1] - factors + 1e-9]) / scale
    return np.asarray(scipy.optimize.lsq_linear(root.T, target, (low, high)).x * scale)
