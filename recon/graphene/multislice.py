"""From atoms to the frame: a plane wave through one sheet of atoms, each at its own depth, and the lens.

Multislice (Cowley and Moodie, Acta Cryst. 10, 609 (1957)) multiplies the wave by exp(iσv) of a slice and
propagates it to the next. A sheet of carbon changes the wave by a few percent, so the product of slices is
nearly a sum over atoms,

    ψ(k) = δ(k) + Σ_j t(k) exp(iπλk² z_j) exp(−2πi k·r_j),    t = FT[exp(iσv) − 1],

each propagated from its own z_j to the plane z = 0: no slices, and smooth in z. Scattering within an atom
is in t; the wave scattered by one atom and again by another, −½ Σ_(i≠j) φ_i φ_j of their phases φ = σv, is
added as if all were at one height: without it the waves would lack the mean phase of the sheet, 0.05, that
the direct beam has. The image is |ψ|² behind the lens: the interference with the direct beam, damped by the
envelopes of a partly coherent beam, and the intensity of the scattered wave, a sum over five defoci.

|z| is a few Å and |πλk²z| < 1, so the propagator is a short Taylor series in z, and the sum over atoms
becomes one structure factor S_n(k) = Σ_j z_jⁿ exp(−2πi k·r_j) per term. S_n is that of a real function and
t, lens and propagator depend on |k| alone, so half of the k plane suffices.

Cost of a frame and of its gradient: with N atoms, T terms and K_y × K_x modes of the half plane, T K_y K_x N
complex multiplications, 3 times in all. 640 atoms, 5 terms, 151 × 76 modes: 0.9 Gflop, 25 ms at 40 Gflop/s;
9 FFTs of 324² each way, 20 ms.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import constants
from scipy.special import j0, k0, k1

from recon.optics import interaction_constant, wavelength

FloatArray = npt.NDArray[np.float64]

LOBATO_CARBON = (
    (124.466088621343, -220.352857078963, 195.235352280479, -98.1079361269799, 0.0142023041213623),
    (2.42120849256005, 2.30537943752425, 2.04851932106564, 1.93352552917547, 0.0768976818478339),
)
"""a [Å] and b [Å²] of carbon in f(k) = Σ a (2 + b k²) / (1 + b k²)²: Lobato and Van Dyck, Acta Cryst. A 70,
636 (2014)."""
N_TERMS = 5
"""Terms of the propagator's series: at |πλk²z| = 0.5 the next one is 3 × 10⁻⁴."""
QUADRATIC_TERMS = 2
"""Those of the scattered intensity, itself a few percent of the contrast."""
N_FOCI = 5
"""Nodes of the Gauss–Hermite rule over the focal spread: with 3 a frame is off by 2 % of its contrast."""
FAINT = 3e-3
"""Modes where the envelope of the lens is below this part of 1 are left out."""


def projected_carbon(r: FloatArray) -> FloatArray:
    """Carbon's potential [V Å], integrated along the beam, at the distances `r` > 0 [Å] from its axis."""
    factor = constants.h**2 / (2 * math.pi * constants.m_e * constants.e) * 1e20
    total = np.zeros_like(r)
    for a, b in zip(*LOBATO_CARBON, strict=True):
        u = 2 * math.pi * r / math.sqrt(b)
        total += a * (2 * math.pi / b) * (k0(u) + u / 2 * k1(u))
    return factor * total


def projected_carbon_transform(k: FloatArray) -> FloatArray:
    """The Fourier transform [V Å³] of `projected_carbon` at |k| = `k` [1/Å]."""
    factor = constants.h**2 / (2 * math.pi * constants.m_e * constants.e) * 1e20
    terms = [a * (2 + b * k**2) / (1 + b * k**2) ** 2 for a, b in zip(*LOBATO_CARBON, strict=True)]
    return np.asarray(factor * np.sum(terms, axis=0))


def atomic_scattering(k: FloatArray, energy: float) -> npt.NDArray[np.complex128]:
    """t(k) = ∫ (exp(iσv(r)) − 1) exp(−2πi k·r) d²r [Å²] of a carbon atom at |k| = `k` [1/Å], any shape."""
    # the potential is logarithmic at the axis: points even in r² of a cube have r dr that vanishes there
    nodes, weights = np.polynomial.legendre.leggauss(600)
    s, ds = (nodes + 1) / 2, weights / 2
    r = 8.0 * s**3
    measure = 2 * math.pi * r * 24.0 * s**2 * ds
    values = (np.exp(1j * interaction_constant(energy) * projected_carbon(r)) - 1) * measure
    table = np.linspace(0, max(float(k.max()), 1e-3), 400)
    transform = j0(2 * math.pi * table[:, None] * r) @ values
    real, imag = (np.interp(k.ravel(), table, part) for part in (transform.real, transform.imag))
    return (real + 1j * imag).reshape(k.shape)


