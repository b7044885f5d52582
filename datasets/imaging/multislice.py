"""Multislice in a window around each probe: the kernel, on arrays, for CPU and CUDA.

A focused probe through a thin specimen stays within a few resolution lengths. Instead of propagating it
across the whole field of N² pixels, a window of w² pixels is cut out of each slice's transmission function
around the probe, and the wave is propagated in that window, periodic like the field itself.

Operations. Per probe, phonon configuration and slice: one complex multiplication by the transmission
function, one FFT, one multiplication by the propagator, one inverse FFT, all on w² pixels; the last slice
needs no inverse. A complex FFT of w² takes about 5 w² log2(w²) operations, in practice about 3 ns a pixel
on one core and never less than the time to read and write it. So the floor is 2 FFTs per slice and probe,
and everything scales as

    tilts × phonons × probes × slices × w² log w,

where probes ∝ (particle radius × semiangle / wavelength)², that is atoms^(2/3), slices ∝ atoms^(1/3)
(atoms^1 altogether), w ∝ wavelength / semiangle / sampling, and the size and the number of the pixels of
the final image do not enter at all, because it is interpolated from scan positions at the band limit.
Probes of one scan row are a strided view of the field: no window is ever copied, and a batch stays within
the cache.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from abtem.antialias import antialias_aperture

FloatArray = npt.NDArray[np.float64]

CACHE_BYTES = 4_000_000
"""A batch of waves is at most about this large on a CPU, so that it stays in the cache."""
CUDA_BYTES = 512_000_000
"""The same on a GPU, where a large batch hides latency."""
VACUUM = 5e-3
"""A slice whose transmission function is nowhere farther from 1 than this is propagated through as vacuum."""


@dataclass(frozen=True)
class Optics:
    """The probe-forming optics: `wavelength` [Å], `semiangle` [rad], `Cs` [Å]."""

    wavelength: float
    semiangle: float
    Cs: float = 0.0


def frequencies(n: int, sampling: float) -> FloatArray:
    """Squared spatial frequency k² [1/Å²] of an n × n FFT grid, in FFT order."""
    k = np.fft.fftfreq(n, sampling)
    return np.asarray(k[:, None] ** 2 + k[None] ** 2)


def disc_coverage(n: int, sampling: float, radius: float) -> FloatArray:
    """The fraction of every Fourier pixel that lies within `radius` [1/Å], to first order in the pixel size.

    In a window the Fourier pixels are coarse, and a hard edge would make apertures of the wrong area.
    """
    k = np.sqrt(frequencies(n, sampling)) * n * sampling
    return np.clip(radius * n * sampling - k + 0.5, 0, 1)


def make_probe(n: int, sampling: float, optics: Optics, defocus: float) -> npt.NDArray[np.complex128]:
    """The probe in the middle (n // 2) of an n × n field, normalised to sum |ψ|² = 1.

    Positive `defocus` [Å] is underfocus: the focus lies that far along +z.
    """
    k2 = frequencies(n, sampling)
    aperture = np.sqrt(disc_coverage(n, sampling, optics.semiangle / optics.wavelength))
    phase = np.pi * optics.wavelength * k2 * (0.5 * optics.Cs * optics.wavelength**2 * k2 - defocus)
    wave = np.fft.fftshift(np.fft.ifft2(aperture * np.exp(-1j * phase)))
    return np.asarray(wave / np.sqrt(np.sum(np.abs(wave) ** 2)))


def crop(field: npt.NDArray[np.complex128], w: int, edge: int) -> npt.NDArray[np.complex128]:
    """The middle (w, w) of a field (n, n), brought to zero smoothly over its outermost `edge` pixels.

    A sharp cut through the probe's tails would scatter: a constant 1e-4 of the beam on the detector in
    vacuum.
    """
    start = len(field) // 2 - w // 2
    distance = np.minimum(np.arange(w) + 0.5, w - 0.5 - np.arange(w))
    profile = np.sin(np.pi / 2 * np.clip(distance / max(edge, 1), 0, 1)) ** 2
    return np.asarray(field[start : start + w, start : start + w] * profile[:, None] * profile)


def make_propagator(
    n: int, sampling: float, wavelength: float, distance: float
) -> npt.NDArray[np.complex128]:
    """The Fresnel propagator over `distance` [Å], zero beyond 2/3 of the Nyquist frequency (abTEM's rule)."""
    phase = -np.pi * wavelength * distance * frequencies(n, sampling)
    return np.asarray(np.exp(1j * phase) * antialias_aperture((n, n), (sampling, sampling), xp=np))


def make_transmission(
    potential: npt.NDArray[np.floating], sigma: float, sampling: float, device: torch.device
) -> torch.Tensor:
    """exp(i sigma V) of a sliced potential (n_slices, n, n) [V Å], band-limited to 2/3 of Nyquist."""
    n = potential.shape[-1]
    mask = torch.as_tensor(antialias_aperture((n, n), (sampling, sampling), xp=np), dtype=torch.float32)
    phase = sigma * torch.as_tensor(np.ascontiguousarray(potential), dtype=torch.float32, device=device)
    wave = torch.polar(torch.ones_like(phase), phase)
    return torch.fft.ifft2(torch.fft.fft2(wave) * mask.to(device))


def scan_rows(
    transmission: torch.Tensor,
    probe: npt.NDArray[np.complex128],
    propagator: npt.NDArray[np.complex128],
    detector: FloatArray,
    rows: npt.NDArray[np.intp],
    columns: npt.NDArray[np.intp],
    step: int,
) -> FloatArray:
    """The detected fraction of every probe position, given as runs along scan rows.

    `transmission` (n_slices, n, n) is the field [y, x]; `probe`, `propagator` and `detector` (weights in
    0..1) are (w, w), the probe in the middle of its window. `rows` (n_runs,) are the field rows of the
    runs' probes, `columns` (n_runs, 2) their first field column and their number; probes along a run are
    `step` pixels apart. The windows must lie within the field. Returns the fractions of all runs,
    concatenated. On a CPU the runs are shared out among as many threads as torch has, each working alone:
    no barrier after every operation.
    """
    device = transmission.device
    w = len(probe)
    kernel = _Window(
        torch.as_tensor(probe, dtype=torch.complex64, device=device),
        torch.as_tensor(propagator, dtype=torch.complex64, device=device),
        torch.as_tensor(detector / w**2, dtype=torch.float32, device=device).reshape(-1),
    )
    departure = (transmission - 1).abs().amax(dim=2).cpu().numpy()  # (n_slices, n)
    batch = max(1, (CUDA_BYTES if device.type == "cuda" else CACHE_BYTES) // (8 * w * w))
    pieces = [
        (int(row), int(column + first * step), int(min(batch, count - first)))
        for row, (column, count) in zip(rows, columns, strict=True)
        for first in range(0, count, batch)
    ]

    def detect(piece: tuple[int, int, int]) -> npt.NDArray[np.float32]:
        row, column, n = piece
        top, left = row - w // 2, column - w // 2
        strip = transmission[:, top : top + w, left : left + w + (n - 1) * step]
        windows = strip.unfold(2, w, step).permute(0, 2, 1, 3)  # (n_slices, n, w, w), a view
        occupied = np.flatnonzero(departure[:, top : top + w].max(axis=1) > VACUUM)
        return np.asarray(kernel.detect(windows, occupied).cpu().numpy())

    if not pieces:
        return np.empty(0)
    threads = torch.get_num_threads()
    if device.type == "cuda" or threads == 1:
        return np.concatenate([detect(piece) for piece in pieces]).astype(np.float64)
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return np.concatenate(list(pool.map(detect, pieces))).astype(np.float64)
    finally:
        torch.set_num_threads(threads)


@dataclass(frozen=True)
class _Window:
    """What is the same for all windows: probe (w, w), propagator (w, w), and detector weights (w²,)."""

    probe: torch.Tensor
    propagator: torch.Tensor
    weights: torch.Tensor

    def detect(self, windows: torch.Tensor, occupied: npt.NDArray[np.intp]) -> torch.Tensor:
        """The detected fractions (n,) behind `windows` (n_slices, n, w, w); vacuum at either end is crossed
        at once.
        """
        n = windows.shape[1]
        wave = self.probe.expand(n, -1, -1)
        if len(occupied):
            first, last = int(occupied[0]), int(occupied[-1])
            entering = torch.fft.ifft2(torch.fft.fft2(self.probe) * self.propagator**first)
            wave = entering * windows[first]
            for index in range(first + 1, last + 1):
                wave = torch.fft.ifft2(torch.fft.fft2(wave).mul_(self.propagator)).mul_(windows[index])
        spectrum = torch.view_as_real(torch.fft.fft2(wave))
        return spectrum.square_().sum(dim=-1).reshape(n, -1) @ self.weights
