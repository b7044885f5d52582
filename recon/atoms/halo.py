"""The halo of an atom's image: what the probe's tails add to a Gaussian, from the optics alone.

A probe behind a sharp aperture has tails: at 200 kV and 17.5 mrad a sixth of an atom's intensity lies in
them, and a single Gaussian misses the image of an atom by 9 % (rms over rms), two miss it by 1.2 %. Both
components of every atom are the same, so the halo need not be drawn atom by atom: the images of all atoms are
those of their cores passed through one filter, which costs two FFTs per image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.optimize
import scipy.special
import torch

from recon.optics import wavelength
from recon.project.gaussian_atoms import GaussianAtoms, Images

FloatArray = npt.NDArray[np.float64]

RADIUS = 4.0
"""Å, as far out as the two Gaussians are fitted to the probe."""
BLUR = 0.38
"""Å, standard deviation of what blurs the probe where it is fitted: a source and an atom, roughly."""
N_RADII = 512
BATCH = 1 << 17
"""Pixels that are filtered at once."""


@dataclass(frozen=True)
class Halo:
    """A `fraction` of an atom's intensity lies in a Gaussian of variance `spread` [Å²] more than the core's;
    the core is at least as wide as the variance `core` [Å²] that the probe gives it.
    """

    fraction: float = 0.0
    spread: float = 1.0
    core: float = 0.0

    def transfer(self, shape: tuple[int, int], pixel_size: float) -> FloatArray:
        """The filter that adds the halo to images (n_y, n_x) of cores, for `scipy.fft.rfft2`."""
        ky = scipy.fft.fftfreq(shape[0], pixel_size)[:, None]
        kx = scipy.fft.rfftfreq(shape[1], pixel_size)
        far = np.exp(-2 * np.pi**2 * self.spread * (ky**2 + kx**2))
        return np.asarray(1 - self.fraction + self.fraction * far)


def probe_halo(optics: Mapping[str, Any]) -> Halo:
    """The halo that fits the probe of a measurement's attributes, or none where they do not say what it is.

    Needs energy_eV and semiangle_mrad; uses defocus and Cs [Å].
    """
    if not {"energy_eV", "semiangle_mrad"} <= set(optics):
        return Halo()
    electrons = wavelength(float(optics["energy_eV"]))
    cutoff = float(optics["semiangle_mrad"]) * 1e-3 / electrons
    defocus, spherical = float(optics.get("defocus", 0.0)), float(optics.get("Cs", 0.0))
    area = np.linspace(0, RADIUS**2, N_RADII)  # even in area: every ring of the image counts by its pixels
    wanted = _blurred_probe(np.sqrt(area), electrons, cutoff, defocus, spherical)

    def model(parameters: FloatArray) -> FloatArray:
        fraction, core, spread = 1 / (1 + np.exp(-parameters[0])), *np.exp(parameters[1:])
        near, far = core + BLUR**2, core + BLUR**2 + spread
        return np.asarray(
            (1 - fraction) * np.exp(-area / 2 / near) / near + fraction * np.exp(-area / 2 / far) / far
        ) / (2 * np.pi)

    start = np.array([-1.5, np.log(0.04 / cutoff**2), np.log(1.0 / cutoff**2)])

    def misfit(parameters: FloatArray) -> FloatArray:
        return np.asarray((model(parameters) - wanted) / wanted[0])

    found = scipy.optimize.least_squares(misfit, start).x
    return Halo(1 / (1 + np.exp(-found[0])), float(np.exp(found[2])), float(np.exp(found[1])))


def _blurred_probe(
    radii: FloatArray, electrons: float, cutoff: float, defocus: float, spherical: float
) -> FloatArray:
    """The probe's intensity blurred by `BLUR`, of integral one [1/Å²], at `radii` [Å]."""
    n, fine = 256, 1 / (4.2 * cutoff)
    k = scipy.fft.fftfreq(n, fine)
    square = k[:, None] ** 2 + k**2
    phase = np.pi * electrons * square * (0.5 * spherical * electrons**2 * square - defocus)
    wave = scipy.fft.ifft2((square <= cutoff**2) * np.exp(-1j * phase))
    transfer = scipy.fft.fft2(np.abs(wave) ** 2).real[0, : n // 2]
    k = k[: n // 2]
    seen = transfer / transfer[0] * np.exp(-2 * np.pi**2 * BLUR**2 * k**2) * (k <= 2 * cutoff)
    return np.asarray((seen * 2 * np.pi * k * k[1]) @ scipy.special.j0(2 * np.pi * k[:, None] * radii))


@dataclass(frozen=True)
class AtomsWithHalo(GaussianAtoms):
    """`GaussianAtoms` whose images pass through `transfer`, and the adjoint of that; `near` (n_tilt, 1) is
    the part of an atom's intensity that stays in its core.
    """

    transfer: npt.NDArray[np.floating] | None = None
    near: FloatArray | float = 1.0

    @classmethod
    def around(
        cls, atoms: GaussianAtoms, transfer: npt.NDArray[np.floating] | None, near: FloatArray
    ) -> AtomsWithHalo:
        """`atoms` with the halo of `transfer`."""
        u, v, sigma, rows, shape = atoms.u, atoms.v, atoms.sigma, atoms.rows, atoms.shape
        return cls(u, v, sigma, rows, shape, blur=atoms.blur, transfer=transfer, near=near)

    def render(self, weights: FloatArray) -> Images:
        """As `GaussianAtoms.render`, with the halo."""
        return self._filtered(super().render(weights))

    def moments(self, images: npt.NDArray[np.floating], *, by_tilt: bool = False) -> FloatArray:
        """As `GaussianAtoms.moments`, of images passed through the filter first."""
        return super().moments(self._filtered(images), by_tilt=by_tilt)

    def overlaps(self, images: npt.NDArray[np.floating]) -> FloatArray:
        """As `GaussianAtoms.overlaps`, of the cores alone."""
        return super().overlaps(images) * self.near**2

    def _filtered(self, images: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        if self.transfer is None:
            return images
        return filtered(images, self.transfer)


def filtered(images: npt.NDArray[np.floating], transfer: npt.NDArray[np.floating]) -> Images:
    """`images` (n_tilt, n_y, n_x) through a filter for `torch.fft.rfft2`, of their size, or of a larger one
    and even width: they are continued with zeros.

    One filter for all, or one for each. A few images at a time stay in the cache: 31 ms of one core for 60
    images of 290² filtered at 300², where all at once and at their own size, a multiple of 29, take 125.
    """
    n_y, n_x = images.shape[1:]
    last = 2 * (transfer.shape[-1] - 1)
    size = transfer.shape[-2], last if last >= n_x else last + 1
    factors = torch.from_numpy(transfer).expand(len(images), -1, -1)
    found = np.empty_like(images, dtype=np.float32)
    step = max(BATCH // (size[0] * size[1]), torch.get_num_threads())
    for i in range(0, len(images), step):
        spectrum = torch.fft.rfft2(torch.from_numpy(images[i : i + step]), s=size)
        spectrum *= factors[i : i + step]
        found[i : i + step] = torch.fft.irfft2(spectrum, s=size)[:, :n_y, :n_x].numpy()
    return found