@dataclass(frozen=True)
class Lens:
    """What forms the image, as the attributes of a measurement name it.

    `energy` [eV]; `defocus` [Å] of the plane z = 0, underfocus positive; `Cs` [Å]; `focal_spread` [Å],
    standard deviation of the defocus; semiangles of illumination, `convergence`, and of the objective
    `aperture` [mrad]; `point_spread` [Å], standard deviation of the detector's, beside the square of its
    pixels.
    """

    energy: float
    defocus: float
    Cs: float = 0.0
    focal_spread: float = 0.0
    convergence: float = 0.0
    aperture: float = math.inf
    point_spread: float = 0.0

    @classmethod
    def of(cls, attributes: Mapping[str, Any]) -> Lens:
        """The lens that the attributes of an hrtem measurement state."""
        return cls(
            float(attributes["energy_eV"]),
            float(attributes["defocus"]),
            Cs=float(attributes.get("Cs", 0.0)),
            focal_spread=float(attributes.get("focal_spread", 0.0)),
            convergence=float(attributes.get("convergence_mrad", 0.0)),
            aperture=float(attributes.get("aperture_mrad", math.inf)),
            point_spread=float(attributes.get("psf_sigma", 0.0)) * float(attributes["pixel_size"]),
        )

    def transfer(self, k2: FloatArray) -> npt.NDArray[np.complex128]:
        """exp(−iχ) at the squared frequencies `k2` [1/Å²], zero outside the aperture."""
        lam = wavelength(self.energy)
        chi = math.pi * lam * k2 * (0.5 * self.Cs * lam**2 * k2 - self.defocus)
        return np.exp(-1j * chi) * (k2 * lam**2 <= (1e-3 * self.aperture) ** 2)

    def envelope(self, k2: FloatArray) -> FloatArray:
        """What the spreads of focus and direction leave of an interference with the direct beam (Frank,
        Optik 38, 519 (1973)); an evenly filled disc has a variance of semiangle²/4 along each axis.
        """
        lam = wavelength(self.energy)
        slope = 2 * math.pi * (self.Cs * lam**2 * k2 - self.defocus)
        temporal = 0.5 * (math.pi * lam * self.focal_spread * k2) ** 2
        return np.asarray(np.exp(-temporal - 0.5 * (0.5e-3 * self.convergence * slope) ** 2 * k2))


