"""From atoms to the frame: a plane wave through one sheet of atoms, each at its own depth, and the lens.

Multislice (Cowley and Moodie, Acta Cryst. 10, 609 (1957)) multiplies the wave by exp(iσv) of a slice and
propagates it to the next. A sheet of carbon changes the wave by a few percent, and no electron meets two
atoms that matter, so the product of slices is a sum over atoms,

    ψ(k) = δ(k) + Σ_j t(k) exp(iπλk² z_j) exp(−2πi k·r_j),    t = FT[exp(iσv) − 1],

each propagated from its own z_j to the plane z = 0: no slices, and smooth in z. What is left out is the wave
scattered by one atom and again by a neighbour, whose potential at 1.4 Å is a thousandth of its own. Scattering
within an atom is in t, and the image is |ψ|², quadratic term and all.

|z| is a few Å and |πλk²z| < 1, so the propagator is a short Taylor series in z, and the sum over atoms
becomes one structure factor S_n(k) = Σ_j z_jⁿ exp(−2πi k·r_j) per term. S_n is that of a real function and
t, lens and propagator depend on |k| alone, so half of the k plane suffices.

Cost of a frame and of its gradient: with N atoms, T terms and K_y × K_x modes of the half plane, T K_y K_x N
complex multiplications each way, 3 times in all. 640 atoms, 5 terms, 123 × 62 modes: 0.6 Gflop, 15 ms at 40 Gflop/s; two
inverse FFTs of 324², 5 ms.
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

FloatArray = npt.NDArray[np.float64]

LOBATO_CARBON = (
    (124.466088621343, -220.352857078963, 195.235352280479, -98.1079361269799, 0.0142023041213623),
    (2.42120849256005, 2.30537943752425, 2.04851932106564, 1.93352552917547, 0.0768976818478339),
)
"""a [Å] and b [Å²] of carbon in f(k) = Σ a (2 + b k²) / (1 + b k²)²: Lobato and Van Dyck, Acta Cryst. A 70, 636
(2014)."""
N_TERMS = 5
"""Terms of the propagator's series: at |πλk²z| = 0.5 the next one is 3 × 10⁻⁴."""
FAINT = 1e-3
"""Modes where the envelope of the lens is below this part of 1 are left out."""


def wavelength(energy: float) -> float:
    """Wavelength [Å] of electrons of `energy` [eV]."""
    rest = constants.m_e * constants.c**2 / constants.e
    momentum = math.sqrt(energy * (energy + 2 * rest)) * constants.e / constants.c
    return constants.h / momentum * 1e10


def interaction_constant(energy: float) -> float:
    """σ = 2π m e λ / h² [rad/(V Å)] of electrons of `energy` [eV], m their relativistic mass."""
    rest = constants.m_e * constants.c**2 / constants.e
    mass = constants.m_e * (1 + energy / rest)
    return 2 * math.pi * mass * constants.e * wavelength(energy) * 1e-10 / constants.h**2 * 1e-10


def projected_carbon(r: FloatArray) -> FloatArray:
    """Carbon's potential [V Å], integrated along the beam, at the distances `r` > 0 [Å] from its axis."""
    factor = constants.h**2 / (2 * math.pi * constants.m_e * constants.e) * 1e20
    total = np.zeros_like(r)
    for a, b in zip(*LOBATO_CARBON, strict=True):
        u = 2 * math.pi * r / math.sqrt(b)
        total += a * (2 * math.pi / b) * (k0(u) + u / 2 * k1(u))
    return factor * total


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
    """What forms the image: `energy` [eV], `defocus` [Å] (positive: underfocus) of the plane z = 0, `Cs` [Å], the
    standard deviation `focal_spread` [Å] of the defocus, and that of the camera's point spread [Å].
    """

    energy: float
    defocus: float
    Cs: float = 0.0
    focal_spread: float = 0.0
    point_spread: float = 0.0

    @classmethod
    def of(cls, attributes: Mapping[str, Any]) -> Lens:
        """The lens that the attributes of an hrtem measurement state."""
        return cls(
            float(attributes["energy_eV"]),
            float(attributes["defocus"]),
            *(float(attributes.get(name, 0.0)) for name in ("Cs", "focal_spread", "point_spread")),
        )

    def transfer(self, k2: FloatArray) -> npt.NDArray[np.complex128]:
        """exp(−iχ) times the envelope of the focal spread, at the squared frequencies `k2` [1/Å²]."""
        lam = wavelength(self.energy)
        chi = math.pi * lam * k2 * (0.5 * self.Cs * lam**2 * k2 - self.defocus)
        return np.exp(-1j * chi - 0.5 * (math.pi * lam * self.focal_spread * k2) ** 2)


class FrameModel:
    """Expected counts of one frame from the positions of carbon atoms, differentiable by PyTorch.

    `x` (n_x,) and `y` (n_y,) are the centres [Å] of the pixels, `dose` [e⁻/Å²], `background` [e⁻/pixel]. Atoms may lie
    outside the frame: it is computed with `margin` [Å] on either side, and then cropped; the margin is also
    what keeps one edge from the halo of the atoms at the other. `margin=0` makes the frame periodic.
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
        terms = [wave * step**n / math.factorial(n) for n in range(n_terms)]
        self.real = self._tensor(np.stack([term.real for term in terms]))
        self.imag = self._tensor(np.stack([term.imag for term in terms]))
        blur = [np.fft.fftfreq(self.padded[0], self.pixel), np.fft.rfftfreq(self.padded[1], self.pixel)]
        all_k2 = blur[0][:, None] ** 2 + blur[1] ** 2
        self.camera = self._tensor(np.exp(-2 * (math.pi * lens.point_spread) ** 2 * all_k2))

    def _tensor(self, values: FloatArray) -> torch.Tensor:
        return torch.as_tensor(values, dtype=self.dtype, device=self.device)

    def _cutoff(self) -> float:
        """The frequency [1/Å] where the envelope has fallen to `FAINT`, or that of the pixels."""
        nyquist = (0.5 - 1 / max(self.padded)) / self.pixel
        decay = math.pi * wavelength(self.lens.energy) * self.lens.focal_spread
        return nyquist if decay == 0 else min(nyquist, (2 * math.log(1 / FAINT)) ** 0.25 / math.sqrt(decay))

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
        parts = [self._to_pixels((factors * part).sum(dim=0)) for part in (self.real, self.imag)]
        image = (1 + parts[0]) ** 2 + parts[1] ** 2
        if self.lens.point_spread:
            image = torch.fft.irfft2(torch.fft.rfft2(image) * self.camera, s=self.padded)
        return image[self.crop]

    def expected(self, positions: torch.Tensor) -> torch.Tensor:
        """Expected electrons per pixel (n_y, n_x)."""
        return self.electrons * self.intensity(positions) + self.background

    def linear(self) -> FloatArray:
        """How much one atom adds to the amplitude of each mode, per power of its z: (n_terms, n_ky, n_kx)."""
        passed = self.camera[self.rows][:, : len(self.kx)] if self.lens.point_spread else 1.0
        return np.asarray((self.real * passed).cpu().numpy(), dtype=np.float64)

    def _to_pixels(self, modes: torch.Tensor) -> torch.Tensor:
        """The real image whose half plane of Fourier coefficients is `modes` (n_ky, n_kx), zero elsewhere."""
        full = modes.new_zeros((self.padded[0], self.padded[1] // 2 + 1))
        full[self.rows, : modes.shape[1]] = modes
        return torch.fft.irfft2(full, s=self.padded, norm="forward")


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
