"""What a scan of diffraction patterns says about each frequency of each slice: a metric for descent.

A thin phase φ_m cos 2πq·r in slice m at z_m changes the amplitude at a point k of the bright field by the
interference of the scattered waves b_m(k, ±q) = ψ̂(k ∓ q) exp(iπλ z_m (k² − (k ∓ q)²)) with the wave u |ψ̂(k)|
that is there, and in the dark field it is all that is there. Averaged over a dense scan, the second
derivatives of the loss (`losses`) by the slices are the matrices, between 0 and 1 for one slice,

    C_mn(q) = ¼ Σ_bright d_m* d_n + ½ Σ_dark (b_m* b_n (q) + b_m b_n* (−q)),   d_m = u* b_m(q) − u b_m*(−q),

times 4 N per probe, whose Σ|ψ̂|² = 1. For one slice this is the square of the contrast transfer of
ptychography (Rodenburg, McCallum and Nellist, Ultramicroscopy 48, 304 (1993)): it vanishes for q → 0, which
makes plain descent slow there, and so does what a slice has more than the next at low frequencies, the
missing cone. Divided by C + ε, all frequencies come at the same pace, and those that it says less than ε
about stay small: a Wiener filter.
"""

from __future__ import annotations

import math

import torch

from recon.ptychography.places import Places
from recon.ptychography.waves import WindowedMultislice

BRIGHT = 0.25
"""Where the vacuum intensity exceeds this part of its greatest value is the bright field."""
UNSEEN = 0.2
"""Illumination, relative to the greatest, that is added everywhere: steps stay finite outside the scan."""


def curvature_matrices(multislice: WindowedMultislice, heights: torch.Tensor) -> torch.Tensor:
    """C(q) (n_q, n_slices, n_slices) for q = 0 … W/2 steps of the window's frequencies along x.

    `heights` (n_slices,) [Å] are those of the slices above the plane that the probe is given at. The probe is
    taken for round, as that of a lens without astigmatism is.
    """
    k = multislice.k
    k2 = k[:, None] ** 2 + k**2
    phase = math.pi * multislice.lens.wavelength * heights[:, None, None] * k2
    to_slices = torch.polar(torch.ones_like(phase), -phase)
    w = len(k)
    found = torch.zeros((w // 2 + 1, len(heights), len(heights)), dtype=k.dtype, device=k.device)
    for wave in multislice.probe:
        intensity = wave.abs().square()
        bright = intensity > BRIGHT * float(intensity.max())
        vacuum = torch.where(bright, wave / wave.abs().clamp_min(1e-30), 0)
        at_slices = wave * to_slices
        for q in range(w // 2 + 1):
            plus = at_slices.roll(q, dims=-1) * to_slices.conj()
            minus = at_slices.roll(-q, dims=-1) * to_slices.conj()
            seen = (vacuum.conj() * plus - vacuum * minus.conj())[:, bright]
            plus, minus = plus[:, ~bright], minus[:, ~bright]
            found[q] += 0.25 * (seen.conj() @ seen.T).real
            found[q] += 0.5 * (plus.conj() @ plus.T + minus @ minus.conj().T).real
    return found


def illumination(multislice: WindowedMultislice, places: Places, height: float) -> torch.Tensor:
    """Σ |ψ|² of all probes at a plane `height` [Å] above that of the probe, (n_y, n_x)."""
    k2 = multislice.k[:, None] ** 2 + multislice.k**2
    phase = math.pi * multislice.lens.wavelength * height * k2
    wave = torch.fft.ifft2(multislice.probe * torch.polar(torch.ones_like(phase), -phase), norm="ortho")
    intensity = wave.abs().square().sum(dim=0)
    total = torch.zeros((1, *places.padded), dtype=multislice.real, device=multislice.device)
    for some in places.batches(multislice.batch):
        n = len(places.corners[some])
        places.add(total, intensity.expand(1, n, -1, -1), some)
    return places.crop(total)[0]


class Metric:
    """Divides a gradient (n_slices, n_y, n_x) by the curvature that a scan gives the loss, plus `damping`.

    Its own inverse, 4 N √E (C(q) + damping) √E for an illumination E (n_y, n_x), is symmetric and positive.
    """

    def __init__(
        self, multislice: WindowedMultislice, places: Places, n_slices: int, *, damping: float
    ) -> None:
        heights = torch.arange(n_slices, dtype=multislice.real, device=multislice.device) * multislice.spacing
        table = curvature_matrices(multislice, heights)
        lit = illumination(multislice, places, float(heights.mean()))
        lit = lit + UNSEEN * lit.max()
        self.root = (1 / (4 * multislice.electrons * lit)).sqrt_()
        n_y, n_x = places.shape
        k_y = torch.fft.fftfreq(n_y, places.voxel, dtype=table.dtype, device=table.device)
        k_x = torch.fft.rfftfreq(n_x, places.voxel, dtype=table.dtype, device=table.device)
        q = torch.hypot(k_y[:, None], k_x) * multislice.detector.length
        low = q.floor().clamp_max(len(table) - 2).long()
        part = (q - low).clamp_max(1.0)[..., None, None]
        matrices = torch.lerp(table[low], table[low + 1], part)
        self.inverse = torch.linalg.inv(matrices + damping * torch.eye(n_slices).to(table))

    def __call__(self, gradient: torch.Tensor) -> torch.Tensor:
        """The step that the `gradient` calls for, of the same shape."""
        spectrum = torch.fft.rfft2(gradient * self.root)
        moved = torch.einsum("yxmn,nyx->myx", self.inverse.to(spectrum.dtype), spectrum)
        return torch.fft.irfft2(moved, s=gradient.shape[-2:]) * self.root