class FrameModel:
    """Expected counts of one frame from the positions of carbon atoms, differentiable by PyTorch.

    `x` (n_x,) and `y` (n_y,) are the centres [Å] of the pixels, `dose` [e⁻/Å²], `background` [e⁻/pixel].
    Atoms may lie outside the frame: it is computed with `margin` [Å] on either side, and then cropped; the
    margin is also what keeps one edge from the halo of the atoms at the other. `margin=0` makes the frame
    periodic.
    """

    def __init__(
        self,
        x: FloatArray,
        y: FloatArray,
        lens: Lens,
        *,
        dose: float,
        background: float = 0.0,
        margin: float = 5.0,
        n_terms: int = N_TERMS,
        dtype: torch.dtype = torch.float32,
        device: str = "cpu",
    ) -> None:
        self.lens, self.n_terms, self.dtype, self.device = lens, n_terms, dtype, device
        self.pixel = float(x[1] - x[0])
        self.shape = (len(y), len(x))
        pad = math.ceil(margin / self.pixel)
        self.padded = tuple(_even_composite(n + 2 * pad) if pad else n for n in self.shape)
        self.origin = (float(y[0]) - pad * self.pixel, float(x[0]) - pad * self.pixel)
        self.crop = tuple(slice(pad, pad + n) for n in self.shape)
        self.electrons = dose * self.pixel**2
        self.background = background
        ky = np.fft.fftfreq(self.padded[0], self.pixel)
        kx = np.fft.rfftfreq(self.padded[1], self.pixel)
        k_max = self._cutoff()
        self.rows = np.flatnonzero(np.abs(ky) <= k_max)
        ky, kx = ky[self.rows], kx[kx <= k_max]
        self.ky, self.kx = self._tensor(ky), self._tensor(kx)
        k2 = ky[:, None] ** 2 + kx**2
        area = self.padded[0] * self.padded[1] * self.pixel**2
        wave = lens.transfer(k2) * atomic_scattering(np.sqrt(k2), lens.energy) / area
        step = 1j * math.pi * wavelength(lens.energy) * k2
        terms = np.stack([wave * step**n / math.factorial(n) for n in range(n_terms)])
        self.direct = self._tensor(2 * (terms * lens.envelope(k2)).real)
        shares, scattered = [], []
        for defocus, share in zip(*_foci(lens.focal_spread), strict=True):
            one = terms[:QUADRATIC_TERMS] * np.exp(step * defocus)
            scattered += [one.real, one.imag]
            shares += [share, share]
        self.shares, self.scattered = self._tensor(np.array(shares)), self._tensor(np.stack(scattered))
        blur = [np.fft.fftfreq(self.padded[0], self.pixel), np.fft.rfftfreq(self.padded[1], self.pixel)]
        carbon = interaction_constant(lens.energy) * projected_carbon_transform(np.sqrt(k2)) / area
        self.phase = self._tensor(carbon)
        self.twice = self._tensor(-(lens.transfer(k2) * lens.envelope(k2)).real)
        self.own = self._to_modes(self._to_pixels(self.phase) ** 2)
        spread = [np.sinc(k * self.pixel) * np.exp(-2 * (math.pi * lens.point_spread * k) ** 2) for k in blur]
        self.camera = self._tensor(spread[0][:, None] * spread[1])

    def _tensor(self, values: npt.NDArray[Any]) -> torch.Tensor:
        return torch.as_tensor(values, dtype=self.dtype, device=self.device)

    def _cutoff(self) -> float:
        """The frequency [1/Å] where the envelope has fallen to `FAINT`, or that of the pixels."""
        k = np.linspace(0, (0.5 - 1 / min(self.padded)) / self.pixel, 500)
        passed = self.lens.envelope(k**2) * np.abs(self.lens.transfer(k**2))
        return float(k[np.flatnonzero(passed > FAINT)[-1]])

    def structure_factors(self, positions: torch.Tensor) -> torch.Tensor:
        """S_n(k) = Σ_j z_jⁿ exp(−2πi k·r_j), (n_terms, n_ky, n_kx), of `positions` (n_atoms, 3) [Å]."""
        x, y, z = positions.unbind(-1)
        along_x = _waves(self.kx, x - self.origin[1])
        along_y = _waves(self.ky, y - self.origin[0])
        powers = torch.stack([z**n for n in range(self.n_terms)])
        weighted = powers[:, None, :] * along_y  # (n_terms, n_ky, n_atoms)
        return weighted @ along_x.T

    def intensity(self, positions: torch.Tensor) -> torch.Tensor:
        """The image (n_y, n_x) where vacuum is 1, before the camera's noise."""
        factors = self.structure_factors(positions)
        # scattered by one atom and again by another: −½ (Σφ)², less what t holds of each atom by itself
        pairs = self._to_modes(self._to_pixels(factors[0] * self.phase) ** 2) - factors[0] * self.own
        direct = self._to_pixels((factors * self.direct).sum(dim=0) + self.twice * pairs)
        scattered = self._to_pixels((factors[:QUADRATIC_TERMS] * self.scattered).sum(dim=1))
        image = 1 + direct + (self.shares[:, None, None] * scattered**2).sum(dim=0)
        return torch.fft.irfft2(torch.fft.rfft2(image) * self.camera, s=self.padded)[self.crop]

    def expected(self, positions: torch.Tensor) -> torch.Tensor:
        """Expected electrons per pixel (n_y, n_x)."""
        return self.electrons * self.intensity(positions) + self.background

    def linear(self) -> FloatArray:
        """What one atom adds to each mode of the image by way of the direct beam, per power of its z:
        (n_terms, n_ky, n_kx).
        """
        passed = self.camera[self.rows][:, : len(self.kx)]
        return np.asarray((self.direct * passed).cpu().numpy(), dtype=np.float64)

    def _to_modes(self, image: torch.Tensor) -> torch.Tensor:
        """Fourier coefficients (n_ky, n_kx) of a real `image` (n_y, n_x)."""
        return torch.fft.rfft2(image, norm="forward")[self.rows, : len(self.kx)]

    def _to_pixels(self, modes: torch.Tensor) -> torch.Tensor:
        """Real images (…, n_y, n_x) whose half plane of Fourier coefficients is `modes` (…, n_ky, n_kx), zero
        elsewhere.
        """
        full = modes.new_zeros((*modes.shape[:-2], self.padded[0], self.padded[1] // 2 + 1))
        full[..., self.rows, : modes.shape[-1]] = modes
        return torch.fft.irfft2(full, s=self.padded, norm="forward")


def frame_model(
    frame: FloatArray, x: FloatArray, y: FloatArray, attributes: Mapping[str, object], *, device: str = "cpu"
) -> FrameModel:
    """The model of a `frame` (n_y, n_x) of counts; its mean says how many electrons the detector counted."""
    lens = Lens.of(attributes)
    background = float(str(attributes["background"]))
    pixel = float(x[1] - x[0])
    dose = max(float(frame.mean()) - background, 1e-12) / pixel**2
    return FrameModel(x, y, lens, dose=dose, background=background, device=device)


def _foci(spread: float) -> tuple[FloatArray, FloatArray]:
    """Defoci [Å] and weights that integrate over a normal distribution of standard deviation `spread`."""
    if spread == 0:
        return np.zeros(1), np.ones(1)
    nodes, weights = np.polynomial.hermite_e.hermegauss(N_FOCI)
    return spread * nodes, weights / weights.sum()


def _waves(k: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """exp(−2πi k x), (n_k, n_atoms)."""
    phase = -2 * math.pi * torch.outer(k, x)
    return torch.complex(torch.cos(phase), torch.sin(phase))


def _even_composite(n: int) -> int:
    """The least even number ≥ `n` without prime factors above 5: what an FFT is quick at."""
    while n % 2 or _largest_factor(n) > 5:
        n += 1
    return n


def _largest_factor(n: int) -> int:
    largest = 1
    for prime in (2, 3, 5):
        while n % prime == 0:
            n, largest = n // prime, prime
    return n if n > 1 else largest
